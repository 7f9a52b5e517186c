"""`ticketstub run` as a process: the program's streams, signals and exit code, its environment, and leftovers."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import SECRETS, TOM, Command, Process, Start, assert_no_secret, text_of
from ticketstub.cli.logs import RunLog
from ticketstub.local_plex.intercept.proxy import ConnectionEvent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells and signals")

ASKING = """
import os, sys, urllib.request, urllib.error
headers = {"X-Plex-Token": sys.argv[2], "X-Plex-Client-Identifier": "here"}
try:
    print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers), timeout=60).read().decode())
except OSError as error:
    print(type(error).__name__, error)
"""
SHOWING = """
import os, pathlib
folder = pathlib.Path(os.environ["TICKETSTUB_CA"]).parent
for path in folder.iterdir():
    print(path.name, path.read_bytes())
print(oct(folder.stat().st_mode))
"""
PYTHON = sys.executable


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder for runtime files, as a login session has one."""
    folder = tmp_path / "runtime"
    folder.mkdir(0o700)
    return folder


@pytest.mark.parametrize("code", [0, 3, 130])
def test_the_exit_code_is_the_program_s_own(process: Command, runtime: Path, code: int) -> None:
    ran = process(
        "run", "--", "sh", "-c", f"echo out; echo err >&2; exit {code}", env={"XDG_RUNTIME_DIR": str(runtime)}
    )
    assert (code, "out\n", "err\n") == (ran.code, ran.out, ran.err)
    assert [] == list(runtime.iterdir())


def test_a_signal_that_ends_it_is_told_as_shells_do(process: Command) -> None:
    assert 128 + signal.SIGKILL == process("run", "--", "sh", "-c", "kill -9 $$").code


@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), (__file__, 126)])
def test_a_program_that_cannot_be_run(process: Command, program: str, code: int) -> None:
    """127 if it is missing, 126 if it cannot be executed, with a message."""
    ran = process("run", "--", program)
    assert (code, "") == (ran.code, ran.out)
    assert re.fullmatch(r"error: \S+(: no such program| cannot be run: .*)\n", ran.err)


def test_a_faulty_world_is_said_before_anything_starts(process: Command, tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text("[[account]]\n")
    ran = process("run", "--world", str(tmp_path / "world.toml"), "--", "echo", "started")
    assert (2, "") == (ran.code, ran.out)


def test_what_stands_behind_the_program_is_the_program_s(process: Command) -> None:
    """Options after the program belong to the program, with and without `--`."""
    assert "--offline --help\n" == process("run", "echo", "--offline", "--help").out
    assert "-- a b\n" == process("run", "--", "echo", "--", "a b").out


def test_standard_input_is_the_program_s(process: Command) -> None:
    assert "some text" == process("run", "--", "cat", stdin="some text").out


def test_the_program_believes_that_it_talks_to_plex(process: Command) -> None:
    """A program's library finds proxy and authority, and the world's token is valid."""
    ran = process("run", "--offline", "--", PYTHON, "-c", ASKING, "https://plex.tv/api/v2/ping", text_of(TOM.token))
    assert ("<pong>true</pong>", "") == (ran.out.split("\n")[1], ran.err)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://example.com/", "example.com:443 is not Plex's, and this run is offline (--offline)"),
        (
            "https://discover.provider.plex.tv/",
            "discover.provider.plex.tv:443 is one of Plex's hosts that a local Plex does not answer for",
        ),
    ],
)
def test_what_is_refused_is_named(process: Command, address: str, reason: str) -> None:
    """The reason is in the program's own error, and at the end of the run."""
    ran = process("run", "--offline", "--", PYTHON, "-c", ASKING, address, text_of(TOM.token))
    assert reason in ran.out
    assert f"ticketstub run: {reason}\n" == ran.err


def test_its_folder_holds_no_key_and_nobody_else_reads_it(process: Command, runtime: Path) -> None:
    """It has three certificate files and the proxy's URL for other shells, with mode 0700."""
    ran = process("run", "--offline", "--", PYTHON, "-c", SHOWING, env={"XDG_RUNTIME_DIR": str(runtime)})
    *files, mode = ran.out.splitlines()
    assert ["bundle.pem", "ca.pem", "proxy", "trust.p12"] == sorted(line.partition(" ")[0] for line in files)
    assert "PRIVATE KEY" not in ran.out
    assert 0o700 == stat.S_IMODE(int(mode, 8))
    assert [] == list(runtime.iterdir())


def test_offline_nobody_else_is_trusted(process: Command) -> None:
    """Offline the bundle is the authority alone; otherwise it also has the machine's authorities."""
    counting = 'import os; print(open(os.environ["SSL_CERT_FILE"]).read().count("BEGIN CERTIFICATE"))'
    assert "1\n" == process("run", "--offline", "--", PYTHON, "-c", counting).out
    assert int(process("run", "--", PYTHON, "-c", counting).out) > 1


def test_record(process: Command, tmp_path: Path) -> None:
    """Each connection and each response is a JSON object, and none has a secret."""
    file = tmp_path / "seen.jsonl"
    address = f"https://plex.tv/api/v2/user?X-Plex-Token={text_of(TOM.token)}"
    process("run", "--offline", "--record", str(file), "--", PYTHON, "-c", ASKING, address, "dead-token-0000")
    text = file.read_text("utf-8")
    assert_no_secret(text)
    connection, answer = map(json.loads, text.splitlines())
    expected = {"kind": "connection", "target": "plex.tv:443", "outcome": "taken", "reason": None}
    assert expected == {name: value for name, value in connection.items() if name != "at"}
    assert ("answer", "GET", "/api/v2/user") == (answer["kind"], answer["method"], answer["route"])
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_a_record_has_no_public_address_and_no_token(tmp_path: Path) -> None:
    """Hosts that reveal a public address are replaced, and so is a token in a path."""
    file = tmp_path / "seen.jsonl"
    digits = "0123456789abcdef0123456789abcdef"
    with file.open("w") as lines:
        journal = RunLog(lines, verbose=False)
        journal.log_connection(
            ConnectionEvent(target=f"8-8-4-4.{digits}.plex.direct:32400", outcome="refused", reason="8.8.4.4 is not")
        )
        journal.log_answer("GET", "/x/transient-01234567-89ab-cdef-0123-456789abcdef", 200, 1.0, "abc")
    text = file.read_text()
    assert not [each for each in ("8-8-4-4", "8.8.4.4", digits, "transient-") if each in text]
    assert "192-0-2-1." in text
    assert "192.0.2.1 is not" in text


def test_a_record_that_cannot_be_written_is_said_first(process: Command, tmp_path: Path) -> None:
    ran = process("run", "--record", str(tmp_path / "no" / "file"), "--", "echo", "started")
    assert (2, "") == (ran.code, ran.out)


def test_verbose(process: Command) -> None:
    """It prints the same as lines on standard error."""
    ran = process("run", "--verbose", "--", PYTHON, "-c", ASKING, "https://plex.tv/api/v2/ping", text_of(TOM.token))
    lines = [line.partition("  ")[2] for line in ran.err.splitlines()]
    assert ["taken: plex.tv:443", "GET /api/v2/ping  200"] == lines


NOTING = r"""
import os, signal, time
def note(number, frame):
    os.write(1, f"got {signal.Signals(number).name}\n".encode())
    os._exit(7)
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(each, note)
os.write(1, f"listening {os.environ['TICKETSTUB_CA']}\n".encode())
time.sleep(30)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_signals_are_passed_on(start: Start, name: str) -> None:
    """The program decides what a signal means; the run ends with it."""
    run = start("run", "--offline", "--", PYTHON, "-c", NOTING)
    run.wait_for("listening")
    code = run.end(signal.Signals[name])
    assert run.popen.stderr
    assert (7, "") == (code, run.popen.stderr.read())
    assert f"got {name}" == run.wait_for("got")


def test_ctrl_c_on_a_terminal_comes_once(runtime: Path) -> None:
    """The terminal sends it to the program itself, and the run does not send it again."""
    import pty  # POSIX only

    from tests.cli.conftest import environment

    counting = (
        "import signal, time, os\ncame = []\nsignal.signal(signal.SIGINT, lambda *_: came.append(1))\n"
        "print('listening', flush=True)\n"
        "deadline = time.monotonic() + 10\n"
        "while not came and time.monotonic() < deadline: time.sleep(0.01)\n"
        "time.sleep(0.2)\nprint('came', len(came), flush=True)"
    )
    child, terminal = pty.fork()
    if child == 0:
        arguments = [PYTHON, "-m", "ticketstub", "run", "--offline", "--", PYTHON, "-c", counting]
        os.execve(PYTHON, arguments, environment(runtime, XDG_RUNTIME_DIR=str(runtime)))  # noqa: S606  # its own
    shown = b""
    while b"came" not in shown:
        shown += os.read(terminal, 1024)
        if b"listening" in shown and b"^C" not in shown:
            os.write(terminal, b"\x03")
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    assert b"came 1" in shown


def until(gone: Path) -> bool:
    deadline = time.monotonic() + 5
    while gone.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not gone.exists()


def test_nothing_is_left_after_kill_9(start: Start, runtime: Path) -> None:
    """A killed run leaves no file: a separate process removes them."""
    run = start("run", "--offline", "--", PYTHON, "-c", NOTING, env={"XDG_RUNTIME_DIR": str(runtime)})
    authority = Path(run.wait_for("listening").partition(" ")[2])
    assert authority.exists()
    run.popen.kill()
    run.popen.wait(60)
    assert until(authority.parent)
    assert [] == list(runtime.iterdir())
    _end_orphan(run)


def _end_orphan(run: Process) -> None:
    """End the program, which no longer gets signals from the run, so that its standard output closes."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            mine = b"listening" in (entry / "cmdline").read_bytes() and b"sleep(30)" in (entry / "cmdline").read_bytes()
            if mine and (entry / "stat").read_text().rpartition(")")[2].split()[1] in {"1", str(os.getpid())}:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue
    assert run.popen.returncode == -signal.SIGKILL


def test_a_shell_without_a_program(runtime: Path) -> None:
    """On a terminal it says that this is not Plex, and how another shell joins; the printed command works."""
    import pty  # POSIX only

    from tests.cli.conftest import environment

    child, terminal = pty.fork()
    if child == 0:
        more = {"XDG_RUNTIME_DIR": str(runtime), "SHELL": "/bin/sh", "PS1": "$ ", "COLUMNS": "200"}
        os.execve(PYTHON, [PYTHON, "-m", "ticketstub", "run", "--offline"], environment(runtime, **more))  # noqa: S606  # its own
    shown = b""
    while b"$ " not in shown.rpartition(b"It ends with this shell")[2]:
        shown += os.read(terminal, 1024)
    before = shown.decode()
    authority = re.search(r"env --ca (\S+/ca\.pem)", before)
    assert authority
    outside = f"env -u TICKETSTUB_PROXY -u TICKETSTUB_CA '{PYTHON}' -m ticketstub env --ca {authority[1]}"
    compared = f"{outside} | grep -qF \"HTTPS_PROXY=$HTTPS_PROXY\" && echo jo''ined"
    os.write(terminal, f"{compared}; '{PYTHON}' -m ticketstub env --format dotenv | grep -c PROXY=; exit 5\n".encode())
    try:
        while piece := os.read(terminal, 1024):
            shown += piece
    except OSError:  # Linux's way to say that all was read
        pass
    assert 5 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    text = shown.decode()
    assert "a local stand-in, not Plex" in text
    assert "\njoined\r" in text
    assert "http://ticketstub:" not in text  # the proxy's secret is on no screen and no command line
    assert "\n6\r" in text  # HTTPS, HTTP, ALL, NO, Node's and the run's own in capitals
    assert not [secret for secret in SECRETS if secret in text]
