"""A real server and a real client: uvicorn in a process of its own, once with a store in memory and once with SQLite."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import afresh

PACKAGE = Path(afresh.__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session", params=["memory:", "sqlite"])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    port, log = free_port(), folder / "log"
    store = "memory:" if request.param == "memory:" else f"sqlite:{folder / 'store'}"
    path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
    with open(log, "w") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port), "--log-level", "warning"],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONPATH": path, "WEB_STORE": store},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/runs/x")
                break
            except httpx.TransportError:
                assert child.poll() is None, log.read_text()
                time.sleep(0.05)
        yield url
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server, timeout=30) as client:
        client.put("/say/one")
        yield client
