"""Turning commands off and on: for the process, and for one context.

Both are explicit. ``disable`` is seen by every thread and task at once; ``disabling`` only by the block it is around and
what that calls. A command works where neither says otherwise; what is turned off does nothing and gives what an empty
cache would give.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar

from afresh.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Every command that can be turned off by its name.
COMMANDS = frozenset(
    "get get_many set set_many get_or_set get_match incr exists delete delete_many delete_match scan expire get_expire "
    "get_size get_keys_count clear ping delete_tags set_lock unlock is_locked "
    "get_bits incr_bits slice_incr set_add set_remove set_pop get_raw set_raw".split()
)


_guard = threading.Lock()


class Switches:
    """What is turned off in one cache: pairs of a key prefix and a command."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed, self._blocks = changed, 0
        self._process: frozenset[tuple[str, str]] = frozenset()
        self._context: ContextVar[frozenset[tuple[str, str]]] = ContextVar("afresh_disabled", default=frozenset())
        #: Nothing is turned off, in no context.
        self.untouched = True

    def off(self, command: str, key: str = "") -> bool:
        """Whether a command does nothing on a key."""
        if self.untouched:
            return False
        off = self._process | self._context.get()
        return any(name == command and key.startswith(prefix) for prefix, name in off)

    def turn_off(self, commands: Iterable[str], prefix: str) -> None:
        self._process |= _pairs(commands, prefix)
        self.tally(0)

    def turn_on(self, commands: Iterable[str], prefix: str) -> None:
        self._process -= _pairs(commands, prefix)
        self.tally(0)

    def tally(self, more: int) -> None:
        """A block begins or ends within which something is off."""
        with _guard:
            self._blocks += more
            self.untouched = not (self._process or self._blocks)
        self._changed()

    def all_off(self) -> bool:
        return not self.untouched and all(self.off(command) for command in COMMANDS)


class Disabling:
    """``with cache.disabling(...)``: off within the block, in this context only."""

    def __init__(self, switches: Switches, commands: Iterable[str], prefix: str) -> None:
        self._switches, self._pairs = switches, _pairs(commands, prefix)

    def __enter__(self) -> None:
        self._switches.tally(1)
        context = self._switches._context
        self._before = context.set(context.get() | self._pairs)

    def __exit__(self, *error: object) -> None:
        self._switches._context.reset(self._before)
        self._switches.tally(-1)


def _pairs(commands: Iterable[str], prefix: str) -> frozenset[tuple[str, str]]:
    wanted = frozenset(commands) or COMMANDS
    if unknown := wanted - COMMANDS:
        raise ConfigError(
            f"there is no command {', '.join(sorted(unknown))}", hint=f"the commands are {', '.join(sorted(COMMANDS))}"
        )
    return frozenset((prefix, command) for command in wanted)
