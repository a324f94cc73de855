"""What happens when a call is not answered at once: wait, run, keep. Where nothing special is asked of the run, the Rust
side (``plain.rs``) does the same by itself and asks here only when something is out of the ordinary.

The user's function runs here, in the caller's own thread. Whatever the store does, the caller gets what the function
returns or raises; only with ``strict`` does an error of the store come out instead.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

from afresh import _afresh, freshness, settings, warn
from afresh.errors import AfreshError
from afresh.refs import ResultRef

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import partial
    from typing import Any

    from afresh.memo import Memo
    from afresh.options import Options
    from afresh.recorder import Recorder
else:
    # What it is in C: the module around it takes two milliseconds to import.
    from _functools import partial

#: A result larger than this is not digested as a value: its bytes stand for it where it is chained.
DIGEST_LIMIT = 64 << 20

#: How often somebody else may answer in between, for a tracked function, before the call just runs.
ROUNDS = 8

#: The calls that are running here: one that comes back to itself must not wait for itself.
_running: ContextVar[tuple[str, ...]] = ContextVar("afresh_running", default=())


#: Who notes what is read here: the recorder of the innermost tracked function that runs.
recorder: ContextVar[Recorder | None] = ContextVar("afresh_recorder", default=None)


class unseen:  # noqa: N801 - used as a function
    """What is read within the block is read by afresh, not by the function that runs."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = recorder.set(None)

    def __exit__(self, *_: object) -> None:
        recorder.reset(self._token)


def alone() -> None:
    """What runs from here on in this context is nobody's call: nothing waits for it, reads for it or listens to it."""
    _running.set(())
    recorder.set(None)
    settings.unheard()


class Outcome:
    """A value, and what the store knows of it; or a failure that is replayed."""

    __slots__ = ("commit_hash", "error", "hash", "hit", "size", "value", "value_digest")

    def __init__(
        self,
        value: Any,
        *,
        commit_hash: str = "",
        hash: str = "",
        size: int = 0,
        value_digest: bytes | None = None,
        hit: _afresh.Hit | None = None,
        error: Exception | None = None,
    ) -> None:
        self.value = value
        self.error = error
        self.commit_hash = commit_hash
        self.hash = hash
        self.size = size
        self.value_digest = value_digest
        self.hit = hit


def call(
    memo: Memo,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: Any,
    problem: str | None,
    begun: _afresh.Hit | AfreshError | None = None,
) -> Outcome | Run:
    """What becomes of a call that ``Memo.__call__`` did not find: its outcome, or a run that is for the caller to make.

    The caller is the Rust side, which calls the function itself: a function that calls itself a few hundred times
    deep has then one Python frame a level, as without us. ``begun`` is what came of beginning the call, where that side
    has done so.
    """
    options = memo._options
    found = prepare(memo, args, kwargs, call, problem, options, True, begun=begun)
    plain = memo.executor is None and options.timeout is None and not options.retries
    return found if plain or isinstance(found, Outcome) else found.complete()


def outcome(
    memo: Memo,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: _afresh.Call | None,
    problem: str | None,
    options: Options,
    load: bool,
    sources: list[str] | None = None,
) -> Outcome:
    """Answers a call from the store or by running it. Without ``load`` a hit is not decoded.

    ``sources`` are the commits whose results went in, where the arguments no longer tell.
    """
    found = prepare(memo, args, kwargs, call, problem, options, load, sources)
    return found if isinstance(found, Outcome) else found.complete()


def prepare(
    memo: Memo,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: _afresh.Call | None,
    problem: str | None,
    options: Options,
    load: bool,
    sources: list[str] | None = None,
    begun: _afresh.Hit | AfreshError | None = None,
) -> Outcome | Run:
    """The outcome of a call, or what is needed to run it."""
    if settings.off():
        return Run(memo, args, kwargs, None, None, options, [])
    if call is None:
        if problem is not None:
            if options.strict:
                memo._engine().flush()
            warn.once(f"{memo.name} runs uncached: {problem}")
        missed(memo, None)
        return Run(memo, args, kwargs, None, None, options, [])
    ticket: _afresh.Ticket | None = None
    try:
        if settings.verbose:
            settings.explain(memo, args, kwargs)
        if isinstance(begun, Exception):
            raise begun
        found = begin(memo, call, problem, options, load, begun)
    except AfreshError as error:
        if options.strict:
            raise
        troubled(memo, f"{memo.name} runs without the store", error)
    else:
        if isinstance(found, Outcome):
            return answered(memo, args, kwargs, call, found)
        ticket = found
    missed(memo, call)
    sources = inputs(args, kwargs) if sources is None else sources
    return Run(memo, args, kwargs, call, ticket, options, sources)


def missed(memo: Memo, call: _afresh.Call | None) -> None:
    """Counts a call that runs."""
    memo._count("misses")
    settings.note(memo, call, "uncached" if call is None else "miss")


def troubled(memo: Memo, text: str, error: Exception) -> None:
    """Counts an error of the store, and warns of it."""
    memo._count("store_errors")
    warn.store(text, error)


def answered(
    memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], call: _afresh.Call, found: Outcome
) -> Outcome:
    """Counts an answer, has it renewed where that is due, and raises a failure that is replayed."""
    hit = found.hit
    if found.error is not None:
        memo._count("replays")
        settings.note(memo, call, "replay")
        raise found.error
    if hit is not None:
        memo._hit(hit)
        settings.note(memo, call, "stale" if hit.verdict == "stale" else "hit")
        if hit.ticket is not None:
            memo._renew(args, kwargs, hit.ticket)
    return found


class Run:
    """A call that is to be made. Whoever holds it calls the function and says what came of it, once."""

    __slots__ = ("_call", "_mark", "_memo", "_options", "_sources", "_started", "_ticket", "_watch", "args", "kwargs")

    def __init__(
        self,
        memo: Memo,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        call: _afresh.Call | None,
        ticket: _afresh.Ticket | None,
        options: Options,
        sources: list[str],
    ) -> None:
        self._memo = memo
        self._call = call
        self._ticket = ticket
        self._options = options
        self._sources = sources
        self._mark = running(call) if call is not None else None
        if self._mark is not None:
            self._mark.__enter__()
        self._watch = Watch(memo)
        self._started = time.perf_counter()
        try:
            self.args, self.kwargs = load_refs(args, kwargs)
        except BaseException as error:
            self.failed(error)
            raise
        self._started = time.perf_counter()

    def complete(self) -> Outcome:
        """Calls the function as the options say."""
        try:
            value = attempts(self._memo, self.args, self.kwargs, self._options)
        except BaseException as error:
            rescued = self.failed(error)
            if rescued is None:
                raise
            return rescued
        return self.done(value)

    def done(self, value: Any) -> Outcome:
        """It returned."""
        took = time.perf_counter() - self._started
        if self._mark is not None:
            self._mark.__exit__()
        self._watch.end()
        self._memo._time("run", took)
        # A child that was forked by the function comes back here too; the run is its parent's.
        if self._ticket is None or not self._ticket.held:
            return Outcome(value)
        asked = (self.args, self.kwargs)
        return keep(self._memo, value, self._ticket, took, self._options, self._sources, self._watch, asked)

    def failed(self, error: BaseException) -> Outcome | None:
        """It raised. What is not an ``Exception`` (Ctrl-C) is not a result of the function: nothing is recorded.

        The outcome is that of an earlier execution, where that may stand in.
        """
        took = time.perf_counter() - self._started
        if self._mark is not None:
            self._mark.__exit__()
        self._watch.end()
        if not isinstance(error, Exception):
            self.abandon()
            return None
        return fallen(self._memo, self._call, self._ticket, error, took, self._options, self._sources, self._watch)

    def abandon(self) -> None:
        """Nothing came of it that is worth recording."""
        if self._ticket is not None:
            self._ticket.release()


class Watch:
    """What a run reads and what it was told to depend on: whether its value answers for what is there now."""

    __slots__ = ("_declared", "_memo", "_recorder")

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._declared = memo._declared
        self._recorder: Recorder | None = None
        if memo._tracks:
            from afresh.recorder import Recorder

            self._recorder = Recorder(memo._track, memo.__wrapped__)
            self._recorder.__enter__()
            if memo.executor is not None:
                self._recorder.incomplete = "it runs in an executor, where what it reads cannot be seen"

    def end(self) -> None:
        """The function has ended."""
        if self._recorder is not None:
            self._recorder.__exit__()

    @property
    def recorded(self) -> list[tuple[str, bytes, str]]:
        """What it was seen to read."""
        return [] if self._recorder is None else self._recorder.recorded

    @property
    def incomplete(self) -> str | None:
        """Why it cannot be known when the value is out of date."""
        return None if self._recorder is None else self._recorder.incomplete

    def disturbed(self) -> str | None:
        """What changed while the function ran, so that nobody knows which of both it has seen."""
        for dependency, digest in self._declared:
            if _afresh.digest_value(dependency)[0] != digest:
                return repr(dependency)
        return None if self._recorder is None else self._recorder.disturbed()


class running:  # noqa: N801 - used as a function
    """Marks a call as running here, for as long as the block lasts."""

    __slots__ = ("_fingerprint", "_token")

    def __init__(self, call: _afresh.Call) -> None:
        self._fingerprint = call.fingerprint

    def __enter__(self) -> None:
        self._token = _running.set((*_running.get(), self._fingerprint))

    def __exit__(self, *_: object) -> None:
        _running.reset(self._token)


def is_running(call: _afresh.Call) -> bool:
    """Whether the call is running here already."""
    here = _running.get()
    return bool(here) and call.fingerprint in here


def begin(
    memo: Memo,
    call: _afresh.Call,
    problem: str | None,
    options: Options,
    load: bool,
    begun: _afresh.Hit | None = None,
) -> Outcome | _afresh.Ticket:
    """A hit, or the right to run."""
    if begun is not None:
        return taken(memo, call, begun, load)
    if problem is not None:
        warn.once(f"{memo.name} is computed again: {problem}")
        return call.start()
    if options.force or options.cache is False or is_running(call):
        return call.start()
    for _ in range(ROUNDS):
        hit, ready = held(memo, call)
        if hit is not None:
            return taken(memo, call, hit, load)
        found = ready.begin(0)
        if found is None:
            began = time.perf_counter()
            found = ready.begin(options.wait)
            waited(memo, found, time.perf_counter() - began)
        if found is None:
            warn.once(f"{memo.name}: the running computation took longer than {options.wait} s; computing here too")
            break
        if type(found) is _afresh.Ticket:
            return found
        # Of a tracked function somebody has answered meanwhile: whether that holds here is looked at again.
        if not memo._tracks:
            return taken(memo, call, found, load)
    return call.start()


def waited(memo: Memo, begun: Any, took: float) -> None:
    """Counts that somebody else's run was waited for."""
    memo._time("wait", took)
    if type(begun) is _afresh.Hit:
        memo._count("coalesced")


def held(memo: Memo, call: _afresh.Call) -> tuple[_afresh.Hit | None, _afresh.Call]:
    """Of a tracked function: an answer that holds, or the call to begin, which knows what does not."""
    if not memo._tracks:
        return None, call
    from afresh import track

    hit, stale = track.answer(memo, call)
    return hit, call if stale is None else call.past(stale)


def taken(memo: Memo, call: _afresh.Call, hit: _afresh.Hit, load: bool) -> Outcome | _afresh.Ticket:
    """The outcome of a hit, or the right to run where it cannot be loaded."""
    error = None
    try:
        if hit.failed:
            value, error = None, replayed(memo, hit)
        else:
            value = decode(memo, hit) if load else None
    except Exception as problem:
        warn.once(f"{memo.name} is computed again: the stored result cannot be loaded: {problem}")
        return hit.ticket or call.start()
    memo._count("read_bytes", hit.size)
    if error is not None:
        return Outcome(None, commit_hash=hit.commit, hit=hit, error=error)
    return Outcome(value, commit_hash=hit.commit, hash=hit.hash, size=hit.size, hit=hit)


def decode(memo: Memo, hit: _afresh.Hit) -> Any:
    """The value of a hit."""
    data, buffers = hit.parts(memo.mapped)
    return memo.codec.decode(hit.codec, data, buffers)


def replayed(memo: Memo, hit: _afresh.Hit) -> Exception:
    """The failure that a hit stands for."""
    data, buffers = hit.parts(False)
    error = freshness.replayed(memo._options, memo.codec.decode(hit.codec, data, buffers))
    error.__dict__["__afresh_commit__"] = hit.commit
    return error


def rescue(memo: Memo, call: _afresh.Call | None, error: Exception, options: Options) -> Outcome | None:
    """An earlier answer, where one may stand in for this failure."""
    if call is None:
        return None
    try:
        hit = call.in_need() if freshness.helps(options, error) else None
        if hit is None:
            return None
        value = decode(memo, hit)
    except Exception as problem:
        warn.once(f"{memo.name}: there is no earlier answer to stand in: {problem}")
        return None
    memo._count("rescues")
    settings.note(memo, call, "stale")
    warn.once(f"{memo.name} failed with {type(error).__name__}; an earlier answer stands in", f"rescue {memo.name}")
    return Outcome(value, commit_hash=hit.commit, hash=hit.hash, size=hit.size, hit=hit)


def load_refs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments, with those that are references to results loaded."""
    if not any(type(a) is ResultRef for a in (*args, *kwargs.values())):
        return args, kwargs
    loaded = {key: a.load() if type(a) is ResultRef else a for key, a in kwargs.items()}
    return tuple(a.load() if type(a) is ResultRef else a for a in args), loaded


def inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """The commits whose results are arguments."""
    return [a.commit_hash for a in (*args, *kwargs.values()) if type(a) is ResultRef and a.commit_hash]


def attempts(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options) -> Any:
    """Calls the function, again after a failure as often as asked, pausing twice as long each time."""
    pause = 0.1 if options.backoff is None else options.backoff
    left = options.retries or 0
    while True:
        try:
            if options.timeout is None and memo.executor is None:
                return memo.__wrapped__(*args, **kwargs)
            from afresh import executors

            return executors.run(memo, args, kwargs, options.timeout)
        except Exception:
            if left == 0:
                raise
            left -= 1
            time.sleep(pause)
            pause = min(pause * 2, 30.0)


def raised(
    memo: Memo, call: _afresh.Call, ticket: _afresh.Ticket, error: BaseException, took: float
) -> Outcome | None:
    """What becomes of the failure of a call that the Rust side made; as ``Run.failed``."""
    if not isinstance(error, Exception):
        ticket.release()
        return None
    return fallen(memo, call, ticket, error, took, memo._options, [], None)


def fallen(
    memo: Memo,
    call: _afresh.Call | None,
    ticket: _afresh.Ticket | None,
    error: Exception,
    took: float,
    options: Options,
    sources: list[str],
    watch: Watch | None,
) -> Outcome | None:
    """Records a failure; the outcome is that of an earlier execution, where that may stand in."""
    rescued = rescue(memo, call, error, options)
    failed(memo, ticket, error, took, options, sources, watch, rescued is None and call is not None)
    return rescued


def failed(
    memo: Memo,
    ticket: _afresh.Ticket | None,
    error: Exception,
    took: float,
    options: Options,
    sources: list[str],
    watch: Watch | None,
    replayable: bool = False,
) -> None:
    """Records a failure, and with the exception the failed commit's hash: empty where it could not be recorded."""
    record = failing(memo, ticket, error, took, options, sources, watch, replayable)
    if record is not None and ticket is not None:
        try:
            told(error, record())
        except Exception as problem:
            untold(memo, ticket, problem)


def failing(
    memo: Memo,
    ticket: _afresh.Ticket | None,
    error: Exception,
    took: float,
    options: Options,
    sources: list[str],
    watch: Watch | None,
    replayable: bool,
) -> Callable[..., _afresh._Report] | None:
    """What records a failure, where it can be recorded."""
    memo._count("errors")
    memo._time("run", took)
    # Set also where it is there: the same exception may have come through an inner call.
    error.__dict__["__afresh_commit__"] = ""
    if ticket is None or not ticket.held:
        return None
    import traceback

    try:
        text = _plain("".join(traceback.format_exception(type(error), error, error.__traceback__)))
        message = _plain(_message(error))
        replay = freshness.replay(options, error, memo.codec) if replayable and options.cache is not False else None
        return partial(
            ticket.fail,
            type(error).__name__,
            message,
            text,
            took=took,
            tags=options.tags if replay is None else [*options.tags, ("negative", None)],
            inputs=sources,
            recorded=[] if watch is None else watch.recorded,
            replay=replay,
        )
    except Exception as problem:
        untold(memo, ticket, problem)
        return None


def told(error: Exception, report: _afresh._Report) -> None:
    """A failure was recorded."""
    error.__dict__["__afresh_commit__"] = report[0]


def untold(memo: Memo, ticket: _afresh.Ticket, problem: Exception) -> None:
    """A failure was not recorded."""
    ticket.release()
    troubled(memo, f"{memo.name}: a failure could not be recorded", problem)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def _plain(text: str) -> str:
    """The text with what UTF-8 cannot say written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def keep(
    memo: Memo,
    value: Any,
    ticket: _afresh.Ticket,
    took: float,
    options: Options,
    sources: list[str],
    watch: Watch | None = None,
    asked: tuple[tuple[Any, ...], dict[str, Any]] = ((), {}),
) -> Outcome:
    """Stores a value; it is the caller's whether or not that works. What `watch` says is beside it; `asked` are the
    arguments, for conditions on them.
    """
    try:
        record, digest = recording(memo, value, ticket, took, options, sources, watch, asked)
        return recorded(memo, value, record(), digest)
    except Exception as error:
        ticket.release()
        unstored(memo, error, options)
        return Outcome(value)


def recording(
    memo: Memo,
    value: Any,
    ticket: _afresh.Ticket,
    took: float,
    options: Options,
    sources: list[str],
    watch: Watch | None,
    asked: tuple[tuple[Any, ...], dict[str, Any]],
) -> tuple[Callable[..., _afresh._Report], bytes | None]:
    """What records a value, and the value's digest."""
    seen = [] if watch is None else watch.recorded
    reason, data, buffers = encode(memo, value, options, asked)
    if watch is not None and watch.incomplete is not None:
        reason = reason or watch.incomplete
        warn.once(f"{memo.name}: {watch.incomplete}; the result is returned and will be computed again")
    if reason is not None:
        unkept = partial(
            ticket.unkept, _plain(reason), took=took, tags=options.tags, inputs=sources, recorded=seen
        )
        return unkept, None
    publish = options.cache is not False
    disturbed = watch.disturbed() if watch is not None else None
    if disturbed is not None:
        publish = False
        warn.once(f"{memo.name}: {disturbed} changed while it ran; the result will be computed again")
    digest = value_digest(memo, value, data, buffers)
    finish = partial(
        ticket.finish,
        memo.codec.name,
        data,
        buffers,
        took=took,
        tags=options.tags,
        inputs=sources,
        recorded=seen,
        value_digest=digest,
        publish=publish,
        ttl=freshness.lasting(options, value, *asked),
    )
    return finish, digest


def recorded(memo: Memo, value: Any, report: _afresh._Report, digest: bytes | None) -> Outcome:
    """The outcome of a call whose value was recorded."""
    commit, hash, size, _ = report
    if hash is not None:
        memo._count("written_bytes", size)
    return Outcome(value, commit_hash=commit, hash=hash or "", size=size, value_digest=digest)


def unstored(memo: Memo, error: Exception, options: Options | None = None) -> None:
    """Says, or with ``strict`` raises, why a result could not be stored."""
    options = memo._options if options is None else options
    if options.strict and isinstance(error, AfreshError):
        raise error
    troubled(memo, f"{memo.name}: the result could not be stored", error)


def unfit(memo: Memo, value: Any, error: Exception, ticket: _afresh.Ticket, took: float) -> None:
    """Records a run of the Rust side whose value is no pickle."""
    try:
        ticket.unkept(_plain(unencoded(memo, value, error)), took=took, tags=memo._options.tags, inputs=[])
    except Exception as problem:
        ticket.release()
        unstored(memo, problem)


def encode(
    memo: Memo, value: Any, options: Options, asked: tuple[tuple[Any, ...], dict[str, Any]]
) -> tuple[str | None, bytes, list[Any]]:
    """Why a value is not kept (None: it is), and its bytes."""
    if options.when is not None and not freshness.ask(options.when, value, *asked):
        return "the condition `when` said no", b"", []
    try:
        data, buffers = memo.codec.encode(value)
    except Exception as error:
        return unencoded(memo, value, error), b"", []
    if options.max_bytes is not None:
        total = len(data) + sum(buffer.raw().nbytes for buffer in buffers)
        if total > options.max_bytes:
            return f"{total} bytes are more than max_bytes={options.max_bytes}", b"", []
    return None, data, buffers


def unencoded(memo: Memo, value: Any, error: Exception) -> str:
    """Why a value is not kept that its codec refuses."""
    kind = type(value).__name__
    reason = f"a {kind} cannot be stored through the codec `{memo.codec.name}`: {error}"
    warn.once(f"{memo.name}: {reason}; it is returned and will be computed again")
    return reason


def value_digest(memo: Memo, value: Any, data: bytes, buffers: list[Any]) -> bytes | None:
    """The canonical digest of a result, where the codec is exact and the value is not huge."""
    if not memo.codec.exact or len(data) + sum(buffer.raw().nbytes for buffer in buffers) > DIGEST_LIMIT:
        return None
    try:
        digest, notes = _afresh.digest_value(value)
    except Exception:
        return None
    return None if notes else digest
