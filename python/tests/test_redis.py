"""The store on Redis from Python: shared by processes, answered from memory, and told at once of what others change."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from redis_server import Server, started, until

import afresh


@pytest.fixture
def server():
    server = started()
    server.url += "/?timeout=10"
    yield server
    server.kill()


def warm(function, server: Server, argument: int) -> int:
    """Calls until the answer comes from memory."""
    while True:
        before = server.looked()
        answer = function(argument)
        if server.looked() == before:
            return answer


OTHER = """
    import sys
    import afresh

    with afresh.Client(sys.argv[1]) as client:
        print(client.invalidate(tags=["t"]))
"""


def test_hits_come_from_memory_until_another_process_takes_them_back(server, runs, apart):
    @afresh.memo(store=server.url, tags=["t"])
    def double(x):
        runs.mark()
        return 2 * x

    assert double(4) == 8
    assert warm(double, server, 4) == 8
    before = server.looked()
    for _ in range(1000):
        assert double(4) == 8
    assert server.looked() == before and runs.count == 1
    assert apart(OTHER, server.url).strip() == "1"
    # It is told at the latest when the other process has ended, or moments after.
    time.sleep(0.05)
    assert double(4) == 8
    assert runs.count == 2
    warm(double, server, 4)
    server.cli("CLIENT", "KILL", "TYPE", "normal")
    until(lambda: apart(OTHER, server.url).strip() == "1")
    time.sleep(0.05)
    assert double(4) == 8
    assert runs.count == 3


def test_a_server_that_goes_away_costs_no_value(server, runs, said):
    @afresh.memo(store=server.url)
    def double(x):
        runs.mark()
        return 2 * x

    assert double(1) == 2
    warm(double, server, 1)
    server.kill()
    time.sleep(0.1)
    with said:
        assert double(1) == 2 and double(2) == 4
    assert runs.count == 3
    assert any("cannot be reached" in text for text in said), said
    server.start()

    def again() -> bool:
        """Whether the server is used again: an answer was found that nobody computed just now."""
        before = runs.count
        return double(3) == 6 and runs.count == before

    until(again)


def test_processes_share_answers(server, runs, apart):
    script = """
        import sys
        import afresh

        @afresh.memo(store=sys.argv[1])
        def double(x):
            open("runs", "a").write("x")
            return 2 * x

        print(double(21))
    """
    assert [apart(script, server.url).strip() for _ in range(3)] == ["42"] * 3
    assert runs.count == 1


def test_stats_tell_what_the_server_spends(server):
    with afresh.Client(server.url) as client:
        for number in range(20):
            client.submit(pow, number, 2)
        assert client.stats().disk_bytes > 20 * 500
        assert afresh.Client("memory:").stats().disk_bytes == 0
    command = [sys.executable, "-m", "afresh", "--store", server.url, "stats"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "\non server " in said and "on disk" not in said, said


def test_a_damaged_answer_is_computed_again_once(server, runs, said):
    @afresh.memo(store=f"{server.url}&track=no")
    def double(x):
        runs.mark()
        return 2 * x

    assert double(4) == double(4) == 8
    script = "for _, key in ipairs(redis.call('KEYS', '{afresh:1}:h:*')) do redis.call('SET', key, 'garbage') end"
    server.cli("EVAL", script, "0")
    with said:
        assert double(4) == double(4) == 8
    assert runs.count == 2
    assert sum("is damaged, set aside" in text for text in said) == 1, said
