"""One table of hostile servers for every transport: the exact error, in time, and without a secret."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.client.transports import hostile
from tests.client.transports.conftest import CANARY, SHORT, TIMEOUT, Sender, failure_of, request, unreached
from ticketstub.errors import MalformedReply, PlexError, TimedOut, Unreachable

HTML = b"<!DOCTYPE html><html><body>It works!</body></html>\r\n" * 3
HEAD = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Row:
    """A behaviour and its expected error; `also` lists transports whose library reports a different one."""

    behave: hostile.Behaviour
    error: type[PlexError]
    also: dict[str, type[PlexError] | None] = field(default_factory=dict)


HTTPX = ("httpx2", "async httpx2", "httpx")
AIOHTTP = ("aiohttp", "aiohttp session")
# Neither library tells a head that breaks off from no answer at all.
CUT_OFF_HEAD: dict[str, type[PlexError] | None] = dict.fromkeys(AIOHTTP + HTTPX, Unreachable)

TABLE = {
    "reset after the request": Row(hostile.reset_after_request, Unreachable),
    "reset in the body": Row(hostile.reset_in_body, MalformedReply),
    "silent": Row(hostile.silent, TimedOut),
    "dripping head": Row(hostile.dripping_head, TimedOut),
    "dripping body": Row(hostile.dripping_body, TimedOut),
    "dripping chunks": Row(hostile.dripping_chunks, TimedOut),
    "endless interim replies": Row(hostile.endless_interim, MalformedReply, dict.fromkeys(AIOHTTP + HTTPX, TimedOut)),
    "endless 100s": Row(hostile.endless_continue, MalformedReply, dict.fromkeys(AIOHTTP + HTTPX, TimedOut)),
    "interim replies in one packet": Row(
        hostile.answer(b"HTTP/1.1 102 Wait\r\n\r\n" * 200), MalformedReply, dict.fromkeys(AIOHTTP + HTTPX, TimedOut)
    ),
    "empty": Row(hostile.answer_and_close(b""), Unreachable),
    "HTML": Row(hostile.answer_and_close(HTML), MalformedReply, dict.fromkeys(HTTPX, Unreachable)),
    "HTTP/2": Row(hostile.answer_and_close(b"HTTP/2 200\r\n\r\n"), MalformedReply),
    "status line": Row(hostile.answer_and_close(b"HTTP/1.1 OK 200\r\n\r\n"), MalformedReply),
    "HTML with an empty line": Row(hostile.answer_and_close(HTML + b"\r\n\r\n" + HTML), MalformedReply),
    "half a status line": Row(hostile.answer_and_close(b"HTTP/1.1 2"), MalformedReply, CUT_OFF_HEAD),
    "half a head": Row(hostile.answer_and_close(HEAD + b"X-A: b\r\nX-"), MalformedReply, CUT_OFF_HEAD),
    "200 fields": Row(
        hostile.answer_and_close(HEAD + b"X-A: b\r\n" * 200 + b"Content-Length: 0\r\n\r\n"),
        MalformedReply,
        dict.fromkeys(HTTPX),  # bounded there by the size of the head
    ),
    "a field of 200 KB": Row(hostile.answer_and_close(HEAD + b"X-A: " + b"b" * 200_000 + b"\r\n\r\n"), MalformedReply),
    "a field without a name": Row(hostile.answer_and_close(HEAD + b": b\r\nContent-Length: 0\r\n\r\n"), MalformedReply),
    "two lengths": Row(
        hostile.answer_and_close(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), MalformedReply
    ),
    "a length of words": Row(hostile.answer_and_close(HEAD + b"Content-Length: many\r\n\r\nabc"), MalformedReply),
    "a length with a sign": Row(hostile.answer_and_close(HEAD + b"Content-Length: +3\r\n\r\nabc"), MalformedReply),
    "huge length": Row(hostile.answer(HEAD + b"Content-Length: 3000000000\r\n\r\n"), MalformedReply),
    "endless chunks": Row(hostile.endless_chunks, MalformedReply),
    "endless until close": Row(hostile.endless_until_close, MalformedReply),
    "cut-off length": Row(hostile.answer_and_close(HEAD + b"Content-Length: 10\r\n\r\nabc"), MalformedReply),
    "cut-off chunk": Row(
        hostile.answer_and_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\nabc"), MalformedReply
    ),
    "no last chunk": Row(
        hostile.answer_and_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), MalformedReply
    ),
    "chunk of words": Row(
        hostile.answer_and_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"), MalformedReply
    ),
    "negative chunk": Row(
        hostile.answer(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n"), MalformedReply
    ),
    "a protocol nobody asked for": Row(
        hostile.answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), MalformedReply
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_f_cl_2_each_ends_in_its_error(row: Row, distinct: Sender) -> None:
    """Whatever a server does, the error has the right class, arrives in time, and says that the request was sent."""
    expected = row.also.get(distinct.name, row.error)
    with hostile.Server(row.behave) as server:
        if expected is None:
            assert 200 == distinct.send(request(server.url)).status
            return
        error = failure_of(distinct, request(server.url), timeout=SHORT if expected is TimedOut else TIMEOUT)
    assert expected is type(error)
    assert getattr(error, "sent", True)
    assert f"127.0.0.1:{server.port}" in str(error)


def test_reset_before_the_request(sender: Sender) -> None:
    """A connection reset before the request was read is unreachable."""
    with hostile.Server(hostile.reset_before_request) as server:
        assert Unreachable is type(failure_of(sender, request(server.url)))


def test_refused(sender: Sender) -> None:
    """A refused connection says so, and that nothing was sent."""
    port = hostile.closed_port()
    error = unreached(sender, request(f"http://127.0.0.1:{port}"))
    assert Unreachable is type(error)
    assert (False, f"127.0.0.1:{port} cannot be reached: connection refused") == (error.sent, error.message)


def test_black_hole(sender: Sender) -> None:
    """Without an answer, connecting ends at the connect timeout, and nothing was sent."""
    with hostile.BlackHole() as hole:
        error = unreached(sender, request(f"http://127.0.0.1:{hole.port}"), timeout=TIMEOUT, connect=SHORT)
    assert (TimedOut, False) == (type(error), error.sent)


def test_black_hole_until_the_deadline(sender: Sender) -> None:
    """The deadline bounds connecting too."""
    with hostile.BlackHole() as hole:
        error = failure_of(sender, request(f"http://127.0.0.1:{hole.port}"), timeout=SHORT, connect=TIMEOUT)
    assert TimedOut is type(error)


def test_no_time_left(sender: Sender) -> None:
    """After the deadline nothing is sent."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        error = unreached(sender, request(server.url), timeout=-1.0)
    assert (TimedOut, False, 0) == (type(error), error.sent, server.connections)


def test_line_break_in_a_field(sender: Sender) -> None:
    """A value with a line break is refused before anything is sent, and the message does not repeat it."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        for value in (f"{CANARY}\r\nX-Evil: 1", f"{CANARY}\nx", f"{CANARY}\0", f"{CANARY}\udc80"):
            with pytest.raises(ValueError, match="the header X-Bad") as caught:
                sender.send(request(server.url, headers={"X-Bad": value}))
            assert CANARY not in f"{caught.value!s}{caught.value!r}"
    assert 0 == server.connections


def test_fields_of_the_transport_are_refused(sender: Sender) -> None:
    """Host, Content-Length and Transfer-Encoding are refused: the transport writes them."""
    for name in ("Host", "content-length", "Transfer-Encoding"):
        with pytest.raises(ValueError, match=f"the header {name} is written by the transport"):
            sender.send(request("http://127.0.0.1:9", headers={name: "1"}))
