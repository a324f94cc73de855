"""Components, how their digests join, and the `Identity` that comes out. Plain data; no inspection.

A component (`Node`) has a digest of its own (`local`) and labelled edges to what it uses. The digest of the
whole is taken over the components in the order in which they are reached from the root, each with its own
digest and the numbers of those it points to: cycles need no special treatment, and file names, line numbers,
modules and previews have no part in it.
"""

from __future__ import annotations

from _thread import _local  # what `threading.local` is

from afresh import _afresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

    # (namespace, key, object): `namespace.get(key) is object`; for attributes `getattr(namespace, key) is object`.
    Watch = tuple[Any, str, Any]
    # (label, object, digest): `_afresh.digest_value(object)[0] == digest`.
    Mutable = tuple[str, Any, bytes]

combine = _afresh.combine
# `state.mode`: who is asking when `digest_value` calls back; see _value.py.
state = _local()


class _Missing:
    """Stands for a name that is not there."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<missing>"


MISSING: Final = _Missing()

class Seen:
    """What an identity rests on besides text: look here to know that it still holds.

    `absent` holds names that must not appear in a namespace (they would shadow a builtin); `attributes` what must be an
    attribute of an object (the contents of a cell, the code of a function, the ancestors of a class); `sizes` how
    many names a namespace must have (a new one in a class hides what it inherits).
    """

    __slots__ = ("absent", "attributes", "mutable", "sizes", "watch")

    def __init__(
        self,
        watch: tuple[Watch, ...] = (),
        absent: tuple[tuple[dict[str, Any], str], ...] = (),
        attributes: tuple[Watch, ...] = (),
        sizes: tuple[tuple[dict[str, Any], int], ...] = (),
        mutable: tuple[Mutable, ...] = (),
    ) -> None:
        self.watch = watch
        self.absent = absent
        self.attributes = attributes
        self.sizes = sizes
        self.mutable = mutable


class Node:
    """One component. `local` and `edges` are filled in after the node has been handed out."""

    __slots__ = ("edges", "file", "ignored", "kind", "line", "local", "module", "name", "origin", "preview", "text")

    def __init__(self, kind: str, name: str, local: bytes = b"", preview: str | None = None) -> None:
        self.kind = kind
        self.name = name
        self.local = local
        self.edges: list[tuple[str, Node]] = []
        self.file: str | None = None
        self.line: int | None = None
        self.text: str | None = None
        self.preview = preview
        # For the record alone: the module, the text that it was read from, and the names that mean afresh there.
        self.module: str | None = None
        self.origin: Any = None
        self.ignored: list[str] = []

    def found(self, text: Any, definition: Any, module: str, ignored: list[str]) -> None:
        """Remembers where the source of the component is."""
        self.file, self.line, self.text = text.filename, definition[3], definition[5]
        self.origin, self.module, self.ignored = text, module, ignored


def reachable(root: Node) -> list[Node]:
    """The components in the order of discovery; the same for the same graph in every process."""
    order = [root]
    seen = {id(root)}
    for node in order:
        for _, child in node.edges:
            if id(child) not in seen:
                seen.add(id(child))
                order.append(child)
    return order


def root_digest(order: list[Node]) -> bytes:
    """The digest of the graph whose components these are."""
    number = {id(node): index.to_bytes(4, "little") for index, node in enumerate(order)}
    parts = []
    for node in order:
        own = [node.local]
        for label, child in node.edges:
            own.append(label.encode("utf-8", "surrogatepass"))
            own.append(number[id(child)])
        parts.append(combine(node.kind, own))
    return combine("graph", parts)


_ROLES = {"function": "helper", "bytecode": "helper", "external": "library"}


class Identity:
    """What a function is, and what to look at to know that this still holds.

    `key` is the name that its calls are looked up by: without the module, so that a function may move from a module to
    a cell or be loaded under another name. Where the digest does not say everything, the module is kept in it.
    """

    __slots__ = (
        "_components",
        "_record",
        "_validity",
        "absent",
        "attributes",
        "digest",
        "key",
        "mutable",
        "name",
        "opaque",
        "sizes",
        "tracks",
        "watch",
    )

    def __init__(
        self,
        name: tuple[str, str],
        components: list[Node],
        seen: Seen,
        opaque: tuple[str, ...],
        tracks: frozenset[str] = frozenset(),
    ) -> None:
        self.name = ".".join(name)
        self.key = self.name if opaque else name[1]
        self.digest: bytes = root_digest(components)
        self.watch, self.absent, self.attributes = seen.watch, seen.absent, seen.attributes
        self.sizes, self.mutable = seen.sizes, seen.mutable
        self._validity = _afresh.Validity(self.watch, self.absent, self.attributes, self.sizes)
        self.opaque = opaque
        #: What remembered functions that it reaches are seen to read while they run: "files", "env".
        self.tracks = tracks
        self._components = components
        self._record: bytes | None = None

    @property
    def record(self) -> bytes:
        """The components as JSON: what `why` and `diff` compare. Never part of the digest."""
        if self._record is None:
            self._record = self.write_record(self.name, self.digest)
        return self._record

    def data(self) -> list[str]:
        """The names of the data it refers to."""
        return sorted({node.name for node in self._components if node.kind == "data"})

    def rows(self, root: str = "function") -> list[dict[str, Any]]:
        """The components for a record; `root` is the role of the first."""
        number = {id(node): index for index, node in enumerate(self._components)}
        rows = []
        for node in self._components:
            role = root if node is self._components[0] else _ROLES.get(node.kind, node.kind)
            row: dict[str, Any] = {
                "label": f"{role} {node.name}",
                "kind": node.kind,
                "digest": node.local.hex(),
                "uses": [[label, number[id(child)]] for label, child in node.edges],
            }
            for key, value in (
                ("file", node.file),
                ("line", node.line),
                ("source", node.text),
                ("preview", node.preview),
                ("module", node.module),
                ("afresh", node.ignored or None),
            ):
                if value is not None:
                    row[key] = value
            rows.append(row)
        return rows

    def write_record(
        self, name: str, digest: bytes, more: Sequence[dict[str, Any]] = (), aside: bool = False
    ) -> bytes:
        """A record under this name and digest, with more rows than its own components.

        `aside`: the components have no part in the digest, and are there for people to look at.
        """
        # Not `json.dumps`: a test may have put something else in its place.
        from json.encoder import JSONEncoder

        rows = [{**row, "aside": True} for row in self.rows()] if aside else self.rows()
        content = {
            "format": 1,
            "name": name,
            "digest": digest.hex(),
            "components": [*rows, *more],
            "opaque": list(self.opaque),
            "files": {node.file: node.origin.digest() for node in self._components if node.origin is not None},
        }
        text = JSONEncoder(sort_keys=True, separators=(",", ":")).encode(content)
        return text.encode("utf-8", "surrogatepass")

    def holds(self) -> bool:
        """Whether nothing it rests on has changed. The hot path does the same in Rust."""
        if not self._validity.holds():
            return False
        if not self.mutable:
            return True
        # Code that has come into a plain value changes it; what that code does need not be known here.
        outer = getattr(state, "mode", None)
        state.mode = "pointers"
        try:
            return all(_afresh.digest_value(value)[0] == digest for _, value, digest in self.mutable)
        except Exception:
            return False
        finally:
            state.mode = outer

    def __repr__(self) -> str:
        return f"<Identity {self.name} {self.digest.hex()[:12]}>"
