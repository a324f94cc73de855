"""Bad input: each is a precise error that names what is allowed, before anything runs."""

import pytest

import afresh
from afresh import TaskRef


def one():
    return 1


def same(x):
    return x


@pytest.mark.parametrize(
    ("address", "error", "names"),
    [
        ("sqlight:x", afresh.ConfigError, "sqlite:PATH"),
        ("https://host", afresh.UnsupportedError, "sqlite:PATH"),
        ("memory:x", afresh.ConfigError, "takes no path"),
        ("sqlite:", afresh.ConfigError, "sqlite:.afresh"),
        ("sqlite:x?sync=maybe", afresh.ConfigError, "sync=full"),
        (42, TypeError, "get, put, delete and keys"),
        (b"x", (TypeError, afresh.ConfigError), "store"),
    ],
)
def test_what_is_no_store_is_refused_at_once(address, error, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=names):
        afresh.Client(address)
    with pytest.raises(error, match=names):
        afresh.memo(one, store=address)


@pytest.mark.parametrize("text", ["5 fortnights", "", "-1", "1h-2m", "h", "nan", "inf", "1e400"])
def test_a_bad_duration_names_the_units(client, text):
    for option in ("_ttl", "_timeout"):
        with pytest.raises(afresh.ConfigError, match="ms, s, m, h, d, w"):
            client.submit(one, **{option: text})


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), True, [], object()])
def test_a_bad_duration_of_another_type(client, value):
    with pytest.raises(afresh.ConfigError, match="duration is not negative|give seconds"):
        client.submit(one, _ttl=value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("2h5m", 7500), ("1d 2h", 93600), ("250ms", 0.25)]
)
def test_durations_as_people_write_them(client, text, seconds):
    ref = client.submit(one, _ttl=text)
    assert client.show(ref.commit_hash).ttl == seconds


@pytest.mark.parametrize("size", ["5 parsecs", "", "-1MB", "MB", -1, True, 1.5])
def test_a_bad_size_names_the_units(client, size):
    with pytest.raises(afresh.ConfigError, match="200MB"):
        client.gc(max_size=size)
    with pytest.raises(afresh.ConfigError, match="200MB"):
        afresh.memo(one, store=client, max_bytes=size)


@pytest.mark.parametrize("tags", ["=x", "", "a\nb", {"": "x"}, {"a=b": "x"}, [1], {1: "x"}, 5, "k" * 300])
def test_a_bad_tag_says_what_a_tag_is(client, tags):
    with pytest.raises(afresh.ConfigError, match="tag|key has no"):
        client.submit(one, _tags=tags)
    with pytest.raises(afresh.ConfigError, match="tag|key has no"):
        client.log(tags=tags)
    assert client.log() == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("_retries", -1), ("_retries", 1.5), ("_retries", True), ("_cache", "no"), ("_force", 1), ("max_workers", 0)],
)
def test_other_bad_options_say_what_to_give(client, option, value):
    with pytest.raises(afresh.ConfigError, match="hint: give"):
        client.map(same, [1], **{option: value})


def test_unknown_settings_are_named(store):
    with pytest.raises(TypeError, match="no option 'tll'.*ttl"):
        afresh.memo(one, store=store, tll=3)
    with pytest.raises(afresh.ConfigError, match="a mode is 'code' or 'name'"):
        afresh.memo(one, store=store, mode="fast")
    with pytest.raises(afresh.ConfigError, match="the parameters are x"):
        afresh.memo(same, store=store, ignore="y")
    with pytest.raises(afresh.ConfigError, match="'pickle', 'safe-pickle', 'json'"):
        afresh.memo(one, store=store, codec="yaml")
    with pytest.raises(afresh.ConfigError, match="when is not callable"):
        afresh.memo(one, store=store, when=1)
    with pytest.raises(afresh.ConfigError, match="not callable"):
        afresh.memo(5, store=store)
    with pytest.raises(afresh.ConfigError, match="give one of them"):
        afresh.Client(store, store_dir=store)
    with pytest.raises(afresh.ConfigError, match="give one of them"):
        afresh.Client(store, codec="json", serializer="json")
    with pytest.raises(afresh.ConfigError, match="at least one character"):
        afresh.Client(store, secret="")


@pytest.mark.parametrize("hash", ["", "xyz", "g" * 12, "0" * 65, 5, None])
def test_what_is_no_hash(client, hash):
    for look in (client.show, client.get, client.history, client.rm):
        with pytest.raises(afresh.ConfigError, match="first (few hexadecimal )?digits"):
            look(hash)


def test_an_ambiguous_hash_lists_the_candidates(client):
    refs = client.map(same, range(40))
    by_first = {}
    for ref in refs:
        by_first.setdefault(ref.commit_hash[0], []).append(ref)
    first, several = max(by_first.items(), key=lambda item: len(item[1]))
    with pytest.raises(afresh.ConfigError, match="begins several hashes") as raised:
        client.show(first)
    assert isinstance(raised.value, ValueError)
    assert any(ref.short_hash in str(raised.value) for ref in several)


def test_a_bad_status_and_a_bad_limit(client):
    with pytest.raises(afresh.ConfigError, match="`completed` or `failed`"):
        client.log(status="done")
    for limit in (-1, "5", True):
        with pytest.raises(afresh.ConfigError, match="limit"):
            client.log(limit=limit)


@pytest.mark.parametrize(
    ("tasks", "error", "says"),
    [
        ([(same, (TaskRef(7),))], ValueError, "the tasks are 0 to 0"),
        ([(same, (TaskRef(-1),))], ValueError, "the tasks are 0 to 0"),
        ([(same, (TaskRef("0"),))], ValueError, "refers to task '0'"),
        ({"a": (same, (TaskRef("b"),))}, ValueError, "the tasks are 'a'"),
        ([(same, (TaskRef(0),))], ValueError, "refers to itself"),
        ([(same, ([{"x": TaskRef(1)}],)), (same, (TaskRef(0),))], ValueError, "wait for each other: 0, 1"),
        ([5], TypeError, r"f, \(f, args\) or \(f, args, kwargs\)"),
        ([(same, (1,), {}, 4)], TypeError, r"f, \(f, args\) or \(f, args, kwargs\)"),
        ([(same, 1)], TypeError, "arguments are int"),
        ([(same, (1,), [])], TypeError, "not a dict"),
    ],
)
def test_a_bad_graph_is_refused_before_anything_runs(client, runs, tasks, error, says):
    def ran():
        runs.mark()

    tasks = {**tasks, "ran": ran} if isinstance(tasks, dict) else tasks
    with pytest.raises(error, match=says):
        client.submit_many(tasks, max_workers=2)
    assert runs.count == 0 and client.log() == []


def test_only_tasks_behind_a_cycle_are_named(client):
    with pytest.raises(ValueError, match="wait for each other: 1, 2$"):
        client.submit_many([one, (same, (TaskRef(2),)), (same, (TaskRef(1),))])


def test_an_unpicklable_result_is_returned_and_the_commit_says_why_it_was_not_kept(client, said):
    def make():
        return lambda: 5

    with said:
        ref = client.submit(make)
    assert ref.load()() == 5 and ref.hash == "" and ref.size == 0
    commit = client.show(ref.commit_hash)
    assert commit.status == "completed" and commit.output is None
    assert "a function cannot be stored through the codec `pickle`" in commit.unkept
    assert len(said) == 1 and "it is returned and will be computed again" in said[0]


def test_what_is_not_callable_is_refused(client):
    with pytest.raises(TypeError, match="int is not callable"):
        client.submit(5)
    with pytest.raises(afresh.ConfigError, match="nothing is selected"):
        client.invalidate()


def test_a_file_that_is_no_archive_is_refused(client, tmp_path):
    (tmp_path / "x").write_bytes(b"no archive at all")
    with pytest.raises(afresh.ConfigError, match="not an afresh archive"):
        client.import_archive(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        client.import_archive(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        client.export(tmp_path / "no" / "folder")
