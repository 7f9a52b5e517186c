"""The QR code of a PIN: a PNG with the URL of the page to approve it. Its pixels are read here."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any
from urllib.parse import urlsplit

import pytest
import segno

from tests.local_plex.asking import Clock, ask
from tests.local_plex.conftest import Start
from tests.local_plex.pin_asking import CLIENT, JSON, create, link, over
from tests.tables import every
from ticketstub.testing import LocalPlexController

QUIET = 4  # modules of margin that a QR code has around it


def modules(png: bytes) -> list[list[bool]]:
    """Read a picture of one bit a pixel into its modules, dark or not, without the margin."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (checked,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert checked == zlib.crc32(name + data)
        chunks[name] = chunks.get(name, b"") + data
        at += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (width, 1, 0) == (height, depth, colour)
    line = (width + 7) // 8 + 1
    raw = zlib.decompress(chunks[b"IDAT"])
    rows, above = [], bytes(line - 1)
    for n in range(height):
        kind, row = raw[n * line], raw[n * line + 1 : (n + 1) * line]
        assert kind in {0, 2}, "PNG's filters: none, or what changed since the row above"
        above = bytes((a + b) % 256 for a, b in zip(row, above, strict=True)) if kind else row
        rows.append(above)
    pixels = [[not row[x // 8] >> 7 - x % 8 & 1 for x in range(width)] for row in rows]
    scale = next(n for n, row in enumerate(pixels) if any(row)) // QUIET
    whole = [row[scale // 2 :: scale] for row in pixels[scale // 2 :: scale]]
    return [row[QUIET:-QUIET] for row in whole[QUIET:-QUIET]]


def leads_to(text: str) -> list[list[bool]]:
    """Draw a text as a QR code with the library itself."""
    return [[bool(module) for module in row] for row in segno.make_qr(text, error="m").matrix]


def picture(url: str, code: str, **headers: str) -> bytes:
    found = ask(url, "GET", f"/api/v2/pins/qr/{code}", headers)
    assert (200, "image/png") == (found.status, found.headers["content-type"])
    return found.body


def test_the_reading_by_hand_can_fail(fresh: LocalPlexController) -> None:
    """Two texts are two pictures."""
    code = create(fresh.url)["code"]
    assert leads_to(f"{fresh.url}/link?pin=XXXX") != modules(picture(fresh.url, code))


def test_a_typed_code(fresh: LocalPlexController) -> None:
    """The picture of a short code leads to the link page with the code; it needs no token."""
    made = create(fresh.url)
    assert leads_to(f"{fresh.url}/link?pin={made['code']}") == modules(picture(fresh.url, made["code"]))


def test_a_strong_code(fresh: LocalPlexController) -> None:
    """The picture of a strong code leads to the approval page, with client, code and product in the fragment."""
    made = create(fresh.url, "?strong=true")
    page = (
        f"{fresh.url}/auth#?clientID=demo-client-7c1f&code={made['code']}&context%5Bdevice%5D%5Bproduct%5D=Demo%20App"
    )
    assert leads_to(page) == modules(picture(fresh.url, made["code"]))


def test_where_a_pin_says_it_is(fresh: LocalPlexController) -> None:
    """`qr` in a PIN's body is the URL of its picture."""
    made = create(fresh.url)
    found = ask(fresh.url, "GET", urlsplit(made["qr"]).path)
    assert (200, f"{fresh.url}/api/v2/pins/qr/{made['code']}") == (found.status, made["qr"])


HOSTS = [
    ("127.0.0.1:32500", "http://127.0.0.1:32500"),
    ("localhost:1", "http://localhost:1"),
    ("[::1]:32500", "http://[::1]:32500"),
    ("plex-double_1.example.test", "http://plex-double_1.example.test"),
    ("plex.tv", "https://plex.tv"),
    ("clients.plex.tv:443", "https://plex.tv"),
    ("PLEX.TV", "https://plex.tv"),
    ("notplex.tv", "http://notplex.tv"),
    ("", "https://plex.tv"),
    ("a/b", "https://plex.tv"),
    ("user@evil.example", "https://plex.tv"),
    ("evil.example\\@x", "https://plex.tv"),
    ("a b", "https://plex.tv"),
    ("x:port", "https://plex.tv"),
    ('"><script>', "https://plex.tv"),
    ("\u00fc.example", "https://plex.tv"),
    ("x" * 300, "https://plex.tv"),
]


@every(("host", "base"), HOSTS)
def test_what_a_host_makes_of_it(plex: LocalPlexController, host: str, base: str) -> None:
    """The URL has the requested host, if it is well-formed; under Plex's names and otherwise it is plex.tv's."""
    made: Any = ask(plex.url, "POST", "/api/v2/pins", {**JSON, "Host": host.encode().decode("latin-1")})
    if made.status == 400 and not made.headers.get("x-request-id"):
        return  # the listener itself refused the Host
    assert f"{base}/api/v2/pins/qr/{made.json['code']}" == made.json["qr"]


def test_under_plex_s_own_names(fresh: LocalPlexController) -> None:
    """A client that used plex.tv gets plex.tv's pages: the user's camera is redirected here in the same way."""
    typed, strong = create(fresh.url), create(fresh.url, "?strong=true")
    assert leads_to(f"https://plex.tv/link?pin={typed['code']}") == modules(
        picture(fresh.url, typed["code"], Host="plex.tv")
    )
    page = f"https://app.plex.tv/auth#?clientID={CLIENT}&code={strong['code']}"
    assert leads_to(f"{page}&context%5Bdevice%5D%5Bproduct%5D=Demo%20App") == modules(
        picture(fresh.url, strong["code"], Host="clients.plex.tv")
    )


def test_as_long_as_the_pin_lives(start: Start) -> None:
    """A linked PIN still has its picture, an expired one has none."""
    clock = Clock()
    plex = start(clock=clock)
    made = create(plex.url)
    link(plex.url, made["code"])
    assert picture(plex.url, made["code"])
    clock.now += 900
    assert over(ask(plex.url, "GET", f"/api/v2/pins/qr/{made['code']}", JSON))


@pytest.mark.parametrize("code", ["ZZZZ", "!!!!", "x" * 25, "%00", "a" * 3000, "..%5C..", "h7qk"])
def test_codes_of_nobody(plex: LocalPlexController, code: str) -> None:
    """An unknown code has no picture: 404 with code 1020, in XML by default."""
    assert over(ask(plex.url, "GET", f"/api/v2/pins/qr/{code}", JSON))
    assert re.search(b'<error code="1020"', ask(plex.url, "GET", f"/api/v2/pins/qr/{code}").body)
