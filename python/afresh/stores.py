"""Opening stores, and keeping them right over fork and exit.

One engine an address and secret: clients and decorators that name the same store share it.
"""

from __future__ import annotations

import os
import weakref

from afresh import _afresh
from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_engines: weakref.WeakSet[_afresh.Engine] = weakref.WeakSet()
_shared: dict[tuple[str, bytes | None], _afresh.Engine] = {}


def default_address() -> str:
    """``$AFRESH_URL``, else ``$AFRESH_DIR``, else ``.afresh`` in the working directory."""
    return os.environ.get("AFRESH_URL") or os.environ.get("AFRESH_DIR") or ".afresh"


def engine(store: Any = None, secret: str | bytes | None = None) -> _afresh.Engine:
    """The engine for an address, a path, or an object of the ``afresh.Store`` protocol."""
    key = secret.encode() if isinstance(secret, str) else secret
    if key == b"":
        raise ConfigError("the secret is empty", hint="give at least one character, better 32")
    if store is None:
        store = default_address()
    if isinstance(store, (str, os.PathLike)):
        address = _absolute(os.fspath(store))
        found = _shared.get((address, key))
        if found is None:
            found = _shared.setdefault((address, key), _open(address, key, None))
        return found
    return _open("python:", key, store)


def check(store: Any, secret: str | bytes | None = None) -> Any:
    """``store``, opened if that cannot fail for reasons that pass: what can never be a store is refused at once."""
    if store is None or isinstance(store, _afresh.Engine):
        return store
    found = getattr(store, "engine", None)
    if isinstance(found, _afresh.Engine):
        return found
    if isinstance(store, (str, os.PathLike)):
        scheme, colon, rest = str(os.fspath(store)).partition(":")
        if not colon or len(scheme) == 1 or (scheme == "sqlite" and rest and "?" not in rest):
            return store
    return engine(store, secret)


def is_distant(store: Any) -> bool:
    """Whether a store that is not open yet may be one that has to be waited for."""
    if store is None:
        store = default_address()
    if not isinstance(store, (str, os.PathLike)):
        return True
    scheme, colon, _ = str(os.fspath(store)).partition(":")
    return bool(colon) and len(scheme) > 1 and scheme not in ("sqlite", "memory")


def _absolute(address: str) -> str:
    """The address with its path made absolute, so that a later change of directory means nothing."""
    if isinstance(address, bytes):
        raise ConfigError("a store's address is text, not bytes")
    scheme, colon, rest = address.partition(":")
    if colon and len(scheme) > 1 and scheme != "sqlite":
        return address
    if not colon or len(scheme) == 1:
        path, query = address, ""
    else:
        path, _, query = rest.partition("?")
        path = path[2:] if path.startswith("//") else path
    if not path:
        return address
    return "sqlite:" + os.path.abspath(os.path.expanduser(path)) + (f"?{query}" if query else "")


def _open(address: str, key: bytes | None, store: Any) -> _afresh.Engine:
    opened = _afresh.Engine(
        address, user=_user(), host=_host(), secret=key, store=store
    )
    _engines.add(opened)
    return opened


def _user() -> str:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        import pwd

        return pwd.getpwuid(os.getuid())[0]
    except (ImportError, KeyError, AttributeError):
        return ""


def _host() -> str:
    uname = getattr(os, "uname", None)
    return uname().nodename if uname else os.environ.get("COMPUTERNAME", "")


def _each(method: str) -> None:
    for opened in list(_engines):
        getattr(opened, method)()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _each("before_fork"),
        after_in_parent=lambda: _each("after_fork_in_parent"),
        after_in_child=lambda: _each("after_fork_in_child"),
    )


def _at_exit() -> None:
    for opened in list(_engines):
        try:
            opened.close()
        except Exception:  # noqa: BLE001, S110 - rough figures are not worth a traceback at exit
            pass


import atexit  # noqa: E402

atexit.register(_at_exit)
