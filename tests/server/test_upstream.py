"""A media server that passes on to another one: what goes up, what comes down, and what is kept of it.

Rule: the upstream is a small server of the test's own that notes every byte of what it is asked.
"""

import json
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.asking import MIRA, TOM_ON_ATTIC, Answered, ask, transient, world
from tests.server.conftest import Start
from ticketstub.server.elsewhere import MOST
from ticketstub.server.recording import Recorder, scrubbed
from ticketstub.server.upstream import Upstream, UpstreamFailed
from ticketstub.server.world_replies import Whole
from ticketstub.token import Token

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
    """A media server that is none of ours: answers as it is told, and notes what it is asked."""

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
    thread.join(5)


def described(real: Real, **keys: object) -> dict[str, Any]:
    found = world()
    found["media_server"][0] |= {"upstream": real.url, "upstream_token": UP, **keys}
    for account in found["account"]:
        account.pop("password", None)
    return found


@pytest.fixture
def attic(real: Real, start: Start) -> str:
    url: str = start(world=described(real)).media_server("Attic").url
    return url


def get(url: str, path: str, token: str = MIRA, method: str = "GET", **headers: str) -> Answered:
    return ask(url, method, path, {"X-Plex-Token": token, "Accept": "application/json", **headers})


def test_what_is_not_known_here_is_passed_on(attic: str, real: Real) -> None:
    """Path and query as they were sent, with the upstream's token; status, type and body come down."""
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
    """Who it is and who may ask is not the upstream's to say."""
    for path in ("/", "/identity", "/accounts", "/security/token?type=delegation&scope=all", "/myplex/account"):
        assert 200 == get(attic, path).status
    assert [] == real.asked
    get(attic, "/library/sections")
    assert 1 == len(real.asked)


@pytest.mark.parametrize("token", ["", "not-anybodys-token-1"])
def test_nothing_is_passed_on_without_a_good_token(attic: str, real: Real, token: str) -> None:
    """401 from the local Plex itself."""
    assert 401 == get(attic, "/library/sections", token).status
    assert [] == real.asked


@pytest.mark.parametrize("kind", ["account", "shared", "transient"])
def test_the_askers_token_never_goes_up(attic: str, real: Real, kind: str) -> None:
    """Not as header, parameter, part of a parameter, or field of another name; an address within one gets the other."""
    token = {"account": MIRA, "shared": TOM_ON_ATTIC}.get(kind) or transient(attic, MIRA)
    within = quote(f"/library/parts/1?X-Plex-Token={token}", safe="")
    twice = quote(within, safe="")
    for path in (
        "/library/onDeck",
        f"/library/onDeck?X-Plex-Token={token}&a=1",
        f"/library/onDeck?x-plex-token={token}",
        f"/library/onDeck?X%2DPlex%2DToken={token}",
        f"/photo?url={within}",
        f"/photo?url={twice}",
        f"/{token}/x",
    ):
        sent = get(attic, path, token, **{"X-Plex-Odd": token, "Cookie": f"a={token}", "User-Agent": f"me {token}"})
        assert 200 == sent.status
    assert 7 == len(real.asked)
    assert token not in json.dumps(real.asked)
    assert f"/photo?url=%2Flibrary%2Fparts%2F1%3FX-Plex-Token%3D{UP}" == real.asked[4][1]


def test_an_askers_token_in_disguise_is_refused(attic: str, real: Real) -> None:
    """Percent-encoded letters hide nothing: 400, and nothing goes up."""
    hidden = "".join(f"%{ord(letter):02X}" for letter in MIRA)
    assert 400 == get(attic, f"/photo?url={hidden}").status
    assert 400 == get(attic, f"/photo?url={quote(hidden, safe='')}").status
    assert [] == real.asked


def test_the_upstreams_token_never_comes_down(attic: str, real: Real) -> None:
    """Neither in a body, where the asker's own stands in its place, nor in a field."""
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
    """Its statuses come down, but for those that would be about somebody's sign-in, or lead elsewhere."""
    real.status, real.fields = status, {**real.fields, **fields}
    found = get(attic, "/library/onDeck")
    assert answered == found.status
    assert why in found.body
    assert 1 == len(real.asked)


def test_an_upstream_that_is_not_there_is_a_502(real: Real, start: Start) -> None:
    """A page says what cannot be reached."""
    told = described(real)
    told["media_server"][0]["upstream"] = "http://127.0.0.1:1"
    found = get(start(world=told).media_server("Attic").url, "/library/onDeck")
    assert 502 == found.status
    assert b"http://127.0.0.1:1 cannot be asked" in found.body


async def test_an_upstream_that_takes_too_long_is_a_504(real: Real) -> None:
    """The time is bounded, whatever it does."""
    real.seconds = 0.3
    with pytest.raises(UpstreamFailed, match=r"did not answer within 0\.05 seconds") as raised:
        await Upstream(Whole(upstream=real.url), seconds=0.05).fetch("GET", "/", {})
    assert 504 == raised.value.status


async def test_more_than_the_most_is_not_passed_on(real: Real) -> None:
    """16 MiB and not a byte more."""
    real.body = b" " * (MOST + 1)
    with pytest.raises(UpstreamFailed, match="more than 16777216 bytes"):
        await Upstream(Whole(upstream=real.url)).fetch("GET", "/", {})
    real.body = b" " * MOST
    assert MOST == len((await Upstream(Whole(upstream=real.url)).fetch("GET", "/", {})).body)


async def test_addresses_outside_are_not_asked() -> None:
    """Nothing is sent to a public address unless the world allows it."""
    with pytest.raises(UpstreamFailed, match="upstream_outside in a world"):
        await Upstream(Whole(upstream="http://192.88.99.1:9")).fetch("GET", "/", {})


def test_only_reading_is_passed_on(attic: str, real: Real, start: Start) -> None:
    """Other methods are 405, unless the world passes them on: then without a body."""
    assert 405 == get(attic, "/:/scrobble?key=1", method="PUT").status
    assert [] == real.asked
    writing = start(world=described(real, upstream_writes=True)).media_server("Attic").url
    assert 200 == get(writing, "/:/scrobble?key=1", method="PUT").status
    assert ("PUT", "/:/scrobble?key=1") == real.asked[0][:2]
    assert 501 == ask(writing, "POST", "/x", {"X-Plex-Token": MIRA}, b"body").status


def test_head_is_asked_as_get(attic: str, real: Real) -> None:
    """The length is that of the body; the body is not sent."""
    found = get(attic, "/library/onDeck", method="HEAD")
    assert (200, b"", "GET") == (found.status, found.body, real.asked[0][0])
    assert int(found.headers["content-length"]) > 100


def test_what_comes_down_is_recorded_and_served(real: Real, start: Start, tmp_path: Path) -> None:
    """A run with an upstream writes a folder that serves the same program without it, with no secret in any file."""
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


def test_a_name_holds_no_secret_either(tmp_path: Path) -> None:
    """What is scrubbed in a body is scrubbed in the name of its file."""
    recorder = Recorder(tmp_path, (UP,))
    file = recorder.keep_at("/photo", {"url": f"/x?X-Plex-Token={UP}"}, "image/jpeg", b"\xff\xd8")
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
    """Whatever the texts hold, what is written can be read, and tokens by name are gone."""
    for ascii_only in (True, False):
        found = json.loads(scrubbed(json.dumps(data, ensure_ascii=ascii_only)))
        assert type(found) is type(data)
        if isinstance(data, dict) and isinstance(data.get("authToken"), str) and data["authToken"]:
            assert "scrubbed" == found["authToken"]


def test_scrubbing_takes_no_time_on_what_looks_like_much() -> None:
    """A megabyte of letters is a matter of moments, whatever patterns begin in it."""
    for text in (
        "a" * 1_000_000,
        "token" * 200_000,
        "a." * 500_000,
        '"a' * 300_000,
        "<pin " * 200_000,
        "eyJ-" * 100_000,
    ):
        begun = time.process_time()
        scrubbed(text)
        assert time.process_time() - begun < 3, text[:10]


def test_no_token_shows() -> None:
    """Neither in a world's repr nor in a fault."""
    assert UP not in repr(Whole(upstream="http://host", upstream_token=Token(UP)))
