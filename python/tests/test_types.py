"""The stubs say what the built module has, and the package is typed throughout."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

import afresh

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


def test_the_stubs_fit_the_built_module(apart):
    done = apart.run("-m", "mypy.stubtest", "afresh._afresh", timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_users_write_is_typed(apart):
    apart.write(
        "use.py",
        """
        import afresh
        from afresh import Client, Commit, ResultRef, TaskRef

        @afresh.memo
        def double(x: int) -> int:
            return 2 * x

        @afresh.memo(ttl="3h", tags={"team": "a"}, retries=2)
        async def half(x: int) -> float:
            return x / 2

        client: Client = Client("memory:", max_workers=2)

        @client.task(ttl="1h")
        def task(x: int) -> int:
            return x

        class Thing:
            @afresh.memo
            def get(self, x: int) -> str:
                return str(x)

        ref: ResultRef = client.submit(double, 1, _tags=["a"])
        refs: list[ResultRef] = client.map(double, [1, 2])
        commits: list[Commit] = client.log(limit=5)
        client.submit_many([(double, (TaskRef(0),))])
        number: int = double(1) + double.refresh(1) + client.stats().hits + len(task(1).hash)
        text: str = Thing().get(1)

        async def main() -> float:
            return await half(1)

        double("x")  # wrong
        task("x")  # wrong
        afresh.memo(tll=1)  # wrong
        wrong: str = double(1)  # wrong
        """,
    )
    done = apart.run("-m", "mypy", "--strict", "--no-incremental", "use.py", timeout=280, check=False)
    found = [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line]
    lines = (apart.folder / "use.py").read_text().splitlines()
    assert found == [n for n, line in enumerate(lines, 1) if line.endswith("# wrong")], done.stdout


def test_the_package_says_that_it_is_typed():
    folder = pathlib.Path(afresh.__file__).parent
    assert (folder / "py.typed").is_file() and (folder / "_afresh.pyi").is_file()


def test_every_public_name_is_there_and_listed():
    for name in afresh.__all__:
        assert getattr(afresh, name) is not None
    assert set(afresh.__all__) <= set(dir(afresh))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        afresh.nothing  # noqa: B018


def test_importing_loads_nothing_heavy():
    path = str(pathlib.Path(afresh.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {path!r}); import afresh; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    heavy = "asyncio inspect typing dataclasses datetime json pickle concurrent.futures functools logging numpy ast re"
    assert "afresh.memo" in done.stdout.split()
    assert not {*heavy.split()} & {*done.stdout.split()}
