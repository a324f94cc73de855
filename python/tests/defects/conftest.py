"""What the tests of other libraries' defects share: caches over memory and a store, functions that count their runs, and
small projects that are edited between two processes."""

from __future__ import annotations

import threading

import pytest

import afresh


@pytest.fixture(params=["memory", "sqlite"])
def cache(request, store):
    cache = afresh.Cache()
    cache.setup("memory:" if request.param == "memory" else store)
    return cache


@pytest.fixture
def at_once():
    """Makes a call in so many threads; what they gave."""

    def run(count, call):
        given: list = []

        def work(number):
            try:
                given.append(call(number))
            except Exception as error:  # noqa: BLE001 - what was raised is looked at
                given.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return given

    return run


class Project:
    """A file ``work.py`` of plain Python with a function ``f``: called in a process of its own, edited, called again."""

    def __init__(self, apart) -> None:
        self.apart = apart

    def write(self, text: str, file: str = "work.py") -> None:
        self.apart.write(file, text)

    def call(self, call: str = "f(1)", **environment: str) -> list[str]:
        """What the call gives, and whether it ran."""
        before = dict(self.apart.env)
        self.apart.env.update(environment)
        try:
            said = self.apart(
                f"""
                import afresh, work
                f = afresh.memo(work.f, store="store")
                print({call})
                print("ran" if f.stats().misses else "kept")
                """,
                name="caller.py",
            )
        finally:
            self.apart.env.clear()
            self.apart.env.update(before)
        return said.split()


@pytest.fixture
def project(apart):
    return Project(apart)


@pytest.fixture
def eight_at_once(apart, runs):
    """Lets eight processes call a function, decorated so, at the same moment; how often it ran."""

    def call(decorator: str) -> int:
        script = apart.write(
            "work.py",
            f"""
            import os, time, afresh
            cache = afresh.SyncCache()
            cache.setup("store")
            @{decorator}
            def f():
                open("runs", "a").write("x")
                time.sleep(0.3)
                return 1
            while not os.path.exists("go"): time.sleep(0.001)
            print(f())
            """,
        )
        children = [apart.start(str(script)) for _ in range(8)]
        (apart.folder / "go").write_text("")
        assert [child.communicate(timeout=60)[0] for child in children] == ["1\n"] * 8
        return runs.count

    return call
