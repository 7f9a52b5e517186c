"""Runs a page as a reader would: its blocks in order, Python in one namespace, commands in one shell session.

Rule: what a page shows is compared with what happens; `…` in it stands for anything within a line, and a line of only
`…` for any lines. The addresses of the text stand for those of a local Plex of this page's own, and `serve` takes free
ports, so that pages can run while a reader's own local Plex does.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from tests.docs.pages import ROOT, Block, Page
from ticketstub import Plex
from ticketstub.server.local_plex import LocalPlex
from ticketstub.server.world import World

PLEX_TV = "http://127.0.0.1:8190"
ATTIC = "http://127.0.0.1:32401"

_RUN = frozenset({"python", "console", "toml"})
_SERVES = re.compile(r"ticketstub serve\b[^;|]*")
_PATIENCE = 20.0


class Unlike(AssertionError):
    """A page shows something that does not happen."""


def runs(block: Block) -> bool:
    """Tell whether a block is run: one of these languages, unless its mark says why not."""
    return block.language in _RUN and not block.mark.startswith("not run:")


def compare(shown: str, happened: str, where: str) -> None:
    """Compare what a page shows with what happened; raises `Unlike` with both."""
    pattern = "".join("(?:.*\n)*?" if line.strip() == "…" else _line(line) for line in shown.strip().splitlines())
    if not re.fullmatch(pattern, f"{happened.strip()}\n"):
        raise Unlike(f"{where} shows\n\n{shown}\nbut what happened is\n\n{happened}")


def _line(shown: str) -> str:
    return ".*?".join(re.escape(piece) for piece in shown.rstrip().split("…")) + r"[ \t]*\n"


@dataclass
class Session:
    """One page's reader: a folder, an environment, a namespace, and a local Plex once the text speaks of one."""

    page: Page
    folder: Path
    environment: dict[str, str]
    namespace: dict[str, object] = field(default_factory=lambda: {"__name__": "__main__"})
    exports: list[str] = field(default_factory=list[str])
    addresses: dict[str, str] = field(default_factory=dict[str, str])

    def run(self) -> None:
        """Run the page's blocks; what its programs leave open ends as it would with the reader's interpreter."""
        blocks = self.page.blocks()
        try:
            for block, following in zip_longest(blocks, blocks[1:]):
                if runs(block):
                    self._run(block, following)
        finally:
            for value in self.namespace.values():
                if isinstance(value, Plex):
                    value.close()

    def _run(self, block: Block, following: Block | None) -> None:
        if block.language == "python":
            self._python(block, following)
        elif block.language == "toml":
            self._toml(block)
        elif sys.platform != "win32":  # the pages' commands are written for a POSIX shell
            self._console(block)

    def _python(self, block: Block, following: Block | None) -> None:
        """Run a program; a block of text right behind it is its output."""
        program = "\n" * block.line + self._real(block.text)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(program, str(self.page.path), "exec"), self.namespace)  # noqa: S102  # our own pages
        if following and following.mark == "output":
            compare(following.text, self._as_written(printed.getvalue()), self._at(following.line))

    def _toml(self, block: Block) -> None:
        """Read a world, and write it to the file that its mark names; one that is to be refused, unread."""
        kind, _, name = block.mark.partition("file: ")
        if kind != "refused ":
            World.parse(block.text)
        if name:
            (self.folder / name).write_text(_on_free_ports(block.text), "utf-8")

    def _console(self, block: Block) -> None:
        for command, shown in commands(block.text):
            where = self._at(block.line)
            if _SERVES.fullmatch(command):
                compare(shown, _served(command, self.folder, self.environment), where)
            elif command.startswith("export "):
                self.exports.append(self._real(command))
            else:
                compare(shown, self._as_written(self._told(command)), where)

    def _told(self, command: str) -> str:
        """Run a command in a shell; return what it writes on both streams, in their order."""
        program = "\n".join([*self.exports, self._real(command)])
        done = subprocess.run(
            ["sh", "-c", program],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE,
            check=False,
        )
        return done.stdout.decode()

    def _real(self, text: str) -> str:
        for written, real in self.addresses.items():
            text = text.replace(written, real)
        return text

    def _as_written(self, text: str) -> str:
        for written, real in self.addresses.items():
            text = text.replace(real, written)
        return text

    def _at(self, line: int) -> str:
        return f"{self.page.name}:{line}"


def commands(text: str) -> list[tuple[str, str]]:
    """Split a console block into commands (`$ …`, continued by a backslash) and what each shows."""
    found: list[tuple[str, str]] = []
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        else:
            command, shown = found[-1]
            found[-1] = (command, f"{shown}{line}\n")
    return found


@contextlib.contextmanager
def local_plex(page: Page) -> Generator[dict[str, str], None, None]:
    """Run the page's world.toml, or else the demonstration world; yields the text's addresses and the real ones."""
    if PLEX_TV not in page.text:
        yield {}
        return
    own = next((block.text for block in page.blocks() if block.mark == "file: world.toml"), None)
    world = World.parse(_on_free_ports(own)) if own else World.demo()
    with LocalPlex(world).running() as plex:
        yield {PLEX_TV: plex.url, ATTIC: plex.media_server("Attic").url}


def _on_free_ports(world: str) -> str:
    return re.sub(r"^port = \d+.*\n", "", world, flags=re.MULTILINE)


def environment(folder: Path) -> dict[str, str]:
    """Make the environment of a reader who has the command and nothing of ours set."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    command = bin_folder / "ticketstub"
    command.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).as_posix()}" -m ticketstub "$@"\n', "utf-8")
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TICKETSTUB_")}
    folders = dict.fromkeys(("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"), str(folder))
    return (
        kept
        | folders
        | {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "120",
            "NO_COLOR": "1",
        }
    )


def _served(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run a `serve` on free ports until it is ready and end it; return what it said."""
    arguments = re.sub(r"\s--port[ =]\d+", "", command).split()[1:]
    process = subprocess.Popen(
        [sys.executable, "-m", "ticketstub", *arguments, "--port", "0"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said = _until_ready(process)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=_PATIENCE)
    finally:
        process.kill()
    if process.returncode != 0:
        raise Unlike(f"{command} ended with {process.returncode}: {(said + rest).decode()}")
    return (said + rest).decode()


def _until_ready(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None  # it was asked for
    said, deadline = b"", time.monotonic() + _PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b"\nready" not in said and selector.select(deadline - time.monotonic()):
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            said += piece
    return said
