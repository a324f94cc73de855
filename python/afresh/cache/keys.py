"""Keys of calls: of a template such as ``"user:{user.id}:{token:hash}"``, or of all arguments.

Arguments are bound to the signature and defaults are filled in, so that a call has one key however it is spelled. Two
calls that differ in what the template names have different keys: values are encoded with their types, and what
stands between two fields does not occur in them. A template that cannot promise that is refused where it is
written.
"""

from __future__ import annotations

from contextvars import ContextVar

from afresh import warn
from afresh.cache import encode, filters
from afresh.cache.errors import WrongKeyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_context: ContextVar[Mapping[str, Any]] = ContextVar("afresh_key_context", default={})

# What may be part of an escape.
_ESCAPE = frozenset("%0123456789abcdefABCDEF")


class key_context:
    """``with key_context(user=7):`` gives templates values that are not arguments: ``{@:get(user)}``."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._before = _context.set({**_context.get(), **self._values})

    def __exit__(self, *error: object) -> None:
        _context.reset(self._before)


class WithoutFirst(str):
    """Stands for a key of all arguments but the first: see ``noself``."""


def noself(decorator: Callable[..., Any]) -> Callable[..., Any]:
    """``@noself(cache.cache)(ttl=...)`` on a method: every object of the class shares the answers, whose keys are made of
    all arguments but ``self``. Keys that are given are left as they are."""

    def without(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("key") is None:
            kwargs["key"] = WithoutFirst()
        return decorator(*args, **kwargs)

    return without


class Arguments:
    """The arguments of calls of one function, by name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        import inspect

        self._signature = inspect.signature(function)
        parameters = self._signature.parameters.values()
        self.order = tuple(self._signature.parameters)
        self.names = frozenset(self.order)
        self.first = self.order[0] if self.order else None
        #: What `__args__` and `__kwargs__` stand for in templates.
        self.rest = {
            name: p.name
            for p in parameters
            for name, kind in (("__args__", p.VAR_POSITIONAL), ("__kwargs__", p.VAR_KEYWORD))
            if p.kind is kind
        }
        plain = all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
        self._positional = tuple(p.name for p in parameters) if plain else None

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if not kwargs and self._positional is not None and len(args) == len(self._positional):
            return dict(zip(self._positional, args))
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments


class Template:
    """Text with fields that are filled in with arguments."""

    def __init__(self, template: str, arguments: Arguments, others: Iterable[str] = ()) -> None:
        """``others`` are names beside those of the arguments."""
        import string

        names = arguments.names.union(others)

        self.template = template
        self._parts: list[tuple[str, Callable[[Mapping[str, Any]], Any] | None]] = []
        between: set[str] = set()
        try:
            parsed = list(string.Formatter().parse(template))
        except ValueError as error:
            raise WrongKeyError(f"the key {template!r} cannot be understood: {error}") from None
        for at, (literal, field, spec, conversion) in enumerate(parsed):
            if field is None:
                self._parts.append((literal, None))
                continue
            if at:
                separators = [character for character in literal if character not in _ESCAPE]
                if not separators:
                    raise WrongKeyError(
                        f"nothing separates {{{field}}} from the field before it in the key {template!r}",
                        hint="put a colon between them, or two calls could have one key",
                    )
                between.add(separators[0])
            self._parts.append((literal, _field(template, field, spec or "", conversion, names, arguments.rest)))
        self._between = tuple(between)
        #: The arguments that it names, each with the attributes from there: what the text is made of and nothing else. None
        #: where it is made of more, such as a context, or a filter that is not ours.
        self.fields: list[tuple[str, list[str]]] | None = []
        for _, field, spec, _ in parsed:
            if field is None or self.fields is None:
                continue
            name, path = _path(field)
            pure = name in arguments.names and all(attribute for attribute, _ in path) and filters.is_pure(spec or "")
            self.fields = [*self.fields, (name, [step for _, step in path])] if pure else None

    def __call__(self, arguments: Mapping[str, Any], wrap: Callable[[str], str] = str) -> str:
        """The text, each field's part of it wrapped."""
        out = []
        for literal, value in self._parts:
            out.append(literal)
            if value is not None:
                out.append(wrap(encode.escape(encode.text(value(arguments)), self._between)))
        return "".join(out)


class Keys:
    """From calls of a function to keys."""

    def __init__(
        self, function: Callable[..., Any], template: str | None, prefix: str = "", per_call: bool = True
    ) -> None:
        """Without a template the arguments are part of the key, if ``per_call``."""
        self._per_call = per_call
        self.arguments = Arguments(function)
        self._prefix = f"{prefix}:" if prefix else ""
        self._ignored: str | None = None
        if isinstance(template, WithoutFirst):
            template, self._ignored = None, self.arguments.first
        self._template = Template(template, self.arguments) if template is not None else None
        self.name = _name(function)
        # Functions that are made within others share a name; what they are tells them apart.
        self._made = function if "<" in self.name else None
        self._which: str | None = None

    @property
    def title(self) -> str:
        """What all keys have in common, as a key of its own."""
        return self._prefix + (self.name if self._template is None else self._template.template)

    @property
    def is_pure(self) -> bool:
        """Whether a key is made of the values of its fields and of nothing else."""
        return self._per_call if self._template is None else self._template.fields is not None

    @property
    def ignored(self) -> tuple[str, ...]:
        """Arguments that no key is made of."""
        return () if self._ignored is None else (self._ignored,)

    @property
    def fields(self) -> list[tuple[int, list[str]]] | None:
        """What keys are made of: places of arguments, and attributes from there. None: all of them."""
        if self._template is None or self._template.fields is None:
            return None
        return [(self.arguments.order.index(name), path) for name, path in self._template.fields]

    def of(self, arguments: Mapping[str, Any]) -> str:
        if self._template is not None:
            return self._prefix + self._template(arguments)
        if self._which is None:
            self._which = "" if self._made is None else _identity(self._made)
        kept = tuple(item for item in arguments.items() if item[0] != self._ignored)
        which = encode.digest(kept) if self._per_call else "all"
        return f"{self._prefix}{self.name}:{self._which}{which}"


def _identity(function: Any) -> str:
    """What a function is, as a part of a key."""
    from afresh import identity

    found = identity.identify(function)
    if found.opaque:
        warn.once(
            f"{found.name} is made within another function and refers to what cannot be told apart "
            f"({found.opaque[0]}); give it a `key` of its own"
        )
    return found.digest.hex()[:16] + ":"


def _path(field: str) -> tuple[str, list[tuple[bool, Any]]]:
    """The first name of a field such as ``a.b[0]``, and then whether each step is an attribute, and its name."""
    import re

    first = re.match(r"[^.\[]*", field)
    name = first.group() if first else ""
    rest, path = field[len(name) :], []
    while rest:
        step = re.match(r"\.([^.\[]+)|\[([^\]]+)\]", rest)
        if step is None:
            raise WrongKeyError(f"the field {{{field}}} of a key cannot be understood")
        index = step.group(2)
        path.append((index is None, step.group(1) if index is None else int(index) if index.isdigit() else index))
        rest = rest[step.end() :]
    return name, path


def _name(function: Any) -> str:
    """Module and qualified name; those of what a partial is of."""
    import functools

    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def _field(
    template: str,
    field: str,
    spec: str,
    conversion: str | None,
    names: frozenset[str],
    rest_of: Mapping[str, str],
) -> Callable[[Mapping[str, Any]], Any]:
    """How to get a field's value from the arguments."""
    first, path = _path(field)
    first = rest_of.get(first, first)
    if first not in names and first != "@":
        raise WrongKeyError(
            f"the key {template!r} asks for `{first}`, which is no parameter",
            hint=f"the parameters are {', '.join(sorted(names)) or 'none'}",
        )

    def inner(text: str) -> Callable[[Mapping[str, Any]], Any]:
        """A field within a filter, which may have a filter of its own."""
        name, _, spec = text.partition(":")
        return _field(template, name, spec, None, names, rest_of)

    change = filters.parse(spec, inner) if spec else None
    if conversion not in (None, "r", "s", "a"):
        raise WrongKeyError(f"the key {template!r} has an unknown conversion `!{conversion}`")
    conversions: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}
    convert = conversions.get(conversion or "")

    def value(arguments: Mapping[str, Any]) -> Any:
        found: Any = _context.get() if first == "@" else arguments.get(first)
        for is_attribute, name in path:
            if found is None:
                return None
            found = getattr(found, name) if is_attribute else found[name]
        if convert is not None:
            found = convert(found)
        return found if change is None else change(found, arguments)

    return value
