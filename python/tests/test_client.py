"""`afresh.Client`: submitting, chaining, and looking back."""

import datetime
import os
import time

import pytest

import afresh
from afresh import TaskRef


def double(x):
    return 2 * x


def add(a, b=0):
    return a + b


def total(values):
    return sum(values)


def fails(x):
    raise ValueError(f"cannot do {x}")


# -- submit ----------------------------------------------------------------------------------------


def test_a_reference_names_and_loads_the_result(client):
    ref = client.submit(double, 21)
    assert ref.load() == 42
    assert len(ref.hash) == len(ref.commit_hash) == 64
    assert ref.short_hash == ref.commit_hash[:12]
    assert ref.size > 0
    again = client.submit(double, x=21)
    assert (again.hash, again.commit_hash) == (ref.hash, ref.commit_hash)


def test_every_load_is_a_value_of_its_own(client):
    ref = client.submit(list, (1, 2))
    ref.load().append(3)
    assert ref.load() == [1, 2]


def test_a_reference_as_argument_is_its_value_and_an_input(client):
    first = client.submit(double, 1)
    second = client.submit(add, first, b=first)
    assert second.load() == 4
    commit = client.show(second.commit_hash)
    assert commit.inputs == (first.commit_hash,)
    assert commit.arguments[0].source == first.commit_hash


def test_a_reference_and_its_value_are_the_same_argument(client, runs):
    def work(x):
        runs.mark()
        return x

    client.submit(work, client.submit(double, 1))
    client.submit(work, 2)
    assert runs.count == 1


@pytest.mark.parametrize("nest", [lambda r: [r, r], lambda r: (r, r), lambda r: {"a": r, "b": [r]}])
def test_nested_references_are_values_and_inputs(client, nest):
    def flat(value):
        if isinstance(value, dict):
            value = [value["a"], *value["b"]]
        return sum(value)

    ref = client.submit(double, 5)
    chained = client.submit(flat, nest(ref))
    assert chained.load() == 20
    assert client.show(chained.commit_hash).inputs == (ref.commit_hash,)


def test_a_reference_to_a_result_that_could_not_be_kept_still_chains(client, said):
    def lock():
        return (n for n in range(3))

    with said:
        ref = client.submit(lock)
        assert ref.hash == "" and client.submit(list, ref).load() == [0, 1, 2]


def test_a_failure_is_a_task_error_with_the_original_traceback(client):
    with pytest.raises(afresh.TaskError) as raised:
        client.submit(fails, 7)
    error = raised.value
    assert "ValueError: cannot do 7" in str(error) and "in fails" in str(error)
    assert isinstance(error, RuntimeError) and isinstance(error.__cause__, ValueError)
    commit = client.show(error.commit_hash)
    assert commit.status == "failed" and commit.error == "ValueError: cannot do 7"
    assert "in fails" in commit.traceback


def test_the_commit_of_a_failure_is_that_of_the_outer_call(client, store):
    inner = afresh.memo(fails, store=store)

    def outer():
        return inner(1)

    with pytest.raises(afresh.TaskError) as raised:
        client.submit(outer)
    assert client.show(raised.value.commit_hash).function.endswith("outer")


def test_an_error_of_afresh_from_the_function_is_the_functions_failure(client):
    def asks():
        raise afresh.ConfigError("mine")

    with pytest.raises(afresh.TaskError, match="mine"):
        client.submit(asks)


def test_a_message_that_is_no_utf8_is_recorded_too(client):
    def odd():
        raise ValueError("\ud800")

    with pytest.raises(afresh.TaskError) as raised:
        client.submit(odd)
    assert client.show(raised.value.commit_hash).error == "ValueError: \\ud800"


def test_arguments_that_do_not_fit_fail_as_the_function_does(client):
    with pytest.raises(afresh.TaskError, match="positional argument"):
        client.submit(double)


def test_equal_callables_are_not_taken_for_each_other(client):
    class Add:
        def __init__(self, n):
            self.n = n

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 1

        def __call__(self, x):
            return x + self.n

    assert client.submit(Add(1), 1).load() == 2
    assert client.submit(Add(2), 1).load() == 3


def test_bound_methods_of_equal_objects_are_not_taken_for_each_other(client):
    class Box(list):
        def __init__(self, n):
            self.n = n

        def get(self):
            return self.n

    assert client.submit(Box(1).get).load() == 1
    assert client.submit(Box(2).get).load() == 2


def test_coroutine_functions_are_not_submitted(client):
    async def later():
        return 1

    with pytest.raises(TypeError, match="await"):
        client.submit(later)


def test_cache_false_runs_always_and_leaves_the_answer_alone(client, runs):
    def count():
        runs.mark()
        return runs.count

    assert client.submit(count).load() == 1
    bypass = client.submit(count, _cache=False)
    assert bypass.load() == 2
    assert client.submit(count).load() == 1
    assert len(client.history(bypass.commit_hash)) == 2


def test_force_runs_and_becomes_the_answer(client, runs):
    def count():
        runs.mark()
        return runs.count

    first = client.submit(count)
    second = client.submit(count, _force=True)
    assert client.submit(count).load() == second.load() == 2
    assert client.show(second.commit_hash).parent == first.commit_hash


def test_options_of_a_call(client, runs):
    def shaky():
        runs.mark()
        if runs.count < 2:
            raise OSError("again")
        return 1

    ref = client.submit(shaky, _retries=1, _tags={"team": "a", "draft": None}, _ttl="1h", _timeout=30)
    commit = client.show(ref.commit_hash)
    assert commit.tags == {"team": "a", "draft": None}
    assert commit.ttl == 3600


def test_a_ttl_of_the_call(client, runs):
    def count():
        runs.mark()
        return runs.count

    client.submit(count)
    assert client.submit(count, _ttl=0).load() == 2
    assert client.submit(count, _ttl="1d").load() == 2


def test_an_expired_answer_is_computed_again(client, runs):
    def count():
        runs.mark()
        return runs.count

    client.submit(count, _ttl=0.01)
    time.sleep(0.02)
    assert client.submit(count).load() == 2


# -- submit_many and map -----------------------------------------------------------------------------


def test_a_list_of_tasks_with_references_by_index(client):
    refs = client.submit_many([
        (add, (TaskRef(1), TaskRef(2))),
        (double, (1,)),
        (double, (10,)),
        (add, (TaskRef(0),), {"b": TaskRef(1)}),
    ])  # fmt: skip
    assert [ref.load() for ref in refs] == [22, 2, 20, 24]
    assert client.show(refs[0].commit_hash).inputs == tuple(sorted(r.commit_hash for r in refs[1:3]))


def test_a_dict_of_tasks_with_nested_references_by_key(client):
    refs = client.submit_many({
        "sum": (total, ([TaskRef("a"), TaskRef("b"), 1],)),
        "a": (double, (1,)),
        "b": (double, (2,)),
    })  # fmt: skip
    assert {key: ref.load() for key, ref in refs.items()} == {"sum": 7, "a": 2, "b": 4}
    assert list(refs) == ["sum", "a", "b"]


def test_nothing_to_do_is_nothing(client):
    assert client.submit_many([]) == [] and client.submit_many({}) == {} and client.map(double, []) == []


def test_tasks_run_side_by_side(client):
    import threading

    barrier = threading.Barrier(3)

    def meet(n):
        barrier.wait(30)
        return n

    assert [r.load() for r in client.submit_many([(meet, (n,)) for n in range(3)], max_workers=3)] == [0, 1, 2]


def test_a_failing_task_stops_what_has_not_begun(client, runs):
    def after(x):
        runs.mark()

    with pytest.raises(afresh.TaskError, match="cannot do 1"):
        client.submit_many([(fails, (1,)), (after, (TaskRef(0),))], max_workers=2)
    assert runs.count == 0


def test_ten_thousand_tasks_take_no_quadratic_time(client):
    started = time.process_time()
    tasks = {0: (int, (1,))}
    tasks.update({n: (_unkept, (TaskRef(n - 1),)) for n in range(1, 500)})
    assert client.submit_many(tasks, max_workers=2)[499].load() == 500
    assert time.process_time() - started < 20


def _unkept(x):
    return x + 1


def test_map_keeps_the_order_and_shares_arguments(client):
    assert [r.load() for r in client.map(add, [1, 2, 3], 10, max_workers=3)] == [11, 12, 13]
    assert [r.load() for r in client.map(add, range(3), b=5)] == [5, 6, 7]


def test_map_shows_progress_only_on_a_terminal(client, capsys):
    client.map(double, range(5))
    assert capsys.readouterr().err == ""


def test_map_draws_a_bar_on_a_terminal(apart):
    pty = pytest.importorskip("pty")
    script = apart.write(
        "slow.py",
        """
        import afresh, time
        def slow(x):
            time.sleep(0.15)
            return x
        afresh.Client("store").map(slow, range(6), max_workers=1)
        """,
    )
    ours, theirs = pty.openpty()
    child = apart.start(str(script), stderr=theirs, stdout=None)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # the other side is closed
    os.close(ours)
    assert child.wait(30) == 0
    assert b"slow [#" in shown and b"/6" in shown and shown.endswith(b"\r\x1b[K")


# -- task ------------------------------------------------------------------------------------------


def test_the_task_decorator_bare_and_called(client, runs):
    @client.task
    def plain(x):
        """Doc."""
        return x

    @client.task(tags={"team": "a"}, ttl="1h", name="renamed")
    def tagged(x):
        runs.mark()
        return x

    assert plain(1).load() == 1 and plain.__name__ == "plain" and plain.__doc__ == "Doc."
    ref = tagged(2)
    commit = client.show(ref.commit_hash)
    assert (commit.tags, commit.ttl, commit.function) == ({"team": "a"}, 3600, "renamed")
    assert client.submit(tagged, 2).commit_hash == ref.commit_hash
    assert runs.count == 1


def test_options_of_the_call_beat_those_of_the_task(client, runs):
    @client.task(cache=False, tags={"a": "1", "b": "1"})
    def work():
        runs.mark()

    ref = client.submit(work, _cache=True, _tags={"b": "2"})
    client.submit(work, _cache=True)
    assert runs.count == 1
    assert client.show(ref.commit_hash).tags == {"a": "1", "b": "2"}


def test_a_task_of_another_client_runs_on_this_one(client, tmp_path):
    other = afresh.Client(str(tmp_path / "other"))
    task = other.task(tags={"team": "a"})(double)
    ref = client.submit(task, 1)
    assert other.log() == [] and client.show(ref.commit_hash).tags == {"team": "a"}


def test_a_remembered_function_keeps_its_settings_when_submitted(client, store, runs):
    @afresh.memo(store=store, version="7", ignore=("log",), tags=["kept"])
    def work(x, log=None):
        runs.mark()
        return x

    work(1)
    ref = client.submit(work, 1, log="other")
    assert runs.count == 1
    assert client.show(ref.commit_hash).tags == {"kept": None}


def test_a_task_as_a_method(client):
    class Scale:
        factor = 3

        @client.task
        def apply(self, x):
            return x * self.factor

    assert Scale().apply(2).load() == 6


def test_client_memo_is_memo_on_the_clients_store(client):
    @client.memo(tags=["m"])
    def work(x):
        return x

    assert work(1) == 1
    assert client.log()[0].tags == {"m": None}


# -- looking back ------------------------------------------------------------------------------------


def test_the_log_is_newest_first_and_filters(client):
    client.submit(double, 1, _tags={"team": "a"})
    client.submit(add, 1, _tags={"team": "b", "draft": None})
    with pytest.raises(afresh.TaskError):
        client.submit(fails, 1)
    names = [c.function.rpartition(".")[2] for c in client.log()]
    assert names == ["fails", "add", "double"]
    (by_part,) = client.log("double")
    assert client.log(by_part.function) == [by_part]
    assert len(client.log(status="failed")) == 1 and len(client.log(status="completed")) == 2
    assert len(client.log(tags={"team": "a"})) == 1
    assert len(client.log(tags="team")) == len(client.log(tags={"team": None})) == 2
    assert len(client.log(tags={"team": "b", "draft": None})) == 1
    assert len(client.log(limit=2)) == 2 and client.log(limit=0) == []
    assert len(client.log(limit=None)) == 3
    assert client.log("no_such") == [] and client.log("ouble") == []
    assert client.log(since="1h") and client.log(since=0) == []


def test_a_commit_tells_what_happened(client):
    before = datetime.datetime.now(datetime.timezone.utc)
    ref = client.submit(add, 1, b=[1, 2] and 2)
    commit = client.show(ref.commit_hash[:10])
    assert commit.hash == ref.commit_hash and commit.status == "completed"
    assert [(a.name, a.preview) for a in commit.arguments] == [("a", "1"), ("b", "2")]
    assert abs((commit.created_at - before).total_seconds()) < 60
    assert commit.output.hash == ref.hash and commit.output.codec == "pickle" and commit.output.size == ref.size
    assert commit.took >= 0 and commit.pid and commit.summary()["short_hash"] == commit.short_hash
    assert client.show(ref) == commit
    assert client.show("0" * 64) is None


def test_secrets_are_not_shown(client):
    def log_in(password, options):
        return 1

    ref = client.submit(log_in, "hunter2", {"api_key": "hunter2"})
    assert "hunter2" not in repr(client.show(ref.commit_hash).arguments)


def test_get_is_the_value_or_a_key_error(client):
    ref = client.submit(double, 4)
    assert client.get(ref.short_hash) == client.get(ref) == 8
    with pytest.raises(KeyError):
        client.get("0" * 64)
    with pytest.raises(afresh.TaskError) as raised:
        client.submit(fails, 1)
    with pytest.raises(KeyError):
        client.get(raised.value.commit_hash)


def test_history_is_all_runs_of_one_call_oldest_first(client):
    refs = [client.submit(double, 1, _force=True) for _ in range(3)]
    client.submit(double, 2)
    assert [c.hash for c in client.history(refs[2].commit_hash)] == [r.commit_hash for r in refs]
    assert client.history("0" * 64) == []


def test_diff_names_what_differs(client):
    one, two = client.submit(add, 1, b=5), client.submit(add, 2, b=5)
    found = client.diff(one.commit_hash, two.commit_hash)
    assert found["arguments"] == {"a": ("1", "2")}
    assert found["output_changed"] is True and found["function_changed"] is False and found["source_diff"] == ""
    with pytest.raises(KeyError):
        client.diff(one.commit_hash, "0" * 64)


def test_diff_shows_the_source_that_changed(client, apart):
    hashes = []
    for body in ("x + 1", "x + 2"):
        out = apart(
            f"""
            import afresh
            def step(x):
                return {body}
            print(afresh.Client("store").submit(step, 1).commit_hash)
            """
        )
        hashes.append(out.strip())
    found = client.diff(*hashes)
    assert found["function_changed"] and found["arguments"] == {}
    assert "-    return x + 1" in found["source_diff"] and "+    return x + 2" in found["source_diff"]


# -- tidying -----------------------------------------------------------------------------------------


def test_rm_forgets_one_commit(client, runs):
    def count():
        runs.mark()

    ref = client.submit(count)
    assert client.rm(ref.short_hash) and not client.rm(ref.commit_hash)
    assert client.show(ref.commit_hash) is None
    client.submit(count)
    assert runs.count == 2


def test_invalidate_by_tag_and_by_function(client, runs):
    def count(n):
        runs.mark()

    client.submit(count, 1, _tags={"team": "a"}), client.submit(count, 2, _tags={"team": "b"}), client.submit(double, 1)
    assert client.invalidate({"team": "a"}) == 1
    client.submit(count, 1), client.submit(count, 2)
    assert runs.count == 3
    assert client.invalidate(func_name="count") == 2
    assert client.invalidate("no-such-tag") == 0
    assert len(client.log("count")) == 3


def test_gc_takes_the_expired_the_old_and_the_least_used(client):
    kept = client.submit(double, 1)
    client.submit(double, 2, _ttl=0.001)
    time.sleep(0.01)
    assert client.gc(dry_run=True) == 1 and len(client.log()) == 2
    assert client.gc() == 1 and [c.hash for c in client.log()] == [kept.commit_hash]
    assert client.gc("1h") == 0
    large = client.submit(os.urandom, 1_000_000)
    small = client.submit(bytes, 10)
    assert client.gc(max_size="900KB") >= 1
    assert client.get(small) == bytes(10) and client.show(large.commit_hash) is None
    assert client.gc(0) >= 1 and client.log() == []


def test_clear_forgets_everything(client):
    client.submit(double, 1), client.submit(double, 2)
    assert client.clear() == 2
    stats = client.stats()
    assert client.log() == [] and (stats.commits, stats.answers, stats.inline_objects) == (0, 0, 0)


def test_stats_add_up(client):
    client.submit(double, 1)
    for _ in range(3):
        client.submit(double, 1)
    with pytest.raises(afresh.TaskError):
        client.submit(fails, 1)
    client.submit(bytes, 1_000_000)
    stats = client.stats()
    assert (stats.commits, stats.completed, stats.failed, stats.answers, stats.hits) == (3, 2, 1, 2, 3)
    assert stats.saved >= 0 and stats.disk_bytes > 0
    assert stats.inline_objects + stats.file_objects >= 2


def test_a_sound_store_verifies(client):
    client.map(double, range(10))
    assert client.verify() == [] and client.verify(repair=True) == []


def test_export_and_import(client, tmp_path, runs):
    def count(n):
        runs.mark()
        return "x" * n

    first = client.submit(count, 10, _tags=["kept"])
    client.submit(count, 300_000)
    with pytest.raises(afresh.TaskError):
        client.submit(fails, 1)
    archive = tmp_path / "all.afresh"
    assert client.export(archive) == 3
    other = afresh.Client(str(tmp_path / "other"))
    assert other.import_archive(archive) == 3 and other.import_archive(archive) == 0
    assert other.show(first.commit_hash) == client.show(first.commit_hash)
    assert len(other.submit(count, 300_000).load()) == 300_000 and runs.count == 2
    assert other.verify() == []


def test_a_cut_archive_is_refused_or_taken_in_part_but_never_wrong(client, tmp_path):
    client.map(double, range(20))
    archive = tmp_path / "all.afresh"
    client.export(archive)
    data = archive.read_bytes()
    for size in (0, 5, len(data) // 2, len(data) - 1):
        archive.write_bytes(data[:size])
        other = afresh.Client(str(tmp_path / f"other{size}"))
        with pytest.raises(afresh.AfreshError):
            other.import_archive(archive)
        assert other.verify() == []


def test_a_reference_whose_result_is_gone_is_computed_again(client, said):
    ref = client.submit(double, 3)
    client.clear()
    with said:
        assert ref.load() == 6
    assert len(said) == 1 and "computed again" in said[0]


def test_closing_is_not_the_end(store):
    with afresh.Client(store) as client:
        ref = client.submit(double, 1)
    assert ref.load() == 2 and client.submit(double, 1).commit_hash == ref.commit_hash


def test_many_clients_leave_no_files_open(tmp_path):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    before = len(os.listdir("/proc/self/fd"))
    for n in range(20):
        with afresh.Client(str(tmp_path / str(n))) as client:
            client.submit(double, n)
    # The lock file of each store may stay open.
    assert len(os.listdir("/proc/self/fd")) - before <= 25


def test_clients_of_one_address_share_the_store(store, runs):
    def count():
        runs.mark()

    afresh.Client(store).submit(count)
    afresh.Client(store_dir=store).submit(count)
    afresh.Client(f"sqlite:{store}").submit(count)
    assert runs.count == 1
