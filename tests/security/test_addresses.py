"""C1, C2: the host that is parsed from a URL is the host that every library finds in it, or the URL is refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
import httpx2
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from tests.examples import examples
from tests.security.test_redirects import CANARY, DEVICE, Sink, client_of
from ticketstub import AsyncPlex, Browser, PendingSignIn, Plex, Unreachable, check
from ticketstub.client.transports.dial import find_proxy
from ticketstub.client.transports.httpx import _HttpxExchange
from ticketstub.messages import MAX_URL_LENGTH, Origin, Request, split_url

HERE = "http://127.0.0.1:9"
HOSTILE = {
    "back slash": "http://127.0.0.1:9\\@{evil}",
    "back slash in the path": HERE + "/\\@{evil}",
    "back slash in front": "http:\\\\{evil}",
    "back slash after the host": "http://{evil}\\@127.0.0.1:9/",
    "user name": "http://127.0.0.1:9@{evil}",
    "empty user name": "http://@{evil}",
    "user name and password": "http://a:b@{evil}",
    "tab": "http://127.0.0.1:9\t@{evil}",
    "line break": "http://127.0.0.1:9\n@{evil}",
    "NUL": "http://127.0.0.1:9\0@{evil}",
    "space in front": " http://{evil}",
    "space at the end": "http://{evil} ",
    "space": "http://127.0.0.1:9 @{evil}",
    "percent-encoded at": "http://127.0.0.1%40{evil}",
    "percent-encoded slash": "http://{evil}%2f@127.0.0.1:9",
    "full-width": "http://\uff11\uff12\uff17.0.0.1:9",
    "ideographic full stop": "http://127\u30020\u30020\u30021:9",
    "long s": "http\u017f://{evil}",
    "without slashes": "http:{evil}",
    "one slash": "http:/{evil}",
    "three slashes": "http:///{evil}",
    "without scheme": "//{evil}",
    "another scheme": "ftp://{evil}",
    "port 0": "http://127.0.0.1:0",
    "port out of range": "http://127.0.0.1:65536",
    "port with a sign": "http://127.0.0.1:+9",
    "port of other digits": "http://127.0.0.1:\u0669",
    "dots for a host": "http://..:9",
    "unclosed bracket": "http://[::1:9",
    "name in brackets": "http://[localhost]:9",
    "IPv6 with a zone": "http://[::1%25lo]:9",
    "two ports": "http://127.0.0.1:9:9",
    "overlong": HERE + "/" + MAX_URL_LENGTH * "a",
}
TAKEN: dict[str, Callable[[str], object]] = {
    "plex_tv=": lambda url: Plex(device=DEVICE, token=CANARY, plex_tv=url).ping(),
    "server=": lambda url: Plex(device=DEVICE, token=CANARY, server=url).server_information(),
    "base_url=": lambda url: Plex(device=DEVICE).ping(base_url=url, token=CANARY),
    "with_options": lambda url: Plex(device=DEVICE).with_options(base_url=url, token=CANARY).ping(),
    "at": lambda url: Plex(device=DEVICE).at(url, token=CANARY).server_information(),
    "check": lambda url: check(CANARY, server=url, device=DEVICE),
    "async plex_tv=": lambda url: asyncio.run(AsyncPlex(device=DEVICE, token=CANARY, plex_tv=url).ping()),
    "async server=": lambda url: AsyncPlex(device=DEVICE, token=CANARY, server=url),
    "async base_url=": lambda url: asyncio.run(AsyncPlex(device=DEVICE).ping(base_url=url, token=CANARY)),
    "async at": lambda url: AsyncPlex(device=DEVICE).at(url, token=CANARY),
    "forward_url=": lambda url: Plex(device=DEVICE, plex_tv=HERE).begin_sign_in(forward_url=url),
    "sign_in(forward_url=)": lambda url: Plex.sign_in(method=Browser(forward_url=url), plex_tv=HERE, device=DEVICE),
    "SignIn.load": lambda url: PendingSignIn.load(_dump(url), plex=Plex(device=DEVICE)),
}


def _dump(url: str) -> str:
    pin = {"plex_tv": url, "device": msgspec.to_builtins(DEVICE), "pin_id": 1, "code": "ABCD", "strong": False}
    return msgspec.json.encode({"sign_in": 1, "pin": pin | {"expires_at": 4e9}}).decode()


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    one = Sink()
    yield one
    one.close()


@pytest.mark.parametrize("take", TAKEN.values(), ids=TAKEN)
def test_c2_hostile_addresses_are_refused(take: Callable[[str], object], sink: Sink) -> None:
    """A hostile URL in any argument is a ValueError that does not repeat it, and nothing is sent."""
    for name, hostile in HOSTILE.items():
        url = hostile.format(evil=f"127.0.0.1:{sink.port}")
        with pytest.raises(ValueError, match=r"an address|pending sign-in") as caught:
            take(url)
        assert "127.0.0.1" not in str(caught.value), name
    assert (0, b"") == (sink.connections, sink.heard)


_HOSTS = (
    "127.0.0.1 127.1 0x7f.1 2130706433 localhost plex.tv PLEX.tv. evil.example xn--e1afmkfd a_b a - -- "
    "[::1] [::ffff:127.0.0.1] [0:0::1] [::1%25lo] \u3002 \uff0e \uff20 \u2024 \u00ad \u200b é ß ǆ"
)
_MARKS = ": // :// / /// \\ @ # ? . .. [ ] :80 :443 :0 :00080 :65536 :+1 %40 %2e %00 %5c % ; | ^ ` {} < \" ' * ~ ! b:c@"
PIECES = [
    *("http", "https", "HTTP", "hTTps", "ftp", "http\u017f", "", "\t", "\n", "\r", "\0", " ", "/a/../b", "/?x=1"),
    *_HOSTS.split(" "),
    *_MARKS.split(" "),
]
ADDRESSES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=6).map(lambda pieces: "http://" + "".join(pieces)),
    st.lists(st.sampled_from(PIECES), max_size=4).map(lambda pieces: "https://plex.tv" + "".join(pieces)),
    st.text(max_size=12).map(lambda text: f"http://{text}/"),
)


def _of_httpx(library: Any, url: str) -> tuple[str, str, int | None]:
    found = library.URL(url)
    return found.scheme, found.raw_host.decode(), found.port or {"http": 80, "https": 443}.get(found.scheme)


def _of_yarl(url: str, *, encoded: bool) -> tuple[str, str | None, int | None]:
    found = URL(url, encoded=encoded)
    return found.scheme, found.raw_host, found.port


def _of_the_standard_library(url: str) -> tuple[str, str | None, int]:
    found = urlsplit(url)
    return found.scheme, found.hostname, found.port or {"http": 80, "https": 443}[found.scheme]


PARSERS: dict[str, Callable[[str], tuple[str, str | None, int | None]]] = {
    "httpx": lambda url: _of_httpx(httpx, url),
    "httpx2": lambda url: _of_httpx(httpx2, url),
    "yarl": lambda url: _of_yarl(url, encoded=False),
    "yarl, encoded": lambda url: _of_yarl(url, encoded=True),
    "urllib": _of_the_standard_library,
}


def disagreements(url: str) -> dict[str, object]:
    """Return what parsers find in an accepted URL if it is neither the same as ours nor a refusal."""
    try:
        place, _ = split_url(url)
    except ValueError:
        return {}
    found: dict[str, object] = {}
    for name, parse in PARSERS.items():
        with suppress(ValueError, httpx.InvalidURL, httpx2.InvalidURL):
            seen = parse(url)
            if not _is_same(seen, place):
                found[name] = seen
    return found


def _is_same(seen: tuple[str, str | None, int | None], place: Origin) -> bool:
    """Return whether a parser found the same origin, in any capitalization and spelling of IPv6."""
    scheme, host, port = seen
    same_host = host is not None and host.lower() == place.host
    if host and ":" in host and ":" in place.host:
        same_host = ip_address(host) == ip_address(place.host)
    return same_host and (scheme, port) == (place.scheme, place.port)


@given(ADDRESSES)
@example("http://127.0.0.1:9\\@evil.example/x")
@example("http://127.0.0.1\\.evil.example/")
@example("http://[::ffff:127.0.0.1]:00080/")
@examples(1500)
def test_c1_parsers_agree(url: str) -> None:
    """In every accepted URL, each library that may send it finds the same scheme, host and port."""
    assert {} == disagreements(url)


def test_c1_punycode_is_taken() -> None:
    """A host in punycode, which httpx shows decoded, is accepted and each library sends to it."""
    for client in (_HTTPX, _HTTPX2):
        message: Any = _HttpxExchange(
            client, Request("test", "GET", "http://xn--e1afmkfd/", {}), float("inf"), 1.0
        ).library_request
        assert "xn--e1afmkfd" == message.headers["host"]


def test_c1_the_comparison_has_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison would detect the URL that was misread before, if a backslash were allowed."""
    monkeypatch.setattr("tests.security.test_addresses.split_url", lambda _: (Origin("http", "a", 80), "/"))
    assert {"httpx", "httpx2"} <= disagreements("http://a\\@evil.example/x").keys()


@given(ADDRESSES)
@example("http://xn--e1afmkfdxn--e1afmkfd")  # it cannot be decoded as punycode
@examples(300)
def test_c1_the_library_gets_our_parts(url: str) -> None:
    """The URL object that an httpx client receives has the parsed scheme, host and port, or nothing is sent."""
    for client in (_HTTPX, _HTTPX2):
        try:
            exchange = _HttpxExchange(client, Request("test", "GET", url, {}), float("inf"), 1.0)
        except ValueError:
            continue
        sent = exchange.library_request.url
        place, _ = split_url(url)
        assert place == (sent.scheme, sent.raw_host.decode(), sent.port or place.default_port)


_EMPTY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_HTTPX, _HTTPX2 = httpx.Client(verify=_EMPTY), httpx2.Client(verify=_EMPTY)


@pytest.mark.parametrize("name", ["httpx", "httpx2", "aiohttp"])
def test_c1_a_library_that_reads_another_host(name: str, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a library finds another host in the parsed parts, nothing is sent."""
    evil = f"http://127.0.0.1:{sink.port}/"
    if name == "aiohttp":
        monkeypatch.setattr("ticketstub.client.transports.aiohttp.URL", lambda *_, **__: URL(evil))
    else:
        library: Any = {"httpx": httpx, "httpx2": httpx2}[name]
        other = library.URL(evil)
        monkeypatch.setattr(library, "URL", lambda *_, **__: other)
    with (
        client_of({"aiohttp": "aiohttp session"}.get(name, name), "http://127.0.0.1:9") as client,
        pytest.raises(ValueError, match="does not read as it is written"),
    ):
        client.get("/x")
    assert (0, b"") == (sink.connections, sink.heard)


@pytest.mark.parametrize(
    ("given_as", "host"),
    [
        ("http://proxy:3128", "proxy"),
        ("proxy:3128", "proxy"),
        ("http://me:pw@proxy:3128", "proxy"),
        ("http://[::1]:1", "::1"),
    ],
)
def test_c1_proxies(given_as: str, host: str) -> None:
    """A proxy of the environment may have a user name, unlike other URLs."""
    found = find_proxy(split_url("https://plex.tv")[0], {"https_proxy": given_as})
    assert found is not None
    assert (host, "@" in given_as) == (found.origin.host, found.authorization is not None)


@pytest.mark.parametrize(
    "hostile", ["http://proxy\\@evil:1", "http://a\t@evil:1", "http://a/@evil:1\\", "socks5://evil:1"]
)
def test_c1_hostile_proxies(hostile: str) -> None:
    """The URL of a proxy with a backslash or a control character is refused and not repeated."""
    with pytest.raises(Unreachable, match="the proxy that the environment names cannot be used") as caught:
        find_proxy(split_url("https://plex.tv")[0], {"https_proxy": hostile})
    assert "evil" not in str(caught.value)
