"""What every transport sends and returns, byte for byte, and when it reuses a connection."""

from __future__ import annotations

import gzip
import socket
import time

import pytest

from tests.client.transports import hostile
from tests.client.transports.conftest import CANARY, SHORT, Sender, request, unreached
from tests.tables import every
from ticketstub.errors import TimedOut, Unreachable
from ticketstub.messages import MAX_BODY_SIZE, Request


def reply(body: bytes, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def fields_of(message: bytes) -> dict[str, bytes]:
    lines = message.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return {name.decode().lower(): value for name, _, value in (line.partition(b": ") for line in lines)}


@every(
    ("method", "body", "length"),
    [
        ("GET", b"", None),
        ("DELETE", b"", None),
        ("POST", b"", b"0"),
        ("PUT", b"", b"0"),
        ("POST", b"login=a", b"7"),
        ("DELETE", b"x", b"1"),
    ],
)
def test_exactly_the_fields_given(sender: Sender, method: str, body: bytes, length: bytes | None) -> None:
    """Only the request's fields, Host, and the length if there is or could be a body are sent."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        sender.send(request(server.url, method, body=body))
        expected = {
            "host": f"127.0.0.1:{server.port}".encode(),
            "accept": b"application/json",
            "x-plex-token": CANARY.encode(),
        }
        assert expected | ({} if length is None else {"content-length": length}) == fields_of(server.requests[0])
        assert server.requests[0].endswith(b"\r\n\r\n" + body)


def test_address_goes_out_unchanged(sender: Sender) -> None:
    """A percent-encoded URL is sent unchanged."""
    path = "/a%2Fb;c='d'/%7Euser/(e)?q=%2B+%C3%BC%27'&uri=server%3A%2F%2Fabc%5B%5D[0]|"
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        sender.send(Request("test", "GET", server.url + path, {}))
        assert path == server.requests[0].split(b" ")[1].decode()


def test_value_beyond_ascii_is_utf8(sender: Sender) -> None:
    """A non-ASCII value is sent in UTF-8."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        sender.send(request(server.url, headers={"X-Plex-Device": "Küche 🎬"}))
        assert "Küche 🎬".encode() == fields_of(server.requests[0])["x-plex-device"]


def test_fields_of_the_reply(sender: Sender) -> None:
    """A response's field names are in lower case, values are stripped; of a repeated field the last counts."""
    head = "X-Name:  Küche \r\nX-Two: a\r\nx-two: b\r\nX-Empty:\r\n".encode() + b"X-Old: \xfc\r\n"
    with hostile.Server(hostile.answer(reply(b"ok", head))) as server:
        headers = sender.send(request(server.url)).headers
    expected = {"x-name": "Küche", "x-two": "b", "x-empty": "", "x-old": "ü", "content-length": "2"}
    assert expected == headers


@every(
    ("raw", "status", "body"),
    [
        (reply(b"ok"), 200, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + reply(b"ok"), 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n" + reply(b"ok"), 200, b"ok"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n",
            200,
            b"ok!",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, b""),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno", 401, b"no"),
        (b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", 503, b""),
        (reply(b"a" * MAX_BODY_SIZE), 200, b"a" * MAX_BODY_SIZE),
    ],
)
def test_replies(sender: Sender, raw: bytes, status: int, body: bytes) -> None:
    """Every valid response is read whole, interim ones in the same packet are skipped, the connection stays open."""
    with hostile.Server(hostile.answer(raw)) as server:
        for _ in range(2):
            response = sender.send(request(server.url))
            assert (status, body) == (response.status, response.body)
        assert 1 == server.connections


def test_until_close(sender: Sender) -> None:
    """A body without a length ends with the connection."""
    with hostile.Server(hostile.answer_and_close(b"HTTP/1.0 200 OK\r\n\r\nthe end")) as server:
        assert b"the end" == sender.send(request(server.url)).body
        assert b"the end" == sender.send(request(server.url)).body
        assert 2 == server.connections


def test_head_has_no_body(sender: Sender) -> None:
    """A response to HEAD has no body, whatever its length says; the connection stays open."""
    with hostile.Server(hostile.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n")) as server:
        for _ in range(2):
            assert b"" == sender.send(request(server.url, "HEAD")).body
        assert 1 == server.connections


def test_compression_is_left_alone(sender: Sender) -> None:
    """A compressed body is returned compressed."""
    packed = gzip.compress(b"{}" * 100)
    with hostile.Server(hostile.answer(reply(packed, b"Content-Encoding: gzip\r\n"))) as server:
        assert packed == sender.send(request(server.url)).body


def test_redirect_is_not_followed(sender: Sender) -> None:
    """A redirect is returned like any other response, and cookies are not stored."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: /other\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    with hostile.Server(hostile.answer(moved)) as server:
        for _ in range(2):
            response = sender.send(request(server.url))
            assert (302, "/other") == (response.status, response.headers["location"])
        assert 2 == len(server.requests)
        if sender.name != "aiohttp session":  # its cookies are the user's
            assert "cookie" not in fields_of(server.requests[1])


@pytest.mark.parametrize("name", ["standard", "aiohttp", "aiohttp session"])
def test_bytes_behind_a_reply(make_sender, name: str) -> None:
    """Bytes after a response are never read as the next one; the connection is dropped (httpx: see its module)."""
    sender = make_sender(name)
    with hostile.Server(hostile.answer(hostile.OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as server:
        assert b"ok" == sender.send(request(server.url)).body
        sender.pause(0.02)
        assert b"ok" == sender.send(request(server.url)).body
        assert 2 == server.connections


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_closed_while_idle(sender: Sender, method: str) -> None:
    """A connection that the server closed while it was idle is replaced; each request arrives exactly once."""
    with hostile.Server(hostile.close_after_each) as server:
        for count in range(1, 4):
            assert b"ok" == sender.send(request(server.url, method, body=b"login=a" * (method == "POST"))).body
            until = time.monotonic() + 60
            while server.closed < count and time.monotonic() < until:
                sender.pause(0.005)
        assert (3, 3) == (server.connections, len(server.requests))


def test_nothing_is_repeated(sender: Sender) -> None:
    """A GET whose connection breaks before any response is not sent again: the caller decides."""

    def behave(server: hostile.Server, sock: socket.socket) -> None:
        server.read(sock)
        sock.sendall(hostile.OK)
        server.read(sock)
        hostile.reset(sock)

    with hostile.Server(behave) as server:
        sender.send(request(server.url))
        error = unreached(sender, request(server.url))
        assert (Unreachable, True) == (type(error), error.sent)
        sender.pause(0.02)
        assert (1, 2) == (server.connections, len(server.requests))


def test_first_httpx_likewise(make_sender) -> None:
    """The adapter for httpx2 also serves httpx, its predecessor."""
    sender = make_sender("httpx")
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        assert b"ok" == sender.send(request(server.url)).body
    with hostile.Server(hostile.dripping_head) as server:
        assert TimedOut is type(unreached(sender, request(server.url), timeout=SHORT))
    assert not unreached(sender, request(f"http://127.0.0.1:{hostile.closed_port()}")).sent


ADDRESSES = [
    "ftp://127.0.0.1/",
    "http:///path",
    "http://user:pw@127.0.0.1/",
    "http://a/ü",
    "http://a/\n",
    "http://me:secret",
    "http://a:99999/",
    "http://a:0/",
    "http://127.0.0.1:9\\@a/",
    "http://a/\\b",
    "http:a",
    "http://%61/",
    "http://\uff41/",
    "http://a .b/",
    "http://a\t.b/",
    "http://a/" + 40_000 * "a",
    "mailto:a@b",
]


@every("url", ADDRESSES)
def test_addresses_refused(sender: Sender, url: str) -> None:
    """An invalid URL is a ValueError that does not repeat it."""
    with pytest.raises(ValueError, match="an address") as caught:
        sender.send(Request("test", "GET", url, {}))
    assert url not in str(caught.value)
