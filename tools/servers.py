"""Installs the servers that tests of stores need, from Debian's packages, where they are missing.

None of them is started here: tests start private ones, on free ports of the loopback, in temporary folders. What
cannot be installed (another system, no rights) is said once; its tests then say that they were skipped.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# What PyPI brings goes where the build goes.
BUILT = Path(__file__).parent.parent / "target" / "servers"

# What to look for, and the package that brings it.
SERVERS = {
    "redis": (["redis-server"], "redis-server"),
    "postgresql": (["/usr/lib/postgresql/*/bin/postgres"], "postgresql"),
    "mariadb": (["mariadbd", "/usr/sbin/mariadbd"], "mariadb-server"),
}


def found(names: list[str]) -> bool:
    """Whether one of these programs is there."""
    return any(list(Path("/").glob(name[1:])) if name[0] == "/" else shutil.which(name) for name in names)


def install(packages: list[str]) -> None:
    """Installs packages without letting any of them start a server or make a database."""
    with tempfile.TemporaryDirectory() as folder:
        # Debian's packages ask this program whether they may start what they bring.
        policy = Path("/usr/sbin/policy-rc.d")
        created = not policy.exists()
        clusters = Path("/etc/postgresql-common/createcluster.conf")
        if created:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        if not clusters.exists():
            clusters.parent.mkdir(parents=True, exist_ok=True)
            clusters.write_text("create_main_cluster = false\n")
        try:
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            log = Path(folder) / "log"
            with log.open("wb") as out:
                for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
                    if subprocess.run(command, stdout=out, stderr=out, env=environment).returncode:
                        print(log.read_text(errors="replace")[-2000:], file=sys.stderr)
                        print(f"could not install {' '.join(packages)}", file=sys.stderr)
                        return
        finally:
            if created:
                policy.unlink()


def moto() -> None:
    """Makes a virtual environment with moto, which speaks S3, where there is none."""
    home = BUILT / "moto"
    if (home / "bin" / "moto_server").exists():
        return
    print("Installing moto for the tests of stores ...")
    pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", home], [*pip, "moto[server]==5.2.5"]):
        if subprocess.run(command).returncode:
            print("could not install moto", file=sys.stderr)
            return


# FerretDB looks and writes in two steps, between which others come; MongoDB changes a document in one.
SERIAL = (
    "\t\treturn cmd.Handler(connCtx, msg)\n",
    """\t\tswitch command {
\t\tcase "delete", "findAndModify", "insert", "update":
\t\t\tone.Lock()
\t\t\tdefer one.Unlock()
\t\t}
\t\treturn cmd.Handler(connCtx, msg)
""",
)


def ferretdb() -> None:
    """Builds FerretDB, which speaks MongoDB's protocol over SQLite, where there is neither it nor MongoDB."""
    if shutil.which("mongod") or (BUILT / "ferretdb-serial").exists():
        return
    if not shutil.which("go"):
        print("not here, and not to be built without Go: ferretdb", file=sys.stderr)
        return
    BUILT.mkdir(parents=True, exist_ok=True)
    print("Building FerretDB for the tests of stores ...")
    environment = {**os.environ, "GOFLAGS": "-mod=mod"}
    module = "github.com/FerretDB/FerretDB@v1.24.2"
    found = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, cwd="/")
    if found.returncode:
        print("could not fetch ferretdb", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        # A copy, because what is released lacks one generated file.
        source = Path(folder) / "source"
        shutil.copytree(json.loads(found.stdout)["Dir"], source, copy_function=shutil.copyfile)
        for place in [source, *source.rglob("*/")]:
            place.chmod(0o755)
        (source / "build" / "version" / "version.txt").write_text("v1.24.2\n")
        file = source / "internal" / "clientconn" / "conn.go"
        text = file.read_text()
        if text.count(SERIAL[0]) != 1:
            print("FerretDB is not as it was known: not built", file=sys.stderr)
            return
        file.chmod(0o644)
        file.write_text(text.replace(*SERIAL))
        file.with_name("one.go").write_text('package clientconn\n\nimport "sync"\n\nvar one sync.Mutex\n')
        command = ["go", "build", "-o", str(BUILT / "ferretdb-serial"), "./cmd/ferretdb"]
        if subprocess.run(command, cwd=source, env=environment).returncode:
            print("could not build ferretdb", file=sys.stderr)


def main() -> int:
    """Installs what is missing of the named servers, or of all."""
    wanted = sys.argv[1:] or [*SERVERS, "s3", "mongodb"]
    if "s3" in wanted:
        moto()
    if "mongodb" in wanted:
        ferretdb()
    missing = [SERVERS[name][1] for name in wanted if name in SERVERS and not found(SERVERS[name][0])]
    if missing:
        if shutil.which("apt-get") and os.geteuid() == 0:
            print(f"Installing {', '.join(missing)} for the tests of stores ...")
            install(missing)
        else:
            print(f"not here, and not to be installed: {', '.join(missing)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
