"""Bloom filters before functions that say yes or no: what is certainly not there is answered without a call.

A filter is cut into pages of some kilobytes, and everything about one member is in one page. So adding a member is one
change of one entry, atomic on every store, and a filter may be of any size. What was added is found for as long as its
page is there: pages have no end and are never driven out, no transaction takes back what was added, and where a store
cannot be asked nothing is claimed.
"""

from __future__ import annotations

from afresh.errors import AfreshError, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afresh.cache.commands import SyncCache
    from afresh.cache.flights import Flight
    from afresh.cache.steps import Steps
    from afresh.cache.strategies.asked import Asked

# Bits of a page.
_PAGE = 32_768

# Members do not spread over pages quite evenly; this much room makes up for it.
_SLACK = 1.05


class Filter:
    """Room for ``capacity`` members, with so many wrong answers of a hundred for what is not one."""

    def __init__(self, name: str, capacity: int, percent: float) -> None:
        import math

        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1 or not 0 < percent < 100:
            raise ConfigError("a filter needs a capacity of at least 1 and a rate between 0 and 100 percent")
        rate = percent / 100
        bits = math.ceil(-capacity * math.log(rate) / math.log(2) ** 2 * _SLACK)
        self.pages = math.ceil(bits / _PAGE)
        self.bits = max(math.ceil(bits / self.pages), 8)
        self.hashes = max(round(-math.log2(rate)), 1)
        # Filters of another size have other places.
        self.name = f"{name}:{self.pages}x{self.bits}x{self.hashes}"

    def place(self, member: str) -> tuple[str, list[int]]:
        """The page of a member, and its bits in it."""
        import hashlib

        digest = hashlib.shake_128(member.encode()).digest(8 + 4 * self.hashes)
        page = int.from_bytes(digest[:8], "little") % self.pages
        words = (digest[at : at + 4] for at in range(8, len(digest), 4))
        return f"{self.name}:{page}", [int.from_bytes(word, "little") % self.bits for word in words]

    def look(self, core: SyncCache, member: str) -> Steps:
        """The bits of a member; None where they cannot be known."""
        page, bits = self.place(member)
        if core._switches.off("get_bits", page):
            return None
        try:
            return tuple((yield core._routes.plain(page).ask("get_bits", page, bits, 1)))
        except AfreshError as error:
            core._degrade(error)
            return None

    def add(self, core: SyncCache, member: str) -> Steps:
        page, bits = self.place(member)
        yield core._routes.plain(page).ask("incr_bits", page, bits, 1, 1)


class Bloom:
    """No, where the filter has not seen what is asked for; else the function's answer, or (unchecked) yes."""

    def __init__(self, filter: Filter, checked: bool) -> None:
        self.filter, self.checked = filter, checked

    def steps(self, asked: Asked) -> Steps:
        bits = yield from self.filter.look(asked.cache, asked.key)
        if bits is not None and not all(bits):
            return False
        if bits is not None and not self.checked:
            return True
        return (yield asked.run())


class Adding:
    """The function's answer; what it says yes to is a member from then on. Raises where that cannot be remembered."""

    def __init__(self, filter: Filter) -> None:
        self.filter = filter

    def steps(self, asked: Asked) -> Steps:
        result = yield asked.run()
        if result:
            yield from self.filter.add(asked.cache, asked.key)
        return result


class Dual:
    """A filter of what was answered with yes and one of what was answered with no: what one of them alone has seen is
    answered by it. What was recorded is never answered wrongly; what never was may be, as often as the rates say."""

    def __init__(self, yes: Filter, no: Filter, alone: bool) -> None:
        self.yes, self.no, self.alone = yes, no, alone

    def steps(self, asked: Asked) -> Steps:
        known = yield from self._known(asked)
        if known is not None:
            return known

        def compute(flight: Flight) -> Steps:
            known = yield from self._known(asked)
            if known is not None:
                return known
            result = yield asked.run()
            yield from self._record(asked, bool(result))
            return result

        def again() -> Steps:
            return None
            yield

        return (yield from asked.cache._flights.fly(f"dual_bloom {asked.face}", asked.key, compute, again))

    def _known(self, asked: Asked) -> Steps:
        yes = yield from self.yes.look(asked.cache, asked.key)
        no = yield from self.no.look(asked.cache, asked.key)
        if yes is None or no is None or all(yes) == all(no):
            return None
        return all(yes)

    def _record(self, asked: Asked, answer: bool) -> Steps:
        filter = self.yes if answer else self.no
        mine = yield from filter.look(asked.cache, asked.key)
        if mine is None or all(mine) or (self.alone and any(mine)):
            return
        try:
            yield from filter.add(asked.cache, asked.key)
        except AfreshError as error:
            asked.cache._degrade(error)


def pair(value: Any) -> tuple[Any, Any]:
    """What is said for both filters, or for each."""
    return value if isinstance(value, tuple) else (value, value)
