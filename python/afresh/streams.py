"""Remembered generators and async generators: what they yielded is kept item by item and yielded again.

Each item is encoded when it is yielded, so that what the consumer does to it later is not kept, and decoded when it is asked
for again. A stream is kept once it has ended by itself: one that is abandoned, that raises, or that somebody sends
into leaves nothing behind. There is no single flight: who consumes slowly, or two streams of one call side by side, would
wait for themselves.

On disk: for each item a byte 0, the number of buffers (u32), the lengths of the data and of each buffer (u64), and then
those bytes; at last the same of what the generator returned, with a byte 1. Numbers are little-endian.
"""

from __future__ import annotations

import struct
import time

from afresh import _afresh, miss, settings, warn
from afresh.away import ask, is_distant
from afresh.errors import AfreshError, CodecError, ConfigError
from afresh.memo import Memo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
    from typing import Any

    from afresh.options import Options

PREFIX = "stream+"

#: Options that are for functions which return once.
UNSUITED = (
    "early",
    "failover",
    "negative",
    "refresh_after",
    "retries",
    "soft",
    "stale",
    "timeout",
    "when",
)

_HEAD = struct.Struct("<BI")


class Tape:
    """What a stream yielded so far, and what is done with it at its end."""

    def __init__(self, memo: Streams, ticket: _afresh.Ticket | None, asked: tuple[Any, Any]) -> None:
        self._memo = memo
        self._ticket = ticket
        self._sources = miss.inputs(*asked)
        self._watch = miss.Watch(memo)
        self._parts: list[bytes] = []
        self._size = 0
        # Why it is not kept.
        self._spoiled: str | None = None
        self._busy = 0.0
        self._began = time.perf_counter()

    def resume(self) -> None:
        """The generator goes on."""
        self._began = time.perf_counter()

    def add(self, item: Any, last: bool = False) -> None:
        """It yielded this, or returned it."""
        self._busy += time.perf_counter() - self._began
        if self._ticket is None or self._spoiled is not None:
            return
        codec, most = self._memo.codec, self._memo._options.max_bytes
        try:
            data, buffers = codec.encode(item)
        except Exception as error:
            kind = type(item).__name__
            self.spoil(f"a {kind} cannot be stored through the codec `{codec.name}`: {error}")
            warn.once(f"{self._memo.name}: {self._spoiled}; the stream is passed on and will be computed again")
            return
        parts = [data, *(bytes(buffer.raw()) for buffer in buffers)]
        lengths = struct.pack(f"<{len(parts)}Q", *map(len, parts))
        self._parts += [_HEAD.pack(last, len(buffers)) + lengths, *parts]
        self._size += sum(map(len, parts))
        if most is not None and self._size > most:
            self.spoil(f"{self._size} bytes and more are more than max_bytes={most}")

    def spoil(self, reason: str) -> None:
        """Whatever comes now, it is not kept."""
        self._spoiled = self._spoiled or reason
        self._parts.clear()

    def end(self, value: Any = None) -> None:
        """It ended by itself."""
        self.add(value, last=True)
        self._watch.end()
        ticket, memo, options = self._ticket, self._memo, self._memo._options
        memo._time("run", self._busy)
        if ticket is None or not ticket.held:
            return
        known: dict[str, Any] = {"took": self._busy, "tags": options.tags, "inputs": self._sources}
        try:
            disturbed = self._watch.disturbed()
            if self._spoiled is not None:
                ticket.unkept(self._spoiled, **known)
                return
            if disturbed is not None:
                warn.once(f"{memo.name}: {disturbed} changed while it ran; the result will be computed again")
            publish = disturbed is None and options.cache is not False
            ticket.finish(PREFIX + memo.codec.name, b"".join(self._parts), [], publish=publish, **known)
            memo._count("written_bytes", self._size)
        except Exception as error:
            ticket.release()
            if options.strict and isinstance(error, AfreshError):
                raise
            miss.troubled(memo, f"{memo.name}: the result could not be stored", error)

    def failed(self, error: Exception) -> None:
        """It raised."""
        self._busy += time.perf_counter() - self._began
        self._watch.end()
        memo = self._memo
        miss.failed(memo, self._ticket, error, self._busy, memo._options, self._sources, self._watch)

    def abandon(self) -> None:
        """Nobody wants the rest; nothing happens where it has ended."""
        self._parts.clear()
        if self._ticket is not None:
            self._ticket.release()


class Player:
    """The items of a stored stream, each decoded when it is asked for. ``value`` is what the generator returned."""

    def __init__(self, codec: Any, name: str, data: Any) -> None:
        if not name.startswith(PREFIX):
            raise CodecError(f"the result is stored through the codec `{name}`, not as a stream")
        self._bytes = memoryview(data)
        self._codec = codec
        self._name = name[len(PREFIX) :]
        self._at = 0
        self.value: Any = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        last, count = _HEAD.unpack_from(self._bytes, self._at)
        lengths = struct.unpack_from(f"<{count + 1}Q", self._bytes, self._at + _HEAD.size)
        at = self._at + _HEAD.size + 8 * (count + 1)
        parts = []
        for length in lengths:
            parts.append(self._bytes[at : at + length])
            at += length
        item = self._codec.decode(self._name, bytes(parts[0]), [bytearray(part) for part in parts[1:]])
        if last:
            self.value = item
            raise StopIteration
        self._at = at
        return item


class Streams(Memo):
    """What remembered generators and async generators have in common."""

    _submits = False

    def __init__(self, function: Callable[..., Any], **given: Any) -> None:
        super().__init__(function, **given)
        unsuited = [name for name in UNSUITED if getattr(self._said, name)]
        unsuited += ["ttl as a function"] if callable(self._said.ttl) else []
        unsuited += [name for name in ("executor", "track") if given.get(name)]
        if unsuited:
            name = getattr(function, "__qualname__", "the function")
            hint = "it is for functions that return once; for a generator there are ttl, max_age, sliding, tags, max_bytes"
            raise ConfigError(f"{name} is a generator: {unsuited[0]} does not go with it", hint=hint)

    @property
    def _options(self) -> Options:
        merged = super()._options
        for name in UNSUITED:
            setattr(merged, name, None)
        return merged

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call, problem = (None, None) if settings.off() else self._call(args, kwargs)
        warn.emit()
        if call is None and problem is None:
            # Off; or the arguments do not fit, which the function itself says best.
            return self.__wrapped__(*args, **kwargs)
        return self._stream(args, kwargs, call, problem)

    def _stream(self, args: Any, kwargs: Any, call: _afresh.Call | None, problem: str | None) -> Any:
        raise NotImplementedError

    def _begin(
        self, args: Any, kwargs: Any, call: _afresh.Call | None, problem: str | None
    ) -> tuple[Player | None, Tape]:
        """What there is to play, or a tape to record on."""
        options, ticket = self._options, None
        if problem is not None:
            warn.once(f"{self.name} runs uncached: {problem}")
        try:
            if call is not None and not (options.force or options.cache is False):
                hit = call.lookup()
                if hit is not None:
                    player = Player(self.codec, hit.codec, hit.parts(False)[0])
                    self._hit(hit)
                    self._count("read_bytes", hit.size)
                    settings.note(self, call, "hit")
                    return player, Tape(self, None, (args, kwargs))
        except AfreshError as error:
            if options.strict:
                raise
            miss.troubled(self, f"{self.name} runs without the store", error)
        finally:
            warn.emit()
        if settings.verbose and call is not None:
            settings.explain(self, args, kwargs)
        miss.missed(self, call)
        ticket = self._ticket(call)
        return None, Tape(self, ticket, (args, kwargs))

    def _ticket(self, call: _afresh.Call | None) -> _afresh.Ticket | None:
        try:
            return None if call is None else call.start()
        except AfreshError as error:
            if self._options.strict:
                raise
            miss.troubled(self, f"{self.name} runs without the store", error)
            return None

    def _broken(self, problem: Exception) -> None:
        warn.once(f"{self.name} is computed again: the stored result cannot be loaded: {problem}")

    def peek(self, *args: Any, **kwargs: Any) -> Any:
        """The stored items, to be iterated over, or None where there are none. Nothing runs."""
        hit = self._find(args, kwargs)
        return None if hit is None else Player(self.codec, hit.codec, hit.parts(False)[0])

    def put(self, value: Iterable[Any], *args: Any, **kwargs: Any) -> None:
        """Keeps these items as the answer for the call, as if they had been yielded."""
        call, problem = self._call(args, kwargs)
        if call is None:
            raise ConfigError(f"{self.name}: this call has no key: {problem or 'the arguments do not fit'}")
        tape = Tape(self, call.start(), (args, kwargs))
        for item in value:
            tape.add(item)
        tape.end()

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Generators are iterated over, not submitted."""
        raise TypeError(f"{self.name} is a generator: iterate over the decorated function instead of submitting it")


class StreamMemo(Streams):
    """A remembered generator function."""

    def _stream(
        self, args: Any, kwargs: Any, call: _afresh.Call | None, problem: str | None
    ) -> Generator[Any, Any, Any]:
        player, tape = self._begin(args, kwargs, call, problem)
        played = 0
        while player is not None:
            try:
                item = next(player)
            except StopIteration:
                return player.value
            except Exception as error:
                self._broken(error)
                break
            yield item
            played += 1
        args, kwargs = miss.load_refs(args, kwargs)
        source = self.__wrapped__(*args, **kwargs)
        step: Callable[[], Any] = source.__next__
        try:
            while True:
                tape.resume()
                try:
                    item = step()
                except StopIteration as stop:
                    tape.end(stop.value)
                    return stop.value
                except Exception as error:
                    tape.failed(error)
                    raise
                tape.add(item)
                step = source.__next__
                if played:
                    played -= 1
                    continue
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the generator's
                    tape.spoil("something was thrown into it")
                    step = _later(source.throw, error)
                else:
                    if sent is not None:
                        tape.spoil("something was sent into it")
                        step = _later(source.send, sent)
        finally:
            source.close()
            tape.abandon()
            warn.emit()


class AsyncStreamMemo(Streams):
    """A remembered async generator function. A store that is far is asked in threads."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if settings.off() or not is_distant(self):
            return super().__call__(*args, **kwargs)
        return self._stream(args, kwargs, None, None, self._call)

    async def _stream(
        self,
        args: Any,
        kwargs: Any,
        call: _afresh.Call | None,
        problem: str | None,
        seek: Callable[..., tuple[_afresh.Call | None, str | None]] | None = None,
    ) -> AsyncIterator[Any]:
        if seek is not None:
            call, problem = await ask(self, seek, args, kwargs)
        player, tape = await ask(self, self._begin, args, kwargs, call, problem)
        played = 0
        while player is not None:
            try:
                item = next(player)
            except StopIteration:
                return
            except Exception as error:
                self._broken(error)
                break
            yield item
            played += 1
        args, kwargs = await ask(self, miss.load_refs, args, kwargs)
        source = self.__wrapped__(*args, **kwargs)
        step: Callable[[], Any] = source.__anext__
        try:
            while True:
                tape.resume()
                try:
                    item = await step()
                except StopAsyncIteration:
                    await ask(self, tape.end)
                    return
                except Exception as error:
                    await ask(self, tape.failed, error)
                    raise
                tape.add(item)
                step = source.__anext__
                if played:
                    played -= 1
                    continue
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the generator's
                    tape.spoil("something was thrown into it")
                    step = _later(source.athrow, error)
                else:
                    if sent is not None:
                        tape.spoil("something was sent into it")
                        step = _later(source.asend, sent)
        finally:
            await source.aclose()
            tape.abandon()
            warn.emit()


def _later(step: Callable[[Any], Any], value: Any) -> Callable[[], Any]:
    return lambda: step(value)
