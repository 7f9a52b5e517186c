"""The WebSocket of a media server's notifications: who gets one, what is sent over it, and what ends it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.local_plex.asking import ATTIC, MIRA, TOM, TOM_ON_ATTIC, Clock, ask, get, transient, world
from tests.local_plex.conftest import Start
from tests.local_plex.test_websocket import HANDSHAKE, WrittenTo, handshake
from ticketstub.local_plex.api import notifications
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.storage.base import StoreUnavailable
from ticketstub.local_plex.world.schema import World
from ticketstub.refusals import Refusal
from ticketstub.testing import LocalPlexController, local_plex

PATH = "/:/websockets/notifications"
SOON = 30.0
"""Seconds that a test waits for what has to come."""
PLAYING = [{"sessionKey": "29", "ratingKey": "144504", "viewOffset": 154000, "state": "playing"}]


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the tokens of open WebSockets at once: how often that is has its own test, with a sleep passed in."""
    monkeypatch.setattr(notifications, "CHECK_SECONDS", 0.01)


@contextmanager
def listening(url: str, token: str | None = MIRA, query: str = "", **headers: str) -> Generator[ClientConnection]:
    """Open the WebSocket, with the token in the header."""
    fields = headers | ({"X-Plex-Token": token} if token else {})
    with connect(f"{url.replace('http', 'ws', 1)}{PATH}{query}", additional_headers=fields, proxy=None) as opened:
        yield opened


def refused(url: str, token: str | None = None, query: str = "", **headers: str) -> int:
    """Try to open it, and return the status of the refusal."""
    with pytest.raises(InvalidStatus) as raised, listening(url, token, query, **headers):
        pass
    status: int = raised.value.response.status_code
    return status


def ended(opened: ClientConnection) -> tuple[int, str]:
    """Wait for the end, without a message before it, and return its code and reason."""
    with pytest.raises(ConnectionClosed) as raised:
        opened.recv(SOON)
    close = raised.value.rcvd
    assert close is not None, "it was cut off"
    return close.code, close.reason


def received(opened: ClientConnection) -> Any:
    return json.loads(opened.recv(SOON))["NotificationContainer"]


@pytest.mark.parametrize("place", ["header", "query"])
def test_it_opens_with_a_token(attic: str, place: str) -> None:
    """The token comes in the header or the query; the response is 101, with the key of RFC 6455 and no body."""
    token, query = (MIRA, "") if place == "header" else (None, f"?X-Plex-Token={MIRA}")
    with listening(attic, token, query) as opened:
        assert opened.response is not None
        assert (101, "local") == (opened.response.status_code, opened.response.headers["X-Ticketstub"])
        assert opened.ping().wait(SOON)


@pytest.mark.parametrize("token", [None, "Dead_token_0123456789", TOM, f"{MIRA}x"])
def test_without_a_valid_token_there_is_no_upgrade(attic: str, token: str | None) -> None:
    """It is 401 before the upgrade, as for any other path."""
    assert 401 == refused(attic, token)
    assert 401 == refused(attic, None, f"?X-Plex-Token={token}")


def test_a_shared_users_and_a_transient_token_open_it_too(attic: str) -> None:
    """Every token that the server accepts opens it."""
    for token in (TOM_ON_ATTIC, transient(attic, MIRA), transient(attic, TOM_ON_ATTIC)):
        with listening(attic, token) as opened:
            assert opened.ping().wait(SOON)


@pytest.mark.parametrize("left_out", [None, *HANDSHAKE])
def test_a_request_that_is_no_handshake_is_400(attic: str, left_out: str | None) -> None:
    """A plain GET, and a handshake that lacks one of its fields, are 400 with a page, after the token check."""
    fields = {} if left_out is None else {name: text for name, text in HANDSHAKE.items() if name != left_out}
    found = ask(attic, "GET", PATH, fields | {"X-Plex-Token": MIRA})
    assert (400, "text/html") == (found.status, found.headers["content-type"])
    assert 401 == ask(attic, "GET", PATH, fields).status


@pytest.mark.parametrize(
    ("name", "text"),
    [("Upgrade", "h2c"), ("Sec-WebSocket-Version", "8"), ("Sec-WebSocket-Key", "c2hvcnQ="), ("Content-Length", "4")],
)
def test_a_handshake_that_is_not_valid_is_400(attic: str, name: str, text: str) -> None:
    """Another protocol, version or key is refused, and so is a handshake with a body."""
    assert 400 == ask(attic, "GET", PATH, {**HANDSHAKE, name: text, "X-Plex-Token": MIRA}, "abcd").status


def test_other_paths_ignore_an_offer(attic: str) -> None:
    """On any other path, a handshake is answered like a request without one."""
    assert 200 == ask(attic, "GET", "/library", HANDSHAKE | {"X-Plex-Token": MIRA}).status
    assert 404 == ask(attic, "GET", "/no/such", HANDSHAKE | {"X-Plex-Token": MIRA}).status


def test_a_handshake_may_come_in_pieces(attic: str) -> None:
    """The field Upgrade is found wherever the network splits the head."""
    fields = "".join(f"{name}: {text}\r\n" for name, text in HANDSHAKE.items())
    head = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nX-Plex-Token: {MIRA}\r\n{fields}\r\n".encode()
    address = urlsplit(attic)
    for at in range(1, len(head), 7):
        with socket.create_connection((str(address.hostname), int(address.port or 0)), SOON) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.sendall(head[:at])
            raw.sendall(head[at:])
            assert raw.recv(64).startswith(b"HTTP/1.1 101 ")


def test_a_notification_reaches_every_client_of_one_server(fresh: LocalPlexController) -> None:
    """`notify` sends one text with the container that Plex's clients read, and returns how many clients got it."""
    attic, other = (fresh.media_server(name).url for name in ("Attic", "Documented"))
    with listening(attic) as mine, listening(attic, TOM_ON_ATTIC) as guests, listening(other) as elsewhere:
        assert 2 == fresh.notify("Attic", "playing", PLAYING)
        expected = {"type": "playing", "size": 1, "PlaySessionStateNotification": PLAYING}
        assert [expected, expected] == [received(mine), received(guests)]
        assert 1 == fresh.notify("Documented", "status", [])
        assert {"type": "status", "size": 0, "StatusNotification": []} == received(elsewhere)
    assert 0 == fresh.notify(ATTIC, "playing", PLAYING)


def test_the_items_are_where_clients_look_for_them(fresh: LocalPlexController) -> None:
    """Each known type has its member; another type needs `member`, which may not be `type` or `size`."""
    with listening(fresh.media_server("Attic").url) as opened:
        for kind, member in notifications.NOTIFICATION_MEMBERS.items():
            fresh.notify("Attic", kind, [{"a": 1}])
            assert {"type": kind, "size": 1, member: [{"a": 1}]} == received(opened)
        fresh.notify("Attic", "new", [{"a": 1}, {"b": 2}], member="NewNotification")
        assert {"type": "new", "size": 2, "NewNotification": [{"a": 1}, {"b": 2}]} == received(opened)
    with pytest.raises(ValueError, match="known ones are account, activity"):
        fresh.notify("Attic", "new", [])
    with pytest.raises(ValueError, match="type and size"):
        fresh.notify("Attic", "playing", [], member="size")
    with pytest.raises(LookupError, match="no media server"):
        fresh.notify("Nowhere", "playing", [])


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", "playing timeline"),
        ("?filters=", "playing log timeline"),
        ("?filters=-log", "playing timeline"),
        ("?filters=-log,playing", "timeline"),
        ("?filters=timeline,log", "log timeline"),
    ],
)
def test_a_client_chooses_what_it_gets(fresh: LocalPlexController, query: str, kinds: str) -> None:
    """`filters` names the types to send or, after a `-`, not to send; by default all but `log` are sent."""
    with listening(fresh.media_server("Attic").url, query=query) as opened:
        sent = [fresh.notify("Attic", kind, [], member="Item") for kind in ("playing", "log", "timeline")]
        assert kinds.split() == [received(opened)["type"] for _ in range(sum(sent))]


def test_what_a_client_says_is_ignored(fresh: LocalPlexController) -> None:
    """Texts and bytes of a client change nothing, and are not answered."""
    with listening(fresh.media_server("Attic").url) as opened:
        opened.send("[]")
        opened.send(b"\x00")
        fresh.notify("Attic", "playing", PLAYING)
        assert "playing" == received(opened)["type"]


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("way", ["revoke", "expire", "sign out", "share", "time"])
def test_the_end_of_its_token_ends_it(fresh: LocalPlexController, way: str) -> None:
    """A WebSocket whose token has ended, by whatever way, is closed with 1008; another one stays open."""
    attic, token = fresh.media_server("Attic").url, fresh.token_for("mira_quill")
    text = {"share": TOM_ON_ATTIC, "time": transient(attic, MIRA)}.get(way, token.reveal())
    with listening(attic) as other, listening(attic, text) as opened:
        match way:
            case "revoke":
                fresh.revoke(token)
            case "expire":
                fresh.expire(token)
            case "sign out":
                ask(fresh.url, "DELETE", "/api/v2/users/signout", {"X-Plex-Token": text})
            case "share":
                fresh.unshare("Attic", "tom")
            case _:
                fresh.advance(hours=48)
        assert (1008, "the token is no longer valid") == ended(opened)
        assert other.ping().wait(SOON)


def test_no_notification_comes_after_the_end_of_its_token(fresh: LocalPlexController) -> None:
    """A client whose token was revoked gets nothing, even if the notification comes before the next check."""
    attic, token = fresh.media_server("Attic").url, fresh.token_for("mira_quill")
    with listening(attic, token.reveal()) as opened:
        fresh.revoke(token)
        assert 0 == fresh.notify("Attic", "playing", PLAYING)
        assert 1008 == ended(opened)[0]


@pytest.mark.long
def test_an_unclaimed_server_needs_no_token(start: Start) -> None:
    """An unclaimed server opens it for its own machine, not for another site's page, and ends it when it is claimed."""
    described = {"account": world()["account"], "media_server": [{"name": "New", "claimed": False}]}
    plex = start(world=described, clock=Clock())
    new = plex.media_server("New").url
    assert 401 == refused(new, Origin="https://evil.example")
    with listening(new, None) as opened:
        claim = get(plex.url, "/api/claim/token.json", MIRA).json["token"]
        assert 200 == ask(new, "POST", f"/myplex/claim?token={claim}").status
        assert 1008 == ended(opened)[0]


def test_a_server_that_goes_down_or_is_reset_closes_it(fresh: LocalPlexController) -> None:
    """`take_down` and `reset` close it with 1001, and it can be opened again afterwards."""
    attic = fresh.media_server("Attic").url
    with listening(attic) as opened:
        fresh.take_down("Attic")
        assert (1001, "the server stops") == ended(opened)
    fresh.bring_up("Attic")
    with listening(attic) as opened:
        fresh.reset()
        assert (1001, "the server was reset") == ended(opened)
    with listening(attic) as opened:
        assert 1 == fresh.notify("Attic", "playing", PLAYING)


def test_the_end_of_the_local_plex_closes_it() -> None:
    """A stop closes it with 1001, and waits for no client that does not close its side."""
    with ExitStack() as after:
        with local_plex(world()) as plex:
            opened = after.enter_context(listening(plex.media_server("Attic").url))
            raw = after.enter_context(_raw(plex.media_server("Attic").url))
        assert (1001, "the server stops") == ended(opened)
        assert b"\x88" in raw.recv(1024)


@contextmanager
def _raw(url: str, target: str = PATH) -> Generator[socket.socket]:
    """Open the WebSocket on a bare socket, which answers nothing."""
    address = urlsplit(url)
    fields = "".join(f"{name}: {text}\r\n" for name, text in (HANDSHAKE | {"X-Plex-Token": MIRA}).items())
    with socket.create_connection((str(address.hostname), int(address.port or 0)), SOON) as raw:
        raw.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        assert raw.recv(1024).startswith(b"HTTP/1.1 101 ")
        yield raw


def test_their_number_is_limited(fresh: LocalPlexController, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the limit is 503; when one is closed, another one can be opened."""
    monkeypatch.setattr(notifications, "MAX_SOCKETS", 2)
    attic = fresh.media_server("Attic").url
    with listening(attic) as first, listening(attic):
        assert 503 == refused(attic, MIRA)
        first.close()
        deadline = threading.Event()
        for _ in range(100):
            if fresh.notify("Attic", "playing", PLAYING) == 1:
                break
            deadline.wait(0.01)
        with listening(attic) as third:
            assert third.ping().wait(SOON)


def test_the_log_has_it(fresh: LocalPlexController) -> None:
    """The request log has the handshake with its status and route, and masks the token in the query."""
    with listening(fresh.media_server("Attic").url, None, f"?X-Plex-Token={MIRA}"):
        pass
    (seen,) = fresh.requests.filter(f"GET {PATH}")
    assert (101, "Attic", PATH, PATH) == (seen.status, seen.place, seen.path, seen.template)
    assert MIRA not in repr(seen)


def test_no_log_has_a_token(fresh: LocalPlexController, caplog: pytest.LogCaptureFixture) -> None:
    """No logger, whatever its level, writes the token of a handshake."""
    caplog.set_level(logging.DEBUG)
    attic = urlsplit(fresh.media_server("Attic").url)
    with _raw(attic.geturl(), f"{PATH}?X-Plex-Token={MIRA}"):
        fresh.notify("Attic", "playing", PLAYING)
    assert "NotificationContainer" in caplog.text
    assert MIRA not in caplog.text


def test_a_handshake_can_be_refused(fresh: LocalPlexController) -> None:
    """A tester's refusal applies to a handshake like to any other call."""
    attic = fresh.media_server("Attic").url
    fresh.refuse_next(f"GET {PATH}", status=503)
    assert 503 == refused(attic, MIRA)
    with listening(attic) as opened:
        assert opened.ping().wait(SOON)


def test_chaos_makes_handshakes_fail(fresh: LocalPlexController) -> None:
    """With chaos, a handshake is refused, answered late or cut off; none of them leaves an open WebSocket behind."""
    attic = fresh.media_server("Attic").url
    fresh.chaos(1, seed=3, longest=0.01)
    seen: set[str] = set()
    for _ in range(20):
        try:
            with listening(attic):
                seen.add("late")
        except InvalidStatus as error:
            seen.add(str(error.response.status_code))
        except (InvalidHandshake, OSError, EOFError):
            seen.add("cut off")
    assert {"429", "503", "late", "cut off"} == seen
    fresh.chaos(0)
    with listening(attic) as opened:
        assert opened.ping().wait(SOON)


def test_a_client_that_does_not_wait_for_the_upgrade_gets_none(attic: str) -> None:
    """A handshake with another request behind it is 400: what follows a handshake must wait for its answer."""
    address = urlsplit(attic)
    fields = "".join(f"{name}: {text}\r\n" for name, text in (HANDSHAKE | {"X-Plex-Token": MIRA}).items())
    with socket.create_connection((str(address.hostname), int(address.port or 0)), SOON) as raw:
        after = "GET /identity HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        raw.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{after}".encode())
        came = b"".join(iter(lambda: raw.recv(4096), b""))
    assert [b"400", b"200"] == re.findall(rb"HTTP/1.1 (\d+) ", came)


@pytest.mark.long
def test_a_server_goes_down_whatever_its_clients_do(fresh: LocalPlexController) -> None:
    """`take_down` gives a client that closes nothing its close code, and ends its connection soon."""
    attic = fresh.media_server("Attic").url
    with _raw(attic) as raw:
        fresh.take_down("Attic")
        came = raw.recv(1024)
        assert (b"\x88", b"\x03\xe9") == (came[:1], came[2:4])
        with suppress(ConnectionResetError):
            assert b"" == raw.recv(1024)


@pytest.mark.long
def test_nothing_of_it_is_loaded_before_the_first_handshake() -> None:
    """A local Plex that answers other requests has not loaded the library."""
    program = """
import sys, urllib.request
from ticketstub.testing import local_plex
with local_plex() as plex:
    urllib.request.urlopen(plex.media_servers[0].url + "/identity").close()
    print([name for name in sys.modules if name.startswith("websockets")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "[]" == done.stdout.strip()


def test_answers_of_the_world_do_not_replace_it(start: Start, tmp_path: Any) -> None:
    """With `replies`, the WebSocket is still the local Plex's own."""
    described = world()
    described["media_server"][0]["replies"] = str(tmp_path)
    with listening(start(world=described).media_server("Attic").url) as opened:
        assert opened.ping().wait(SOON)


def test_it_counts_as_a_connection() -> None:
    """Each counts among the open connections, whose number is limited."""
    with local_plex(world(), settings=Settings(max_connections=2)) as plex:
        attic = plex.media_server("Attic").url
        with listening(attic):
            assert 503 == ask(attic, "GET", "/identity").status
        assert {200, 503} >= {ask(attic, "GET", "/identity").status}


def test_a_local_plex_without_a_controller_has_it_too() -> None:
    """A WebSocket needs no controller; it is closed at the end."""
    logged: list[tuple[str, int]] = []
    local = LocalPlex(World.from_dict(world()), on_answer=lambda *line: logged.append((line[1], line[2])))
    with ExitStack() as after:
        with local.run_in_thread() as plex:
            opened = after.enter_context(listening(plex.media_server("Attic").url))
            assert opened.ping().wait(SOON)
        assert 1001 == ended(opened)[0]
    assert [(PATH, 101)] == logged


class _Instance:
    """Runs the watch of the sockets, as an instance does."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def run_in_background(self, work: Any) -> None:
        self.tasks.append(asyncio.ensure_future(work))


async def test_a_busy_database_ends_nothing() -> None:
    """If a token cannot be checked, the WebSocket stays open until a check says that the token has ended."""
    outcomes: list[Exception | None] = [StoreUnavailable("locked"), None, Refusal(status=401)]
    checked: list[float] = []

    async def authenticate(_request: object) -> None:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    async def sleep(seconds: float) -> None:
        checked.append(seconds)
        if not outcomes:  # the connection ends with the closing handshake
            answer.socket.handle_connection_end()

    transport, instance = WrittenTo(), _Instance()
    sockets = notifications.NotificationSockets(instance, authenticate, sleep)  # type: ignore[arg-type]
    answer = sockets.answer(handshake())
    answer.socket.start(transport, [])  # type: ignore[arg-type]
    answer.on_start()
    await asyncio.gather(*instance.tasks)
    assert [notifications.CHECK_SECONDS] * 4 == checked
    assert b"\x88" in transport.written
    assert 0 == await sockets.send("playing", [], "Item")
