"""Runs a page as its reader does: commands in one shell, programs in one Python, `serve` in another terminal.

Rule: what the page shows is what is typed, unchanged, with the ports that it names. The reader has an empty home and
neither keyring nor browser. What a page shows is compared with what happens; `…` in it stands for anything within a
line, and a line of only `…` for any lines. `python -m tests.docs.running PAGE FOLDER` runs one page.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from threading import Timer

from tests.docs.pages import ROOT, Block, Page, page

PATIENCE = 120
"""Seconds that only a hang exceeds."""

_RUN = frozenset({"python", "console", "toml"})
_SERVES = re.compile(r"ticketstub serve\b[^;|]*")
# A reader's session that the tests' own must not shine through: settings of ours, keyring, browser, display, proxies.
_NOT_KEPT = re.compile(r"TICKETSTUB_|PYTHON|PYTEST|DBUS_|XDG_|BROWSER|(WAYLAND_)?DISPLAY|(?i:.*_proxy)")

# What a reader types into `python`, block after block: it comes over a pipe of its own, with its length before it.
_INTERPRETER = """
import os, sys
_blocks = os.fdopen(int(sys.argv[1]), "rb")
_namespace = {"__name__": "__main__"}
while _head := _blocks.readline().split():
    _text = "\\n" * int(_head[1]) + _blocks.read(int(_head[0])).decode()
    exec(compile(_text, sys.argv[2], "exec"), _namespace)
    print(_head[2].decode(), flush=True)
"""


class Unlike(AssertionError):
    """A page shows something that does not happen."""


def runs(block: Block) -> bool:
    """Tell whether a block is run: one of these languages, unless its mark says why not."""
    return block.language in _RUN and not block.mark.startswith("not run:")


def compare(shown: str, happened: str, where: str) -> None:
    """Compare what a page shows with what happened; raises `Unlike` with both."""
    pattern = "".join("(?:.*\n)*?" if line.strip() == "…" else _line(line) for line in shown.strip().splitlines())
    text = happened.strip()
    if not re.fullmatch(pattern, text and f"{text}\n"):
        raise Unlike(f"{where} shows\n\n{shown}\nbut what happened is\n\n{happened}")


def _line(shown: str) -> str:
    return ".*?".join(re.escape(piece) for piece in shown.rstrip().split("…")) + r"[ \t]*\n"


def commands(text: str) -> list[tuple[str, str]]:
    """Split a console block into commands (`$ …`, continued by a backslash) and what each shows."""
    found: list[tuple[str, str]] = []
    continued = False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif continued:
            found[-1] = (f"{found[-1][0]}\n{line}", "")
        else:
            command, shown = found[-1]
            found[-1] = (command, f"{shown}{line}\n")
            continue
        continued = line.endswith("\\")
    return found


def environment(folder: Path) -> dict[str, str]:
    """Make the environment of a reader who has the command, and nothing of ours set."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    command = bin_folder / "ticketstub"
    command.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).as_posix()}" -m ticketstub "$@"\n', "utf-8")
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not _NOT_KEPT.match(name)}
    folders = dict.fromkeys(("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"), str(folder))
    path = os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    ours = {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
    return kept | folders | ours | {"COLUMNS": "120", "NO_COLOR": "1"}


class Terminal:
    """A shell in which the page's commands are typed, one after the other."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._folder = folder
        self._process = _start(["sh"], folder, variables)

    def type(self, command: str) -> str:
        """Run a command in this shell; return what it writes on both streams."""
        script = self._folder / ".typed"
        script.write_text(f"{command}\n", "utf-8")
        end = secrets.token_hex(16)
        assert self._process.stdin is not None  # it was asked for
        self._process.stdin.write(f". {shlex.quote(str(script))} </dev/null; echo; echo {end}\n".encode())
        self._process.stdin.flush()
        return _until(self._process, end)

    def variables(self) -> dict[str, str]:
        """Return what this shell exports."""
        pairs = (pair.partition("=") for pair in self.type("env -0").split("\0"))
        return {name: value for name, _, value in pairs if name.isidentifier()}

    def close(self) -> None:
        """End the shell."""
        self._process.communicate(timeout=PATIENCE)


class Python:
    """A Python into which the page's programs are typed, one after the other."""

    def __init__(self, path: Path, folder: Path, variables: dict[str, str]) -> None:
        reading, writing = os.pipe()
        self._blocks = os.fdopen(writing, "wb")
        command = [sys.executable, "-c", _INTERPRETER, str(reading), str(path)]
        self._said = folder / ".said"
        with self._said.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=[reading],
            )
        os.close(reading)

    def type(self, block: Block) -> str:
        """Run a program; return what it prints."""
        end, text = secrets.token_hex(16), block.text.encode()
        self._blocks.write(f"{len(text)} {block.line} {end}\n".encode() + text)
        self._blocks.flush()
        return _until(self._process, end, self._said)

    def close(self) -> None:
        """End the interpreter."""
        self._blocks.close()
        self._process.communicate(timeout=PATIENCE)


class Serving:
    """`ticketstub serve` as the page shows it, in another terminal."""

    def __init__(self, command: str, folder: Path, variables: dict[str, str]) -> None:
        self._command = command
        self._process = _start(shlex.split(command), folder, variables)
        self.said = _until(self._process, "ready", keep=True)

    def close(self) -> None:
        """Type Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=PATIENCE)
        if self._process.returncode:
            raise Unlike(f"{self._command} ended with {self._process.returncode}")


class Reader:
    """One page's reader: a folder, a terminal, another one for `serve`, and a Python."""

    def __init__(self, read: Page, folder: Path, cleaner: ExitStack) -> None:
        self._page = read
        self._folder = folder
        self._environment = environment(folder)
        self._cleaner = cleaner
        self._terminal = Terminal(folder, self._environment)
        self._python: Python | None = None
        self._serving = ExitStack()
        cleaner.callback(self._terminal.close)
        cleaner.push(self._serving)

    def read(self) -> None:
        """Do what the page shows, from top to bottom."""
        blocks = self._page.blocks()
        for block, following in zip_longest(blocks, blocks[1:]):
            if not runs(block):
                continue
            if block.language == "console":
                for command, shown in commands(block.text):
                    compare(shown, self._console(command), self._at(block))
            elif block.language == "python":
                printed = self._type(block)
                if following and following.mark == "output":
                    compare(following.text, printed, self._at(following))
            elif name := block.mark.partition("file: ")[2]:
                (self._folder / name).write_text(block.text, "utf-8")

    def _console(self, command: str) -> str:
        if not _SERVES.fullmatch(command):
            return self._terminal.type(command)
        self._serving.close()  # the one before, on the same port
        assert_free(self._page)
        serving = Serving(command, self._folder, self._environment)
        self._serving.callback(serving.close)
        return serving.said

    def _type(self, block: Block) -> str:
        if self._python is None:
            self._python = Python(self._page.path, self._folder, self._terminal.variables())
            self._cleaner.callback(self._python.close)
        return self._python.type(block)

    def _at(self, block: Block) -> str:
        return f"{self._page.name}:{block.line}"


def _start(command: list[str], folder: Path, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _until(process: subprocess.Popen[bytes], end: str, errors: Path | None = None, *, keep: bool = False) -> str:
    """Read what a process writes up to a line that begins with `end`."""
    watch = Timer(PATIENCE, process.kill)
    watch.start()
    said = ""
    try:
        for raw in process.stdout or ():
            line = raw.decode()
            if line.startswith(end):
                return said + line if keep else said
            said += line
    finally:
        watch.cancel()
    raise Unlike(f"it ended after saying\n\n{said}{errors.read_text('utf-8') if errors else ''}")


def assert_free(read: Page) -> None:
    """Fail where ports that the page names are taken; name all of them."""
    taken: list[str] = []
    for port in sorted({8190, *map(int, re.findall(r"127\.0\.0\.1:(\d+)", read.text))}):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            taken.append(f"port {port}")
    if taken:
        raise AssertionError(f"{read.name} uses {' and '.join(taken)}, which another program has taken")


def read_alone(name: str, folder: Path) -> None:
    """Read a page in a process and, where the system allows it, a network of its own; fail with what it says."""
    command = [sys.executable, "-m", "tests.docs.running", name, str(folder)]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    with _alone() as prefix:
        done = subprocess.run(
            [*prefix, *command],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE,
            check=False,
        )
    if done.returncode:
        raise Unlike(done.stdout + done.stderr)


@contextlib.contextmanager
def _alone() -> Generator[list[str], None, None]:
    """Yield what puts a command into a network of its own, or else wait until no other page is read."""
    prefix = [
        "unshare",
        "--map-root-user",
        "--net",
        "sh",
        "-c",
        'PATH=$PATH:/usr/sbin ip link set lo up && exec "$@"',
        "sh",
    ]
    possible = False
    with contextlib.suppress(OSError):  # there is no such program
        possible = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    if possible:
        yield prefix
        return
    from filelock import FileLock

    with FileLock(ROOT / ".pytest_cache" / "documentation.lock"):
        yield []


def main() -> int:
    """Read the page that the command line names."""
    try:
        with ExitStack() as cleaner:
            Reader(page(sys.argv[1]), Path(sys.argv[2]), cleaner).read()
    except AssertionError as failure:
        sys.stdout.write(f"{failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
