"""A private Redis server of a test, and waiting for what a server does in its own time."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time

import pytest

import afresh


class Server:
    """A private Redis, gone with the test."""

    def __init__(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"]
        apart = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self.process = subprocess.Popen([*apart, *command], stdout=subprocess.DEVNULL)
        until(lambda: self.cli("PING") == "PONG")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def cli(self, *words: str) -> str:
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    def clients(self) -> int:
        """How many connections it has."""
        lines = self.cli("INFO", "clients").splitlines()
        return int(next(line for line in lines if line.startswith("connected_clients:")).split(":")[1])

    def looked(self) -> int:
        """How often an entry was looked up."""
        stats = self.cli("INFO", "commandstats").splitlines()
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in stats if "_mget:" in line)


def started() -> Server:
    """A server, or the test is skipped."""
    try:
        afresh.Client("redis://127.0.0.1:1").close()
    except afresh.UnsupportedError:
        pytest.skip("this build has no driver for redis:")
    if not shutil.which("redis-server"):
        assert os.environ.get("AFRESH_TEST_SERVERS") != "required"
        pytest.skip("no redis-server")
    return Server()


def until(holds, seconds: float = 60) -> None:
    """Waits until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)
