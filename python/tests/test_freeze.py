"""``freeze``: data that is said never to change in place is not read again on each call."""

import types

import pytest

import afresh

TABLE = {"a": 1}
OTHER = [1, 2]
LIMIT = 3
config = types.ModuleType("config")
config.TABLE = [1]


def helper():
    return len(OTHER)


def price():
    return TABLE["a"] + helper() + LIMIT + config.TABLE[0]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    monkeypatch.setitem(globals(), "TABLE", {"a": 1})
    monkeypatch.setitem(globals(), "OTHER", [1, 2])
    monkeypatch.setattr(config, "TABLE", [1])
    monkeypatch.setitem(__import__("sys").modules, "config", config)


def remember(store, **settings):
    return afresh.memo(store=store, **settings)(price)


@pytest.mark.parametrize("freeze", ["TABLE", ("TABLE",), ["TABLE", "LIMIT", "config.TABLE"]])
def test_what_is_named_is_compared_by_pointer_only(store, freeze):
    found = remember(store, freeze=freeze)
    assert found() == 7
    TABLE["a"] = 10
    assert found() == 7  # the promise was broken
    globals()["TABLE"] = {"a": 20}
    assert found() == 26  # bound anew: seen
    OTHER.append(3)
    assert found() == 27  # not frozen


def test_a_variant_of_it_is_frozen_too(store):
    found = remember(store, freeze="TABLE")
    found()
    TABLE["a"] = 10
    assert found.with_options(tags="x")() == 16  # a definition of its own, digested as it is then
    assert found() == 7


def test_all_of_it(store):
    found = remember(store, freeze=True)
    assert found() == 7
    TABLE["a"] = 10
    OTHER.append(3)
    config.TABLE[0] = 5
    assert found() == 7
    config.TABLE = [5]
    assert found() == 10 + 3 + 3 + 5


def test_a_file_is_not_frozen_with_the_rest(store, tmp_path):
    path = tmp_path / "rates"
    path.write_text("1")
    file = afresh.File(path)

    @afresh.memo(store=store, freeze=True)
    def read():
        return open(file).read()

    assert read() == "1"
    path.write_text("2")
    assert read() == "2"


def test_the_answers_are_shared_with_the_function_that_is_not_frozen(store):
    remember(store)()
    assert remember(store, freeze=True).cached()


def test_a_name_that_is_not_there_is_an_error_that_lists_those_that_are(store):
    found = remember(store, freeze=("TABEL",))
    for ask in (found, found.why, found.cached, found.submit):
        with pytest.raises(afresh.ConfigError, match=r"`TABEL`.*`LIMIT`, `OTHER`, `TABLE`, `config.TABLE`"):
            ask()
    with pytest.raises(afresh.ConfigError, match="no data"):
        afresh.memo(store=store, freeze="x")(lambda: 1)()


def test_a_heavy_table_is_named_once(store, said):
    heavy = bytearray(40 << 20)
    light = bytearray(100)

    @afresh.memo(store=store)
    def total():
        return len(heavy) + len(light)

    @afresh.memo(store=store, freeze="heavy")
    def frozen():
        return len(heavy) + len(light)

    with said:
        frozen()
        assert not said
        total()
        total()
    assert len(said) == 1
    assert "`heavy` (40 MB) is read in full on each call" in said[0] and "freeze=('heavy',)" in said[0]
    assert " ms; " in said[0]


def test_the_weight_of_containers_is_about_right():
    from afresh.dependencies import weight

    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")
    array = np.zeros(1_000_000)
    assert weight(array) == 8_000_000
    assert 8_000_000 <= weight(pd.DataFrame({"a": array})) <= 8_001_000
    assert weight([b"x" * 1000] * 50_000) > 48_000_000
    assert weight({"a": array, "b": array}) > 15_000_000
    assert weight("x" * 10) == 10 and weight([]) < 100 and weight(object()) < 1000

    class Odd:
        @property
        def nbytes(self):
            raise RuntimeError

    assert weight(Odd()) > 0
