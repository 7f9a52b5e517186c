"""A media server with an upstream: what is forwarded, what comes back, and what is recorded.

Rule: the upstream is the test's own small server, which records every byte that it receives.
"""

import asyncio
import gzip
import json
import re
import socket
import threading
import time
import xml.etree.ElementTree as ET
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local_plex.asking import MIRA, TOM_ON_ATTIC, Answered, ask, transient, world
from tests.local_plex.conftest import Start
from ticketstub.local_plex.content.recording import Recorder
from ticketstub.local_plex.content.replies import MAX_BODY_BYTES
from ticketstub.local_plex.content.upstream import Upstream, UpstreamError
from ticketstub.local_plex.http.request import IncomingRequest, Scope
from ticketstub.local_plex.redaction.scrubbing import Scrubber
from ticketstub.local_plex.world.schema import World, WorldError, WorldMediaServer
from ticketstub.protocol.codec import Format
from ticketstub.refusals import BadRequest
from ticketstub.tokens import Token

UP = "Up-7rEaLsErVeRtOkEn_"
ITEMS: dict[str, Any] = {
    "MediaContainer": {
        "size": 1,
        "thumb": f"/photo?url=%2Fthumb&X-Plex-Token={UP}",
        "accessToken": "Ab3-someoneelses_9xy",
        "myPlexUsername": "owner@example.org",
        "publicAddress": "198.51.100.7",
        "Metadata": [{"title": "The café", "file": "/media/films/a.mkv"}],
    }
}
XML = (
    '<?xml version="1.0" encoding="UTF-8"?><MediaContainer size="1" accessToken="Ab3-someoneelses_9xy" pin="2580" '
    'publicAddress="198.51.100.7" email="owner@example.org" title="token of love">'
    "<Token>abcdef-secret</Token></MediaContainer>"
)


class Real(ThreadingHTTPServer):
    """A stand-in for a real media server: it answers as configured and records what it is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.status = 200
        self.body: bytes = json.dumps(ITEMS).encode()
        self.fields: dict[str, str] = {"Content-Type": "application/json"}
        self.seconds = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Real  # pyright: ignore[reportIncompatibleVariableOverride]  # it is, here

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, {name.lower(): text for name, text in self.headers.items()}))
        time.sleep(self.server.seconds)
        self.send_response(self.server.status)
        for name, text in {**self.server.fields, "Content-Length": str(len(self.server.body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(self.server.body)

    do_PUT = do_GET  # noqa: N815  # the library's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Say nothing."""


@pytest.fixture
def real() -> Iterator[Real]:
    server = Real()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(60)


def described(real: Real, **keys: object) -> dict[str, Any]:
    found = world()
    found["media_server"][0] |= {"upstream": real.url, "upstream_token": UP, **keys}
    return found


@pytest.fixture
def attic(real: Real, start: Start) -> str:
    url: str = start(world=described(real)).media_server("Attic").url
    return url


def get(url: str, path: str, token: str = MIRA, method: str = "GET", **headers: str) -> Answered:
    return ask(url, method, path, {"X-Plex-Token": token, "Accept": "application/json", **headers})


@pytest.mark.parametrize("place", [f"/echo/{MIRA}", f"/echo;X-Plex-Token={MIRA}", f"/echo/%2558{MIRA[1:]}"])
def test_a_token_in_a_path_is_not_logged(real: Real, start: Start, place: str) -> None:
    """The log has the path of a forwarded request, unless the path contains the client's token."""
    logged: list[str] = []
    attic = start(world=described(real), on_answer=lambda *line: logged.append(line[1])).media_server("Attic").url
    get(attic, "/echo")
    get(attic, place)
    assert ["/echo", "-"] == logged


def test_what_is_not_known_here_is_passed_on(attic: str, real: Real) -> None:
    """Path and query go up unchanged, with the upstream's token; status, media type and body come back."""
    found = get(
        attic, "/library/sections/1/all?type=1&sort=titleSort%3Adesc", **{"X-Plex-Product": "me", "Range": "bytes=0-"}
    )
    assert (200, "application/json") == (found.status, found.headers["content-type"])
    assert "The café" == found.json["MediaContainer"]["Metadata"][0]["title"]
    method, path, headers = real.asked[0]
    assert ("GET", "/library/sections/1/all?type=1&sort=titleSort%3Adesc") == (method, path)
    assert (UP, "me", "bytes=0-", "application/json") == (
        headers["x-plex-token"],
        headers["x-plex-product"],
        headers["range"],
        headers["accept"],
    )
    assert set() == set(headers) & {"cookie", "authorization", "referer"}


def test_the_local_plexs_own_calls_are_not(attic: str, real: Real) -> None:
    """Identity and access are answered by the local Plex, not by the upstream."""
    for path in ("/", "/identity", "/accounts", "/security/token?type=delegation&scope=all", "/myplex/account"):
        assert 200 == get(attic, path).status
    assert [] == real.asked
    get(attic, "/library/sections")
    assert 1 == len(real.asked)


@pytest.mark.parametrize("token", ["", "not-anybodys-token-1"])
def test_nothing_is_passed_on_without_a_good_token(attic: str, real: Real, token: str) -> None:
    """The local Plex itself answers 401."""
    assert 401 == get(attic, "/library/sections", token).status
    assert [] == real.asked


@pytest.mark.parametrize("path", ["/status/sessions", "/activities", "/butler", "/updater/status", "/:/prefs"])
def test_what_is_the_owners_is_not_passed_on_for_a_guest(attic: str, real: Real, path: str) -> None:
    """The upstream is asked with its own owner's token, so a guest's request for what is the owner's gets 403 here."""
    assert 403 == get(attic, path, TOM_ON_ATTIC).status
    assert [] == real.asked
    get(attic, path)
    assert 1 == len(real.asked)


@pytest.mark.parametrize("kind", ["account", "shared", "transient"])
def test_the_askers_token_never_goes_up(attic: str, real: Real, kind: str) -> None:
    """Parameters and header fields with the client's token are dropped, also inside a URL within a parameter."""
    token = {"account": MIRA, "shared": TOM_ON_ATTIC}.get(kind) or transient(attic, MIRA)
    within = quote(f"/library/parts/1?X-Plex-Token={token}&a=1", safe="")
    for path in (
        "/library/onDeck",
        f"/library/onDeck?X-Plex-Token={token}&a=1",
        f"/library/onDeck?x-plex-token={token}",
        f"/library/onDeck?X%2DPlex%2DToken={token}",
        f"/library/onDeck?X%252DPlex%252DToken={token}",
        f"/photo?url={within}",
        f"/photo?url={quote(within, safe='')}",
    ):
        sent = get(attic, path, token, **{"X-Plex-Odd": token, "Cookie": f"a={token}", "User-Agent": f"me {token}"})
        assert 200 == sent.status
    assert 7 == len(real.asked)
    assert token not in json.dumps(real.asked)
    assert "/photo?url=%2Flibrary%2Fparts%2F1%3F%26a%3D1" == real.asked[5][1]


@pytest.mark.parametrize(
    "place",
    [
        "/photo?url=http://198.51.100.9/{}",
        "/x?q={}",
        "/{}/x",
        "/x?a=1;X-Plex-Token={}",
        "/x?{}",
        "/x?q={}&X-Plex-Token={}",
    ],
)
def test_the_upstreams_token_cannot_be_asked_for(attic: str, real: Real, place: str) -> None:
    """The client's token in any other place is refused, so that no query ever gets the upstream's token there."""
    packed = b64encode(b"a" + MIRA.encode()).decode().rstrip("=")
    for written in (
        MIRA,
        MIRA.swapcase(),
        MIRA.replace(MIRA[3], f"%25{ord(MIRA[3]):02x}"),
        MIRA.encode().hex(),
        packed,
    ):
        assert 400 == get(attic, place.format(written, written)).status, written
    assert [] == real.asked
    assert 200 == get(attic, f"/library/onDeck?X-Plex-Token={MIRA}").status
    assert "/library/onDeck" == real.asked[0][1]
    assert UP not in real.asked[0][1]


def test_an_askers_token_in_disguise_is_refused(attic: str, real: Real) -> None:
    """A percent-encoded token is recognised: 400, and nothing is forwarded."""
    hidden = "".join(f"%{ord(letter):02X}" for letter in MIRA)
    assert 400 == get(attic, f"/photo?url={hidden}").status
    assert 400 == get(attic, f"/photo?url={quote(hidden, safe='')}").status
    assert [] == real.asked


def test_the_upstreams_token_never_comes_down(attic: str, real: Real) -> None:
    """A body has the client's token in its place, and header fields do not contain it."""
    real.fields |= {
        "Cache-Control": f"private, x={UP}",
        "X-Secret": UP,
        "Set-Cookie": f"t={UP}",
        "Last-Modified": "today",
    }
    found = get(attic, "/library/onDeck")
    assert UP not in found.body.decode() + json.dumps(found.headers)
    assert found.json["MediaContainer"]["thumb"].endswith(f"X-Plex-Token={MIRA}")
    assert "today" == found.headers["last-modified"]
    assert "set-cookie" not in found.headers


ECHOES = {
    "as it is": UP,
    "other letters": UP.swapcase(),
    "percent": "".join(f"%{ord(letter):02X}" for letter in UP),
    "percent twice": "".join(f"%25{ord(letter):02x}" for letter in UP),
    "JSON": "".join(f"\\u{ord(letter):04x}" for letter in UP),
    "JSON in JSON": json.dumps("".join(f"\\u{ord(letter):04X}" for letter in UP)),
    "XML": "".join(f"&#{ord(letter)};" for letter in UP),
    "XML, hexadecimal": "".join(f"&#x{ord(letter):x};" for letter in UP),
    "a mixture": UP[:5] + "%2D" + UP[5:9] + "\\u0041" + UP[9:],
    "hexadecimal": UP.encode().hex(),
    "CDATA": f"<![CDATA[{UP}]]>",
    **{f"Base64, {offset}": b64encode(b"x" * offset + UP.encode() + b"yz").decode() for offset in range(3)},
    "Base64 for URLs": urlsafe_b64encode(b"??>" + UP.encode()).decode(),
    "Base64 of a whole header": b64encode(f"X-Plex-Token: {UP}".encode()).decode(),
}


def decoded(body: bytes) -> str:
    """Return a body in every decoding in which one could search it for a secret."""
    seen = [body.decode("utf-8", "replace")]
    for _ in range(4):
        seen.append(re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), unescape(unquote(seen[-1]))))
    for packed in re.findall(rb"[A-Za-z0-9+/_-]{16,}", body):
        for skipped in range(4):
            text = packed[skipped:].translate(bytes.maketrans(b"+/", b"-_"))
            with suppress(ValueError):
                seen.append(urlsafe_b64decode(text + b"A" * (-len(text) % 4)).decode("latin-1"))
    digits = re.findall(rb"(?:[0-9a-fA-F]{2}){8,}", body)
    seen += [bytes.fromhex(packed.decode()).decode("latin-1") for packed in digits]
    return "\n".join(seen).lower()


@pytest.mark.parametrize("echo", ECHOES)
def test_an_echo_of_the_upstreams_token_does_not_come_down(attic: str, real: Real, echo: str) -> None:
    """Whatever the encoding of the upstream's token in body or header fields, the client does not get it."""
    assert UP.lower() in decoded(ECHOES[echo].encode()) or echo == "a mixture"
    for status in (200, 404, 500):
        real.status, real.body = status, f"<a b='x{ECHOES[echo]}y'>".encode()
        real.fields = {"Content-Type": "text/html", "Cache-Control": ECHOES[echo], "Last-Modified": ECHOES[echo]}
        found = get(attic, "/library/onDeck")
        assert status == found.status
        assert UP.lower() not in decoded(found.body + json.dumps(found.headers).encode())
        assert found.body.startswith(b"<a b='x")
    real.status, real.fields = 302, {"Location": f"http://198.51.100.1/?X-Plex-Token={ECHOES[echo]}"}
    assert UP.lower() not in decoded(repr(get(attic, "/library/onDeck")).encode())


def test_an_echo_that_cannot_be_replaced_is_a_502(attic: str, real: Real) -> None:
    """In lines of Base64, in an archive or in an unknown compression, the response is not forwarded."""
    packed = b64encode(UP.encode()).decode()
    real.body = f"{packed[:9]}\r\n{packed[9:]}".encode()
    assert (502, True) == (get(attic, "/a").status, b"cannot be replaced" in get(attic, "/a").body)
    real.body = gzip.compress(UP.encode())
    assert (502, True) == (get(attic, "/a").status, b"an archive" in get(attic, "/a").body)
    real.fields["Content-Encoding"] = "gzip"
    found = get(attic, "/a")
    assert (200, MIRA.encode()) == (found.status, found.body)
    real.fields["Content-Encoding"] = "compress"
    assert (502, True) == (get(attic, "/a").status, b"cannot be searched for secrets" in get(attic, "/a").body)


def test_no_token_is_got_piece_by_piece(attic: str, real: Real) -> None:
    """No range of a text is forwarded: each half could contain half of the token."""
    real.status = 206
    assert 206 == get(attic, "/a", Range="bytes=0-9").status
    assert ["bytes=0-9", None] == [headers.get("range") for _, _, headers in real.asked]
    real.asked.clear()
    real.fields["Content-Type"] = "video/mp4"
    assert 206 == get(attic, "/a", Range="bytes=0-9").status
    assert 1 == len(real.asked)


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://127.0.0.1:1"])
def test_being_on_this_machine_is_no_way_upstream(attic: str, real: Real, start: Start, origin: str | None) -> None:
    """An unclaimed server lets its own machine in, but forwards nothing: 401."""
    plex = start(world=described(real))
    url = plex.media_server("Attic").url
    headers = {"Accept": "application/json", **({"Origin": origin} if origin else {})}
    assert 200 == ask(url, "DELETE", "/myplex/account", {"X-Plex-Token": MIRA}).status
    assert 200 == ask(url, "GET", "/identity", headers).status
    for token in ("", MIRA, "anything"):
        sent = headers | ({"X-Plex-Token": token} if token else {})
        assert 401 == ask(url, "GET", "/library/onDeck", sent).status
    assert [] == real.asked


def test_an_upstream_needs_an_owner(real: Real) -> None:
    """`claimed = false` together with `upstream` is an error in the world, with its path."""
    with pytest.raises(WorldError) as raised:
        World.from_dict({"media_server": [{"name": "Attic", "claimed": False, "upstream": real.url}]})
    assert "media_server[0].claimed: conflicts with upstream" in str(raised.value)


@pytest.mark.parametrize("path", ["@198.51.100.1/", "http://198.51.100.1/", "1/", ""])
def test_no_path_leads_to_another_host(path: str) -> None:
    """A target that does not begin with a slash could extend the host: refused."""
    scope: Scope = {
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "client": None,
        "http_version": "1.1",
    }
    with pytest.raises(BadRequest):
        Upstream(WorldMediaServer(name="Attic", upstream="http://127.0.0.1:1")).build_target(
            IncomingRequest(scope, Format.XML), MIRA
        )


@pytest.mark.parametrize(
    ("status", "fields", "answered", "why"),
    [
        (401, {}, 502, b"refuses the token (401)"),
        (302, {"Location": "http://198.51.100.1/"}, 502, b"redirects elsewhere"),
        (404, {}, 404, b"The caf"),
        (500, {}, 500, b"The caf"),
        (206, {"Content-Range": "bytes 0-1/2"}, 206, b"The caf"),
    ],
)
def test_what_the_upstream_says(
    attic: str, real: Real, status: int, fields: dict[str, str], answered: int, why: bytes
) -> None:
    """Its status is forwarded, except those about sign-in and redirects to elsewhere."""
    real.status, real.fields = status, {**real.fields, **fields}
    found = get(attic, "/library/onDeck")
    assert answered == found.status
    assert why in found.body
    assert 1 == len(real.asked)


def test_an_upstream_that_is_not_there_is_a_502(real: Real, start: Start) -> None:
    """The page says what cannot be reached."""
    told = described(real)
    told["media_server"][0]["upstream"] = "http://127.0.0.1:1"
    found = get(start(world=told).media_server("Attic").url, "/library/onDeck")
    assert 502 == found.status
    assert b"http://127.0.0.1:1 cannot be asked: connection refused" in found.body


@pytest.mark.parametrize(
    ("scheme", "answer", "why"),
    [
        ("http", b"", "it closed the connection without an answer"),
        ("http", b"220 mail.example.test\r\n", "the address or the answer cannot be read"),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "the TLS handshake failed"),
    ],
)
async def test_an_upstream_that_speaks_no_http_is_told_in_words(scheme: str, answer: bytes, why: str) -> None:
    """The error is described in words, never by a library's class name."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as stranger:
        at = f"{scheme}://127.0.0.1:{stranger.sockets[0].getsockname()[1]}"
        with pytest.raises(UpstreamError, match=f"^{at} cannot be asked: {why}[.]$"):
            await Upstream(WorldMediaServer(name="Attic", upstream=at)).fetch("GET", "/", {})


async def test_an_upstream_without_an_address_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says that the name could not be looked up."""

    def unknown(*_asked: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UpstreamError, match=r"cannot be asked: the name could not be looked up\.$"):
        await Upstream(WorldMediaServer(name="Attic", upstream="http://attic.invalid:32400")).fetch("GET", "/", {})


async def test_an_upstream_that_takes_too_long_is_a_504(real: Real) -> None:
    """The time is bounded, whatever the upstream does."""
    real.seconds = 0.3
    with pytest.raises(UpstreamError, match=r"did not answer within 0\.05 seconds") as raised:
        await Upstream(WorldMediaServer(name="Attic", upstream=real.url), seconds=0.05).fetch("GET", "/", {})
    assert 504 == raised.value.status


async def test_more_than_the_most_is_not_passed_on(real: Real) -> None:
    """16 MiB are forwarded, and not a byte more."""
    real.body = b" " * (MAX_BODY_BYTES + 1)
    with pytest.raises(UpstreamError, match="more than 16777216 bytes"):
        await Upstream(WorldMediaServer(name="Attic", upstream=real.url)).fetch("GET", "/", {})
    real.body = b" " * MAX_BODY_BYTES
    assert MAX_BODY_BYTES == len(
        (await Upstream(WorldMediaServer(name="Attic", upstream=real.url)).fetch("GET", "/", {})).body
    )


async def test_addresses_outside_are_not_asked() -> None:
    """Nothing is sent to a public address unless the world allows that."""
    with pytest.raises(UpstreamError, match="upstream_outside in a world"):
        await Upstream(WorldMediaServer(name="Attic", upstream="http://192.88.99.1:9")).fetch("GET", "/", {})


def test_only_reading_is_passed_on(attic: str, real: Real, start: Start) -> None:
    """Other methods are 405 unless the world allows them; then they are forwarded without a body."""
    assert 405 == get(attic, "/:/scrobble?key=1", method="PUT").status
    assert [] == real.asked
    writing = start(world=described(real, upstream_writes=True)).media_server("Attic").url
    assert 200 == get(writing, "/:/scrobble?key=1", method="PUT").status
    assert ("PUT", "/:/scrobble?key=1") == real.asked[0][:2]
    assert 501 == ask(writing, "POST", "/x", {"X-Plex-Token": MIRA}, b"body").status


def test_head_is_asked_as_get(attic: str, real: Real) -> None:
    """The length is the body's; the body is not sent."""
    found = get(attic, "/library/onDeck", method="HEAD")
    assert (200, b"", "GET") == (found.status, found.body, real.asked[0][0])
    assert int(found.headers["content-length"]) > 100


def test_what_comes_down_is_recorded_and_served(real: Real, start: Start, tmp_path: Path) -> None:
    """A recording made with an upstream serves the same client without it, and no file has a secret."""
    folder = tmp_path / "recorded"
    with_it = start(world=described(real), record=folder).media_server("Attic").url
    path = f"/library/sections/1/all?type=1&X-Plex-Token={MIRA}"
    get(with_it, path)
    real.body, real.fields = XML.encode(), {"Content-Type": "text/xml;charset=utf-8"}
    ask(with_it, "GET", path, {"X-Plex-Token": MIRA, "Accept": "text/xml"})
    real.status = 404
    get(with_it, "/library/gone")
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    assert [f"Attic/library/sections/1/all@type=1.{ending}" for ending in ("json", "xml")] == files
    written = "".join((folder / name).read_text() for name in files)
    for secret in (UP, MIRA, "Ab3-someoneelses_9xy", "owner@example.org", "198.51.100.7", "abcdef-secret", "2580"):
        assert secret not in written
    told = described(real)
    told["media_server"][0] = {**world()["media_server"][0], "replies": str(folder / "Attic")}
    without = start(world=told).media_server("Attic").url
    again = get(without, path)
    assert "The café" == again.json["MediaContainer"]["Metadata"][0]["title"]
    assert "/photo?url=%2Fthumb&X-Plex-Token=scrubbed" == again.json["MediaContainer"]["thumb"]
    root = ET.fromstring(ask(without, "GET", path, {"X-Plex-Token": MIRA}).body)  # noqa: S314  # written above
    assert {
        "size": "1",
        "accessToken": "scrubbed",
        "pin": "scrubbed",
        "publicAddress": "192.0.2.1",
        "email": "somebody@example.test",
        "title": "token of love",
    } == root.attrib
    assert "scrubbed" == root.findtext("Token")


def test_what_is_not_recorded_is_said(
    real: Real, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A response that cannot be scrubbed gives one warning with its path, without query and secrets."""
    attic = start(world=described(real), record=tmp_path).media_server("Attic").url
    get(attic, "/library/sections")
    assert [] == caplog.records
    real.body, real.fields = b"\xff\xd8\0" + MIRA.encode(), {"Content-Type": "image/jpeg"}
    for _ in range(2):
        assert 200 == get(attic, "/photos/claim-Zq9abcdef0123456789x/7.jpg?title=Films&pin=2580").status
    assert [
        "/photos/scrubbed/7.jpg is not recorded: it contains a secret that cannot be replaced"
    ] * 2 == caplog.messages
    assert {"WARNING"} == {record.levelname for record in caplog.records}
    assert ["sections.json"] == [file.name for file in tmp_path.rglob("*") if file.is_file()]


def test_a_name_holds_no_secret_either(tmp_path: Path) -> None:
    """Secrets are removed from file names as from bodies."""
    recorder = Recorder(tmp_path, (UP,))
    file = recorder.record_path("/photo", {"url": f"/x?X-Plex-Token={UP}"}, "image/jpeg", b"\xff\xd8")
    assert file
    assert UP not in str(file)
    assert ".jpg" == file.suffix
    assert b"\xff\xd8" == file.read_bytes()


NAMES = st.sampled_from(["authToken", "pin", "title", "email", "publicAddress"])
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda deeper: st.lists(deeper) | st.dictionaries(NAMES, deeper),
)


@given(DATA)
def test_scrubbed_json_is_still_json(data: Any) -> None:
    """Whatever the texts contain, the output is valid JSON, and named tokens are gone."""
    for ascii_only in (True, False):
        found = json.loads(Scrubber().scrub(json.dumps(data, ensure_ascii=ascii_only)))
        assert type(found) is type(data)
        if isinstance(data, dict) and isinstance(data.get("authToken"), str) and data["authToken"]:
            assert "scrubbed" == found["authToken"]


def test_scrubbing_takes_no_time_on_what_looks_like_much() -> None:
    """Long texts take linear time whatever patterns they begin: quadratic time would be minutes."""
    for text in (
        "a" * 200_000,
        "token" * 40_000,
        "a." * 100_000,
        '"a' * 60_000,
        "<pin " * 40_000,
        "eyJ-" * 20_000,
    ):
        begun = time.process_time()
        Scrubber().scrub(text)
        assert time.process_time() - begun < 3, text[:10]


def test_no_token_shows() -> None:
    """It is neither in a world's repr nor in an error."""
    assert UP not in repr(WorldMediaServer(name="Attic", upstream="http://host", upstream_token=Token(UP)))
