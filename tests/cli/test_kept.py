"""What the commands do with a stored sign-in: use it, show it, renew it, end it."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from tests.cli.conftest import MIRA, TOM, Command, Start, keep, store_in, text_of
from ticketstub.cli import prompts
from ticketstub.cli.errors import InvalidUsage
from ticketstub.cli.prompts import read_first_line
from ticketstub.client.transports.http1 import StandardTransport
from ticketstub.credentials import Credential
from ticketstub.testing import LocalPlexController
from ticketstub.tokens import Token

TOKEN = text_of(TOM.token)
NOBODY = "http://127.0.0.1:9"


class Ring(KeyringBackend):
    """A keyring that is a dictionary."""

    priority = 5.0  # pyright: ignore[reportAssignmentType]  # keyring has a property of the class there

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError


@pytest.fixture
def ring(command: Command, monkeypatch: pytest.MonkeyPatch) -> Ring:
    """A keyring that replaces this computer's own during a test."""
    mine = Ring()
    monkeypatch.setattr("keyring.core._keyring_backend", mine)
    return mine


@pytest.mark.parametrize("name", ["whoami", "ping", "servers", "resources", "check", "devices list", "home list"])
def test_what_is_kept_is_used_where_no_token_is_given(
    command: Command, here: list[str], tmp_path: Path, name: str
) -> None:
    """Each command that calls Plex uses the stored sign-in, also with --json."""
    keep(tmp_path, here[1], TOKEN)
    for more in ([], ["--json"]):
        ran = command(*name.split(), *here, *more)
        assert (0, "") == (ran.code, ran.err)
        assert ran.out


def test_a_token_that_is_given_comes_first(command: Command, here: list[str], tmp_path: Path) -> None:
    """The order is --profile, TICKETSTUB_TOKEN, standard input, then the stored sign-in."""
    keep(tmp_path, here[1], TOKEN)
    assert "mira_quill" == command("whoami", *here, stdin=text_of(MIRA.token)).out.splitlines()[0]
    assert "tom" == command("whoami", *here, "--profile", "default", stdin=b"\xff").out.splitlines()[0]
    assert "mira_quill" == command("whoami", *here, token=MIRA.token).out.splitlines()[0]
    assert "tom" == command("whoami", *here, "--profile", "default").out.splitlines()[0]


def test_a_profile_by_the_environment(
    command: Command, here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TICKETSTUB_PROFILE names the profile, and standard input is then not read; --profile takes precedence."""
    keep(tmp_path, here[1], TOKEN, "work")
    keep(tmp_path, here[1], text_of(MIRA.token), "mira")
    monkeypatch.setenv("TICKETSTUB_PROFILE", "work")
    assert "tom" == command("whoami", *here, stdin=b"\xff").out.splitlines()[0]
    assert "mira_quill" == command("whoami", *here, "--profile", "mira").out.splitlines()[0]


def test_l9_a_profile_belongs_to_its_issuer(command: Command, here: list[str], tmp_path: Path) -> None:
    """A sign-in for one Plex is not used for another: the error names the right one."""
    keep(tmp_path, "https://plex.tv", TOKEN, "work")
    ran = command("whoami", *here, "--profile", "work")
    assert (2, "") == (ran.code, ran.out)
    assert "add --plex-tv https://plex.tv" in ran.err


def test_l9_a_kept_token_goes_to_no_other_media_server(
    command: Command, here: list[str], fresh: LocalPlexController, tmp_path: Path
) -> None:
    """A media server gets its own token, as plex.tv lists it; a server that is not listed gets none."""
    keep(tmp_path, here[1], text_of(MIRA.token), username="mira_quill", account_id=MIRA.id)
    own = json.loads(command("servers", "--json", *here).out)["servers"][0]
    found = command("token", "--transient", *here, "--server", own["connections"][0]["uri"])
    assert 0 == found.code, found.err
    other = command("token", "--transient", *here, "--server", fresh.media_server("Attic").url)
    assert (1, "") == (other.code, other.out)
    assert "no token was sent" in other.err
    assert 2 == command("check", *here, "--server", fresh.media_server("Attic").url).code


def test_why_a_kept_token_no_longer_works_is_said(command: Command, here: list[str], tmp_path: Path) -> None:
    """The error names the profile, the likely reason and the command to sign in again; the exit code stays 3."""
    keep(tmp_path, here[1], "this-token-was-ended", "work")
    ran = command("whoami", *here, "--profile", "work")
    assert (3, "") == (ran.code, ran.out)
    assert "the stored sign-in work (tom) no longer works: it was ended at Plex" in ran.err
    assert f"ticketstub login --plex-tv {here[1]} --profile work" in ran.err
    error = json.loads(command("whoami", *here, "--profile", "work", "--json").err)["error"]
    assert ("Unauthorized", 401, 1001, 3) == (error["kind"], error["status"], error["code"], error["exit_code"])


def test_a_token_whose_time_is_over_is_told_so(command: Command, here: list[str], tmp_path: Path) -> None:
    keep(tmp_path, here[1], "this-token-was-ended", expires_at=1_700_000_000.0)
    assert "no longer works: it has expired" in command("whoami", *here).err


def test_an_outage_is_not_blamed_on_the_token(command: Command, tmp_path: Path) -> None:
    keep(tmp_path, NOBODY, TOKEN)
    ran = command("whoami", "--plex-tv", NOBODY, "--timeout", "0.3")
    assert 5 == ran.code
    assert "no longer works" not in ran.err


def test_status_tells_all_without_network(command: Command, tmp_path: Path) -> None:
    """L2: it shows profile, account, issuer, place, times and fingerprint of every stored sign-in."""
    keep(tmp_path, NOBODY, TOKEN, created_at=1_790_000_000.0, expires_at=1_990_000_000.0)
    keep(tmp_path, "https://plex.tv", "another-token-entirely", "work", username=None)
    ran = command("status")
    assert (0, "") == (ran.code, ran.err)
    assert {"default (tom)", "work"} == {line for line in ran.out.splitlines() if line and not line.startswith(" ")}
    assert str(Token(TOKEN)) in ran.out
    assert "https://plex.tv" in ran.out
    assert 2 == ran.out.count(str(store_in(tmp_path).directory))
    assert "2033-01-" in ran.out
    assert ran.out.count("default") > command("status", "--profile", "work").out.count("default")
    told = json.loads(command("status", "--json").out)["profiles"]
    assert [NOBODY, "https://plex.tv"] == [one["issuer"] for one in told]
    assert str(Token(TOKEN)) == told[0]["token"]


def test_status_of_nothing(command: Command) -> None:
    """Without a stored sign-in, it says so; a named profile that does not exist is an error."""
    assert (0, "No sign-in is stored.\n") == (command("status").code, command("status").out)
    assert 2 == command("status", "--profile", "work").code
    ran = command("status", token="some-token-or-other")
    assert "TICKETSTUB_TOKEN is set" in ran.out


def test_status_tells_a_file_that_others_can_read(command: Command, tmp_path: Path) -> None:
    """L2: such a file is refused, with a hint."""
    keep(tmp_path, NOBODY, TOKEN)
    (file,) = store_in(tmp_path).directory.glob("*.kept")
    file.chmod(0o644)
    for arguments in (["status"], ["whoami", "--plex-tv", NOBODY]):
        ran = command(*arguments)
        assert (1, "") == (ran.code, ran.out)
        assert "chmod 600" in ran.err
    assert 0 == command("logout", "--local", "--plex-tv", NOBODY).code
    assert not file.exists()


def test_logout_ends_the_token_and_forgets_it(command: Command, fresh: LocalPlexController, tmp_path: Path) -> None:
    """Afterwards the token is revoked at Plex, and nothing is stored."""
    here = ["--plex-tv", fresh.url]
    keep(tmp_path, fresh.url, TOKEN)
    assert (0, "Signed out: default (tom)\n") == ((ran := command("logout", *here)).code, ran.out)
    assert store_in(tmp_path).load(fresh.url) is None
    assert 2 == command("logout", *here).code
    assert 3 == command("whoami", *here, token=TOKEN).code


def test_l5_what_plex_cannot_be_told_stays_kept(command: Command, tmp_path: Path) -> None:
    """With plex.tv down, nothing is deleted and the exit code is 5; --local deletes the sign-in here."""
    keep(tmp_path, NOBODY, TOKEN)
    ran = command("logout", "--plex-tv", NOBODY, "--timeout", "0.3")
    assert (5, "") == (ran.code, ran.out)
    assert "still stored" in ran.err
    assert store_in(tmp_path).load(NOBODY) is not None
    local = command("logout", "--local", "--plex-tv", NOBODY)
    assert 0 == local.code
    assert "still valid at Plex" in local.out
    assert store_in(tmp_path).load(NOBODY) is None


def test_logout_of_a_dead_token_forgets_it(command: Command, fresh: LocalPlexController, tmp_path: Path) -> None:
    keep(tmp_path, fresh.url, "this-token-was-ended")
    assert 0 == command("logout", "--plex-tv", fresh.url).code
    assert store_in(tmp_path).load(fresh.url) is None


def test_who_signed_out_offline_is_not_signed_in(command: Command, here: list[str], tmp_path: Path) -> None:
    """A sign-in that is stored only to be ended at Plex is not used for anything else."""
    keep(tmp_path, here[1], TOKEN, signed_out_at=1_790_000_000.0)
    ran = command("whoami", *here)
    assert (2, "") == (ran.code, ran.out)
    assert "ticketstub logout" in ran.err
    assert "Plex could not be reached" in command("status").out


def test_renew_without_a_key_keeps_alive(command: Command, here: list[str], tmp_path: Path) -> None:
    before = keep(tmp_path, here[1], TOKEN)
    ran = command("renew", *here)
    assert (0, "") == (ran.code, ran.err)
    assert ran.out.startswith("Still valid: default (tom)")
    after = store_in(tmp_path).load(here[1])
    assert after is not None
    assert before.checked_at != after.checked_at
    assert json.loads(command("renew", "--json", *here).out)["renewed"] is False


def test_token_is_written_alone_into_a_pipe(
    command: Command, here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L3: it prints the stored token, not TICKETSTUB_TOKEN; to a terminal only with --yes, in JSON as a fingerprint."""
    made = "a-token-of-this-test"
    keep(tmp_path, here[1], made)
    monkeypatch.setenv("TICKETSTUB_TOKEN", "some-token-or-other")
    assert (0, f"{made}\n", "") == ((ran := command("token", *here)).code, ran.out, ran.err)
    assert made not in command("token", "--json", *here).out
    monkeypatch.setattr("ticketstub.cli.prompts.is_terminal", lambda _stream: True)
    ran = command("token", *here)
    assert (2, "") == (ran.code, ran.out)
    assert "--yes" in ran.err
    assert f"{made}\n" == command("token", "--yes", *here).out


def test_claim_writes_a_claim_token_into_a_pipe(
    command: Command, here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is printed to a terminal only with --yes, and in JSON as a fingerprint."""
    keep(tmp_path, here[1], TOKEN)
    assert re.fullmatch(r"claim-[\w-]{20}\n", command("claim", *here).out)
    assert "claim-" not in command("claim", "--json", *here).out
    monkeypatch.setattr("ticketstub.cli.prompts.is_terminal", lambda _stream: True)
    ran = command("claim", *here)
    assert (2, "") == (ran.code, ran.out)
    assert command("claim", "--yes", *here).out.startswith("claim-")


CHECKED: dict[str, tuple[str, int, str]] = {
    "an account's": (TOKEN, 0, "An account's token: alive"),
    "nobody's": ("this-token-was-ended", 3, "A token: not known to plex.tv"),
    "a claim token": ("claim-abcdefghij0123456789", 1, "A claim token: unknown whether it is alive"),
    "a transient one": (
        "transient-0c1e5ab0-6d0c-4bd7-9e5c-0f3b8e3e0b7a",
        1,
        "A transient token: unknown whether it is alive",
    ),
}


@pytest.mark.parametrize(("text", "code", "beginning"), CHECKED.values(), ids=CHECKED)
def test_check(command: Command, here: list[str], text: str, code: int, beginning: str) -> None:
    """It shows kind, state and reason of a piped token, and has an exit code for scripts."""
    ran = command("check", *here, stdin=text)
    assert (code, "") == (ran.code, ran.err)
    assert ran.out.startswith(beginning)
    told: Any = json.loads(command("check", "--json", *here, stdin=text).out)
    assert code == told["exit_code"]
    assert {0: True, 3: False}.get(code) is told["checked"]["alive"]


def test_check_says_dead_only_where_it_is_known(
    command: Command, here: list[str], attic: list[str], tmp_path: Path
) -> None:
    """A token that plex.tv does not know may be a media server's: it is dead if that refuses it, or it was stored."""
    ran = command("check", *here, *attic, stdin="this-token-was-ended")
    assert (3, "A token: dead") == (ran.code, ran.out.splitlines()[0])
    keep(tmp_path, here[1], "this-token-was-ended")
    ran = command("check", *here)
    assert (3, "A token: dead") == (ran.code, ran.out.splitlines()[0])


def test_check_asks_a_media_server_too(command: Command, here: list[str], attic: list[str]) -> None:
    """A token that plex.tv does not know may be a media server's own."""
    ran = command("check", *here, *attic, stdin="Qw7-Zr2_LmN8tYb4HsKd")
    assert (0, "A token for this media server: alive") == (ran.code, ran.out.splitlines()[0])


def test_check_of_an_outage(command: Command) -> None:
    ran = command("check", "--plex-tv", NOBODY, "--timeout", "0.3", token=TOKEN)
    assert 5 == ran.code
    assert "unknown whether it is alive" in ran.out


def test_check_of_what_is_no_token(command: Command, here: list[str]) -> None:
    assert 2 == command("check", *here, stdin="tom@example.test").code


def test_the_keyring_is_taken_unasked(command: Command, here: list[str], ring: Ring, tmp_path: Path) -> None:
    """With a keyring, no question is asked, no file contains the token, and status names the keyring."""
    ran = command("login", "--password", *here, stdin=f"tom\n{text_of(TOM.password)}\n")
    assert (0, "") == (ran.code, ran.err)
    assert "in this computer's keyring (" in ran.out
    (secret,) = ring.kept.values()
    token = json.loads(secret)["token"]
    assert not any(token in path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file())
    assert "in this computer's keyring" in command("status").out
    assert "tom" == command("whoami", *here).out.splitlines()[0]
    assert f"{token}\n" == command("token", *here).out
    assert 0 == command("logout", *here).code
    assert {} == ring.kept


def test_what_is_in_a_file_is_found_beside_a_keyring(
    command: Command, here: list[str], ring: Ring, tmp_path: Path
) -> None:
    """The store of each profile is looked up separately."""
    keep(tmp_path, here[1], TOKEN, "filed")
    login = ["login", "--password", "--storage", "keyring", "--profile", "ringed", *here]
    assert 0 == command(*login, stdin=f"tom\n{text_of(TOM.password)}\n").code
    for profile in ("filed", "ringed"):
        assert "tom" == command("whoami", "--profile", profile, *here).out.splitlines()[0]
    told = json.loads(command("status", "--json").out)["profiles"]
    assert {"filed", "ringed"} == {one["profile"] for one in told}
    assert 0 == command("logout", "--local", "--profile", "ringed", *here).code
    assert {} == ring.kept


def test_a_named_keyring_that_is_none(command: Command, here: list[str]) -> None:
    """The error comes before the password is asked for, and names the option that helps."""
    ran = command("login", "--password", "--storage", "keyring", *here, stdin=b"\xff")
    assert (1, "") == (ran.code, ran.out)
    assert "--storage file" in ran.err


def keep_for(home: Path, plex_tv: str, app: str, token: str, username: str) -> None:
    """Store a sign-in as a program of that name does."""
    credential = Credential(
        issuer=plex_tv, app=app, token=Token(token), username=username, client_identifier=f"tests-{username}"
    )
    assert store_in(home).save(credential, replacing=None)


def test_the_command_is_an_app_of_its_own(command: Command, here: list[str], tmp_path: Path) -> None:
    """The sign-ins of other programs are neither used, shown by status, nor ended by logout."""
    keep_for(tmp_path, here[1], "Photo Frame", TOKEN, "tom")
    for name in ("whoami", "logout", "renew"):
        ran = command(name, *here)
        assert (2, "") == (ran.code, ran.out)
        assert "you are not signed in" in ran.err
    assert "No sign-in is stored" in command("status").out
    assert store_in(tmp_path).load(here[1], app="Photo Frame") is not None


def test_profiles_lists_all_apps(command: Command, here: list[str], tmp_path: Path) -> None:
    """Each sign-in of each program is listed with app, profile, issuer, account and place, without a secret."""
    assert "No sign-in is stored" in command("profiles").out
    keep(tmp_path, here[1], TOKEN, "work")
    keep_for(tmp_path, "https://plex.tv", "Photo Frame", "another-token-entirely", "juno")
    shown = command("profiles").out
    for text in ("ticketstub", "work", "tom", here[1], "Photo Frame", "default", "juno", "https://plex.tv"):
        assert text in shown
    told = json.loads(command("profiles", "--json").out)["profiles"]
    assert [
        ("Photo Frame", "default", "https://plex.tv", "juno"),
        ("ticketstub", "work", here[1], "tom"),
    ] == [(one["app"], one["profile"], one["issuer"], one["account"]["username"]) for one in told]
    assert {("file", str(store_in(tmp_path).directory))} == {
        (one["kept"], str(Path(one["path"]).parent)) for one in told
    }
    assert "another-token-entirely" not in shown + str(told)


def test_logout_all_ends_those_of_all_apps(
    command: Command, fresh: LocalPlexController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists them and asks; those that cannot be ended at Plex stay stored, and the exit code reports that."""
    monkeypatch.setattr(StandardTransport, "sleep", lambda _self, _seconds: None)
    keep(tmp_path, fresh.url, TOKEN)
    keep_for(tmp_path, fresh.url, "Photo Frame", text_of(MIRA.token), "mira_quill")
    keep_for(tmp_path, NOBODY, "Admin Tool", "another-token-entirely", "juno")
    ran = command("logout", "--all")
    assert (2, "") == (ran.code, ran.out)
    assert "--yes" in ran.err
    assert 2 == command("logout", "--all", "--yes", "--profile", "work").code
    assert 3 == len(store_in(tmp_path).list_entries())
    ran = command("logout", "--all", "--yes", "--timeout", "5")
    assert (5, {"Signed out: Photo Frame: default (mira_quill)", "Signed out: ticketstub: default (tom)"}) == (
        ran.code,
        set(ran.out.splitlines()),
    )
    assert f"  Photo Frame: default (mira_quill) at {fresh.url}" in ran.err.splitlines()
    assert "is not signed out, and still stored" in ran.err
    assert ["Admin Tool"] == [one.app for one in store_in(tmp_path).list_entries()]
    for token in (TOM.token, MIRA.token):
        assert 3 == command("whoami", "--plex-tv", fresh.url, token=token).code
    local = command("logout", "--all", "--local", "--yes", "--json")
    assert (0, ["Admin Tool"]) == (local.code, [one["app"] for one in json.loads(local.out)["profiles"]])
    assert () == store_in(tmp_path).list_entries()
    assert 0 == command("logout", "--all", "--yes").code


@pytest.mark.parametrize("answer", ["y", "n"])
def test_logout_all_asks_on_a_terminal(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Any answer but yes ends nothing."""
    keep_for(tmp_path, NOBODY, "Admin Tool", "another-token-entirely", "juno")
    monkeypatch.setattr("ticketstub.cli.prompts.is_terminal", lambda _stream: True)
    ran = command("logout", "--all", "--local", stdin=f"{answer}\n", terminal=True)
    assert (0 if answer == "y" else 1) == ran.code
    assert "Continue? [y/N]" in ran.err
    assert ("y" == answer) is (() == store_in(tmp_path).list_entries())


def test_an_empty_pipe_is_an_error(command: Command, here: list[str], tmp_path: Path) -> None:
    """An empty pipe does not fall back to the stored sign-in; /dev/null is not a pipe."""
    keep(tmp_path, here[1], TOKEN)
    for name in ("whoami", "check"):
        ran = command(name, *here, stdin="")
        assert (2, "") == (ran.code, ran.out)
        assert "standard input is empty" in ran.err
    assert 0 == command("whoami", *here, "--profile", "default", stdin="").code
    assert "tom" == command("whoami", *here).out.splitlines()[0]


LITTLE = {"notice_after": 0.0, "signed_in_timeout": 0.05, "signed_out_timeout": 0.05}
MUCH = {"notice_after": 0.0, "signed_in_timeout": 60.0, "signed_out_timeout": 60.0}


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: its reading and its writing end."""
    reading, writing = os.pipe()
    yield reading, writing
    with contextlib.suppress(OSError):
        os.close(writing)
    os.close(reading)


def test_it_is_said_which_answer_a_silent_pipe_is_waited_for(
    pipe: tuple[int, int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that arrives at once is read in silence; else standard error says what is waited for."""
    reading, writing = pipe
    monkeypatch.setattr(prompts, "NOTICE_DELAY", 60.0)
    with os.fdopen(reading, encoding="utf-8", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        os.write(writing, b"tom\n")
        assert "tom" == prompts.read_required("User name or e-mail: ", "login")
        assert "" == capsys.readouterr().err
        notices: list[str] = []

        def answer(notice: str) -> None:
            notices.append(notice)
            os.write(writing, b"rainy\n")

        monkeypatch.setattr(prompts, "NOTICE_DELAY", 0.0)
        monkeypatch.setattr(sys.stderr, "write", answer)
        assert "rainy" == prompts.read_required("Password: ", "password", hidden=True)
    assert ["Waiting for a line on standard input: Password (Ctrl-C to cancel) ...\n"] == notices


def test_an_open_silent_pipe_hangs_nothing(pipe: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    """After a limited wait, the stored sign-in is used with a note; without one, it is an error."""
    assert read_first_line(pipe[0], lambda: True, **LITTLE) is None
    assert "no token arrived on standard input" in capsys.readouterr().err
    with pytest.raises(InvalidUsage, match="no token arrived on standard input"):
        read_first_line(pipe[0], lambda: False, **LITTLE)


@pytest.mark.parametrize("kept", [True, False])
def test_a_slow_writer_is_waited_for(pipe: tuple[int, int], *, kept: bool) -> None:
    """A late token is used, with or without a stored sign-in; one line is enough, and the pipe may stay open."""
    asked = threading.Event()

    def is_kept() -> bool:
        asked.set()
        return kept

    def write() -> None:
        asked.wait(60)
        os.write(pipe[1], b"some-to")
        os.write(pipe[1], b"ken\nmore")

    writer = threading.Thread(target=write)
    writer.start()
    assert "some-token" == read_first_line(pipe[0], is_kept, **MUCH)
    writer.join(60)


def test_half_a_token_is_none(pipe: tuple[int, int]) -> None:
    """An incomplete token on a pipe that stays open is an error: the stored sign-in is not used instead."""
    os.write(pipe[1], b"some-to")
    with pytest.raises(InvalidUsage, match="is incomplete"):
        read_first_line(pipe[0], lambda: True, notice_after=0.0, signed_in_timeout=0.2, signed_out_timeout=0.2)


@pytest.mark.long
def test_an_open_standard_input_is_no_obstacle(start: Start, here: list[str], tmp_path: Path) -> None:
    """`docker run -i` and ssh leave standard input open: `whoami` uses the stored sign-in, and ends."""
    keep(tmp_path, here[1], TOKEN)
    running = start("whoami", *here, stdin=subprocess.PIPE)
    assert "tom" == running.wait_for("tom", 60)
    assert 0 == running.popen.wait(60)


def test_a_home_that_cannot_be_written_costs_the_identifier(
    command: Command, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a given token, each command continues, with a note."""
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("whoami", "check", "ping", "servers", "devices list", "home list"):
        monkeypatch.setattr("ticketstub.device._TEMPORARY_IDENTIFIERS", {})  # a process says it once
        ran = command(*name.split(), *here, stdin=TOKEN)
        assert 0 == ran.code, ran.err
        assert ran.err.startswith("note: this installation's identifier can be neither read nor stored")
    ran = command("login", "--password", *here, stdin=f"tom\n{text_of(TOM.password)}\n")
    assert (1, "") == (ran.code, ran.out)
    assert "could not be stored" in ran.err
    printed = ["login", "--password", "--print-token", *here]
    assert 0 == command(*printed, stdin=f"tom\n{text_of(TOM.password)}\n").code
