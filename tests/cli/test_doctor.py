"""`doctor`: each check says ok, warning or problem, and what to do; what is broken ends no other check."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from keyring.backends.null import Keyring as NullKeyring

from tests.cli.addressed import MIRA_TOKEN
from tests.cli.conftest import TOM, Command, keep, store_in, text_of
from tests.credentials.conftest import FakeKeyring
from ticketstub import Resource, Response
from ticketstub.cli.addresses import Outcome
from ticketstub.cli.doctor import check_clock, check_lookup, judge_server
from ticketstub.cli.local_checks import check_authorities
from ticketstub.messages import Origin
from ticketstub.routes import AddressReport
from ticketstub.testing import LocalPlexController
from ticketstub.tokens import Secret

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
NAMES = ["versions", "SQLite", "keyring", "files", "certificates", "proxy", "name look-up", "plex.tv", "clock"]


def checks_of(ran: Any) -> dict[str, dict[str, Any]]:
    """Return the checks of `doctor --json` by name."""
    found = json.loads(ran.out)
    assert ran.code == (1 if found["problems"] else 0)
    states = [check["state"] for check in found["checks"]]
    assert (found["problems"], found["warnings"]) == (states.count("problem"), states.count("warning"))
    return {check["name"]: check for check in found["checks"]}


def test_without_a_sign_in_the_servers_are_skipped(command: Command, here: list[str]) -> None:
    """Nothing is a problem, the exit code is 0, and the command says how to sign in."""
    ran = command("doctor", *here)
    assert (0, "") == (ran.code, ran.err)
    assert ran.out.endswith("\nProblems: 0. Warnings: 0.\n")
    found = checks_of(command("doctor", *here, "--json"))
    assert {*NAMES, "sign-ins", "media servers"} == found.keys()
    assert {"ok", "skipped"} == {check["state"] for check in found.values()}
    assert "ticketstub login" in found["sign-ins"]["advice"]
    assert ("skipped", "ok", "ok") == tuple(found[name]["state"] for name in ("media servers", "plex.tv", "clock"))
    for check in found.values():
        assert f"{check['state']:9}{check['name']}: " in ran.out


@pytest.mark.long
def test_without_a_network_the_other_checks_are_made(command: Command) -> None:
    """plex.tv is a problem, with what to do; checks that need it are skipped, and the rest is checked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = checks_of(command("doctor", "--plex-tv", url, "--json", token="this-token-is-unused"))
    assert {*NAMES, "TICKETSTUB_TOKEN", "media servers"} == found.keys()
    assert ("problem", True) == (found["plex.tv"]["state"], bool(found["plex.tv"]["advice"]))
    assert {"skipped"} == {found[name]["state"] for name in ("clock", "media servers", "name look-up")}


def test_every_address_of_every_server_has_its_fate(mira: Command, addressed: LocalPlexController) -> None:
    """A server with a good address is ok, one without is a problem; each address is listed, as text and in JSON."""
    found = checks_of(mira("doctor", "--json"))
    states = {name: check["state"] for name, check in found.items() if name.startswith("server ")}
    assert {"server Attic": "ok", "server Barn": "problem", "server Cellar": "ok"} == states
    listed = [each for name in states for each in found[name]["addresses"]]
    assert {each.url for each in addressed.addresses} < {each["url"] for each in listed}
    assert "connection refused" in found["server Barn"]["finding"]
    ran = mira("doctor")
    assert (1, MIRA_TOKEN in ran.out + ran.err) == (ran.code, False)
    for each in addressed.addresses:
        assert f"\n         {each.url}\n           " in ran.out


def test_rebinding_protection_is_noticed(mira: Command, addressed: LocalPlexController) -> None:
    """Private addresses that are missing from answers are told from names that nobody can look up."""
    finding = checks_of(mira("doctor", "--json"))["plex.direct"]["finding"]
    assert "cannot be looked up" in finding  # Barn's
    addressed.change_address(addressed.addresses[5], dns="answers")
    check = checks_of(mira("doctor", "--json"))["plex.direct"]
    assert ("ok", None) == (check["state"], check["advice"])
    addressed.change_address(addressed.addresses[2], dns="fails")
    check = checks_of(mira("doctor", "--json"))["plex.direct"]
    assert ("warning", True) == (check["state"], "rebinding" in check["finding"])


def test_a_sign_in_that_no_longer_works_is_a_problem(command: Command, here: list[str], tmp_path: Path) -> None:
    """plex.tv's refusal is reported with what to do."""
    keep(tmp_path, here[1], "this-token-was-ended")
    check = checks_of(command("doctor", *here, "--json"))["media servers"]
    assert ("problem", True) == (check["state"], "ticketstub login" in check["advice"])


@pytest.mark.parametrize(
    ("fields", "state", "words"),
    [
        ({}, "ok", "opaque token; expires: unknown"),
        ({"expires_at": 1e9}, "problem", "expired"),
        ({"expires_at": 1e9, "device_key": True}, "ok", "renewed on the next use"),
        ({"expires_at": 4e9, "device_key": True}, "ok", "renewed before that"),
        ({"signed_out_at": 1e9}, "warning", "you signed out"),
    ],
)
def test_kinds_and_ends_of_tokens(
    command: Command, here: list[str], tmp_path: Path, fields: dict[str, Any], state: str, words: str
) -> None:
    """Each stored sign-in is shown with its kind of token and when that ends."""
    more = fields | ({"device_key": Secret("{}")} if "device_key" in fields else {})
    keep(tmp_path, here[1], text_of(TOM.token), **more)
    ran = command("doctor", *here, "--json")
    check = checks_of(ran)["sign-in default (tom)"]
    assert (state, True) == (check["state"], words in check["finding"]), check
    assert text_of(TOM.token) not in ran.out + ran.err


@posix
@pytest.mark.parametrize(("mode", "state"), [(0o700, "ok"), (0o750, "warning"), (0o777, "problem")])
def test_the_folder_of_the_sign_ins_is_private(
    command: Command, here: list[str], tmp_path: Path, mode: int, state: str
) -> None:
    """A folder that others can read is a warning, one that they can write a problem."""
    keep(tmp_path, here[1], text_of(TOM.token))
    folder = store_in(tmp_path).directory
    folder.chmod(mode)
    check = checks_of(command("doctor", *here, "--json"))["files"]
    assert (state, state != "ok") == (check["state"], f"chmod 700 {folder}" == check["advice"])


@posix
def test_a_sign_in_that_others_can_read_is_a_problem(command: Command, here: list[str], tmp_path: Path) -> None:
    """It is not read; the other checks are made."""
    keep(tmp_path, here[1], text_of(TOM.token))
    for file in store_in(tmp_path).directory.iterdir():
        file.chmod(0o644)
    found = checks_of(command("doctor", *here, "--json"))
    assert ("problem", True) == (found["sign-ins"]["state"], "chmod 600" in found["sign-ins"]["advice"])
    assert "ok" == found["plex.tv"]["state"]


def test_the_keyring(command: Command, here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A usable keyring is named; sign-ins in one that cannot be used any more are a problem."""
    monkeypatch.setattr("keyring.core._keyring_backend", FakeKeyring())
    assert "FakeKeyring" in checks_of(command("doctor", *here, "--json"))["keyring"]["finding"]
    signed_in = command("login", "--password", "--storage", "keyring", *here, stdin=f"tom\n{text_of(TOM.password)}\n")
    assert 0 == signed_in.code, signed_in.err
    assert "ok" == checks_of(command("doctor", *here, "--json"))["keyring"]["state"]
    monkeypatch.setattr("keyring.core._keyring_backend", NullKeyring())
    check = checks_of(command("doctor", *here, "--json"))["keyring"]
    assert ("problem", True) == (check["state"], "has 1 of your sign-ins" in check["finding"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{folder}/missing.pem", "does not exist"),
        ("{folder}/empty.pem", "without certificates"),
        ("{ca}", "trusted authorities: 1 "),
    ],
)
def test_authorities(
    command: Command,
    here: list[str],
    addressed: LocalPlexController,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    words: str,
) -> None:
    """SSL_CERT_FILE names a file with authorities."""
    (tmp_path / "empty.pem").write_text("nothing\n", "ascii")
    (tmp_path / "ca.pem").write_text(addressed.authority, "ascii")
    monkeypatch.setenv("SSL_CERT_FILE", value.format(folder=tmp_path, ca=tmp_path / "ca.pem"))
    check = checks_of(command("doctor", *here, "--json"))["certificates"]
    assert ("ok" if "trusted" in words else "problem", True) == (check["state"], words in check["finding"]), check


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no modes of this kind")
def test_authorities_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or folder of authorities that another user owns is a problem, and ends no other check."""
    with TemporaryDirectory() as folder:  # pytest's own are for one user only
        Path(folder).chmod(0o755)
        leaf, private = Path(folder, "leaf.pem"), Path(folder, "private")
        trustme.CA().issue_cert("server.example").cert_chain_pems[0].write_to_path(str(leaf))
        private.mkdir(mode=0)
        monkeypatch.setenv("SSL_CERT_FILE", str(leaf))
        monkeypatch.setenv("SSL_CERT_DIR", str(private))
        with without_root():
            assert "knows none" in check_authorities().finding
            monkeypatch.setenv("SSL_CERT_FILE", str(private / "ca.pem"))
            assert "does not exist" in check_authorities().finding


@contextmanager
def without_root() -> Generator[None]:
    """Give up root's rights to read everything, if this process has them."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_proxy_is_named_without_its_password(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy for plex.tv is shown; it looks the name up, so this computer does not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:harbour-secret@127.0.0.1:{port}")
    ran = command("doctor", "--json")
    found = checks_of(ran)
    assert f"through 127.0.0.1:{port}, with a user name or password" in found["proxy"]["finding"]
    assert ("skipped", "problem") == (found["name look-up"]["state"], found["plex.tv"]["state"])
    assert not {"somebody", "harbour-secret"} & {word for word in ("somebody", "harbour-secret") if word in ran.out}
    monkeypatch.setenv("HTTPS_PROXY", "socks5://somebody:harbour-secret@127.0.0.1:9")
    ran = command("doctor", "--json")
    assert ("problem", False) == (checks_of(ran)["proxy"]["state"], "harbour-secret" in ran.out)


ANSWERS: dict[str, tuple[object, str]] = {
    "on the internet": ("8.8.8.8", "ok"),
    "blocked": ("0.0.0.0", "warning"),  # noqa: S104  # nothing is bound
    "at home": ("192.168.1.2", "warning"),
    "unknown": (socket.gaierror(socket.EAI_NONAME, "unknown"), "problem"),
}


@pytest.mark.parametrize(("answer", "state"), ANSWERS.values(), ids=ANSWERS)
def test_the_look_up_of_plex_tv(monkeypatch: pytest.MonkeyPatch, answer: object, state: str) -> None:
    """A name that nobody knows is a problem, one that leads to this network a warning."""
    monkeypatch.delenv("HTTPS_PROXY", raising=False)

    def resolve(*_: object, **__: object) -> list[Any]:
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    check = check_lookup(Origin("https", "plex.tv", 443), 5.0)
    assert (state, state == "ok") == (check.state, check.advice is None)


def test_a_look_up_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver of the system is not waited for longer than --timeout."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(20))
    started = time.monotonic()
    assert "problem" == check_lookup(Origin("https", "plex.tv", 443), 0.2).state
    assert time.monotonic() - started < 10


def response_at(seconds: float) -> Response:
    """Return a response with this Date, which has whole seconds."""
    return Response(200, {"date": format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True)}, b"")


@given(
    now=st.floats(1.6e9, 2.2e9),
    deviation=st.floats(-4000, 4000),
    outward=st.floats(0, 5),
    inward=st.floats(0, 5),
)
def test_the_clock_is_judged_whatever_the_network_took(
    now: float, deviation: float, outward: float, inward: float
) -> None:
    """A right clock is never blamed, and a wrong one only by less than its deviation."""
    check = check_clock(response_at(now + outward), now + deviation, now + outward + inward + deviation)
    shortfall = outward + inward + 1
    if abs(deviation) < 30:
        assert "ok" == check.state
    if abs(deviation) >= 300 + shortfall:
        assert "problem" == check.state
        assert ("ahead of" if deviation > 0 else "behind") in check.finding
    if abs(deviation) < 300:
        assert "problem" != check.state


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 9999 99:99:99 GMT"])
def test_a_clock_without_a_counterpart_is_skipped(date: str) -> None:
    """A response without a readable Date says nothing about the clock."""
    assert "skipped" == check_clock(Response(200, {"date": date}, b""), 1e9, 1e9).state
    assert "skipped" == check_clock(None, 1e9, 1e9).state


def test_a_wrong_clock_is_a_problem(command: Command, canned: Callable[[bytes], str]) -> None:
    """The Date of plex.tv's response is compared, whatever else the response says."""
    url = canned(
        b"HTTP/1.1 503 Busy\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    found = checks_of(command("doctor", "--plex-tv", url, "--json"))
    assert ("problem", True) == (found["clock"]["state"], "ahead of plex.tv's" in found["clock"]["finding"])
    assert "problem" == found["plex.tv"]["state"]


def report(kind: Any, fate: Any) -> AddressReport:
    return AddressReport(url="https://192.0.2.1:32400", kind=kind, family="ipv4", fate=fate, detail="", milliseconds=2)


def test_a_server_that_only_a_relay_reaches_is_a_warning() -> None:
    """A relay limits the bandwidth; an offline server is said to be offline."""
    server, reports = (
        Resource(name="Attic", presence=False),
        (report("local", "no_answer"), report("relay", "reachable")),
    )
    assert "warning" == judge_server(server, Outcome(reports=reports)).state
    missing = judge_server(server, Outcome(reports=reports[:1]))
    assert ("problem", True) == (missing.state, "plex.tv says that it is offline" in missing.finding)
    assert "no address" in judge_server(server, Outcome()).finding


@pytest.mark.parametrize("width", [40, 100])
def test_sentences_fit_the_terminal(
    mira: Command, monkeypatch: pytest.MonkeyPatch, addressed: LocalPlexController, width: int
) -> None:
    """On a terminal, only addresses and paths, which are not broken, are longer than a line."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = mira("doctor").out
    assert "\x1b[3" not in out  # no colours
    lines = re.sub(r"\x1b\[\d*m", "", out).splitlines()
    assert [] == [line for line in lines if len(line) > width and "/" not in line and os.sep not in line]
    assert addressed.addresses[0].url in out
