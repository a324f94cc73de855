"""What users may write themselves: a store, an executor, a serializer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

__all__ = ["Executor", "Serializer", "Store"]


@runtime_checkable
class Store(Protocol):
    """Bytes under text keys. Everything else (versions, conditions, labels, ages) is made from these four.

    Keys are of the letters, digits and ``/``, at most 1,100 characters. One process uses it at a time; within that,
    ``put`` and ``delete`` are never called concurrently, ``get`` and ``keys`` may be. An exception from any of
    them makes the call compute without the store.
    """

    def get(self, key: str, /) -> bytes | None:
        """The bytes under ``key``, or None."""

    def put(self, key: str, value: bytes, /) -> object:
        """Keeps ``value`` under ``key``, in place of what was there."""

    def delete(self, key: str, /) -> object:
        """Removes what is under ``key``; nothing there is no error."""

    def keys(self, prefix: str, /) -> Iterable[str]:
        """The keys that begin so, in any order."""


@runtime_checkable
class Executor(Protocol):
    """Where misses run: the interface of ``concurrent.futures.Executor``."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begins to run ``function`` and returns its future."""


@runtime_checkable
class Serializer(Protocol):
    """Values to bytes and back. Its class name (or ``name``) is stored with every result."""

    def dumps(self, value: Any, /) -> bytes:
        """The bytes of a value; raises what it cannot say."""

    def loads(self, data: bytes, /) -> Any:
        """The value again."""
