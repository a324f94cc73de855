"""Writes the pickles that the tests of the reader read: real ones, of every protocol.

Run by hand, in this folder, when a case is added: python make.py
"""

import collections
import dataclasses
import datetime
import decimal
import pickle
import struct
import sys
import types


def named(name):
    """A module, so that classes do not belong to __main__."""
    module = sys.modules[name] = types.ModuleType(name)
    return module


etl = named("etl")


@dataclasses.dataclass
class Point:
    x: int
    y: int


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int
    label: str


class Bag(list):
    pass


for one in (Point, Slotted, Bag):
    one.__module__ = "etl"
    one.__qualname__ = one.__name__
    setattr(etl, one.__name__, one)

plain = {
    "none": None,
    "truth": [True, False],
    "ints": [0, -1, 255, 65536, -(2**31), 2**31, 2**63, -(2**64), 10**40],
    "floats": [0.5, -0.0, 1e16, 1e-7, float("inf")],
    "text": ["", "it's", "日本\n\x1b[31m", "a\\b", "\u202e"],
    "bytes": [b"", b"\x00\xffab'"],
    "bytearray": bytearray(b"xyz"),
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "sets": [set(), {7}, frozenset(), frozenset({8})],
    "nested": {"a": {(1, 2): [[], {}]}},
}
shared = [1]
cycle = [shared, shared]
cycle.append(cycle)
bag = Bag([1, 2])
bag.name = "b"
objects = [
    Point(1, 2),
    Slotted(3, "s"),
    bag,
    collections.OrderedDict(a=1),
    collections.deque([1, 2]),
    collections.defaultdict(int, {"a": 1}),
    datetime.date(2026, 1, 2),
    decimal.Decimal("1.5"),
    1 + 2j,
    range(3),
    len,
    Point,
    cycle,
]

for protocol in range(6):
    with open(f"plain-{protocol}.pickle", "wb") as file:
        file.write(pickle.dumps(plain, protocol))
    # Slots cannot be pickled before protocol 2.
    kept = [o for o in objects if protocol >= 2 or not isinstance(o, Slotted)]
    with open(f"objects-{protocol}.pickle", "wb") as file:
        file.write(pickle.dumps(kept, protocol))

buffers = []
value = {"data": pickle.PickleBuffer(bytearray(b"0123456789")), "n": 3}
body = pickle.dumps(value, 5, buffer_callback=buffers.append)
parts = [body, *(buffer.raw() for buffer in buffers)]
out = bytearray(b"afresh1\n" + struct.pack("<II", len(buffers), 0))
out += b"".join(struct.pack("<Q", len(part)) for part in parts)
for part in parts:
    out += bytes(-len(out) % 64) + bytes(part)
with open("framed.pickle", "wb") as file:
    file.write(out)
