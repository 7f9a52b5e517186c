"""One WebSocket on a transport that keeps what is written: frames, pings, limits and the closing handshake."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from ticketstub.local_plex.http import websocket
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.websocket import GOING_AWAY, MAX_MESSAGE_BYTES, MAX_UNREAD_BYTES, WebSocket
from ticketstub.protocol.codec import Format
from ticketstub.refusals import BadRequest

HANDSHAKE = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
"""The example of RFC 6455, 1.3."""


class WrittenTo:
    """Keeps what is written, and how the connection was ended."""

    def __init__(self) -> None:
        self.written = b""
        self.unread = 0
        self.ended = asyncio.Event()
        self.how = ""

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unread

    def close(self) -> None:
        self._end("closed")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        self.how = self.how or how
        self.ended.set()


def handshake(fields: Mapping[str, str] = HANDSHAKE, version: str = "1.1") -> IncomingRequest:
    scope = {
        "method": "GET",
        "path": "/",
        "client": None,
        "http_version": version,
        "raw_path": b"/",
        "query_string": b"",
    }
    made = IncomingRequest(scope, Format.XML)
    made.parse_head([(name.lower().encode(), text.encode("latin-1")) for name, text in fields.items()], 100_000)
    return made


def begin(**seconds: float) -> tuple[WebSocket, WrittenTo]:
    """Open a WebSocket, and forget the answer to the handshake."""
    opened, transport = WebSocket(handshake(), **seconds), WrittenTo()
    opened.start(transport, [])  # type: ignore[arg-type]
    assert transport.written.startswith(b"HTTP/1.1 101 ")
    transport.written = b""
    return opened, transport


def masked(opcode: int, data: bytes) -> bytes:
    return Frame(Opcode(opcode), data).serialize(mask=True)


async def test_the_answer_is_that_of_the_standard() -> None:
    """The key of RFC 6455's example gives the example's answer; the response has the server's fields."""
    opened, transport = WebSocket(handshake()), WrittenTo()
    opened.start(transport, [(b"X-Ticketstub", b"local")])  # type: ignore[arg-type]
    lines = transport.written.decode().split("\r\n")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines
    assert "X-Ticketstub: local" in lines
    assert [] == [line for line in lines if line.startswith(("Date", "Sec-WebSocket-Extensions"))]
    opened.handle_connection_end()


@given(st.sampled_from([*HANDSHAKE]), st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40))
def test_a_faulty_handshake_is_refused_and_nothing_else_happens(name: str, text: str) -> None:
    """Whatever a field holds, the request opens a WebSocket or is a `BadRequest`."""
    fields = {**HANDSHAKE, name: text}
    try:
        WebSocket(handshake(fields))
    except BadRequest:
        return
    assert "upgrade" in fields["Connection"].lower()
    assert "websocket" == fields["Upgrade"].lower().strip(" ,\t")


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"Connection": "Upgrade, close"}, "1.1"),
        ({}, "1.0"),
        ({"Sec-WebSocket-Key": "A" * 9000}, "1.1"),
    ],
)
def test_what_asks_for_no_open_connection_gets_none(fields: dict[str, str], version: str) -> None:
    """HTTP/1.0, `close` and a line that is too long are refused."""
    with pytest.raises(BadRequest):
        WebSocket(handshake({**HANDSHAKE, **fields}, version))


async def test_a_ping_is_answered() -> None:
    """A client's ping gets a pong with the same content."""
    opened, transport = begin()
    opened.receive(masked(9, b"abc"))
    assert Frame(Opcode.PONG, b"abc").serialize(mask=False) == transport.written
    opened.handle_connection_end()


async def test_a_client_that_answers_no_ping_is_disconnected() -> None:
    """It is pinged once, and disconnected when the next ping is due."""
    opened, transport = begin(ping_seconds=0.01)
    await asyncio.wait_for(transport.ended.wait(), 30)
    assert (b"\x89\x00", "aborted") == (transport.written, transport.how)
    opened.handle_connection_end()


async def test_a_client_that_answers_pings_stays() -> None:
    """Each pong keeps the connection open until the next ping."""
    opened, transport = begin(ping_seconds=0.01)
    for count in range(1, 4):
        while transport.written != b"\x89\x00" * count:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.001)
        opened.receive(masked(10, b""))
    assert not transport.ended.is_set()
    opened.handle_connection_end()


async def test_a_close_is_a_handshake() -> None:
    """The server's close is sent once, nothing follows it, and the client's answer ends the connection."""
    opened, transport = begin()
    opened.close(GOING_AWAY, "enough")
    opened.close(GOING_AWAY, "again")
    opened.send("too late")
    assert b"\x88\x08\x03\xe9enough" == transport.written
    opened.receive(masked(8, b"\x03\xe9"))
    assert "closed" == transport.how
    opened.handle_connection_end()


async def test_a_client_that_does_not_close_its_side_is_disconnected() -> None:
    """The closing handshake has a time limit."""
    opened, transport = begin(close_seconds=0.01)
    opened.close(GOING_AWAY, "enough")
    await asyncio.wait_for(transport.ended.wait(), 30)
    assert "aborted" == transport.how
    opened.handle_connection_end()


async def test_a_client_may_close_it() -> None:
    """A client's close is answered with the same code, and the connection ends."""
    opened, transport = begin()
    opened.receive(masked(8, b"\x03\xe8"))
    assert (b"\x88\x02\x03\xe8", "closed") == (transport.written, transport.how)
    opened.handle_connection_end()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(1, b"a" * (MAX_MESSAGE_BYTES + 1)), 1009),
        (Frame(Opcode.TEXT, b"a").serialize(mask=False), 1002),
        (masked(1, b"\xff"), None),
        (b"\xff\xff\xff", 1002),
    ],
    ids=["too long", "not masked", "not UTF-8", "no frame"],
)
async def test_what_a_client_may_not_send_ends_it(data: bytes, code: int | None) -> None:
    """A message that is too long ends with 1009, a faulty frame with 1002; what a text says is not looked at."""
    opened, transport = begin()
    opened.receive(data)
    assert (b"" if code is None else b"\x88") == transport.written[:1]
    assert code is None or code.to_bytes(2, "big") == transport.written[2:4]
    assert ("" if code is None else "closed") == transport.how
    opened.handle_connection_end()


async def test_a_client_that_does_not_read_is_disconnected() -> None:
    """If more waits for it than the limit, its connection is aborted instead of taking more."""
    opened, transport = begin()
    transport.unread = MAX_UNREAD_BYTES
    opened.send("one")
    assert (b"\x81\x03one", "") == (transport.written, transport.how)
    transport.unread += 1
    opened.send("two")
    assert (b"\x81\x03one", "aborted") == (transport.written, transport.how)
    opened.handle_connection_end()


async def test_a_client_that_pings_and_does_not_read_is_disconnected() -> None:
    """If more answers to its pings wait for it than the limit, its connection is aborted, too."""
    opened, transport = begin()
    transport.unread = MAX_UNREAD_BYTES + 1
    opened.receive(masked(9, b"there"))
    assert (b"", "aborted") == (transport.written, transport.how)
    opened.handle_connection_end()


async def test_its_end_is_told_once_its_connection_has_ended() -> None:
    """`on_close` is called at the end of the connection, and no timer is left."""
    opened, _ = begin(ping_seconds=0.01)
    told: list[Any] = []
    opened.on_close = lambda: told.append(1)
    opened.close(GOING_AWAY, "enough")
    assert [] == told
    opened.handle_connection_end()
    assert [1] == told
    assert websocket.PING_SECONDS > websocket.CLOSE_SECONDS
