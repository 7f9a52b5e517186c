"""The lock of a database, and the error for other processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from ticketstub.local_plex.storage.base import StoreError
from ticketstub.local_plex.storage.sqlite_file import DatabaseInUse, lock_database

HOLDER = """
import sys
from pathlib import Path
from ticketstub.local_plex.storage.sqlite_file import lock_database
with lock_database(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "plex.db"


@pytest.fixture(name="holder")
def _holder(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "held\n" == process.stdout.readline()
        yield process
        process.kill()


def test_one_at_a_time(path, holder):
    """While a process holds a database, another one is refused with its pid; when it is killed, the lock is free."""
    with (
        pytest.raises(DatabaseInUse, match=f"plex.db is in use by process {holder.pid}:") as caught,
        lock_database(path),
    ):
        pass
    assert holder.pid == caught.value.pid
    holder.kill()
    holder.wait(60)
    with lock_database(path):
        assert f" {os.getpid()} {socket.gethostname()}" == path.with_name("plex.db.lock").read_text("utf-8")


def test_within_one_process(path):
    """Two local Plexes in one process cannot share a database, and the second can use it afterwards."""
    for _ in range(2):
        with lock_database(path), pytest.raises(DatabaseInUse) as caught, lock_database(path):
            pass
        assert os.getpid() == caught.value.pid


@pytest.mark.parametrize(
    "said", ["", " 999999999 {host}", " -1 {host}", " nonsense", " 99999999999999999999999 {host}"]
)
def test_a_stale_pid_is_not_told(path, said):
    """The pid in a lock file is not reported if no such process exists."""
    with lock_database(path):
        path.with_name("plex.db.lock").write_text(said.format(host=socket.gethostname()), "utf-8")
        with pytest.raises(DatabaseInUse, match="in use by another process:") as caught, lock_database(path):
            pass
    assert caught.value.pid is None


def test_a_holder_elsewhere(path):
    """A holder in another container is reported with its host, without control characters."""
    with lock_database(path):
        path.with_name("plex.db.lock").write_text(" 7 box\x1b[2J-1", "utf-8")
        with pytest.raises(DatabaseInUse, match=r"process 7 on box\[2J-1:"), lock_database(path):
            pass


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes, and links need rights")
def test_the_lock_file(path, tmp_path):
    """Only its owner can read the lock file; a link in its place is not followed."""
    with lock_database(path):
        assert 0o600 == path.with_name("plex.db.lock").stat().st_mode & 0o777
    (tmp_path / "other.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be locked"), lock_database(tmp_path / "other.db"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_no_folder_is_made(tmp_path):
    """A database in a missing folder is refused, and the folder is not created."""
    with pytest.raises(StoreError, match="no folder"), lock_database(tmp_path / "nowhere" / "plex.db"):
        pass
    assert [] == list(tmp_path.iterdir())
