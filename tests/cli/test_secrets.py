"""What the command must never show, trust or read: secrets, escape sequences, the current folder."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.approving import link
from tests.cli.conftest import (
    JUNO,
    MIRA,
    SOURCE,
    TOM,
    Command,
    Watch,
    assert_no_secret,
    environment,
    keep,
    store_in,
    text_of,
)
from ticketstub.testing import LocalPlexController

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX users, shells and modes")
ASKING = [
    *("login", "whoami", "status", "check", "renew", "servers", "resources", "token", "claim", "ping"),
    *("servers --all", "connect Attic", "connect Nowhere", "doctor"),
    *("home list", "devices list", "home switch Pip", "home switch Nobody", "devices remove Toaster --yes"),
    *("source server://x --server http://127.0.0.1:9", "token --transient --server http://127.0.0.1:9"),
]
OFFLINE = {"status"}
WRITING_SECRETS = {"token", "claim"}


def options_of(name: str, plex_tv: str) -> list[str]:
    wait = ["--wait", "0.1"] if name == "login" else []
    return [] if name in OFFLINE else ["--plex-tv", plex_tv, "--timeout", "1", *wait]


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("alive", [True, False], ids=["alive", "dead"])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_l3_no_command_shows_a_secret(
    command: Command, local: LocalPlexController, tmp_path: Path, name: str, alive: bool, more: list[str]
) -> None:
    """No output contains the stored token, whole or in part; only two commands print one."""
    if name in WRITING_SECRETS and not more:
        return
    assert_hidden(command, tmp_path, local.url, name, more, alive=alive)


@pytest.mark.parametrize("alive", [True, False], ids=["alive", "dead"])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_l3_nor_does_signing_out(
    command: Command, fresh: LocalPlexController, tmp_path: Path, alive: bool, more: list[str]
) -> None:
    """Signing out does not print the token."""
    assert_hidden(command, tmp_path, fresh.url, "logout", more, alive=alive)


def assert_hidden(command: Command, home: Path, plex_tv: str, name: str, more: list[str], *, alive: bool) -> None:
    """Run a command with a token, valid or not, and search its output for the token."""
    canary = text_of(MIRA.token) if alive else "canary-Zq7_neverSeen"
    keep(home, plex_tv, canary, username="mira_quill", account_id=MIRA.id, client_identifier="tests-mira")
    ran = command(*name.split(), *options_of(name, plex_tv), *more)
    for piece in (canary, canary[:10], canary[-10:]):
        assert piece not in ran.out + ran.err


@posix
def test_l1_no_secret_is_an_argument_of_a_process(fresh: LocalPlexController, tmp_path: Path) -> None:
    """The only program that is started is the browser, with the address, which contains no token."""
    seen, browser = tmp_path / "seen.txt", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" >{seen}.draft && mv {seen}.draft {seen}\n', "utf-8")
    browser.chmod(0o755)
    child = subprocess.run(
        [sys.executable, "-c", _WITH_A_BROWSER, fresh.url, text_of(TOM.token), str(seen)],
        cwd=SOURCE.parent,
        env=environment(tmp_path, BROWSER=f"{browser} %s &"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    kept = store_in(tmp_path).load(fresh.url)
    assert kept is not None
    assert kept.token is not None
    assert f"{fresh.url}/auth#?" in seen.read_text("utf-8")
    assert kept.token.reveal() not in seen.read_text("utf-8") + child.stdout + child.stderr
    assert_no_secret(seen.read_text("utf-8"), child.stdout, child.stderr)


_WITH_A_BROWSER = """
import io, sys, time
from pathlib import Path
from tests.cli.approving import Watched, link
from tests.cli.conftest import FakeTerminal
from ticketstub.cli.app import run_command

url, token, seen = sys.argv[1:]
sys.stdin = FakeTerminal(io.BytesIO())
sys.stderr = Watched(sys.stderr, lambda code: link(url, code, token), terminal=True)
code = run_command(["login", "--storage", "file", "--plex-tv", url])
deadline = time.monotonic() + 10
while not Path(seen).exists() and time.monotonic() < deadline:
    time.sleep(0.01)
sys.exit(code)
"""


def test_l7_no_listener_waits_for_the_browser(fresh: LocalPlexController, tmp_path: Path) -> None:
    """A sign-in in the browser polls Plex: no port is opened that another program could use."""
    child = subprocess.run(
        [sys.executable, "-c", _WITHOUT_A_LISTENER, fresh.url, text_of(TOM.token)],
        cwd=SOURCE.parent,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Signed in as tom" in child.stdout
    assert "heard: ['socket.connect']" in child.stdout
    assert f"  {fresh.url}/auth#?" in child.stderr
    assert "code to compare" in child.stderr


_WITHOUT_A_LISTENER = """
import sys
from tests.cli.approving import Watched, link
from ticketstub.cli.app import run_command

url, token = sys.argv[1:]
heard = set()
sys.addaudithook(lambda event, _: heard.add(event) if event in ("socket.bind", "socket.connect") else None)
sys.stderr = Watched(sys.stderr, lambda code: link(url, code, token), terminal=False)
code = run_command(["login", "--storage", "file", "--plex-tv", url])
print("heard:", sorted(heard))
sys.exit(code)
"""


EVIL = "ev\x1b]52;c;aGk=\x07il\x9b31m\u202egnp\u2066"


def answering(body: object) -> bytes:
    text = json.dumps(body).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % len(text) + text


HOSTILE: dict[str, object] = {
    "whoami": {"id": 1, "username": EVIL, "title": EVIL, "email": EVIL, "country": EVIL},
    "servers": [
        {
            "name": EVIL,
            "product": EVIL,
            "productVersion": EVIL,
            "provides": "server",
            "sourceTitle": EVIL,
            "connections": [{"uri": EVIL, "address": EVIL}],
        }
    ],
    "home list": {"users": [{"id": 1, "title": EVIL, "email": EVIL, "username": EVIL}]},
    "home switch nobody": {"users": [{"id": 1, "title": EVIL}]},
    "check": {"id": 1, "username": EVIL},
    "login": {"id": 1, "username": EVIL},
}


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("name", HOSTILE)
def test_l4_names_cannot_touch_the_terminal(
    command: Command, canned: Callable[[bytes], str], tmp_path: Path, name: str, more: list[str]
) -> None:
    """Escape and direction characters in names of accounts, servers and users are neither printed nor stored."""
    url = canned(answering(HOSTILE[name]))
    keep(tmp_path, url, text_of(TOM.token))
    for arguments in ([*name.split(), "--plex-tv", url, *more], ["status", *more]):
        ran = command(*arguments)
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2066"} & set(ran.out + ran.err)


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_l4_a_device_s_name_cannot_touch_the_terminal(
    command: Command, canned: Callable[[bytes], str], watch: Watch, tmp_path: Path, more: list[str]
) -> None:
    """They appear neither in the list nor in the question before removal."""
    body = b'<MediaContainer><Device name="a&#155;31m&#8238;b" id="1" product="&#8238;c"/></MediaContainer>'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    url = canned(head % len(body) + body)
    keep(tmp_path, url, text_of(TOM.token))
    listed = command("devices", "list", "--plex-tv", url, *more)
    assert 0 == listed.code, listed.err
    watch(lambda _code: None, terminal=True)
    asked = command("devices", "remove", "1", "--plex-tv", url, *more, stdin="n\n", terminal=True)
    assert "Remove a" in asked.err
    assert not {"\x9b", "\u202e"} & set(listed.out + listed.err + asked.out + asked.err)


DECOYS = ["typer", "click", "rich", "keyring", "msgspec", "ticketstub", "platformdirs", "segno", "webbrowser"]


@posix
def test_l8_nothing_is_read_from_the_current_folder(here: list[str], tmp_path: Path) -> None:
    """Modules, settings and tokens in the current folder change nothing; `python -I` works."""
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    keep(home, here[1], text_of(TOM.token))
    for name in DECOYS:
        (folder / f"{name}.py").write_text("raise SystemExit('read from the current folder')", "utf-8")
    for name in (".env", "ticketstub.toml", "keyringrc.cfg", ".netrc", "pyproject.toml", "sitecustomize.py"):
        (folder / name).write_text(
            "TICKETSTUB_TOKEN=this-token-was-ended\n[backend]\ndefault-keyring=evil.Ring\n", "utf-8"
        )
    paths = [str(SOURCE), *(path for path in sys.path if path and Path(path).name == "site-packages")]
    program = f"import sys; sys.path[:0] = {paths!r}; from ticketstub.cli import main; main()"
    for arguments in (["whoami", *here], ["status"], ["login", *here]):
        done = subprocess.run(
            [sys.executable, "-I", "-c", program, *arguments],
            cwd=folder,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        assert "tom" in done.stdout
    assert not [path for path in folder.iterdir() if path.is_dir()]


@posix
@pytest.mark.parametrize(
    "arguments", [["status"], ["login", "--storage", "file"], ["whoami"], ["logout", "--local"]], ids=" ".join
)
def test_l8_no_home_is_no_reason_to_use_the_current_folder(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Without a home folder, nothing is stored or read, in particular not in the current folder."""
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])  # as for a user that the system has no entry of
    monkeypatch.chdir(tmp_path)
    ran = command(*arguments)
    assert (1, "") == (ran.code, ran.out)
    assert "set HOME" in ran.err
    assert [] == list(tmp_path.iterdir())


@posix
def test_l2_a_planted_link_is_not_followed(
    command: Command, fresh: LocalPlexController, watch: Watch, tmp_path: Path
) -> None:
    """A link in place of the file is an error, and its target is unchanged."""
    keep(tmp_path, fresh.url, text_of(TOM.token))
    (file,) = store_in(tmp_path).directory.glob("*.kept")
    file.unlink()
    target = tmp_path / "target"
    target.write_text("mine", "utf-8")
    file.symlink_to(target)
    watch(lambda code: link(fresh.url, code, text_of(TOM.token)))
    ran = command("login", "--storage", "file", "--plex-tv", fresh.url)
    assert (1, "") == (ran.code, ran.out)
    assert "is a symbolic link" in ran.err
    assert "mine" == target.read_text("utf-8")


@posix
def test_l2_an_open_umask_opens_nothing(command: Command, here: list[str], tmp_path: Path) -> None:
    """Even with a umask of 000, the file has mode 0600 in a folder with mode 0700."""
    login = ["login", "--password", "--login", "juno_vale", "--storage", "file"]
    before = os.umask(0)
    try:
        ran = command(*login, *here, stdin=text_of(JUNO.password))
    finally:
        os.umask(before)
    assert "Signed in as juno_vale" in ran.out
    folder: Any = store_in(tmp_path).directory
    assert 0o700 == folder.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}
