"""The response reader: the same result for any split of the bytes, and only its own errors."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from itertools import pairwise

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.client.transports import hostile
from tests.examples import examples
from tests.tables import every
from ticketstub.client.transports.http1 import BadReply, SocketReader, SocketReply
from ticketstub.messages import MAX_BODY_SIZE, Origin, Response, split_url

CHUNKED = b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3;x\r\nefg\r\n0\r\n\r\n"


class Pieces(socket.socket):
    """A socket that receives these pieces and is then closed."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__()
        self._pieces = [piece for piece in pieces if piece]

    def recv(self, _size: int, _flags: int = 0) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def read(pieces: list[bytes]) -> tuple[Response, bool]:
    with Pieces(pieces) as sock:
        reader = SocketReader(sock)
        reader.deadline = time.monotonic() + 5
        reply = SocketReply(reader, "GET")
        reply.begin()
        return reply.read_response(), reply.is_reusable


@given(st.lists(st.integers(0, len(CHUNKED)), max_size=10))
@examples(50)
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    """A response reads the same however the network splits it."""
    edges = [0, *sorted(cuts), len(CHUNKED)]
    response, reusable = read([CHUNKED[start:end] for start, end in pairwise(edges)])
    assert (200, b"abcdefg", True) == (response.status, response.body, reusable)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=80).map(lambda some: CHUNKED[:60] + some)))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\nabc")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")
@examples(150)
def test_any_bytes(some: bytes) -> None:
    """Any bytes are a response, or raise one of the errors that become `MalformedReply`."""
    try:
        response, _ = read([some])
    except (BadReply, OSError):
        return
    assert len(response.body) <= len(some)


HEADS = [
    b"X-A: b",
    b"Content-Length: 3",
    b"Content-Length: 4",
    b"Content-Length: 3, 3",
    b"Content-Length: -3",
    b"Content-Length : 3",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:CHUNKED",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chun\xe2\x84\xaaed",
    b"Connection: close",
    b"Connection: keep-alive",
    b" folded",
]
BODIES = [
    b"3\r\n",
    b"003;x=y\r\n",
    b"-3\r\n",
    b"3\n",
    b"abc",
    b"a",
    b"\r\n",
    b"\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"X-A: b\r\n",
]


def read_with_h11(data: bytes) -> tuple[int, bytes, bool]:
    """Read a response with h11: status, body, and whether the connection may be used again."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a.test")]))
    connection.send(h11.EndOfMessage())
    status, body, is_open = 0, b"", True
    connection.receive_data(data)
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            is_open = False
            connection.receive_data(b"")
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
    return status, body, is_open and connection.their_state is h11.DONE and not connection.trailing_data[0]


@given(
    st.sampled_from([b"1.1 200", b"1.1 200", b"1.1 204", b"1.1 304", b"1.1 100", b"1.0 200"]),
    st.lists(st.sampled_from(HEADS), max_size=3),
    st.lists(st.sampled_from(BODIES), max_size=8),
)
@example(b"1.1 200", [b"Transfer-Encoding: chunked"], [b"3\r\n", b"abc", b"\r\n", b"0\r\n\r\n"])
@examples(400)
def test_h11_reads_the_same(status: bytes, heads: list[bytes], pieces: list[bytes]) -> None:
    """What is accepted, h11 accepts and reads in the same way; a connection is not reused where h11 would not."""
    data = b"HTTP/" + status + b" OK\r\n" + b"".join(head + b"\r\n" for head in heads) + b"\r\n" + b"".join(pieces)
    try:
        response, is_reusable = read([data])
    except (BadReply, OSError):
        return
    expected = read_with_h11(data)
    assert expected[:2] == (response.status, response.body)
    assert expected[2] or not is_reusable or status.startswith(b"1.0")  # h11 keeps no connection of HTTP/1.0


@every(
    "head",
    [
        b"X-A : b",
        b" folded: b",
        b"X-A: b\r\n folded",
        b"X-A\0: b",
        b"X-A: b\0",
        b"X-A: b\rX-B: c",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: 1, 1",
        b"Content-Length: -1",
        b"Content-Length: 1_0",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chun\xe2\x84\xaaed",
        b"X-A: " + b"b" * 20_000,
    ],
)
def test_heads_refused(head: bytes) -> None:
    """An ambiguous head is refused."""
    with pytest.raises(BadReply):
        read([b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n"])


@every("line", [b"X-A:" + b" " * 16_000 + b"\0\r\n", b"X-A: a" + b" " * 16_000 + b"b\r\n", b"\t" * 16_000 + b"\r\n"])
def test_spaces(line: bytes) -> None:
    """A line of spaces is read in a few milliseconds, so that it cannot hold a call beyond its deadline."""
    begin = time.thread_time()
    with suppress(BadReply):
        read([b"HTTP/1.1 204 OK\r\n" + line + b"\r\n"])
    assert time.thread_time() - begin < 0.5


@every("cut", range(1, len(CHUNKED)))
def test_cut_off(cut: int) -> None:
    """A connection that ends anywhere inside of a response has broken: the call may be tried again."""
    with pytest.raises(OSError, match="closed"):
        read([CHUNKED[:cut]])


@every(
    "chunks",
    [
        b"+3\r\nabc",
        b"0x3\r\nabc",
        b"1_0\r\nabc",
        b"\r\nabc",
        b"2\r\nabc",
        b"3\r\nabc\rx",
        b"f" * 17,
        b"3\nabc",
        b"3\r\nabc\n0\n",
        b"2\r\na\r\n1",
    ],
)
def test_chunks_refused(chunks: bytes) -> None:
    """A chunk whose size is not plain hexadecimal, or not that of its bytes, is refused."""
    with pytest.raises(BadReply):
        read([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"\r\n0\r\n\r\n"])


@every(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: Keep-Alive\r\n\r\n0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\n", False),
        (b"HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n", False),
        (b"HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"HTTP/1.1 304 OK\r\nContent-Length: 5\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", False),
    ],
)
def test_reusable(head: bytes, reusable: bool) -> None:
    """A connection is reused only if the end of the response is certain."""
    assert reusable is read([head])[1]


def test_largest_body() -> None:
    """One byte over the limit is too large, chunked or until the end of the connection."""
    large = b"a" * (MAX_BODY_SIZE + 1)
    for raw in (b"\r\n" + large, b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(large), large)):
        with pytest.raises(BadReply, match="it is too large"):
            read([b"HTTP/1.1 200 OK\r\n" + raw])


@pytest.mark.parametrize(
    ("url", "place", "target", "host"),
    [
        ("http://a.test", Origin("http", "a.test", 80), "/", "a.test"),
        ("https://A.test:443?q", Origin("https", "a.test", 443), "/?q", "a.test"),
        ("https://a.test:32400/p;x?q=1#gone", Origin("https", "a.test", 32400), "/p;x?q=1", "a.test:32400"),
        ("http://[::1]:80/", Origin("http", "::1", 80), "/", "[::1]"),
        ("http://[::1]:81/", Origin("http", "::1", 81), "/", "[::1]:81"),
    ],
)
def test_destination(url: str, place: Origin, target: str, host: str) -> None:
    """A URL is split into its origin and its request target."""
    assert (place, target) == split_url(url)
    assert host == place.host_header


@pytest.mark.skipif(not socket.has_ipv6, reason="this computer has no IPv6")
def test_ipv6(own: str, make_sender) -> None:
    """An IPv6 address in brackets is connected to."""
    from tests.client.transports.conftest import failure_of, request

    error = failure_of(make_sender(own), request(f"http://[::1]:{hostile.closed_port()}"))
    assert str(error).startswith("[::1]:")
