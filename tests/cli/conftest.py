"""Run the command in two ways: in this process against one local Plex, and as a separate process.

Rule: all output of the command is searched for the world's secrets. Tests connect only to loopback, and no process
outlives its test.
"""

import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from urllib.parse import quote

import msgspec
import pytest
from keyring.backends.null import Keyring as NullKeyring

from tests.cli.addressed import addressed, dialled, mira
from tests.cli.approving import Watched
from ticketstub.cli.app import run_command
from ticketstub.credentials import Credential, FileStore
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController, local_plex
from ticketstub.tokens import Secret, Token

__all__ = ["addressed", "dialled", "mira"]  # fixtures for the tests of this folder
SOURCE = Path(__file__).parents[2] / "src"
DEMO = World.demo()
MIRA, TOM, JUNO = DEMO.accounts


def text_of(secret: Secret | None) -> str:
    """Return the text of a secret in the demonstration world."""
    assert secret is not None
    return secret.reveal()


SECRETS = [
    secret.reveal()
    for account in DEMO.accounts
    for secret in (account.password, account.verification_secret, account.token)
    if secret
] + [share.token.reveal() for server in DEMO.media_servers for share in server.shares if share.token]


def assert_no_secret(*texts: str) -> None:
    """Fail if a text contains one of the world's secrets, whole, in part or encoded."""
    for secret in SECRETS:
        forms = {secret, secret[:10], secret[-10:], quote(secret, safe="")}
        forms |= {b64encode(secret.encode()).decode(), secret.encode().hex()}
        for text in texts:
            assert set() == {form for form in forms if form in text}


@dataclass
class Ran:
    """The exit code and the output of the command."""

    code: int
    out: str
    err: str


class FakeTerminal(io.TextIOWrapper):
    """Standard input that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def stdin_of(text: str | bytes, *, terminal: bool = False) -> io.TextIOWrapper:
    raw = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    return (FakeTerminal if terminal else io.TextIOWrapper)(raw, encoding="utf-8")


Command = Callable[..., Ran]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run the command here: `command("whoami", token=…, stdin=…)`."""
    for name in [name for name in os.environ if name.startswith("TICKETSTUB_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setattr("keyring.core._keyring_backend", NullKeyring())  # it may have been chosen for another test

    def call(
        *arguments: str, token: str | Secret | None = None, stdin: str | bytes | None = None, terminal: bool = False
    ) -> Ran:
        if token is not None:
            monkeypatch.setenv("TICKETSTUB_TOKEN", token.reveal() if isinstance(token, Secret) else token)
        nothing = stdin is None and not terminal
        with Path(os.devnull).open(encoding="utf-8") if nothing else stdin_of(stdin or "", terminal=terminal) as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            capsys.readouterr()
            code = run_command(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert_no_secret(captured.out, captured.err)
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def local() -> Iterator[LocalPlexController]:
    """A local Plex with the demonstration world, in this process. A verification code works once in it."""
    with local_plex(DEMO) as plex:
        yield plex


@pytest.fixture
def here(local: LocalPlexController) -> list[str]:
    """The option that names it."""
    return ["--plex-tv", local.url]


@pytest.fixture
def attic(local: LocalPlexController) -> list[str]:
    """The option that names its media server Attic."""
    return ["--server", local.media_server("Attic").url]


@pytest.fixture
def fresh() -> Iterator[LocalPlexController]:
    """A local Plex for one test, which may end any token in it."""
    with local_plex(DEMO) as plex:
        yield plex


def store_in(home: Path) -> FileStore:
    """The files in which the command stores sign-ins, for this home folder."""
    return FileStore(home / "ticketstub" / "credentials")


def keep(
    home: Path,
    plex_tv: str,
    token: str,
    profile: str = "default",
    *,
    username: str | None = "tom",
    account_id: int | None = TOM.id,
    client_identifier: str = "tests-tom",
    **times: float,
) -> Credential:
    """Store a sign-in in files, as an earlier command would have."""
    credential = Credential(
        issuer=plex_tv,
        profile=profile,
        token=Token(token),
        username=username,
        account_id=account_id,
        client_identifier=client_identifier,
    )
    credential = msgspec.structs.replace(credential, **times)
    saved = store_in(home).save(credential, replacing=None)
    assert saved is not None
    return saved


Watch = Callable[..., list[str]]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Watch:
    """Call a function with each code that the command shows; returns the list of codes."""

    def begin(act: Callable[[str], object], *, terminal: bool = False) -> list[str]:
        codes: list[str] = []

        def seen(code: str) -> None:
            codes.append(code)
            act(code)

        under = sys.stderr.under if isinstance(sys.stderr, Watched) else sys.stderr
        monkeypatch.setattr(sys, "stderr", Watched(under, seen, terminal=terminal))
        return codes

    return begin


@dataclass
class Process:
    """The command as a process; its standard output is read line by line."""

    popen: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    _queue: "Queue[str | None]" = field(default_factory=Queue)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.popen.stdout or ():
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait_for(self, beginning: str, seconds: float = 60.0) -> str:
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise AssertionError(f"no line begins with {beginning!r}: {self.lines}") from None
            if line is None:
                raise AssertionError(f"it ended: {self.lines} {self.popen.stderr and self.popen.stderr.read()}")
            self.lines.append(line)
            if line.startswith(beginning):
                return line

    def address(self, name: str) -> str:
        """Return an address from the banner."""
        found = re.search(rf"(?m)^  {re.escape(name)} +(http://\S+)", "\n".join(self.lines))
        assert found, self.lines
        return found[1]

    def end(self, how: signal.Signals = signal.SIGTERM, within: float = 60.0) -> int:
        """End it with a signal, and return its exit code; if it hangs, fail with the stack of each thread."""
        self.popen.send_signal(how)
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.popen.send_signal(signal.SIGABRT)  # faulthandler writes every thread's stack
            self.popen.wait(within)
            said = self.popen.stderr.read() if self.popen.stderr else ""
            raise AssertionError(f"it did not end within {within} s of {how.name}: {said}") from None

    def clear_away(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self._reader.join()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    for name in (
        "COLUMNS",
        "FORCE_COLOR",
        "NO_COLOR",
        "PYTHONUNBUFFERED",
        "TICKETSTUB_TOKEN",
        "TICKETSTUB_PLEX_TV",
        "TICKETSTUB_PROFILE",
        "BROWSER",
    ):
        kept.pop(name, None)
    own = {"PYTHONPATH": str(SOURCE), "HOME": str(home), "XDG_DATA_HOME": str(home)}
    own["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"  # no test opens its user's keyring
    own["PYTHONFAULTHANDLER"] = "1"  # what hangs tells where (see `Process.end`)
    return kept | own | more


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the command as a process: `start("serve", "--demo", env={…})`; it is stopped after the test."""
    started: list[Process] = []

    def begin(*arguments: str, env: dict[str, str] | None = None, stdin: int = subprocess.DEVNULL) -> Process:
        popen = subprocess.Popen(
            [sys.executable, "-m", "ticketstub", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(tmp_path, **(env or {})),
            text=True,
            encoding="utf-8",
        )
        started.append(Process(popen))
        return started[-1]

    yield begin
    for process in started:
        process.clear_away()


@pytest.fixture
def process(tmp_path: Path) -> Command:
    """Run the command as a process to its end: `process("whoami", stdin=…, env={…})`."""

    def call(
        *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None, code: str | None = None
    ) -> Ran:
        done = subprocess.run(
            [sys.executable, *(["-c", code] if code else ["-m", "ticketstub", *arguments])],
            stdin=subprocess.DEVNULL if stdin is None else None,
            input=stdin,
            capture_output=True,
            env=environment(tmp_path, **(env or {})),
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert_no_secret(done.stdout, done.stderr)
        return Ran(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def canned() -> Iterator[Callable[[bytes], str]]:
    """Answer every request with these bytes: `canned(b"HTTP/1.1 …")` returns the address."""
    listeners: list[socket.socket] = []
    serving: list[threading.Thread] = []

    def answer(listener: socket.socket, reply: bytes) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

    def begin(reply: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        serving.append(threading.Thread(target=answer, args=(listener, reply), daemon=True))
        serving[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield begin
    for listener in listeners:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in serving:
        thread.join(2)
