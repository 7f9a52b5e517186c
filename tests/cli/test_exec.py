"""`ticketstub exec`: programs that get a media server's address and token from the stored sign-in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import MIRA, TOM, Command, text_of
from ticketstub.testing import LocalPlexController

WRITE = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
PLEXAPI = "import sys; from plexapi.server import PlexServer; open(sys.argv[1], 'w').write(PlexServer().friendlyName)"


def run(command: Command, here: list[str], path: Path, *options: str, program: str = WRITE, **given: Any) -> Any:
    return command("exec", "--as", "plexapi", *options, *here, "--", sys.executable, "-c", program, str(path), **given)


def test_python_plexapi_needs_no_arguments(command: Command, here: list[str], tmp_path: Path) -> None:
    """An unmodified program of python-plexapi reaches the account's only server."""
    ran = run(command, here, tmp_path / "name", program=PLEXAPI, token=MIRA.token)
    assert (0, "", "") == (ran.code, ran.out, ran.err)
    assert "Attic" == (tmp_path / "name").read_text("utf-8")


def test_the_environment(command: Command, here: list[str], local: LocalPlexController, tmp_path: Path) -> None:
    """The variables are python-plexapi's: the address, the token for that server, and the command's own device."""
    run(command, here, tmp_path / "env", "--server", "attic", "--client-identifier", "my-script", token=TOM.token)
    found = json.loads((tmp_path / "env").read_text("utf-8"))
    assert (local.media_server("Attic").url, "Qw7-Zr2_LmN8tYb4HsKd", "my-script", "Ticketstub") == tuple(
        found[f"PLEXAPI_{name}"]
        for name in ("AUTH_SERVER_BASEURL", "AUTH_SERVER_TOKEN", "HEADER_IDENTIFIER", "HEADER_PRODUCT")
    )


def test_several_servers(command: Command, here: list[str], tmp_path: Path) -> None:
    """With several servers and no name, nothing is run, and the error names them."""
    ran = run(command, here, tmp_path / "env", token=TOM.token)
    assert 1 == ran.code
    assert all(text in ran.err for text in ("Attic, Old Cellar", "--server NAME"))
    assert not (tmp_path / "env").exists()


def test_an_unknown_server(command: Command, here: list[str], tmp_path: Path) -> None:
    """A server that the account does not have is an error, and nothing is run."""
    assert 0 != run(command, here, tmp_path / "env", "--server", "Nowhere", token=MIRA.token).code
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize(
    ("program", "code"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", 143)]
)
def test_the_exit_code_is_the_programs(
    command: Command, here: list[str], tmp_path: Path, program: str, code: int
) -> None:
    """The exit code is passed on; if a signal ended the program, it is 128 and the signal's number."""
    assert code == run(command, here, tmp_path, program=program, token=MIRA.token).code


def test_standard_input_is_the_programs(command: Command, here: list[str], tmp_path: Path) -> None:
    """A token on standard input is not read: it is what the program reads."""
    ran = run(command, here, tmp_path, stdin=f"{text_of(MIRA.token)}\n")
    assert "not signed in" in ran.err


def test_json_of_the_program(command: Command, here: list[str]) -> None:
    """`--json` behind `--` is the program's, and the command's errors stay sentences; before it, it is obeyed."""
    theirs = command("exec", "--as", "plexapi", *here, "--", "program", "--json")
    assert theirs.err.startswith("error: you are not signed in")
    ours = command("exec", "--as", "plexapi", "--json", *here, "--", "program")
    assert json.loads(ours.err)["error"]["message"].startswith("you are not signed in")


def test_a_program_that_does_not_exist(command: Command, here: list[str]) -> None:
    """As in shells, 127."""
    assert 127 == command("exec", "--as", "plexapi", *here, "no-such-program-here", token=MIRA.token).code
