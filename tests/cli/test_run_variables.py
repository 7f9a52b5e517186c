"""The variables of a run: their values, what they leave unchanged, and how they are printed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.docs.pages import page
from ticketstub.local_plex.intercept.variables import (
    BUNDLE_FILE,
    TRUST_STORE_FILE,
    VARIABLES,
    ProgramSettings,
    build_no_proxy,
    build_variables,
    merge_environment,
)
from ticketstub.tokens import Secret

PROXY = "http://127.0.0.1:8888"
CONTROL = "http://127.0.0.1:8191/control/v1"


@pytest.fixture
def pointing(tmp_path: Path) -> ProgramSettings:
    for name in ("ca.pem", BUNDLE_FILE, TRUST_STORE_FILE):
        (tmp_path / name).write_text("x")
    return ProgramSettings(PROXY, tmp_path / "ca.pem", "http://127.0.0.1:8190", CONTROL, Secret("k" * 43))


def test_every_variable_is_in_the_page() -> None:
    """The page lists the variables in their order, with their readers."""
    table = page("docs/how-to/test/run.md").table("Environment variables")
    expected = [(name, read_by.replace("`", "")) for name, _, read_by in VARIABLES]
    assert expected == list(zip(table.column("variable"), table.column("read by"), strict=True))


def test_values(pointing: ProgramSettings) -> None:
    """Proxies in upper and lower case; the bundle for variables that replace the trusted authorities."""
    found = build_variables(pointing, {})
    assert {name for name, _, _ in VARIABLES} == set(found)
    assert {PROXY} == {found[name] for name in ("HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY")}
    assert (CONTROL, "k" * 43) == (found["TICKETSTUB_CONTROL"], found["TICKETSTUB_CONTROL_KEY"])
    assert str(pointing.authority) == found["NODE_EXTRA_CA_CERTS"]
    assert str(pointing.authority.with_name(BUNDLE_FILE)) == found["SSL_CERT_FILE"] == found["REQUESTS_CA_BUNDLE"]
    assert "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8888" in found["JAVA_TOOL_OPTIONS"]
    assert f"-Djavax.net.ssl.trustStore={pointing.authority.with_name(TRUST_STORE_FILE)}" in found["JAVA_TOOL_OPTIONS"]


def test_what_the_user_has_set_is_kept_where_it_does_no_harm(pointing: ProgramSettings) -> None:
    """Java options stay; another proxy does not."""
    given = {"JAVA_TOOL_OPTIONS": "-Xmx1g", "HTTPS_PROXY": "http://proxy.example:3128", "HOME": "there"}
    found = merge_environment(pointing, given)
    assert found["JAVA_TOOL_OPTIONS"].startswith("-Xmx1g -Dhttp.proxyHost=127.0.0.1 ")
    assert (PROXY, "there") == (found["HTTPS_PROXY"], found["HOME"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", []),
        ("*", []),
        ("plex.tv, .plex.tv,*.plex.tv:443,clients.plex.tv,PLEX.DIRECT,.tv,direct", []),
        ("example.com,10.0.0.0/8,notplex.tv,plex.tv.example.com", None),
        ("localhost,corp.example,,", ["corp.example"]),
    ],
)
def test_exceptions_from_the_proxy(given: str, kept: list[str] | None) -> None:
    """Loopback is excepted, the user's own exceptions stay, and none of them leads to the real Plex."""
    expected = ["localhost", "127.0.0.1", "::1", *(given.split(",") if kept is None else kept)]
    assert expected == build_no_proxy({"NO_PROXY": given, "no_proxy": given}).split(",")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_a_shell_takes_what_is_printed(command: Command, tmp_path: Path) -> None:
    """`eval "$(ticketstub env …)"` sets them, whatever characters the path has."""
    folder = tmp_path / "it's $HOME; a folder"
    folder.mkdir()
    (folder / "ca.pem").write_text("x")
    ran = command("env", "--proxy", PROXY, "--ca", str(folder / "ca.pem"))
    done = subprocess.run(
        ["sh", "-c", f'eval {shlex.quote(ran.out)}; echo "$https_proxy $DENO_CERT"'],
        capture_output=True,
        text=True,
        check=True,
        env={},
    )
    assert f"{PROXY} {folder / 'ca.pem'}\n" == done.stdout


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("sh", "export HTTPS_PROXY=http://127.0.0.1:8888"),
        ("fish", "set -gx HTTPS_PROXY 'http://127.0.0.1:8888';"),
        ("powershell", "$env:HTTPS_PROXY = 'http://127.0.0.1:8888'"),
        ("dotenv", "HTTPS_PROXY=http://127.0.0.1:8888"),
    ],
)
def test_forms(command: Command, tmp_path: Path, form: str, line: str) -> None:
    (tmp_path / "ca.pem").write_text("x")
    assert (
        line == command("env", "--format", form, "--proxy", PROXY, "--ca", str(tmp_path / "ca.pem")).out.split("\n")[0]
    )


def test_outside_a_run_it_says_what_it_needs(command: Command, tmp_path: Path) -> None:
    """Outside a run without options, or with a missing file: exit code 2 and a message."""
    for arguments in ([], ["--proxy", PROXY, "--ca", str(tmp_path / "gone.pem")]):
        ran = command("env", *arguments)
        assert (2, "") == (ran.code, ran.out)
        assert "hint: " in ran.err
