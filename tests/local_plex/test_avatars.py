"""The avatars at the `thumb` URLs of accounts; their pixels are read here."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from string import ascii_uppercase, digits
from urllib.parse import urlsplit

import pytest

from tests.local_plex.asking import MIRA, Clock, ask, get
from tests.local_plex.family import TOKENS, UUIDS, family
from ticketstub.local_plex.api.avatars import draw_avatar, get_initial
from ticketstub.testing import LocalPlexController, local_plex

JSON = {"Accept": "application/json", "X-Plex-Client-Identifier": "demo-client-7c1f"}
M = """
X...X
XX.XX
X.X.X
X.X.X
X...X
X...X
X...X
"""


@pytest.fixture(scope="module", name="plex")
def _plex(clock: Clock) -> Iterator[LocalPlexController]:
    with local_plex(family(), clock=clock) as running:
        yield running


def squares(png: bytes) -> tuple[bytes, list[str]]:
    """Read a picture of two colours: the background colour, and its cells as lines of text."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(name + data),)
        chunks[name] = data
        at += 12 + length
    assert [b"IHDR", b"PLTE", b"IDAT", b"IEND"] == [*chunks]
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (88, 88, [1, 3, 0, 0, 0]) == (width, height, kind)
    raw = zlib.decompress(chunks[b"IDAT"])
    assert len(raw) == 88 * 12
    lines = [raw[n * 12 : n * 12 + 12] for n in range(88)]
    assert all(line[0] == 0 and set(line[1:]) <= {0, 255} for line in lines)
    assert all(lines[n] == lines[n // 8 * 8] for n in range(88))
    return chunks[b"PLTE"], ["".join("X" if byte else "." for byte in line[1:]) for line in lines[::8]]


def thumbs(plex: LocalPlexController) -> set[str]:
    """List the picture URLs that plex.tv and a media server return."""
    headers = {**JSON, "X-Plex-Token": TOKENS["mira"]}
    found = {ask(plex.url, "GET", "/api/v2/user", headers).json["thumb"]}
    found |= {user["thumb"] for user in ask(plex.url, "GET", "/api/v2/home/users", headers).json["users"]}
    found |= {user["thumb"] for user in ask(plex.url, "GET", "/api/v2/friends", headers).json}
    accounts = get(plex.media_server("Attic").url, "/accounts", MIRA).json["MediaContainer"]["Account"]
    listed = {each["thumb"] for each in accounts} - {""}
    assert listed
    return found | listed


def test_every_thumb_that_is_told_answers_a_picture(plex: LocalPlexController) -> None:
    """Each `thumb` of accounts, Home users, friends and a media server's accounts is a PNG that needs no token."""
    told = thumbs(plex)
    assert len(told) >= 5
    for thumb in told:
        address = urlsplit(thumb)
        assert "https://plex.tv" == f"{address.scheme}://{address.netloc}"
        found = ask(plex.url, "GET", f"{address.path}?{address.query}")
        assert (200, "image/png") == (found.status, found.headers["content-type"])
        squares(found.body)


def test_the_picture_has_the_initial(plex: LocalPlexController) -> None:
    """It shows the first letter of the account's name in white, and is the same, ETag included, each time."""
    found, again = (ask(plex.url, "GET", f"/users/{UUIDS['mira']}/avatar{query}") for query in ("", "?c=1"))
    assert found.body == again.body
    assert found.headers["etag"] == again.headers["etag"] != ""
    other = ask(plex.url, "GET", f"/users/{UUIDS['pip']}/avatar")
    assert (found.body, found.headers["etag"]) != (other.body, other.headers["etag"])
    colours, lines = squares(found.body)
    assert b"\xff\xff\xff" == colours[3:]
    assert max(colours[:3]) < 144
    assert M.split() == [line[3:8] for line in lines[2:9]]
    assert {"." * 11} == {*lines[:2], *lines[9:]}
    assert {"..."} == {line[:3] for line in lines} | {line[8:] for line in lines}


def test_head_tells_its_length(plex: LocalPlexController) -> None:
    """HEAD has the picture's type and length, and no body."""
    path = f"/users/{UUIDS['tom']}/avatar"
    found, whole = ask(plex.url, "HEAD", path), ask(plex.url, "GET", path)
    assert (200, b"", "image/png") == (found.status, found.body, found.headers["content-type"])
    assert str(len(whole.body)) == found.headers["content-length"]


@pytest.mark.parametrize("uuid", ["0123456789abcdef", "mira_quill", "10500123", UUIDS["mira"].upper()])
def test_an_unknown_uuid(plex: LocalPlexController, uuid: str) -> None:
    """An unknown uuid is 404 with code 1002, like any unknown path."""
    found = ask(plex.url, "GET", f"/users/{uuid}/avatar", JSON)
    assert (404, 1002) == (found.status, found.json["errors"][0]["code"])


def test_every_letter_is_drawn_differently() -> None:
    """Each letter and digit has its own shape; any other is left out."""
    drawn = {letter: draw_avatar("0" * 16, letter) for letter in ascii_uppercase + digits}
    assert len({*drawn.values()}) == 36
    assert draw_avatar("0" * 16, "") == draw_avatar("0" * 16, "李") not in drawn.values()
    assert draw_avatar("1" * 16, "A") != drawn["A"]


@pytest.mark.parametrize(
    ("name", "letter"), [("élodie", "E"), ("  tom", "T"), ("<3po>", "3"), ("李 Li", "李"), ("", ""), ("…", "")]
)
def test_initials(name: str, letter: str) -> None:
    """The initial is the first letter or digit, without accents."""
    assert letter == get_initial(name)
