"""What holds for the whole process, or for a block: defaults, caching on or off, who listens to which calls.

``afresh.configure`` acts on functions that are decorated already, too. Off and on in a block (``with afresh.disabled()``)
is for the code of the block and what it calls, also across ``await``, and for nobody else.
"""

from __future__ import annotations

import _thread
import os
from contextvars import ContextVar

from afresh import _afresh
from afresh.errors import ConfigError
from afresh.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from afresh.memo import Memo

__all__ = ["Calls", "configure", "detect", "disable", "disabled", "enable", "enabled"]

#: What decorators and clients leave open.
defaults = Options()
#: Where functions are remembered for which no store was named.
store: Any = None
#: How often the defaults were changed.
version = 0
#: Whether each miss says why on the logger `afresh`.
verbose = os.environ.get("AFRESH_VERBOSE", "").lower() not in ("", "0", "false", "no")

_off = False
_blocks = 0
_lock = _thread.allocate_lock()
_here: ContextVar[bool | None] = ContextVar("afresh_enabled", default=None)
_listening: ContextVar[tuple[Calls, ...]] = ContextVar("afresh_listening", default=())


def configure(*, store: Any = None, verbose: bool | None = None, reset: bool = False, **options: Any) -> None:
    """Sets defaults for the process: any option of ``afresh.memo`` that a decorator leaves open.

    ``store`` is for functions that have not been called yet; everything else acts at the next call. ``verbose``
    says why on each miss. What is not named stays as it is; ``reset`` forgets first.

    >>> import afresh
    >>> afresh.configure(ttl="1h")
    >>> afresh.configure(reset=True)
    """
    if verbose is not None and not isinstance(verbose, bool):
        raise ConfigError(f"verbose is {verbose!r}", hint="give True or False")
    unknown = [name for name in options if name not in Options.__slots__]
    if unknown:
        raise TypeError(f"there is no option {unknown[0]!r}; there are {', '.join(Options.__slots__)}")
    asked = Options(**options)
    if store is not None:
        from afresh import stores

        stores.check(store, None)
    state = globals()
    with _lock:
        if reset:
            state.update(defaults=Options(), store=None, verbose=False)
        state["defaults"] = asked.over(state["defaults"])
        if store is not None:
            state["store"] = store
        if verbose is not None:
            state["verbose"] = verbose
        state["version"] += 1
    _afresh.reconfigured()


def enable() -> None:
    """Lets the process use its stores again."""
    _switch(False)


def disable() -> None:
    """From now on functions of this process just run: nothing is looked up, nothing is kept."""
    _switch(True)


def _switch(off: bool) -> None:
    global _off
    with _lock:
        _off = off
        _watch()


def _watch() -> None:
    _afresh.set_watched(_off or _blocks > 0)


class _Block:
    """While it lasts, each call is looked at."""

    def __enter__(self) -> Any:
        global _blocks
        with _lock:
            _blocks += 1
            _watch()

    def __exit__(self, *_: object) -> None:
        global _blocks
        with _lock:
            _blocks -= 1
            _watch()


class _Here(_Block):
    def __init__(self, on: bool) -> None:
        self._on = on

    def __enter__(self) -> None:
        self._token = _here.set(self._on)
        super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        _here.reset(self._token)


def disabled() -> _Here:
    """``with afresh.disabled():`` the functions that the block calls just run."""
    return _Here(False)


def enabled() -> _Here:
    """``with afresh.enabled():`` they are remembered, also where the process has it switched off."""
    return _Here(True)


def off() -> bool:
    """Whether functions just run, here."""
    here = _here.get()
    return _off if here is None else not here


class Seen:
    """One call of a remembered function: its ``name``, its ``key``, and what became of it.

    ``kind`` is ``"hit"``, ``"stale"`` (an old answer, served while or because there is no newer one), ``"miss"``
    (it ran), ``"uncached"`` (it ran, and has no key) or ``"replay"`` (an earlier failure was raised again).
    """

    __slots__ = ("key", "kind", "name")

    def __init__(self, name: str, key: str | None, kind: str) -> None:
        self.name = name
        self.key = key
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


class Calls(_Block):
    """The calls of remembered functions in a block, in order."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []

    def __enter__(self) -> Calls:
        self._token = _listening.set((*_listening.get(), self))
        super().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        _listening.reset(self._token)

    def __iter__(self) -> Iterator[Seen]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def __getitem__(self, index: int) -> Seen:
        return self._seen[index]

    def count(self, kind: str) -> int:
        """How many were of this kind."""
        return sum(seen.kind == kind for seen in self._seen)

    @property
    def hits(self) -> int:
        """How many were answered from the store, by whatever answer."""
        return self.count("hit") + self.count("stale")

    @property
    def misses(self) -> int:
        """How many ran."""
        return self.count("miss") + self.count("uncached")

    def __repr__(self) -> str:
        return f"<afresh.detect: {self.hits} hits, {self.misses} misses>"


def detect() -> Calls:
    """``with afresh.detect() as calls:`` what became of each call of a remembered function in the block."""
    return Calls()


def note(memo: Memo, call: _afresh.Call | None, kind: str) -> None:
    """Tells those who listen."""
    for calls in _listening.get():
        calls._seen.append(Seen(memo.name, None if call is None else call.fingerprint, kind))


def logger() -> Any:
    """The logger `afresh`; with ``verbose`` and nobody to listen, what it is told goes to standard error."""
    import logging

    found = logging.getLogger("afresh")
    if verbose and not found.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("afresh: %(message)s"))
        found.addHandler(handler)
    if verbose and not found.isEnabledFor(logging.INFO):
        found.setLevel(logging.INFO)
    return found


def unheard() -> None:
    """What is called from here on in this context is not told to anybody."""
    _listening.set(())


def explain(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Says why a call runs, in a line, unless it does not."""
    found = memo.why(*args, **kwargs)
    if found.kind != "hit" or memo._options.force or memo._options.cache is False:
        first, *more = str(found).split("\n")
        note = next((line.strip() for line in more if "whatever is stored" in line), None)
        logger().info("%s: %s", memo.name, note or first)
