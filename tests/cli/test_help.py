"""The help of the command, and what is loaded to print it."""

import os
import re
from pathlib import Path

import pytest

from tests.cli.conftest import SOURCE, Command
from tests.cli.declared import every_command
from tests.tables import every
from ticketstub.cli.app import COMMANDS, app
from ticketstub.cli.errors import EXIT_CODES

NAMES = list(COMMANDS)
GROUPS = [
    *("home list", "home switch", "home passcode", "home passcode set", "home passcode remove"),
    *("devices list", "devices remove"),
]


def test_help_lists_the_commands_the_variables_and_the_exit_codes(command: Command) -> None:
    ran = command("--help")
    assert (0, "") == (ran.code, ran.err)
    assert NAMES == re.findall(r"(?m)^  (\w+) {2,}[A-Z]", ran.out.partition("Commands:")[2])
    assert "TICKETSTUB_TOKEN" in ran.out
    for code, meaning in EXIT_CODES.items():
        assert f"{code:>3}  {meaning}" in ran.out


@every("name", NAMES)
def test_the_list_says_what_the_command_says(name: str) -> None:
    """The line of a command in the list is the beginning of its own help."""
    own = dict(every_command())[name]
    assert (own.help or "").startswith(COMMANDS[name][1].rstrip("."))


def test_without_a_command_the_help_is_shown(command: Command) -> None:
    assert command("--help").out == command().out


@pytest.mark.parametrize("group", ["home", "home passcode", "devices"])
def test_a_group_alone_shows_its_help(command: Command, group: str) -> None:
    """Its help lists its subcommands, each with a complete sentence."""
    ran = command(*group.split())
    assert (0, "") == (ran.code, ran.err)
    assert command(*group.split(), "--help").out == ran.out
    _, commands = ran.out.split("Commands:")
    assert "..." not in commands


def test_version(command: Command) -> None:
    assert re.fullmatch(r"ticketstub \d.*\n", command("--version").out)


@every("name", [*NAMES, *GROUPS])
def test_every_command_explains_itself(command: Command, name: str) -> None:
    """Its help has a sentence and its options, each with a description."""
    ran = command(*name.split(), "--help")
    assert (0, "") == (ran.code, ran.err)
    assert f"Usage: ticketstub {name} " in ran.out
    assert [] == re.findall(r"(?m)^  --\S+( [A-Z]+)?$", ran.out)


def test_l1_no_option_and_no_argument_takes_a_secret() -> None:
    """Every process can read a command line, so no option for a token, password or code takes a value."""
    taking = [
        (name, option)
        for name, one in [("ticketstub", app), *every_command()]
        for parameter in one.params
        for option in parameter.opts
        if not getattr(parameter, "is_flag", False)
        if re.search(r"token|pass|code|secret|key|pin", option)
    ]
    assert [] == taking


def test_l6_nothing_turns_the_check_of_certificates_off() -> None:
    """No command has an option that turns the check of certificates off."""
    options = [option for _, one in [("ticketstub", app), *every_command()] for it in one.params for option in it.opts]
    assert [] == [option for option in options if re.search(r"insecure|verify|trust|-k$", option)]


def test_help_loads_neither_rich_nor_a_client_nor_the_server(process: Command) -> None:
    """Help loads nothing that is slow to import; a client command loads neither the local Plex nor Rich."""
    show = "import sys; from ticketstub.cli.app import run_command; run_command({arguments!r}); print(*sys.modules)"
    loaded = set(process(code=show.format(arguments=["--help"])).out.split())
    assert set() == {f"ticketstub.cli.{module}" for module, _ in COMMANDS.values()} & loaded
    assert set() == loaded & {"rich", "http.client", "msgspec", "aiohttp", "asyncio", "ticketstub.client.plex"}
    for name in ("whoami", "login", "logout", "serve", "run"):
        loaded = set(process(code=show.format(arguments=[name, "--help"])).out.split())
        assert set() == loaded & {"rich", "http.client", "msgspec", "aiohttp", "asyncio", "ticketstub.client.plex"}
    asking = ["ping", "--plex-tv", "http://127.0.0.1:1", "--timeout", "0.1"]
    loaded = set(process(code=show.format(arguments=asking), stdin="this-token-was-ended\n").out.split())
    assert "ticketstub.client.transports.http1" in loaded
    assert set() == loaded & {"uvicorn", "ticketstub.local_plex", "aiohttp", "argon2", "sqlite3", "cryptography"}
    assert set() == loaded & {"rich", "importlib.metadata", "keyring", "webbrowser"}


@pytest.mark.parametrize("width", [30, 40, 80])
def test_help_fits_a_narrow_terminal(width: int) -> None:
    """At 30, 40 and 80 columns, no line of any help is wider than the terminal."""
    for path, command in [("", app), *every_command()]:
        context = command.context_class(command, info_name=f"ticketstub {path}", terminal_width=width)
        _, *lines = command.get_help(context).splitlines()  # the first one has the command's own name
        assert [] == [line for line in lines if len(line) > width and " " in line.strip()], path


def test_help_explains_arguments(command: Command) -> None:
    """The help of a command describes its arguments, once."""
    assert 1 == command("record", "--help").out.count("  FOLDER   The folder for its answers.")


def test_help_has_no_colours_in_a_pipe(command: Command) -> None:
    assert "\x1b" not in command("--help").out + command("login", "--help").out


@pytest.fixture
def add_on(tmp_path: Path) -> dict[str, str]:
    """An installed distribution with two commands; returns the environment in which it is found."""
    (tmp_path / "acme_tool.py").write_text(
        "import click\n\n@click.command()\ndef hello():\n    '''Say hello.'''\n    print('hello from acme')\n", "utf-8"
    )
    metadata = tmp_path / "acme_tool-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tool\nVersion: 1.0\n", "utf-8")
    commands = ("hello = acme_tool:hello", "broken = acme_missing:broken", "login = acme_tool:hello")
    (metadata / "entry_points.txt").write_text("\n".join(["[ticketstub.commands]", *commands, ""]), "utf-8")
    return {"PYTHONPATH": f"{SOURCE}{os.pathsep}{tmp_path}"}


def test_another_distribution_adds_commands(process: Command, add_on: dict[str, str]) -> None:
    """An entry point of the group `ticketstub.commands` is listed, runs, and replaces none of our commands."""
    assert (0, "hello from acme\n") == (process("hello", env=add_on).code, process("hello", env=add_on).out)
    listed = re.findall(r"(?m)^  (\w+) {2,}[A-Z].*", process("--help", env=add_on).out.partition("Commands:")[2])
    assert [*NAMES, "broken", "hello"] == listed[: len(NAMES)] + sorted(listed[len(NAMES) :])
    assert "Say hello." in process("hello", "--help", env=add_on).out
    assert "--device-key" in process("login", "--help", env=add_on).out


def test_a_command_that_does_not_load_is_named(process: Command, add_on: dict[str, str]) -> None:
    """A broken add-on ends with a sentence, and other commands still work."""
    ran = process("broken", env=add_on)
    assert 1 == ran.code
    assert "the command broken of acme_missing cannot be loaded: ModuleNotFoundError" in ran.err
    assert 0 == process("status", env=add_on).code
