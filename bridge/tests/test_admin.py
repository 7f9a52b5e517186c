"""The command's answers to wrong input: one clear sentence, and nothing done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ticketstub_bridge.admin import bridge
from ticketstub_bridge.config import load_config

CONFIG = """url = "https://auth.example.test"

[[server]]
name = "Attic"
machine_identifier = "abc"
owner_id = 5

[[client]]
id = "films"
redirect_uris = ["https://films.example.test/callback"]
"""
RESERVED = "http://127.0.0.1:1"  # nothing listens there


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bridge.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def run(*arguments: str, folder: Path) -> Result:
    verb = [*arguments, "--folder", str(folder)]
    return CliRunner().invoke(bridge, verb, standalone_mode=False, input="")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("client add studio", "--redirect-uri"),
        ("client add studio --redirect-uri https://a.test/b --address https://a.test", "--address is for --preset"),
        ("client add films --redirect-uri https://films.example.test/other", "an application 'films' already"),
        ("client add films --preset grafana", "an application 'films' already"),
        ("client add studio --preset grafana", "standard input has ended"),
        ("client add studio --preset grafana --public", "leave out --public"),
        ("client add studio --redirect-uri http://a.test/b --public", "client[1].redirect_uris[0]: must be https"),
        ("client remove studio", "there is no application 'studio'"),
        ("init --url https://other.example.test", "has a bridge already"),
        ("people", "no bridge is running here"),
    ],
)
def test_wrong_input_changes_nothing(folder: Path, command: str, expected: str) -> None:
    """What cannot be done is exit 1 and a sentence that says what to do; bridge.toml stays as it is."""
    result = run(*command.split(), folder=folder)
    assert 1 == result.return_value
    assert expected in result.stderr
    assert CONFIG == (folder / "bridge.toml").read_text("utf-8")
    assert ["bridge.toml"] == [each.name for each in folder.iterdir()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--url", "auth.example.test", "--plex-tv", RESERVED], "--url: must be an address without a path"),
        (["--url", "http://auth.example.test", "--plex-tv", RESERVED], "--url: must be https"),
        (["--url", "https://auth.example.test", "--plex-tv", "ftp://plex.tv"], "--plex-tv: must be an address"),
    ],
)
def test_nobody_signs_in_for_a_faulty_address(tmp_path: Path, options: list[str], expected: str) -> None:
    """`init` checks its addresses before it asks anything of Plex."""
    result = run("init", *options, folder=tmp_path / "new")
    assert (1, True, False) == (result.return_value, expected in result.stderr, (tmp_path / "new").exists())


def test_errors_are_json_for_programs(folder: Path) -> None:
    """With --json an error is JSON on standard error, as for the other commands; details are a list."""
    error = json.loads(run("people", "--json", folder=folder).stderr)["error"]
    assert ("NotRunning", 1) == (error["kind"], error["exit_code"])
    (folder / "bridge.toml").write_text("colour = 1", "utf-8")
    error = json.loads(run("client", "list", "--json", folder=folder).stderr)["error"]
    assert ("bridge.toml is refused", True) == (error["message"], any("colour" in each for each in error["details"]))


@pytest.mark.parametrize("command", [[], ["client"], ["keys"]])
def test_a_group_shows_its_help(command: list[str]) -> None:
    """A command without its subcommand shows the help."""
    result = CliRunner().invoke(bridge, command)
    assert (0, True) == (result.exit_code, "Commands:" in result.stdout)


def test_an_added_application_stands_apart(folder: Path) -> None:
    """An application that is added follows an empty line, and the file's own text stays."""
    result = run("client", "add", "studio", "--redirect-uri", "https://a.test/b", folder=folder)
    assert 0 == result.return_value, result.stderr
    text = (folder / "bridge.toml").read_text("utf-8")
    assert text.startswith(CONFIG + '\n[[client]]\nid = "studio"\n')
    assert ["films", "studio"] == list(load_config(folder / "bridge.toml").clients)


def test_check_without_a_bridge(tmp_path: Path) -> None:
    """In a folder without a bridge.toml `check` names `init`, and gives no other advice."""
    result = run("check", "--json", folder=tmp_path)
    assert 1 == result.return_value
    found = json.loads(result.stdout)
    assert ["wrong", None] == [found[0]["state"], found[0]["advice"]]
    assert "ticketstub bridge init" in found[0]["text"]
