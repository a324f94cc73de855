"""What type checkers see of `memo`: at run time it is `afresh.memo.memo`, which imports no `typing`."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Generic, ParamSpec, TypeVar, overload

from afresh.freshness import Failover
from afresh.memo import Memo
from afresh.models import Accept
from afresh.options import TTL, Tags
from afresh.refs import ResultRef
from afresh.why import Explanation

_P = ParamSpec("_P")
_R = TypeVar("_R")

class Remembered(Memo, Generic[_P, _R]):
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    @overload
    def __get__(self, instance: None, owner: object = None, /) -> Remembered[_P, _R]: ...
    @overload
    def __get__(self, instance: object, owner: object = None, /) -> Callable[..., _R]: ...
    @property
    def __wrapped__(self) -> Callable[_P, _R]: ...
    def accept(self, reason: str | None = None, *, of: object = None) -> Accept: ...
    def cached(self, *args: _P.args, **kwargs: _P.kwargs) -> bool: ...
    def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> bool: ...
    def key(self, *args: _P.args, **kwargs: _P.kwargs) -> str | None: ...
    def peek(self, *args: _P.args, **kwargs: _P.kwargs) -> Any: ...
    def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    def submit(self, *args: _P.args, **kwargs: _P.kwargs) -> ResultRef: ...
    def unaccept(self) -> bool: ...
    def why(self, *args: _P.args, **kwargs: _P.kwargs) -> Explanation: ...
    def options(self, **options: Any) -> Remembered[_P, _R]: ...
    def with_options(self, **options: Any) -> Remembered[_P, _R]: ...

@overload
def memo(
    function: None = None,
    /,
    *,
    store: object = None,
    secret: str | bytes | None = None,
    codec: object = None,
    executor: Executor | None = None,
    mode: str = "code",
    version: str | None = None,
    name: str | None = None,
    ignore: tuple[str, ...] | str = (),
    depends_on: tuple[Any, ...] | list[Any] = (),
    track: tuple[str, ...] | list[str] | str = (),
    freeze: bool | tuple[str, ...] | list[str] | str = (),
    mapped: bool = False,
    backoff: TTL | None = None,
    cache: bool | None = None,
    early: TTL | bool | None = None,
    failover: Failover | None = None,
    force: bool | None = None,
    max_bytes: int | str | None = None,
    max_age: TTL | None = None,
    negative: Mapping[type[Exception], TTL] | None = None,
    refresh_after: int | None = None,
    retries: int | None = None,
    sliding: bool | None = None,
    soft: TTL | bool | None = None,
    stale: TTL | bool | None = None,
    strict: bool | None = None,
    tags: Tags | None = None,
    timeout: TTL | None = None,
    ttl: TTL | Callable[..., TTL | None] | None = None,
    wait: TTL | None = None,
    when: Callable[..., bool] | None = None,
) -> Callable[[Callable[_P, _R]], Remembered[_P, _R]]: ...
@overload
def memo(function: Callable[_P, _R], /, **settings: Any) -> Remembered[_P, _R]: ...
