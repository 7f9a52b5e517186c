"""Where the point is a process: pipes, terminals, signals, closed streams."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import TOM, Start, environment, text_of
from ticketstub.server.local_plex import LocalPlex

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals, shells and terminals")
DEAD = "this-token-was-ended"
COMMAND = f"'{sys.executable}' -m ticketstub"


def shell(line: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell; `$TS` is the command."""
    return subprocess.run(
        ["sh", "-c", line.replace("$TS", COMMAND)],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@posix
def test_a_token_goes_from_pipe_to_pipe(here: list[str], tmp_path: Path) -> None:
    """A script signs in, keeps the token in a variable and uses it, without it ever being an argument."""
    line = "TICKETSTUB_TOKEN=$($TS login --password --print-token) && export TICKETSTUB_TOKEN && $TS whoami --json"
    piped = f"printf 'tom\\n{text_of(TOM.password)}\\n' | ( {line} )"
    done = shell(piped, tmp_path, TICKETSTUB_PLEX_TV=here[1])
    assert (0, "") == (done.returncode, done.stderr)
    assert '"username": "tom"' in done.stdout


@posix
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$TS whoami >&- 2>&-", 0),
        ("$TS demo <&- >&- 2>&-", 0),
        ("unset TICKETSTUB_TOKEN; $TS whoami <&-", 2),
    ],
)
def test_closed_streams_are_no_reason_to_stumble(local: LocalPlex, tmp_path: Path, line: str, code: int) -> None:
    """With a reader that leaves, or a stream that was never open, it ends with its code and without a traceback."""
    done = shell(line, tmp_path, TICKETSTUB_TOKEN=text_of(TOM.token), TICKETSTUB_PLEX_TV=local.url)
    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@posix
def test_nobody_reads(tmp_path: Path) -> None:
    """Where the reader has left before anything was written, the exit code says so."""
    reading, writing = os.pipe()
    os.close(reading)
    popen = subprocess.run(
        [sys.executable, "-m", "ticketstub", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
        check=False,
    )
    os.close(writing)
    assert (141, b"") == (popen.returncode, popen.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """Where the output cannot be written, that is the failure: exit code 1 and a sentence."""
    done = shell("$TS --help >/dev/full", tmp_path)
    assert (1, "error: reading or writing: No space left on device") == (done.returncode, done.stderr.strip())


@posix
def test_ctrl_c_ends_a_hanging_call_at_once(start: Start) -> None:
    """While a server says nothing, Ctrl-C ends the command within a second, with 130 and without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        asking = start("ping", "--plex-tv", url, env={"TICKETSTUB_TOKEN": DEAD})
        silent.settimeout(10)
        connection, _ = silent.accept()
        connection.recv(10)
        began = time.monotonic()
        assert 130 == asking.end(signal.SIGINT, within=1.0)
        assert time.monotonic() - began < 1.0
        connection.close()
    assert asking.popen.stderr
    assert "" == asking.popen.stderr.read()


@posix
def test_on_a_terminal_the_password_has_no_echo(local: LocalPlex, tmp_path: Path) -> None:
    """A person is asked for login and password; what they type as the password appears nowhere."""
    import pty  # POSIX only

    child, terminal = pty.fork()
    if child == 0:  # the command, with a terminal of its own
        arguments = ["-m", "ticketstub", "login", "--password", "--storage", "file", "--plex-tv", local.url]
        os.execve(sys.executable, [sys.executable, *arguments], environment(tmp_path, TERM="xterm"))  # noqa: S606  # its own
    shown = _converse(terminal, [("e-mail: ", "tom"), ("Password: ", text_of(TOM.password))])
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    assert "Signed in as tom" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert text_of(TOM.password) not in shown
    assert "\x1b[" in shown  # colours, for a person


def _converse(terminal: int, answers: list[tuple[str, str]]) -> str:
    """Answer each question when it appears, and return everything that was shown."""
    shown, waiting = "", list(answers)
    while True:
        try:
            text = os.read(terminal, 4096).decode()
        except OSError:  # the other end is closed: Linux's way to say that all was read
            return shown
        if not text:
            return shown
        shown += text
        if waiting and shown.endswith(waiting[0][0]):
            os.write(terminal, f"{waiting.pop(0)[1]}\n".encode())
