"""The command as a process: pipes, terminals, signals, closed streams."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.approving import link
from tests.cli.conftest import MIRA, SOURCE, TOM, Process, Start, environment, keep, store_in, text_of
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController, local_plex

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
        timeout=60,
        check=False,
    )


@posix
def test_a_token_goes_from_pipe_to_pipe(here: list[str], tmp_path: Path) -> None:
    """A script signs in, stores the token in a variable and uses it, and the token is never an argument."""
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
def test_closed_streams_are_no_reason_to_stumble(
    local: LocalPlexController, tmp_path: Path, line: str, code: int
) -> None:
    """If the reader leaves, or a stream was never open, it ends with its exit code and without a traceback."""
    done = shell(line, tmp_path, TICKETSTUB_TOKEN=text_of(TOM.token), TICKETSTUB_PLEX_TV=local.url)
    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@posix
def test_nobody_reads(tmp_path: Path) -> None:
    """If the reader leaves before anything is written, the exit code reports it."""
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
    """If the output cannot be written, the exit code is 1, with a sentence."""
    done = shell("$TS --help >/dev/full", tmp_path)
    assert (1, "error: input or output: No space left on device") == (done.returncode, done.stderr.strip())


@posix
def test_ctrl_c_ends_a_hanging_call_at_once(start: Start) -> None:
    """While a server is silent, Ctrl-C ends the command at once, with 130 and without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        asking = start("ping", "--plex-tv", url, env={"TICKETSTUB_TOKEN": DEAD})
        silent.settimeout(60)
        connection, _ = silent.accept()
        connection.recv(10)
        began = time.monotonic()
        assert 130 == asking.end(signal.SIGINT, within=60.0)
        assert time.monotonic() - began < 60
        connection.close()
    assert asking.popen.stderr
    assert "" == asking.popen.stderr.read()


def code_of(waiting: Process) -> str:
    """The code that a waiting sign-in shows on standard error."""
    assert waiting.popen.stderr
    for line in waiting.popen.stderr:
        if found := re.search(r"code(?: to compare)?  (\w+)$", line):
            return found[1]
    raise AssertionError("no code was shown")


LOGIN = ("login", "--storage", "file", "--plex-tv")


@posix
@pytest.mark.parametrize("more", [(), ("--code",), ("--device-key",)], ids=["browser", "code", "key"])
def test_ctrl_c_ends_the_wait_and_leaves_nothing(
    start: Start, here: list[str], tmp_path: Path, more: tuple[str, ...]
) -> None:
    """While a sign-in waits, Ctrl-C ends it at once with 130; nothing is stored or left half-written."""
    waiting = start(*LOGIN, here[1], *more)
    code_of(waiting)
    began = time.monotonic()
    assert 130 == waiting.end(signal.SIGINT, within=60.0)
    assert time.monotonic() - began < 60
    assert waiting.popen.stderr
    assert not {"Traceback", "Error"} & set(re.findall(r"\w+", waiting.popen.stderr.read()))
    assert not store_in(tmp_path).has_files()
    assert [] == list(tmp_path.rglob(".draft*"))


@posix
def test_ctrl_c_keeps_what_was_kept_before(start: Start, here: list[str], tmp_path: Path) -> None:
    """A new sign-in that is interrupted leaves the stored one unchanged."""
    before = keep(tmp_path, here[1], text_of(TOM.token))
    waiting = start(*LOGIN, here[1], "--again")
    code_of(waiting)
    assert 130 == waiting.end(signal.SIGINT)
    assert before == store_in(tmp_path).load(here[1])


@posix
def test_an_outage_does_not_end_the_wait(start: Start, tmp_path: Path) -> None:
    """The sign-in keeps waiting while plex.tv is down, and ends when it is back and the user has approved."""
    db = f"sqlite:///{tmp_path}/plex.db"
    with local_plex(World.demo(), db=db) as plex:
        waiting, url = start(*LOGIN, plex.url, "--timeout", "1"), plex.url
        code = code_of(waiting)
    assert waiting.popen.poll() is None
    time.sleep(0.05)
    port = int(url.rpartition(":")[2])
    with local_plex(World.demo(), db=db, port=port):
        assert link(url, code, text_of(TOM.token)) < 300
        assert "Signed in as tom" == waiting.wait_for("Signed in")
        assert 0 == waiting.popen.wait(60)


@posix
def test_a_reader_that_leaves_costs_no_sign_in(local: LocalPlexController, tmp_path: Path) -> None:
    """If nobody reads the result, the sign-in is stored anyway; the exit code reports the closed output."""
    line = "(printf 'tom\\n%s\\n' \"$PASSWORD\" | $TS login --password --storage file; echo $? >code) | true"
    more = {"PASSWORD": text_of(TOM.password), "TICKETSTUB_PLEX_TV": local.url}
    done = shell(f"cd '{tmp_path}' && {line}; sleep 0.1; cat code", tmp_path, **more)
    assert done.stdout.strip() in {"0", "141"}  # whether it wrote before the reader left is chance
    assert store_in(tmp_path).load(local.url) is not None
    assert "Traceback" not in done.stderr


def on_a_terminal(home: Path, *arguments: str, columns: int = 80, **more: str) -> tuple[int, int]:
    """Start the command on a new terminal; returns the process and the terminal."""
    import fcntl
    import pty
    import struct
    import termios

    child, terminal = pty.fork()
    if child == 0:
        command = [sys.executable, "-m", "ticketstub", *arguments]
        os.execve(sys.executable, command, environment(home, TERM="xterm", **more))  # noqa: S606  # its own
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return child, terminal


def read_until(terminal: int, wanted: str, shown: str = "") -> str:
    """Read the output until a text appears, or until the end."""
    deadline = time.monotonic() + 15
    while wanted not in shown and time.monotonic() < deadline:
        try:
            shown += os.read(terminal, 4096).decode("utf-8", "replace")
        except OSError:
            break
    return shown


@posix
def test_a_whole_sign_in_on_a_terminal(local: LocalPlexController, tmp_path: Path) -> None:
    """Address, countdown, approval: the cursor is restored, the account is shown, and the file is written."""
    child, terminal = on_a_terminal(tmp_path, "login", "--no-browser", "--plex-tv", local.url)
    shown = read_until(terminal, "Waiting")
    found = re.search(r"code to compare +(?:\x1b\[\d*m)*(\w+)", shown)
    assert found
    assert link(local.url, found[1], text_of(TOM.token)) < 300
    shown = read_until(terminal, "no end at all", shown)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    assert "Signed in as tom" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is shown again
    assert store_in(tmp_path).load(local.url) is not None


@posix
def test_ctrl_c_on_a_terminal_gives_the_cursor_back(local: LocalPlexController, tmp_path: Path) -> None:
    """Even in 40 columns, only the address is longer than the terminal is wide."""
    arguments = ["login", "--no-browser", "--storage", "file", "--plex-tv", local.url]
    child, terminal = on_a_terminal(tmp_path, *arguments, columns=40)
    shown = read_until(terminal, "Waiting")
    os.write(terminal, b"\x03")
    shown = read_until(terminal, "no end at all", shown)
    assert 130 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert "█" not in shown
    assert not store_in(tmp_path).has_files()


PROMPTS: dict[str, tuple[list[str], list[str]]] = {
    "login": (["login", "--password"], ["User name or e-mail:"]),
    "password": (["login", "--password"], ["User name or e-mail:", "Password:"]),
    "code": (["login", "--password"], ["User name or e-mail:", "Password:", "Verification code:"]),
    "code again": (
        ["login", "--password"],
        ["User name or e-mail:", "Password:", "Verification code:", "This code is wrong, or was already used."],
    ),
    "confirmation": (["logout", "--all"], ["Continue? [y/N]"]),
    "passcode": (["home", "passcode", "set"], ["New passcode"]),
}


@posix
@pytest.mark.parametrize(("arguments", "questions"), PROMPTS.values(), ids=PROMPTS)
def test_ctrl_c_at_each_prompt(
    local: LocalPlexController, tmp_path: Path, arguments: list[str], questions: list[str]
) -> None:
    """Ctrl-C at a prompt ends with 130 and no traceback; a wrong code is reported before it is asked for again."""
    kept = keep(tmp_path, local.url, text_of(MIRA.token), "work")
    profile = "another" if arguments[0] == "login" else "" if "--all" in arguments else "work"
    named = [] if "--all" in arguments else ["--plex-tv", local.url]
    child, terminal = on_a_terminal(tmp_path, *arguments, *named, TICKETSTUB_PROFILE=profile)
    answers = iter([b"mira_quill\n", text_of(MIRA.password).encode() + b"\n", b"000000\n"])
    shown = ""
    for question in questions:
        shown = read_until(terminal, question, shown)
        assert question in shown
        if question != questions[-1]:
            os.write(terminal, next(answers))
    os.write(terminal, b"\x03")
    shown = read_until(terminal, "no end at all", shown)
    assert 130 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    assert "Traceback" not in shown
    assert kept == store_in(tmp_path).load(local.url, "work")


@posix
def test_no_home_at_all(here: list[str], tmp_path: Path) -> None:
    """Without HOME, a given token works if the client identifier is given too."""
    line = f"unset HOME XDG_DATA_HOME; $TS whoami --client-identifier x --plex-tv {here[1]}"
    done = shell(line, tmp_path, TICKETSTUB_TOKEN=text_of(TOM.token))
    assert (0, "tom") == (done.returncode, done.stdout.splitlines()[0])


@posix
def test_on_a_terminal_the_password_has_no_echo(local: LocalPlexController, tmp_path: Path) -> None:
    """It asks for login and password; the password does not appear anywhere."""
    arguments = ["login", "--password", "--storage", "file", "--plex-tv", local.url]
    child, terminal = on_a_terminal(tmp_path, *arguments)
    shown = _converse(terminal, [("e-mail: ", "tom"), ("Password: ", text_of(TOM.password))])
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    assert "Signed in as tom" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert text_of(TOM.password) not in shown
    assert "\x1b[" in shown  # colours, for a person


def _converse(terminal: int, answers: list[tuple[str, str]]) -> str:
    """Answer each prompt when it appears, and return the whole output."""
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


def test_little_is_imported_before_ctrl_c_is_handled() -> None:
    """Importing the entry point loads no module that is slow to load, since Ctrl-C would then show a traceback."""
    program = "import sys; import ticketstub.cli; print(*{'typing', 're', 'enum', 'click'}.intersection(sys.modules))"
    command = [sys.executable, "-S", "-c", program]
    environ = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert "\n" == done.stdout
