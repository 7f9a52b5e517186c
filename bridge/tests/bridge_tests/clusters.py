"""A PostgreSQL server of a test's own, from the machine's packages."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/bin", "/usr/bin")


def find_postgresql() -> Path | None:
    """Return the folder of PostgreSQL's programs."""
    for pattern in _PLACES:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
                return folder
    return None


class Cluster:
    """A running PostgreSQL server, which a test may stop and start."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs = programs
        self._folder = folder
        self.port = port
        # It refuses to run as root, as which tests run in containers.
        self._user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self._count = 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        result = subprocess.run(
            command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", **self._user
        )
        assert 0 == result.returncode, result.stderr

    def create(self) -> None:
        self._run("initdb", "-D", str(self._folder / "data"), "-U", "bridge", "--auth=trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-t", "60", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-t", "60", "-m", mode, "stop")

    def create_database(self) -> str:
        """Return the address of a new, empty database."""
        self._count += 1
        name = f"bridge{self._count}_{time.time_ns()}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bridge", name)
        return f"postgresql://bridge@127.0.0.1:{self.port}/{name}"


@contextmanager
def run_cluster() -> Iterator[Cluster]:
    """Run a PostgreSQL server; the test is skipped where there is none, and fails in CI."""
    programs = find_postgresql()
    if programs is None:
        message = "needs PostgreSQL: apt install postgresql"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    folder = Path(tempfile.mkdtemp(prefix="bridge-postgresql-"))
    folder.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cluster = Cluster(programs, folder, port)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
