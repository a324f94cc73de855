"""A private PostgreSQL server of a test."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

import afresh

PROGRAMS = pathlib.Path("/usr/lib/postgresql")


class Postgres:
    """Gone with the test."""

    def __init__(self, programs: pathlib.Path) -> None:
        self.folder = tempfile.mkdtemp(prefix="afresh-pg-")
        # It refuses to run as root.
        other = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        apart = ["setpriv", *other, "--pdeathsig", "KILL"]
        if other:
            shutil.chown(self.folder, "postgres")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        made = [*apart, str(programs / "initdb"), "-D", f"{self.folder}/d", "-A", "trust", "-U", "me", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True)
        started = [*apart, str(programs / "postgres"), "-D", f"{self.folder}/d", "-p", str(port), "-k", self.folder]
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self.process = subprocess.Popen([*started, *options], stderr=subprocess.DEVNULL)
        self.url = f"postgresql://me@127.0.0.1:{port}/postgres?timeout=10"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def started() -> Postgres:
    """A server, or the test is skipped."""
    try:
        afresh.Client("postgresql://me@127.0.0.1:1/none").close()
    except afresh.UnsupportedError:
        pytest.skip("this build has no driver for postgresql:")
    programs = sorted(PROGRAMS.glob("*/bin"))
    if not programs:
        assert os.environ.get("AFRESH_TEST_SERVERS") != "required"
        pytest.skip("no postgresql")
    return Postgres(programs[-1])
