"""`ticketstub home` and `ticketstub devices`, against a local Plex over loopback."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import JUNO, MIRA, TOM, Command, Watch, keep, text_of
from ticketstub.testing import LocalPlexController

TOKEN = text_of(MIRA.token)
PASSCODE = "4711"


@pytest.fixture
def mira(command: Command, fresh: LocalPlexController, tmp_path: Path) -> list[str]:
    """Sign Mira in to a local Plex for this test; returns the option that names it."""
    keep(tmp_path, fresh.url, TOKEN, username="mira_quill", account_id=MIRA.id, client_identifier="tests-mira")
    return ["--plex-tv", fresh.url]


def test_the_home_is_listed(command: Command, mira: list[str]) -> None:
    """Each user has a line with the role and whether there is a passcode."""
    rows = [line.split() for line in command("home", "list", *mira).out.splitlines()]
    assert ["id", "name", "role", "passcode", "e-mail"] == rows[0]
    assert ["10500123", "administrator", "no"] == [rows[1][0], *rows[1][2:4]]
    assert ["member", "yes"] == rows[2][2:4]
    assert ["10500789", "Pip", "managed", "no"] == rows[3]
    told = json.loads(command("home", "list", "--json", *mira).out)["users"]
    assert [MIRA.id, JUNO.id, 10500789] == [one["id"] for one in told]
    assert PASSCODE not in str(told)


def test_a_switch_is_kept_as_a_profile_of_its_own(command: Command, mira: list[str], tmp_path: Path) -> None:
    """The other user's sign-in is stored under a profile with that name; the current one stays unchanged."""
    ran = command("home", "switch", "pip", *mira)
    assert (0, "Signed in as Pip") == (ran.code, ran.out.splitlines()[0])
    assert f"ticketstub whoami --plex-tv {mira[1]} --profile pip" in ran.out
    assert "10500789" in command("whoami", "--profile", "pip", *mira).out
    assert "mira_quill" == command("whoami", *mira).out.splitlines()[0]
    assert 0 == command("logout", "--profile", "pip", *mira).code
    assert "mira_quill" == command("whoami", *mira).out.splitlines()[0]


def test_a_passcode_is_read_from_a_pipe(command: Command, mira: list[str]) -> None:
    """Standard input then contains the passcode, not a token; a wrong one has exit code 1, and a missing one a hint."""
    switch = ["home", "switch", "Juno_Vale", "--as", "juno", *mira]
    ran = command(*switch)
    assert (1, "") == (ran.code, ran.out)
    assert "or pipe it in" in ran.err
    ran = command(*switch, stdin="0000\n")
    assert (1, "") == (ran.code, ran.out)
    assert "the passcode is wrong" in ran.err
    assert "0000" not in ran.err
    ran = command(*switch, "--json", stdin=f"{PASSCODE}\n")
    assert (0, "juno") == (ran.code, json.loads(ran.out)["profile"])
    assert "juno_vale" == command("whoami", "--profile", "juno", *mira).out.splitlines()[0]


def test_a_passcode_is_asked_for_on_a_terminal(
    command: Command, mira: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for only if the user has one, and without an echo."""
    asked: list[str] = []

    def answer(question: str, stream: object) -> str:
        asked.append(question)
        return PASSCODE

    monkeypatch.setattr("getpass.getpass", answer)
    assert 0 == command("home", "switch", "Pip", *mira, terminal=True).code
    assert 0 == command("home", "switch", str(JUNO.id), *mira, terminal=True).code
    assert 1 == len(asked)


def test_a_name_that_is_taken(command: Command, mira: list[str], fresh: LocalPlexController, tmp_path: Path) -> None:
    """A profile of another account is replaced only with --again; a profile of the same user always is."""
    keep(tmp_path, fresh.url, text_of(TOM.token), "pip")
    ran = command("home", "switch", "Pip", *mira)
    assert (2, "") == (ran.code, ran.out)
    assert "--as NAME" in ran.err
    assert 0 == command("home", "switch", "Pip", "--again", *mira).code
    assert 0 == command("home", "switch", "Pip", *mira).code


def test_nobody_of_that_name(command: Command, mira: list[str]) -> None:
    ran = command("home", "switch", "Nobody", *mira)
    assert (1, "") == (ran.code, ran.out)
    assert "Pip" in ran.err


def test_ones_own_passcode(command: Command, mira: list[str]) -> None:
    """It is set, changed with the current one, and removed; a wrong current passcode changes nothing."""
    assert 0 == command("home", "passcode", "set", *mira, stdin="1234\n").code
    wrong = command("home", "passcode", "set", *mira, stdin="5678\n9999\n")
    assert wrong.code != 0
    assert "nothing was changed" in wrong.err
    assert not {"5678", "9999"} & set(wrong.err.split())
    assert 0 == command("home", "passcode", "set", *mira, stdin="5678\n1234\n").code
    assert 0 == command("home", "passcode", "remove", *mira, stdin="5678\n").code
    listed = json.loads(command("home", "list", "--json", *mira).out)["users"]
    assert listed[0]["protected"] is False


def test_a_managed_user_s_passcode(command: Command, mira: list[str]) -> None:
    """The administrator sets and removes it."""
    ran = command("home", "passcode", "set", "--user", "Pip", *mira, stdin="1234\n")
    assert (0, "Pip now has this passcode\n") == (ran.code, ran.out)
    assert 1 == command("home", "switch", "Pip", *mira, stdin="4321\n").code
    assert 0 == command("home", "switch", "Pip", *mira, stdin="1234\n").code
    ran = command("home", "passcode", "remove", "--user", "Pip", "--json", *mira)
    assert (0, False) == (ran.code, json.loads(ran.out)["protected"])


@pytest.mark.parametrize("text", ["", "123\n", "12345\n", "abcd\n"])
def test_what_is_no_passcode(command: Command, mira: list[str], text: str) -> None:
    """The exit code is 2, and the value is not repeated."""
    ran = command("home", "passcode", "set", *mira, stdin=text)
    assert (2, "") == (ran.code, ran.out)
    assert not text.strip() or text.strip() not in ran.err


def test_devices_are_listed_and_removed(command: Command, mira: list[str], tmp_path: Path) -> None:
    """This device is marked; a removed device has lost its tokens."""
    login = ["login", "--password", "--login", "tom", "--profile", "tom", "--storage", "file", *mira]
    assert 0 == command(*login, stdin=text_of(TOM.password)).code
    rows = command("devices", "list", "--profile", "tom", *mira).out.splitlines()
    assert ["id", "name", "product", "platform", "last", "seen", "token"] == rows[0].split()
    (this,) = [line for line in rows if "(this one)" in line]
    assert "Ticketstub" in this
    ran = command("devices", "remove", this.split()[0], "--yes", "--profile", "tom", *mira)
    assert 0 == ran.code
    assert "logout --local" in ran.out
    assert 3 == command("whoami", "--profile", "tom", *mira).code


def test_a_device_is_removed_after_a_yes_alone(command: Command, mira: list[str], watch: Watch, tmp_path: Path) -> None:
    """On a terminal, it asks and names the device; without a terminal, it needs --yes."""
    listed = json.loads(command("devices", "list", "--json", *mira).out)["devices"]
    name, number = listed[0]["name"], len(listed)
    remove = ["devices", "remove", str(listed[0]["id"]), *mira]
    assert 2 == command(*remove).code
    watch(lambda _code: None, terminal=True)
    ran = command(*remove, stdin="n\n", terminal=True)
    assert (1, "") == (ran.code, ran.out)
    assert f"Remove {name}" in ran.err
    assert number == len(json.loads(command("devices", "list", "--json", *mira).out)["devices"])
    assert 0 == command(*remove, stdin="y\n", terminal=True).code


def test_no_such_device(command: Command, mira: list[str]) -> None:
    ran = command("devices", "remove", "Toaster", "--yes", *mira)
    assert (1, "") == (ran.code, ran.out)
    assert "devices list" in ran.err


def test_where_a_switch_is_kept_is_settled_before_it(
    command: Command, fresh: LocalPlexController, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a token from the environment and no place to store a sign-in, no switch is made."""
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/null")
    ran = command("home", "switch", "Pip", "--plex-tv", fresh.url, token=MIRA.token)
    assert (1, "") == (ran.code, ran.out)
    assert "could not be stored: there is no keyring, and" in ran.err
