"""What the command says about itself, and what it loads to say it."""

import re

import pytest
import typer

from tests.cli.conftest import Command
from ticketstub.cli.app import app
from ticketstub.cli.exits import EXIT_CODES

NAMES = ["demo", "login", "whoami", "token", "resources", "source", "ping", "serve"]


def test_help_lists_the_commands_the_variables_and_the_exit_codes(command: Command) -> None:
    ran = command("--help")
    assert (0, "") == (ran.code, ran.err)
    assert NAMES == re.findall(r"(?m)^  (\w+) {2,}[A-Z]", ran.out.partition("Commands:")[2])
    assert "TICKETSTUB_TOKEN" in ran.out
    for code, meaning in EXIT_CODES.items():
        assert f"{code:>3}  {meaning}" in ran.out


def test_without_a_command_the_help_is_shown(command: Command) -> None:
    assert command("--help").out == command().out


def test_version(command: Command) -> None:
    assert re.fullmatch(r"ticketstub \d.*\n", command("--version").out)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(command: Command, name: str) -> None:
    """Its help is a sentence and its options; each option says what it is for."""
    ran = command(name, "--help")
    assert (0, "") == (ran.code, ran.err)
    assert f"Usage: ticketstub {name} " in ran.out
    assert [] == re.findall(r"(?m)^  --\S+( [A-Z]+)?$", ran.out)


def test_no_option_takes_a_secret() -> None:
    """A command line is read by every process: no option about tokens, passwords or codes takes a value."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # the group has them
    taking = [
        (name, option)
        for name, one in commands.items()
        for parameter in one.params
        for option in parameter.opts
        if option.startswith("--") and not getattr(parameter, "is_flag", False)
        if re.search(r"token|password|code|secret", option)
    ]
    assert [] == taking


def test_help_loads_neither_rich_nor_a_client_nor_the_server(process: Command) -> None:
    """What costs time to import is not imported to explain the command, nor the server to use the client."""
    show = "import sys; from ticketstub.cli.running import run; run({arguments!r}); print(*sys.modules)"
    loaded = set(process(code=show.format(arguments=["--help"])).out.split())
    assert set() == loaded & {"rich", "http.client", "msgspec", "aiohttp", "asyncio", "ticketstub.client"}
    asking = ["ping", "--plex-tv", "http://127.0.0.1:1", "--timeout", "0.1"]
    loaded = set(process(code=show.format(arguments=asking), stdin="this-token-was-ended\n").out.split())
    assert "http.client" in loaded
    assert set() == loaded & {"uvicorn", "ticketstub.server", "aiohttp", "argon2", "sqlite3", "cryptography"}
