"""Values to bytes and back, around the codec that was set up: types that say their own form, and compression.

What was done to a value is in the name that is stored with it, so that turning compression on or off leaves what is there
readable. A stored name can choose nothing but what was registered here or is known to be harmless.
"""

from __future__ import annotations

from afresh.errors import CodecError, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Values that are shorter are not worth it.
_LEAST = 256

# The form of a type is stored under this and its name.
_OWN = "type:"

_encoders: dict[type, tuple[str, Callable[[Any], bytes]]] = {}
_decoders: dict[str, Callable[[bytes], Any]] = {}


def register_type(kind: type, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], name: str = "") -> None:
    """Values of this very class are stored as the bytes that ``encode`` makes, in all caches of the process, and made
    again by ``decode``; what that raises makes them absent. ``name`` (the class's own) is what they are stored as."""
    if not isinstance(kind, type):
        raise ConfigError(f"{kind!r} is not a class")
    known = _OWN + (name or f"{kind.__module__}.{kind.__qualname__}")
    if "+" in known:
        raise ConfigError(f"`{name}` cannot be the name of a form", hint="a name has no `+`")
    _encoders[kind], _decoders[known] = (known, encode), decode


class Coding:
    """A codec with all of that around it."""

    def __init__(self, codec: Any, compress: str | None) -> None:
        self._codec = codec
        self.name: str = codec.name
        self.exact: bool = getattr(codec, "exact", False)
        if compress is not None and compress not in METHODS:
            raise ConfigError(f"there is no compression `{compress}`", hint=f"the methods are {', '.join(METHODS)}")
        self._compress = compress

    def encode(self, value: Any) -> tuple[bytes, list[Any], str]:
        own = _encoders.get(type(value))
        buffers: list[Any] = []
        if own is None:
            name = self.name
            data, buffers = self._codec.encode(value)
        else:
            name, data = own[0], own[1](value)
            if not isinstance(data, bytes):
                raise CodecError(f"the form of a {type(value).__name__} is bytes, not {type(data).__name__}")
        if self._compress is None or len(data) + sum(memoryview(one).nbytes for one in buffers) < _LEAST:
            return data, buffers, name
        from pickle import PickleBuffer

        squeeze = METHODS[self._compress][0]
        return squeeze(data), [PickleBuffer(squeeze(bytes(one))) for one in buffers], f"{name}+{self._compress}"

    def decode(self, name: str, data: Any, buffers: list[Any]) -> Any:
        base, _, method = name.rpartition("+")
        if base and method in METHODS:
            name, expand = base, METHODS[method][1]
            # Of bytes that cannot be changed an array would be made that cannot be.
            data, buffers = expand(bytes(data)), [bytearray(expand(bytes(one))) for one in buffers]
        if not name.startswith(_OWN):
            return self._codec.decode(name, data, buffers)
        if name not in _decoders:
            raise CodecError(f"it is stored as `{name}`, which was not registered here", hint="call register_type first")
        return _decoders[name](bytes(data))


def _stdlib(module: str) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    """Loaded when it is used."""

    def squeeze(data: bytes) -> bytes:
        import importlib

        made: bytes = importlib.import_module(module).compress(data)
        return made

    def expand(data: bytes) -> bytes:
        import importlib

        made: bytes = importlib.import_module(module).decompress(data)
        return made

    return squeeze, expand


def _zstd(data: bytes) -> bytes:
    from afresh import _afresh

    return _afresh.zstd(data)


def _unzstd(data: bytes) -> bytes:
    from afresh import _afresh

    return _afresh.unzstd(data)


#: The methods of compression, each with what it does and undoes.
METHODS = {"zstd": (_zstd, _unzstd), **{name: _stdlib(name) for name in ("gzip", "zlib", "bz2", "lzma")}}
