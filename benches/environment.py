"""The virtual environment of the benches: rivals at pinned versions and afresh as it is published.

    python benches/environment.py            # make or mend it, print its interpreter
    python benches/environment.py --rivals   # without building afresh

It lies in ``benches/.venv`` and is kept between runs; another ``requirements.txt`` or another Python makes it anew.
afresh is built in the profile ``dist`` and installed as a wheel, so the project's own environment, with its
unoptimised extension, is left alone.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "benches" / "requirements.txt"
VENV = ROOT / "benches" / ".venv"
WHEELS = ROOT / "target" / "bench-wheels"


def pins() -> dict[str, str]:
    """The pinned version of everything that is compared with."""
    lines = (line.strip() for line in REQUIREMENTS.read_text().splitlines())
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.partition("[")[0]: version for name, version in pairs}


def rivals() -> Path:
    """The interpreter of the environment, with the rivals in it."""
    python, stamp = VENV / "bin" / "python", VENV / "made-of.txt"
    wanted = f"# {sys.version}\n{REQUIREMENTS.read_text()}"
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Installing the rivals ...", file=sys.stderr, flush=True)
        venv.create(VENV, clear=True, with_pip=True)
        _pip(python, "install", "-r", str(REQUIREMENTS))
        stamp.write_text(wanted)
    return python


def published() -> Path:
    """The same, with afresh as it is now, built like a release."""
    python = rivals()
    print("Building afresh in the profile `dist` (some minutes when it changed) ...", file=sys.stderr, flush=True)
    build = [str(python.with_name("maturin")), "build", "--quiet", "--profile", "dist", "--out", str(WHEELS)]
    environment = {**os.environ, "PYO3_PYTHON": str(python)}
    subprocess.run([*build, "--interpreter", str(python)], cwd=ROOT, env=environment, check=True)
    wheel = max(WHEELS.glob("afresh-*.whl"), key=lambda path: path.stat().st_mtime_ns)
    stamp, digest = VENV / "afresh.txt", hashlib.sha256(wheel.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        _pip(python, "install", "--force-reinstall", "--no-deps", str(wheel))
        stamp.write_text(digest)
    return python


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    print(rivals() if "--rivals" in sys.argv[1:] else published())
