"""``@afresh.memo``: a function that is computed once.

The call itself is in Rust (``_afresh.Memo``); this module decides what is remembered, under which name, in which store.
"""

from __future__ import annotations

import sys
import types

from afresh import _afresh, freshness, identity, miss, settings, signature, stores, warn
from afresh.codecs import PickleCodec
from afresh.codecs import codec as make_codec
from afresh.errors import ConfigError
from afresh.options import Options
from afresh.submitting import submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from typing import Any, Literal

    from afresh import models
    from afresh.identity import Identity
    from afresh.identity._model import Mutable
    from afresh.models import Accept
    from afresh.refs import ResultRef
    from afresh.why import Explanation

MODES = ("code", "name")
#: From how many bytes on it is worth a word that they are digested on each call.
HEAVY = 16 << 20
#: Flags of code objects; an async generator has one of its own.
_GENERATOR, _COROUTINE, _STREAMS = 0x20, 0x80, 0x220
# Annotations are taken as they are written: to evaluate them may fail, or import half of the world.
_ANNOTATIONS = "__annotate__" if hasattr(types.FunctionType, "__annotate__") else "__annotations__"
_NAMES = ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__", _ANNOTATIONS)


class Memo(_afresh.Memo):
    """A remembered function. Call it like the function itself; the methods say more."""

    #: Whether a call gives something to be awaited.
    _asynchronous = False
    #: Whether there is one result, for a reference to stand for.
    _submits = True

    def __new__(cls, function: Callable[..., Any], *, like: Memo | None = None, **_: Any) -> Memo:
        return _afresh.Memo.__new__(cls, function, miss.call, cls._asynchronous, like)

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        store: Any = None,
        secret: str | bytes | None = None,
        codec: Any = None,
        executor: Executor | None = None,
        options: Options | None = None,
        mode: str = "code",
        version: str | None = None,
        name: str | None = None,
        ignore: tuple[str, ...] | str = (),
        depends_on: tuple[Any, ...] | list[Any] = (),
        track: tuple[str, ...] | list[str] | str = (),
        freeze: bool | tuple[str, ...] | list[str] | str = (),
        mapped: bool = False,
        like: Memo | None = None,
    ) -> None:
        if not callable(function):
            raise ConfigError(f"{type(function).__name__} is not callable", hint="decorate a function")
        if mode not in MODES:
            raise ConfigError(f"mode is {mode!r}", hint="a mode is 'code' or 'name'; or give version='1'")
        if version is not None and not isinstance(version, str):
            raise ConfigError(f"version is {version!r}", hint="give a text that you change, such as version='2'")
        if not isinstance(depends_on, (tuple, list)):
            raise ConfigError(f"depends_on is {_kind(depends_on)}", hint="give a list, such as [afresh.File('a.csv')]")
        if isinstance(ignore, str):
            ignore = (ignore,)
        if not isinstance(ignore, (tuple, list)) or not all(isinstance(name, str) for name in ignore):
            raise ConfigError(f"ignore is {ignore!r}", hint="give names of parameters, such as ignore=('verbose',)")
        for attribute in _NAMES:
            if hasattr(function, attribute):
                self.__dict__[attribute] = getattr(function, attribute)
        self._said = self._merged = options or Options()
        self._configured = -1
        self.codec = make_codec(codec)
        self.executor = executor
        self.mapped = mapped
        self.ignore = tuple(ignore)
        self._name = name
        self._version = version
        self._mode = mode
        self._depends_on = tuple(depends_on)
        self._track = _tracked(track)
        self._freeze = _names(freeze)
        if self._track and executor is not None:
            raise ConfigError(
                "track and an executor do not go together", hint="what a function reads elsewhere cannot be seen"
            )
        # What `_define` finds: with the remembered functions that it calls, and files and variables as they are.
        self._tracks: tuple[str, ...] = self._track
        self._declared: tuple[tuple[Any, bytes], ...] = ()
        # Name, digest, digest of the code and what writes the record, as they were last found, whatever was accepted.
        self._found: tuple[str, bytes, bytes, Callable[[], bytes]] | None = None
        self._store = stores.check(store, secret)
        self._secret = secret
        signature.parameters(function, self.ignore)
        self._check(self._options)

    @property
    def _options(self) -> Options:
        """The options, with the defaults of the process for what they leave open."""
        if self._configured != settings.version:
            merged, self._configured = self._said.over(settings.defaults), settings.version
            self._merged = merged
        return self._merged

    def _check(self, options: Options) -> None:
        name = getattr(self.__wrapped__, "__qualname__", None) or type(self.__wrapped__).__name__
        freshness.check(options, name)
        asked = freshness.demanding(options)
        if asked and self._track:
            text = f"{name}: track and {asked[0]} do not go together"
            raise ConfigError(text, hint="an answer of a tracked function holds as long as what it read is as it was")

    @property
    def name(self) -> str:
        """The name under which calls are remembered: the same in every process, also in a script run by itself."""
        if self._name is not None:
            return self._name
        return identity.identify(self.__wrapped__).name

    def _engine(self) -> _afresh.Engine:
        store = self._store
        if isinstance(store, _afresh.Engine):
            return store
        if store is None:
            store = settings.store
        with miss.unseen():
            opened = stores.engine(store, self._secret)
        self._store = opened
        return opened

    def _define(self) -> None:
        """Gives the Rust side the identity of the function as it is now."""
        # Sources are read for it, which is nothing that a function around this call would read.
        with miss.unseen():
            self._identify()

    def _identify(self) -> None:
        function = self.__wrapped__
        found = identity.identify(function)
        name = self._name or found.name
        digest = found.digest
        by_code = self._version is None and self._mode == "code"
        seen, mutable, rows = [found] if by_code else [], [], [_row("mode", self._mode)]
        if self._version is not None:
            digest = _digest("version", self._version)
            rows = [_row("mode", "version"), _row("version", self._version)]
        elif self._mode == "name":
            digest = _digest("name", "")
        else:
            for note in found.opaque:
                warn.once(f"{name}: {note}")
            mutable = self._live(found, name)
        if self._depends_on:
            from afresh.dependencies import look

            looked = look(self._depends_on)
            for note in looked.notes:
                warn.once(f"{name}: {note}")
            digest = _digest("depends", (digest, looked.digest))
            # Looked at again on each call: a list may grow, a file may be edited, a function defined anew.
            seen += looked.found
            mutable += looked.mutable + [(value, known) for one in looked.found for _, value, known in one.mutable]
            rows += looked.rows
            self._declared = looked.outside
        if self._track:
            digest = _digest("track", (digest, self._track))
            rows.append(_row("track", ", ".join(self._track)))
        kinds = {*self._track, *(kind for one in seen for kind in one.tracks)}
        self._tracks = tuple(sorted(kinds))
        own = digest

        def record() -> bytes:
            return found.write_record(name, own, rows, aside=not by_code)

        self._found = (name, own, found.digest, record)
        digest = self._engine().stands_for(name, own)
        self._hash = digest.hex()
        self._key = found.key if by_code and self._name is None else name
        self._set(
            self._engine(),
            name,
            self._key,
            digest,
            # Asked for at the first miss: a hit has no use for it.
            record,
            signature.parameters(function, self.ignore),
            [watch for one in seen for watch in one.watch],
            [absent for one in seen for absent in one.absent],
            [attribute for one in seen for attribute in one.attributes],
            [size for one in seen for size in one.sizes],
            mutable,
            terms=freshness.terms(self._options, bool(self._tracks)),
            # A subclass, or another codec of that name, decodes for itself.
            # Whether the answer of a tracked function holds is for Python to say.
            pickle=type(self.codec) is PickleCodec
            and not (self._options.force or self._options.cache is False or self._tracks),
            plain=self._plainly(),
            mapped=self.mapped,
        )

    def _plainly(self) -> list[tuple[str, str | None]] | None:
        """The tags of what a run gives, where nothing else is asked of it: then the Rust side makes it. What is asked
        only of failures does not count.
        """
        options = self._options
        asked = (options.timeout, options.wait, options.when, options.max_bytes)
        if (
            any(one is not None for one in asked)
            or options.retries
            or type(self) is not Memo
            or self.executor is not None
            or self._declared
            or callable(options.ttl)
            or settings.verbose
        ):
            return None
        return options.tags

    def _live(self, found: Identity, name: str) -> list[tuple[Any, bytes]]:
        """Data that can change in place and has to be digested on each call: what is not frozen."""
        if self._freeze is True:
            # Files and variables say themselves that they may change.
            return [(value, known) for _, value, known in found.mutable if _is_outside(value)]
        unknown = [one for one in self._freeze if one not in found.data()]
        if unknown:
            known = ", ".join(f"`{one}`" for one in found.data()) or "no data"
            text = f"freeze names `{unknown[0]}`, which {name} does not refer to"
            error = ConfigError(text, hint=f"it refers to {known}")
            error.mistake = True
            raise error
        live = [mutable for mutable in found.mutable if mutable[0] not in self._freeze]
        _weigh(live, name)
        return [(value, known) for _, value, known in live]

    def with_options(self, **options: Any) -> Memo:
        """The same function with other options for some calls, such as ``f.with_options(force=True)(x)``."""
        return self._with(Options(**options).over(self._said, anew=True))

    def options(self, **options: Any) -> Memo:
        """As ``with_options``: ``f.options(ttl=0)(x)``. A ttl replaces ``stale``, ``early``, ``soft`` and ``sliding``."""
        return self.with_options(**options)

    def stats(self) -> models.Usage:
        """What the function did in this process so far."""
        from afresh import models

        return models.usage(self._counts())

    def _with(self, options: Options, **changes: Any) -> Memo:
        given: dict[str, Any] = {
            "store": self._engine(),
            "codec": self.codec,
            "executor": self.executor,
            "options": options,
            "mode": self._mode,
            "version": self._version,
            "name": self._name,
            "ignore": self.ignore,
            "depends_on": self._depends_on,
            "track": self._track,
            "freeze": self._freeze,
            "mapped": self.mapped,
            "like": self,
        }
        return type(self)(self.__wrapped__, **{**given, **changes})

    def _renew(self, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: _afresh.Ticket) -> None:
        """Makes a new answer in the background."""
        from afresh import background

        background.refresh(self, args, kwargs, ticket)

    def submit(self, *args: Any, **kwargs: Any) -> ResultRef:
        """Runs the call, or finds it, and returns a reference to the stored result."""
        return submit(self, args, kwargs, self._options)

    def cached(self, *args: Any, **kwargs: Any) -> bool:
        """Whether the call would be answered at once: by a value that is fresh, or stale within ``stale``. Nothing runs."""
        return self._find(args, kwargs) is not None

    def peek(self, *args: Any, **kwargs: Any) -> Any:
        """The value that the call would be given at once, or None where there is none. Nothing runs."""
        hit = self._find(args, kwargs)
        return None if hit is None else miss.decode(self, hit)

    def why(self, *args: Any, **kwargs: Any) -> Explanation:
        """Why the call would be answered from the store, or would run. Nothing runs; ``print`` what comes back."""
        from afresh.why import explain

        return explain(self, args, kwargs)

    def accept(self, reason: str | None = None, *, of: Any = None) -> Accept:
        """Records that the last edit of the function, or of anything it reaches, does not matter: from now on, and in
        every process, the function as it is now answers as the one of the newest commit with other code, or of the
        commit ``of``. ``unaccept`` takes it back.
        """
        from afresh.accepts import accept

        return accept(self, reason, of)

    def unaccept(self) -> bool:
        """Withdraws what ``accept`` recorded of the function as it is now. Whether there was something. What the
        edited code has answered meanwhile is taken back.
        """
        from afresh.accepts import unaccept

        return unaccept(self)

    def _opaque(self) -> tuple[str, ...]:
        """What the function reaches and is identified by only weakly."""
        if self._version is not None or self._mode != "code":
            return ()
        return tuple(identity.identify(self.__wrapped__).opaque)

    def _keyed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _afresh.Call | None:
        """The call, or None where it has no key."""
        return self._bound(args, kwargs)[0]

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[_afresh.Call | None, str | None]:
        """The call, or None and why it has no key."""
        call, problem = self._call(args, kwargs)
        if call is None and problem is None:
            raise TypeError(
                f"these are not arguments of {self.name}; for a method give the instance too: "
                "Class.method.cached(instance, ...)"
            )
        return call, problem

    def _find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _afresh.Hit | None:
        call = None if settings.off() else self._keyed(args, kwargs)
        if call is None:
            return None
        if not self._tracks:
            hit = call.lookup()
            return None if hit is None or hit.failed else hit
        from afresh.track import answer

        return answer(self, call)[0]

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the call whatever is stored, keeps and returns the new value."""
        return self.with_options(force=True)(*args, **kwargs)

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Takes the answer for the call back. Whether there was one."""
        call = self._keyed(args, kwargs)
        return False if call is None else call.forget()

    def clear(self) -> int:
        """Takes back every answer of the function; the history stays. How many there were."""
        engine = self._engine()
        return sum(engine.invalidate(function=name) for name in self._names(engine))

    def _names(self, engine: _afresh.Engine) -> set[str]:
        """Its name, and those under which the same code was run elsewhere: in a cell, in another module."""
        names = {self.name}
        if self._name is None and self._version is None and self._mode == "code":
            self._define()
            rows = engine.log(function=self._key)
            names.update(row["function"] for row in rows if row["function_hash"] == self._hash)
        return names

    def put(self, value: Any, *args: Any, **kwargs: Any) -> None:
        """Keeps ``value`` as the answer for the call, as if it had been computed."""
        call, problem = self._call(args, kwargs)
        if call is None:
            raise ConfigError(f"{self.name}: this call has no key: {problem or 'the arguments do not fit'}")
        miss.keep(self, value, call.start(), 0.0, self._options, miss.inputs(args, kwargs), asked=(args, kwargs))

    def __reduce__(self) -> Any:
        # By reference, as functions are: another process finds the decorated function under its name.
        return self.__dict__.get("__qualname__", self._name)

    def __repr__(self) -> str:
        return f"<afresh.memo {self.name}>"


def make(function: Any, **given: Any) -> Any:
    """The right kind of ``Memo`` for a function of any kind; around it what is around the function (a ``property``)."""
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(make(function.__func__, **given))
    if isinstance(function, property):
        getter = function.fget
        if getter is None:
            raise ConfigError("the property has no getter", hint="decorate the function that computes the value")
        return property(make(getter, **given), function.fset, function.fdel, function.__doc__)
    if isinstance(function, Memo):
        raise ConfigError(f"{function.name} is already remembered", hint="decorate it once")
    # Where functools was never imported there are no partials, and it is not imported for this.
    partial = getattr(sys.modules.get("functools"), "partial", ())
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    code = getattr(inner, "__code__", None)
    flags = 0 if code is None else code.co_flags
    if flags & _STREAMS:
        from afresh import streams

        return (streams.StreamMemo if flags & _GENERATOR else streams.AsyncStreamMemo)(function, **given)
    if flags & _COROUTINE:
        from afresh.amemo import AsyncMemo

        return AsyncMemo(function, **given)
    return Memo(function, **given)


def memo(
    function: Any = None,
    /,
    *,
    store: Any = None,
    secret: str | bytes | None = None,
    codec: Any = None,
    executor: Executor | None = None,
    mode: str = "code",
    version: str | None = None,
    name: str | None = None,
    ignore: tuple[str, ...] | str = (),
    depends_on: tuple[Any, ...] | list[Any] = (),
    track: tuple[str, ...] | list[str] | str = (),
    freeze: bool | tuple[str, ...] | list[str] | str = (),
    mapped: bool = False,
    **options: Any,
) -> Any:
    """Remembers what a function returned, until something it depends on changes.

    Bare (``@afresh.memo``) or with settings (``@afresh.memo(ttl="3h")``).

    store
        An address (``"sqlite:.afresh"``, ``"memory:"``), a path, a ``Client`` or a store object. Without it
        ``$AFRESH_URL``, else ``$AFRESH_DIR``, else ``.afresh`` in the working directory.
    ttl
        How long an answer is fresh: seconds, a ``timedelta`` or a text such as ``"2h5m"``; or a function of the result
        (and of the arguments, where it takes them) that says so when the result is kept.
    stale, early, refresh_after
        A new answer is made in the background, by one caller, while everybody is given the old one: for so long
        after the ttl (True: however long), so long before its end (``"xfetch"``: by chance, in time), and after so many
        uses in a process.
    soft, failover
        From this age on the function is tried first; and the exceptions for which an older answer stands in.
    negative
        Exceptions that are remembered, and for how long: ``negative={KeyError: "1m"}``.
    max_age, sliding
        An answer older than this is never used; and whether the ttl counts from the last use.
    tags
        Labels to find and invalidate by: a mapping, or texts ``"key=value"``. Never part of the key.
    mode, version
        What identifies the function: its ``"code"`` and all of the project that it reaches (the default), its
        ``"name"`` alone, or a ``version`` that you change by hand.
    ignore
        Names of parameters that do not matter for the result.
    depends_on
        What else does: functions, classes, modules, values, and what ``afresh.File``, ``afresh.Dir`` and
        ``afresh.Env`` stand for. Looked at again on each call.
    track
        ``"files"``, ``"env"`` or both: what the function reads while it runs is recorded, and an answer is used
        only while all of that is as it was.
    freeze
        Names of data that the function refers to and that never changes in place, or True for all of it: it is
        not digested again on each call. That a name leads to another object is still seen.
    retries, backoff, timeout
        How often a failing call is tried again, how long to pause before the first time, and how long one
        attempt may take.
    wait
        How long to wait for somebody else who is computing the same call.
    when, max_bytes
        Which results are kept: a function of the result (and of the arguments, where it takes them), and a size.
    codec, secret
        How results become bytes (``"pickle"``, ``"safe-pickle"``, ``"json"``, or an object with ``dumps`` and
        ``loads``), and a text that signs them.
    mapped
        Arrays are read in place, read-only, instead of copied.
    strict
        Errors of the store are raised instead of computing without it.

    >>> import afresh
    >>> @afresh.memo(store="memory:")
    ... def double(x):
    ...     print("computing")
    ...     return 2 * x
    >>> double(21)
    computing
    42
    >>> double(x=21)
    42
    """
    for option in options:
        if option not in Options.__slots__:
            raise TypeError(f"memo has no option {option!r}; beside its own it takes {', '.join(Options.__slots__)}")
    given: dict[str, Any] = {
        "store": store,
        "secret": secret,
        "codec": codec,
        "executor": executor,
        "options": Options(**options),
        "mode": mode,
        "version": version,
        "name": name,
        "ignore": ignore,
        "depends_on": depends_on,
        "track": track,
        "freeze": freeze,
        "mapped": mapped,
    }
    if function is None:
        return lambda function: make(function, **given)
    return make(function, **given)


def _kind(value: Any) -> str:
    return type(value).__name__


def _tracked(track: Any) -> tuple[str, ...]:
    if track == ():
        return ()
    from afresh.track import check

    return check(track)


def _names(freeze: Any) -> tuple[str, ...] | Literal[True]:
    """What is frozen: names, or True for all."""
    if freeze is True:
        return True
    names = (freeze,) if isinstance(freeze, str) else freeze or ()
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"freeze is {freeze!r}", hint="give names of data, such as freeze=('TABLE',), or True")
    return tuple(names)


def _is_outside(value: Any) -> bool:
    from afresh.dependencies import Dependency

    return isinstance(identity.inside(value), Dependency)


def _weigh(live: list[Mutable], name: str) -> None:
    """Says so, once, where looking at data on each call is what a call costs."""
    if not live:
        return
    from afresh.dependencies import weight

    weights = [(weight(identity.inside(value)), label, value) for label, value, _ in live]
    total = sum(size for size, *_ in weights)
    if total <= HEAVY:
        return
    import time

    size, label, value = max(weights, key=lambda one: one[0])
    started = time.perf_counter()
    _afresh.digest_value(value)
    took = time.perf_counter() - started
    warn.once(
        f"{name}: `{label}` ({size >> 20} MB) is read in full on each call to see whether it changed, which takes "
        f"about {took * 1000:.0f} ms; if it never changes in place, say freeze=({label!r},)"
    )


def _row(label: str, text: str) -> dict[str, Any]:
    """A row of the function's record."""
    return {"label": label, "kind": label, "digest": _digest(label, text).hex(), "preview": repr(text), "uses": []}


def _digest(kind: str, value: Any) -> bytes:
    digest, _ = _afresh.digest_value((kind, value))
    return digest
