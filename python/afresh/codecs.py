"""Values to bytes and back.

A codec has a name, which is stored with every result, and says whether it gives back exactly what it was
given (``exact``). What is loaded is decided by the codec that was configured, never by what is stored: a client
with the JSON codec never unpickles, whatever it finds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Protocol

    class Serializer(Protocol):
        """What ``serializer=`` takes: two methods."""

        def dumps(self, value: Any, /) -> bytes: ...

        def loads(self, data: bytes, /) -> Any: ...


from afresh.errors import CodecError, ConfigError

__all__ = ["JsonCodec", "PickleCodec", "SafePickleCodec", "SerializerCodec", "codec"]

_PICKLES = ("pickle", "safe-pickle")


class PickleCodec:
    """Pickle, protocol 5: large buffers (arrays) are stored as they are and can be mapped.

    For a store that only you write: loading a pickle can run code. With ``secret=`` nothing is loaded that was
    not signed with it.
    """

    name = "pickle"
    exact = True

    def encode(self, value: Any) -> tuple[bytes, list[Any]]:
        import pickle

        buffers: list[Any] = []
        return pickle.dumps(value, 5, buffer_callback=buffers.append), buffers

    def decode(self, name: str, data: Any, buffers: list[Any]) -> Any:
        if name not in _PICKLES:
            raise CodecError(f"the result is stored through the codec `{name}`, not as a pickle")
        return self._loads(data, buffers)

    def _loads(self, data: Any, buffers: list[Any]) -> Any:
        import pickle

        return pickle.loads(data, buffers=buffers)


#: Classes a safe pickle may hold beside the built-in containers and scalars.
SAFE = frozenset(
    {
        ("builtins", name)
        for name in (
            "bool bytearray bytes complex dict float frozenset int list range set slice str tuple object"
        ).split()
    }
    | {("datetime", name) for name in "date datetime time timedelta timezone".split()}
    | {("decimal", "Decimal"), ("fractions", "Fraction"), ("uuid", "UUID")}
    | {("collections", name) for name in "OrderedDict defaultdict deque Counter".split()}
    | {("pathlib", name) for name in "PurePosixPath PureWindowsPath PosixPath WindowsPath Path".split()}
    | {("zoneinfo", "ZoneInfo"), ("zoneinfo", "ZoneInfo._unpickle")}
    | {("copyreg", "_reconstructor"), ("_codecs", "encode")}
    | {("numpy", name) for name in "ndarray dtype".split()}
    | {
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    }
)


class SafePickleCodec(PickleCodec):
    """Pickle that loads only classes on a list: the standard value types, numpy arrays, and ``extra``.

    ``extra`` takes classes or ``(module, name)`` pairs. Anything else in a stored result is refused.
    """

    name = "safe-pickle"

    def __init__(self, extra: Iterable[Any] = ()) -> None:
        named = {
            item if isinstance(item, tuple) else (item.__module__, item.__qualname__)
            for item in extra
        }
        self.allowed = SAFE | named

    def _loads(self, data: Any, buffers: list[Any]) -> Any:
        import io
        import pickle

        allowed = self.allowed

        class Unpickler(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                if (module, name) not in allowed:
                    raise CodecError(
                        f"a stored result refers to {module}.{name}, which is not allowed",
                        hint="allow it with SafePickleCodec(extra=[...]) if you trust it",
                    )
                return super().find_class(module, name)

        return Unpickler(io.BytesIO(bytes(data)), buffers=buffers).load()


class JsonCodec:
    """JSON: readable everywhere, safe to load, and only for what JSON can say.

    A tuple comes back as a list, so it is not ``exact``. What JSON would change further (keys that are not
    text, NaN, subclasses such as named tuples and enum members) is refused rather than changed.
    """

    name = "json"
    exact = False

    def encode(self, value: Any) -> tuple[bytes, list[Any]]:
        import json

        _check(value, 0)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8"), []

    def decode(self, name: str, data: Any, buffers: list[Any]) -> Any:
        import json

        if name != self.name:
            raise CodecError(f"the result is stored through the codec `{name}`, not as JSON")
        return json.loads(bytes(data))


_SCALARS = (str, int, float, bool, type(None))


def _check(value: Any, depth: int) -> None:
    if depth > 500:
        raise CodecError("the value is nested too deeply for JSON")
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise CodecError(f"JSON has only text keys, not {type(key).__name__}", hint="use the pickle codec")
            _check(item, depth + 1)
    elif kind is list or kind is tuple:
        for item in value:
            _check(item, depth + 1)
    elif kind not in _SCALARS:
        raise CodecError(f"JSON cannot say {kind.__name__}", hint="use the pickle codec")


class SerializerCodec:
    """A user's ``dumps``/``loads`` pair as a codec, named after its class (or its ``name``)."""

    exact = False

    def __init__(self, serializer: Serializer) -> None:
        self.serializer = serializer
        named = getattr(serializer, "name", None)
        self.name = named if isinstance(named, str) else type(serializer).__qualname__

    def encode(self, value: Any) -> tuple[bytes, list[Any]]:
        data = self.serializer.dumps(value)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise CodecError(f"{self.name}.dumps returned {type(data).__name__}, not bytes")
        return bytes(data), []

    def decode(self, name: str, data: Any, buffers: list[Any]) -> Any:
        if name != self.name:
            raise CodecError(f"the result is stored through the codec `{name}`, not `{self.name}`")
        return self.serializer.loads(bytes(data))


def codec(choice: Any = None) -> Any:
    """The codec for what a user said: a name, a codec, a serializer, or None for pickle."""
    if choice is None or choice == "pickle":
        return PickleCodec()
    if choice in ("safe-pickle", "safe_pickle"):
        return SafePickleCodec()
    if choice == "json":
        return JsonCodec()
    if hasattr(choice, "encode") and hasattr(choice, "decode") and not isinstance(choice, str):
        return choice
    if hasattr(choice, "dumps") and hasattr(choice, "loads"):
        return SerializerCodec(choice)
    raise ConfigError(
        f"{choice!r} is not a codec" if isinstance(choice, str) else "this is not a codec",
        hint="a codec is 'pickle', 'safe-pickle', 'json', or an object with dumps and loads",
    )
