"""A hit in the process that computed it, everything warm: the call that programs make most."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from measure import Line, Target, alternate, line, tight
from systems import SYSTEMS
from workload import Shop, add

ASKED = "≤ 1.25 × `lru_cache(typed=True)`, all checks on"
SECONDS = 180
#: cashews and async-lru remember coroutine functions only: see async_hit.
RIVALS = ("lru_cache(typed=True)", "lru_cache", "cachetools", "diskcache", "cachetta", "joblib", "cachier", "cashet")


def measure(folder: Path) -> Iterator[Line]:
    functions = {name: SYSTEMS[name](str(folder / name))(add) for name in ("afresh", *RIVALS)}
    loops = {name: tight("f(7)", f=function) for name, function in functions.items()}
    yield line("hit, same process: `f(7)`", "s", alternate(loops), [Target(ASKED, 1.25, "lru_cache(typed=True)")])

    near = {name: functions[name] for name in ("afresh", "lru_cache(typed=True)", "cachetools")}
    loops = {name: tight("f(x=7, y=2)", f=function) for name, function in near.items()}
    yield line("hit, same process: `f(x=7, y=2)`", "s", alternate(loops))

    methods = {}
    for name in near:
        shop = type("Shop", (Shop,), {"price": SYSTEMS[name](str(folder / name))(Shop.price)})(3)
        methods[name] = tight("shop.price(7)", shop=shop)
    yield line("hit, same process: a method", "s", alternate(methods))
