"""`ticketstub login` by browser and by link code, and what is stored, against a local Plex over loopback."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.cli.approving import link
from tests.cli.conftest import JUNO, TOM, Command, Watch, keep, store_in, text_of
from ticketstub.testing import LocalPlexController

TOKEN = text_of(TOM.token)


def test_in_the_browser_and_kept_in_a_file(
    command: Command, fresh: LocalPlexController, watch: Watch, tmp_path: Path
) -> None:
    """It shows address and code, waits for the approval, and shows who signed in and where that is stored."""
    codes = watch(lambda code: link(fresh.url, code, TOKEN))
    ran = command("login", "--storage", "file", "--plex-tv", fresh.url)
    assert (0, "Signed in as tom") == (ran.code, ran.out.splitlines()[0])
    assert f"  {fresh.url}/auth#?clientID=" in ran.err
    assert f"code to compare  {codes[0]}" in ran.err
    assert 25 == len(codes[0])
    assert "Waiting for approval, for at most 30 minutes." in ran.err
    assert not {"\x1b", "█"} & set(ran.out + ran.err)  # a pipe has neither colours nor pictures
    kept = store_in(tmp_path).load(fresh.url)
    assert kept is not None
    assert kept.token is not None
    assert kept.token.reveal() not in ran.out + ran.err
    assert str(store_in(tmp_path).directory) in ran.out
    assert "tom" == command("whoami", "--plex-tv", fresh.url).out.splitlines()[0]


def test_by_a_code_to_be_typed(command: Command, fresh: LocalPlexController, watch: Watch) -> None:
    """--code shows a code of 4 characters and the page to enter it on."""
    codes = watch(lambda code: link(fresh.url, code, TOKEN))
    ran = command("login", "--code", "--storage", "memory", "--plex-tv", fresh.url)
    assert (0, "Signed in as tom") == (ran.code, ran.out.splitlines()[0])
    assert 4 == len(codes[0])
    assert f"  {fresh.url}/link\n" in ran.err
    assert f"{fresh.url}/link/?pin={codes[0]}" in ran.err


def test_json_tells_how_and_where(command: Command, fresh: LocalPlexController, watch: Watch, tmp_path: Path) -> None:
    """With --json, standard output is one object, and the address is on standard error."""
    watch(lambda code: link(fresh.url, code, TOKEN))
    ran = command("login", "--json", "--storage", "file", "--profile", "work", "--plex-tv", fresh.url)
    told = json.loads(ran.out)
    assert ("browser", "none", "work", fresh.url) == (told["how"], told["before"], told["profile"], told["issuer"])
    assert {"id": TOM.id, "username": "tom"} == told["account"]
    assert told["token"].startswith("#")
    assert "file" == told["kept"]
    assert Path(told["path"]).is_relative_to(tmp_path)
    assert "/auth#?" in ran.err


def test_who_is_signed_in_already_is_told_so(command: Command, fresh: LocalPlexController, tmp_path: Path) -> None:
    """A sign-in that still works is used, and the options for another sign-in are named."""
    keep(tmp_path, fresh.url, TOKEN)
    ran = command("login", "--plex-tv", fresh.url)
    assert (0, "Already signed in as tom") == (ran.code, ran.out.splitlines()[0])
    assert "--again" in ran.err
    assert "--profile" in ran.err
    assert "TICKETSTUB_TOKEN is set" in command("login", "--plex-tv", fresh.url, token="some-token-or-other").err


def test_again_signs_in_anew(command: Command, fresh: LocalPlexController, watch: Watch, tmp_path: Path) -> None:
    """--again replaces the stored sign-in once the new one succeeds."""
    before = keep(tmp_path, fresh.url, TOKEN)
    watch(lambda code: link(fresh.url, code, TOKEN))
    assert 0 == command("login", "--again", "--plex-tv", fresh.url).code
    after = store_in(tmp_path).load(fresh.url)
    assert after is not None
    assert before.token != after.token


def test_what_no_longer_works_is_explained(
    command: Command, fresh: LocalPlexController, watch: Watch, tmp_path: Path
) -> None:
    """If Plex no longer knows the stored token, the reason for the new sign-in is shown."""
    keep(tmp_path, fresh.url, "this-token-was-ended")
    watch(lambda code: link(fresh.url, code, TOKEN))
    ran = command("login", "--plex-tv", fresh.url)
    assert (0, "Signed in as tom") == (ran.code, ran.out.splitlines()[0])
    assert "no longer works: it was ended at Plex" in ran.err


def test_what_cannot_be_checked_is_kept(command: Command, tmp_path: Path) -> None:
    """If plex.tv does not answer, the stored sign-in stays, and the output says so."""
    keep(tmp_path, "http://127.0.0.1:9", TOKEN)
    ran = command("login", "--plex-tv", "http://127.0.0.1:9", "--timeout", "0.3")
    assert 0 == ran.code
    assert "plex.tv did not answer" in ran.out.splitlines()[0]


def test_a_password_is_not_asked_for_in_vain(command: Command, fresh: LocalPlexController, tmp_path: Path) -> None:
    """If the user is already signed in, no password is read."""
    keep(tmp_path, fresh.url, TOKEN)
    ran = command("login", "--password", "--plex-tv", fresh.url, stdin=b"\xff\xff")
    assert (0, "Already signed in as tom") == (ran.code, ran.out.splitlines()[0])


def test_another_account_is_not_replaced_unasked(command: Command, fresh: LocalPlexController, tmp_path: Path) -> None:
    """A profile that works is replaced by another account only with --again."""
    keep(tmp_path, fresh.url, TOKEN)
    login = ["login", "--password", "--login", "juno_vale", "--plex-tv", fresh.url]
    ran = command(*login, stdin=text_of(JUNO.password))
    assert (2, "") == (ran.code, ran.out)
    assert "--again" in ran.err
    again = command(*login, "--again", stdin=text_of(JUNO.password))
    assert (0, "Signed in as juno_vale") == (again.code, again.out.splitlines()[0])


def test_a_device_key(command: Command, fresh: LocalPlexController, watch: Watch, tmp_path: Path) -> None:
    """With --device-key the token is a JWT, renew gets another one, and token prints one that works."""
    here = ["--plex-tv", fresh.url]
    watch(lambda code: link(fresh.url, code, TOKEN))
    ran = command("login", "--device-key", "--storage", "file", *here)
    assert 0 == ran.code, ran.err
    assert "(jwt)" in ran.out
    assert "renewed before" in command("status").out
    first = command("token", *here).out
    assert "Renewed: default (tom)" in command("renew", *here).out
    second = command("token", *here).out
    assert first.startswith("eyJ")
    assert first != second
    assert "tom" == command("whoami", *here, token=second.strip()).out.splitlines()[0]


def test_a_sign_in_that_is_kept_can_get_a_device_key(
    command: Command, fresh: LocalPlexController, watch: Watch, tmp_path: Path
) -> None:
    """`login --device-key` moves a stored sign-in to a key without another approval."""
    here = ["--plex-tv", fresh.url]
    watch(lambda code: link(fresh.url, code, TOKEN))
    assert 0 == command("login", "--storage", "file", *here).code
    assert "(jwt)" in command("login", "--device-key", *here).out
    assert "(jwt)" in command("login", "--password", *here).out


def test_the_time_is_over(command: Command, fresh: LocalPlexController) -> None:
    """--wait ends the wait with exit code 1, and nothing is stored."""
    ran = command("login", "--wait", "0.2", "--storage", "file", "--plex-tv", fresh.url)
    assert (1, "") == (ran.code, ran.out)
    assert "in the time allowed" in ran.err
    assert "Waiting for approval, for at most 1 s" in ran.err


def test_a_terminal_gets_picture_and_countdown(
    command: Command, fresh: LocalPlexController, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal shows a QR code, and a countdown that disappears afterwards."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    watch(lambda code: link(fresh.url, code, TOKEN), terminal=True)
    ran = command("login", "--storage", "memory", "--plex-tv", fresh.url)
    assert 0 == ran.code
    assert "█" in ran.err
    assert re.search(r"Waiting: (30:00|29:5\d) left \(Ctrl-C to cancel\)", ran.err)
    assert "\x1b[2K" in ran.err  # the line is wiped


@pytest.mark.parametrize("more", [["--device-key"], []], ids=["key", "no key"])
def test_this_device_is_marked_in_the_list(
    command: Command, fresh: LocalPlexController, watch: Watch, more: list[str]
) -> None:
    """This device is marked even with a device key, whose tokens are not in the list."""
    here = ["--plex-tv", fresh.url]
    watch(lambda code: link(fresh.url, code, TOKEN))
    assert 0 == command("login", "--storage", "file", *more, *here).code
    assert 1 == command("devices", "list", *here).out.count("(this one)")


def test_a_dumb_terminal_gets_lines(
    command: Command, fresh: LocalPlexController, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the cursor cannot be moved, nothing is drawn."""
    monkeypatch.setenv("TERM", "dumb")
    watch(lambda code: link(fresh.url, code, TOKEN), terminal=True)
    ran = command("login", "--storage", "memory", "--plex-tv", fresh.url)
    assert 0 == ran.code
    assert not {"█", "\x1b"} & set(ran.err)
    assert "for at most 30 minutes" in ran.err


def test_a_narrow_terminal_gets_no_picture(
    command: Command, fresh: LocalPlexController, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 40 columns, the QR code does not fit and is left out; the address is not wrapped."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    codes = watch(lambda code: link(fresh.url, code, TOKEN), terminal=True)
    ran = command("login", "--storage", "memory", "--plex-tv", fresh.url)
    assert 0 == ran.code
    assert "█" not in ran.err
    assert f"code={codes[0]}" in ran.err
    waiting = next(line for line in ran.err.split("\n") if "Waiting" in line)
    assert len("Waiting: 30:00 left (Ctrl-C to cancel)") <= 40
    assert "Ctrl-C" in waiting


@pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning")  # the standard library forgets the browser it started
def test_the_browser_is_opened_on_a_terminal_alone(
    command: Command, fresh: LocalPlexController, watch: Watch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The browser is opened on a terminal, but not with --no-browser or in a pipe."""
    opened = tmp_path / "opened.txt"
    browser = tmp_path / "browser"
    # It stays for a moment: one that is gone at once counts as one that could not be started.
    browser.write_text(f'#!/bin/sh\necho "$1" >>{opened}\nexec sleep 1\n', "utf-8")
    browser.chmod(0o755)
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setenv("BROWSER", f"{browser} %s &")
    login = ["login", "--storage", "memory", "--plex-tv", fresh.url]
    watch(lambda code: link(fresh.url, code, TOKEN))
    command(*login, terminal=True)
    watch(lambda code: link(fresh.url, code, TOKEN), terminal=True)
    command(*login, "--no-browser", terminal=True)
    assert not opened.exists()
    ran = command(*login, terminal=True)
    assert "Your browser should open this page now." in ran.err
    assert f"{fresh.url}/auth#?" in _read(opened)


def _read(path: Path) -> str:
    """Wait for the file that the browser writes, and read it."""
    for _ in range(200):
        if path.exists() and (text := path.read_text("utf-8")):
            return text
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


@pytest.mark.parametrize("terminal", [True, False])
def test_l2_without_a_keyring_it_is_a_private_file(
    command: Command, fresh: LocalPlexController, watch: Watch, tmp_path: Path, *, terminal: bool
) -> None:
    """With or without a terminal, it is stored without a question in a file that only this user can read."""
    watch(lambda code: link(fresh.url, code, TOKEN), terminal=terminal)
    ran = command("login", "--no-browser", "--plex-tv", fresh.url, terminal=terminal)
    assert 0 == ran.code
    assert "[y/N]" not in ran.err
    (path,) = store_in(tmp_path).directory.glob("*.kept")
    assert 0o600 == path.stat().st_mode & 0o777
    assert f"in the file {path}, which only you can read" in ran.out


def test_l2_where_nothing_can_be_kept_nothing_is_sent(
    command: Command, fresh: LocalPlexController, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a keyring and a writable folder, no sign-in is started, and the error names the alternatives."""
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/null")
    ran = command("login", "--plex-tv", fresh.url)
    assert (1, "") == (ran.code, ran.out)
    assert "--print-token" in ran.err
    assert "/auth" not in ran.err
