"""What a function is: one digest over its code and everything of the project that it reaches.

`identify(func)` walks from a callable to its helpers, classes and data, and answers with an `Identity`: the
digest, the named components behind it, and what a caller has to look at to know that it still holds (pointer
checks and mutable data). `callable_digest(obj)` is the digest alone, for functions and classes met inside
values. The rules are in docs/guide/python.md. Neither ever raises: what cannot be named degrades to a
weaker identity and is listed as opaque. Nothing here runs project code or imports a module of it.
"""

from __future__ import annotations

from ._model import MISSING, Identity, Seen
from ._value import inside
from ._walk import callable_digest, identify

__all__ = ["MISSING", "Identity", "Seen", "callable_digest", "identify", "inside"]
