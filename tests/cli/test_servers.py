"""`servers` and `connect`: the best address of each media server, and what became of the others.

Rule: names below plex.direct are looked up by the local Plex's resolver, never by the system's.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

from tests.cli.addressed import FAR, MIRA_TOKEN, TOM_TOKEN
from tests.cli.conftest import Command, environment
from ticketstub import routes
from ticketstub.cli import addresses
from ticketstub.cli.addresses import Outcome, ask_each
from ticketstub.errors import Unreachable
from ticketstub.testing import LocalPlexController, local_plex


def url_of(plex: LocalPlexController, which: int) -> str:
    return plex.addresses[which].url


ATTIC_GOOD, BARN_REFUSING, BARN_SELF_SIGNED = 3, 4, 5


def test_servers_have_their_best_address(mira: Command, addressed: LocalPlexController) -> None:
    """Each server has a row with owner, version, address, how, milliseconds and identifier."""
    ran = mira("servers")
    assert (0, "") == (ran.code, ran.err)
    head, *rows = ran.out.splitlines()
    assert ["name", "owner", "version", "address", "how", "took", "identifier"] == head.split()
    attic = next(row for row in rows if row.startswith("Attic"))
    expected = (
        " you ",
        url_of(addressed, ATTIC_GOOD),
        " remote",
        " ms ",
        addressed.media_server("Attic").machine_identifier,
    )
    assert [] == [part for part in expected if part not in attic]
    assert f"{addressed.media_server('Cellar').url} " in next(row for row in rows if row.startswith("Cellar"))


def test_a_server_that_cannot_be_reached_has_a_row_with_the_reason(mira: Command) -> None:
    """The reasons are those of its addresses, in words; the exit code is 0."""
    ran = mira("servers")
    barn = next(row for row in ran.out.splitlines() if row.startswith("Barn"))
    reason = barn.partition("unreachable: ")[2]
    assert " tom " in barn
    assert [True] * 3 == [
        each in reason for each in ("not encrypted", "connection refused", "its certificate is not trusted")
    ]


def test_servers_in_json(mira: Command, addressed: LocalPlexController) -> None:
    """A server is what plex.tv lists, with its route or the reason why there is none."""
    found = {each["name"]: each for each in json.loads(mira("servers", "--json").out)["servers"]}
    attic, barn = found["Attic"], found["Barn"]
    assert (url_of(addressed, ATTIC_GOOD), "remote", "ipv4", None) == (
        *(attic["route"][name] for name in ("url", "kind", "family")),
        attic["unreachable"],
    )
    assert 0 < attic["route"]["milliseconds"] < 60_000
    assert attic["access_token"].startswith("#")
    assert (None, True) == (barn["route"], "connection refused" in barn["unreachable"])


def test_every_address_is_shown_with_its_fate(mira: Command, addressed: LocalPlexController) -> None:
    """--all lists each address, what became of it, and what to do, as text and in JSON."""
    ran = mira("servers", "--all")
    assert 0 == ran.code
    lines = ran.out.splitlines()
    for which, words in enumerate(
        (
            "something else answers",
            "another media server",
            "certificate is not valid now",
            "reachable in",
            "connection refused",
            "certificate is not trusted",
        )
    ):
        assert words in lines[lines.index(f"  {url_of(addressed, which)}") + 1], which
    assert "--allow-http permits it" in lines[lines.index(f"  http://{FAR}:32400") + 1]
    assert 1 == lines.count(f"  http://{FAR}:32400")
    assert 1 == ran.out.count("other Plex programs")  # for Barn, whose name has no address
    assert ran.out.index("Barn (owner: tom)") < ran.out.index("other Plex programs")
    found = {each["name"]: each for each in json.loads(mira("servers", "--all", "--json").out)["servers"]}
    fates = {each["url"]: each["fate"] for server in found.values() for each in server["addresses"]}
    assert ["not_plex", "wrong_server", "certificate_expired", "reachable", "refused", "certificate_untrusted"] == [
        fates[each.url] for each in addressed.addresses
    ]


def test_connect_shows_where_and_how_and_no_token(mira: Command, addressed: LocalPlexController) -> None:
    """The name may be in any capitals, or the identifier; the token is a fingerprint."""
    for name in ("attic", addressed.media_server("Attic").machine_identifier):
        ran = mira("connect", name)
        assert (0, "Attic") == (ran.code, ran.out.splitlines()[0])
        assert f"address     {url_of(addressed, ATTIC_GOOD)}\n" in ran.out
        assert MIRA_TOKEN not in ran.out
    found = json.loads(mira("connect", "Attic", "--json").out)
    assert ("Attic", url_of(addressed, ATTIC_GOOD), "opaque", True) == (
        found["server"]["name"],
        found["server"]["url"],
        found["token_kind"],
        found["token"].startswith("#"),
    )


def test_export_hands_the_address_and_the_token_to_a_shell(
    mira: Command, addressed: LocalPlexController, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell that evaluates the output has both variables. On a terminal, --yes is needed."""
    ran = mira("connect", "cellar", "--export")
    assert (0, "") == (ran.code, ran.err)
    shown = subprocess.run(
        ["/bin/sh", "-c", f'{ran.out}\nprintf "%s|%s" "$PLEX_URL" "$PLEX_TOKEN"'],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f"{addressed.media_server('Cellar').url}|{MIRA_TOKEN}" == shown.stdout
    assert 2 == mira("connect", "cellar", "--export", "--json").code
    monkeypatch.setattr("ticketstub.cli.prompts.is_terminal", lambda _stream: True)
    before = len(addressed.requests)
    refused = mira("connect", "cellar", "--export")
    assert (2, "", True, before) == (refused.code, refused.out, "--yes" in refused.err, len(addressed.requests))
    assert MIRA_TOKEN in mira("connect", "cellar", "--export", "--yes").out


def test_connect_says_what_became_of_each_address(mira: Command, addressed: LocalPlexController) -> None:
    """Where no address works, the exit code is 5, and each address has a line."""
    ran = mira("connect", "Barn")
    assert (5, "") == (ran.code, ran.out)
    assert f"  {url_of(addressed, BARN_REFUSING)}  local: connection refused\n" in ran.err
    assert f"  {url_of(addressed, BARN_SELF_SIGNED)}  remote: its certificate is not trusted\n" in ran.err
    error = json.loads(mira("connect", "Barn", "--json").err)["error"]
    assert ("ServerUnreachable", 5, 3) == (error["kind"], error["exit_code"], len(error["details"]))


def test_allow_http_permits_unencrypted_private_addresses(mira: Command, dialled: list[str]) -> None:
    """A private address without TLS is dialled with --allow-http only."""
    for arguments in (["connect", "Barn"], ["servers"], ["servers", "--all"]):
        mira(*arguments)
        assert FAR not in dialled
        mira(*arguments, "--allow-http")
        assert FAR in dialled
        dialled.clear()


def test_a_wrong_name_is_a_fault_of_the_command_line(mira: Command) -> None:
    """The error lists the servers that there are, and does not repeat what may be a token."""
    ran = mira("connect", "Atic")
    assert (2, "") == (ran.code, ran.out)
    assert "no media server Atic" in ran.err
    assert "Attic, Cellar, Barn" in ran.err
    assert TOM_TOKEN not in mira("connect", TOM_TOKEN).err


def test_it_is_said_who_refused_the_token(mira: Command, addressed: LocalPlexController) -> None:
    """A media server's refusal is not taken for one of plex.tv, whose refusal leads to a new sign-in."""
    addressed.refuse_next("GET /", status=401, at="Cellar", times=2)
    ran = mira("connect", "cellar")
    assert (3, "") == (ran.code, ran.out)
    assert "the media server refuses the token" in ran.err
    dead = mira("connect", "cellar", token="this-token-was-ended")
    assert (3, True) == (dead.code, "ticketstub login" in dead.err)


def test_every_fate_has_words() -> None:
    """What can become of an address, and of the look-up of its name, is explained."""
    assert set(get_args(routes.Fate)) == set(addresses.FATES)
    assert {*get_args(routes.DnsFinding)} - {"agrees"} == set(addresses.LOOKUPS)


def test_one_failure_ends_nothing() -> None:
    """Servers are asked at the same time; the order is theirs, and progress is reported."""
    counts: list[int] = []

    def ask(seconds: float) -> Outcome:
        time.sleep(seconds)
        if seconds == 0.2:
            raise Unreachable("it is away")
        return Outcome(reason=str(seconds))

    started = time.monotonic()
    outcomes = ask_each([0.4, 0.2, 0.4, 0.4, 0.0], ask, counts.append)
    assert ["0.4", "it is away", "0.4", "0.4", "0.0"] == [each.reason for each in outcomes]
    assert [1, 2, 3, 4, 5] == counts
    assert time.monotonic() - started < 1.3


def test_a_fault_of_ours_is_not_hidden() -> None:
    """What is no `PlexError` is raised."""

    def ask(_server: int) -> Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_each([1, 2], ask)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_on_a_terminal_progress_is_shown_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    """While a server is silent, a line says how many are done; Ctrl-C ends the command at once with exit code 130."""
    import pty

    world = f"""
        [[account]]
        username = "mira_quill"
        email = "mira@example.test"
        token = "{MIRA_TOKEN}"

        [[media_server]]
        name = "Attic"
        owner = "mira_quill"

        [[media_server.address]]
        behaviour = "slow"
        delay = 60
        """
    with local_plex(world) as plex:
        master, terminal = pty.openpty()
        more = {"TICKETSTUB_TOKEN": MIRA_TOKEN, "TICKETSTUB_PLEX_TV": plex.url, "TERM": "xterm"}
        process = subprocess.Popen(
            [sys.executable, "-m", "ticketstub", "servers", "--max-wait", "50"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment(tmp_path, **more),
        )
        os.close(terminal)
        try:
            assert "0 of 1" in _read_until(master, "0 of 1")
            process.send_signal(signal.SIGINT)
            assert 130 == process.wait(10)
        finally:
            process.kill()
            process.wait()
            os.close(master)


def _read_until(descriptor: int, text: str) -> str:
    deadline, received = time.monotonic() + 30, ""
    while text not in received and time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.1)[0]:
            received += os.read(descriptor, 4096).decode("utf-8", "replace")
    return received
