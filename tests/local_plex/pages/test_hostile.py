"""S7 and S23: addresses that lead elsewhere, and names that would be more than text."""

import json
import subprocess
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.local_plex.pages.browsing import Browser, Html, html
from tests.local_plex.pages.conftest import MakePin, auth
from ticketstub.errors import sanitize_text
from ticketstub.local_plex.pages.context import render_template
from ticketstub.local_plex.pages.forward_url import parse_forward_url

OWN = "127.0.0.1:32400"
LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
EVIL = "evil.example"
SCHEMES = [
    "http:",
    "https:",
    "HTTP:",
    "hTTps:",
    "",
    "javascript:",
    "data:",
    "myapp:",
    "ftp:",
    "file:",
    "http\t:",
    " http:",
    "\x00http:",
]
SLASHES = ["//", "/", "", "///", "\\\\", "/\\", "\\/", "//\t", "/\n/", "%2f%2f"]
HOSTS = [
    EVIL,
    "127.0.0.1",
    "localhost:8080",
    "[::1]:99",
    f"127.0.0.1@{EVIL}",
    f"{EVIL}@127.0.0.1",
    f"127.0.0.1:80@{EVIL}",
    f"127.0.0.1\\@{EVIL}",
    f"{EVIL}\\.127.0.0.1",
    f"127.0.0.1.{EVIL}",
    f"127.0.0.1%2e{EVIL}",
    f"127.0.0.1#@{EVIL}",
    f"127.0.0.1?@{EVIL}",
    f"{EVIL}%00.127.0.0.1",
    f"{EVIL}.",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "localhost.",
    f"localhost.{EVIL}",
    "ⓔⓥⓘⓛ.example",
    f"127。0。0。1.{EVIL}",
    "[::ffff:127.0.0.1]",
    "[::1%25lo]",
    "[::1].evil.example",
    "127.0.0.1:",
    "127.0.0.1:99999",
    "127.0.0.1:8080:80",
    ".127.0.0.1",
    "127..0.0.1",
    "",
    "evil.example:443",
    "xn--80ak6aa92e.com",
    "a_b.example",
]
RESTS = ["", "/done?pin=1", "/\\x", "/..//evil.example", "?next=//evil.example#x"]
WAYS = ["\u202e", " ", "\r\n"]
WRITTEN = sorted(
    {scheme + slashes + host + rest for scheme, slashes, host, rest in product(SCHEMES, SLASHES, HOSTS, RESTS)}
)
CORPUS = [
    *WRITTEN,
    *(way + text for way in WAYS for text in WRITTEN[::97]),
    *(text + way for way in WAYS for text in WRITTEN[::89]),
]
ORACLE = """
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
const host = (text) => { try { const url = new URL(text, "http://127.0.0.1:32400/auth/done");
  return [url.protocol, url.hostname, url.username + url.password, url.port]; } catch { return null; } };
console.log(JSON.stringify(texts.map(host)));
"""


def test_corpus_is_large() -> None:
    """The generator makes enough URLs, and some of them are accepted."""
    taken = [text for text in CORPUS if parse_forward_url(text, OWN)]
    assert len(CORPUS) >= 500
    assert 50 < len(taken) < len(CORPUS) / 5


def test_only_loopback_and_this_site_are_gone_to_by_themselves() -> None:
    """S7: for any URL, the browser is redirected to loopback only, and the URL is not changed."""
    for text in CORPUS:
        forward = parse_forward_url(text, OWN)
        if forward is None:
            continue
        assert forward.url.lower() == text.lower()
        parts = urlsplit(forward.url)
        assert parts.netloc == forward.host
        assert "@" not in parts.netloc
        if forward.is_automatic:
            assert f"[{parts.hostname}]" in LOOPBACK or parts.hostname in LOOPBACK


@pytest.mark.long
def test_a_browser_reads_each_address_as_we_do(require: Callable[[str, str], str]) -> None:
    """S7: the parser of browsers (WHATWG, here Node's) finds the host that the page shows."""
    node = require("node", "install Node.js 20 or newer")
    taken = [(text, forward) for text in CORPUS if (forward := parse_forward_url(text, OWN))]
    asked = json.dumps([forward.url for _text, forward in taken])
    answer = subprocess.run([node, "-e", ORACLE], input=asked, capture_output=True, text=True, check=True, timeout=30)
    for (text, forward), found in zip(taken, json.loads(answer.stdout), strict=True):
        if found is None:  # not an address for a browser either: the link leads nowhere
            assert not forward.is_automatic, text
            continue
        scheme, host, user, port = found
        assert scheme in {"http:", "https:"}
        assert "" == user
        shown, _, shown_port = (
            forward.host.rpartition(":") if forward.host[-1] != "]" and ":" in forward.host else (forward.host, "", "")
        )
        assert host in {shown, "[::ffff:7f00:1]"}, text
        assert (port or {"http:": "80", "https:": "443"}[scheme]) == (
            shown_port.lstrip("0") or {"http:": "80", "https:": "443"}[scheme]
        )
        assert (host in LOOPBACK) == forward.is_automatic, text


@pytest.mark.parametrize("url", ["https://app.example.test/done?pin=1", "http://app.example.test:8080"])
def test_another_host_is_shown_and_left_to_by_a_link(url: str, signed_in: Browser, make_pin: MakePin) -> None:
    """S7: another host gets a link that names it, and no redirect."""
    form = html(signed_in.get(auth(make_pin(), forwardUrl=url))).form("/auth")
    answer = signed_in.post("/auth", form | {"decision": "approve"})
    assert answer.headers["location"].startswith("/auth/done?")
    done = html(signed_in.get(answer.headers["location"]))
    (link,) = [facts for tag, facts in done.tags if tag == "a" and facts["href"] == url]
    assert "noreferrer noopener" == link["rel"]
    assert f"The link leads to {urlsplit(url).netloc}" in done.text
    assert [] == [facts for tag, facts in done.tags if tag == "meta" and facts.get("http-equiv")]


def test_hrefs_of_the_done_page(signed_in: Browser, make_pin: MakePin) -> None:
    """S7: no URL of the corpus becomes a Location, and only an accepted one becomes a link."""
    for number, text in enumerate(CORPUS[::301]):
        url = text.replace("\x00", "")
        pin = make_pin(client=f"client-{number}")
        form = html(signed_in.get(auth(pin, forwardUrl=url))).form("/auth")
        answer = signed_in.post("/auth", form | {"decision": "approve"})
        assert answer.headers["location"].startswith("/auth/done?outcome=approve&"), url
        done = html(signed_in.get(answer.headers["location"]))
        forward = parse_forward_url(url, signed_in.url.removeprefix("http://"))
        known = {"#main", "/account", "/link", "/account/devices", "/account/home"}
        assert ({forward.url} if forward else set()) == set(done.links) - known


NASTY = st.text(st.characters(codec="utf-8"), max_size=200) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "'><svg/onload=alert(1)>",
        "{{ 7 * 7 }}{% raw %}",
        "</dd></dl><form action=//evil.example>",
        "&lt;b&gt;",
        "<!--",
        "javascript:alert(1)",
    ]
)


@given(NASTY, NASTY)
@examples(150)
def test_names_are_text_and_nothing_else(name: str, product: str) -> None:
    """S23: whatever a device calls itself, the page has the same elements and shows the name as text."""
    plain = _approval("name", "product")
    found = _approval(name, product)
    assert [tag for tag, _facts in plain.tags] == [tag for tag, _facts in found.tags]
    assert sanitize_text(name) in "".join(found.texts)
    assert sanitize_text(product) in "".join(found.texts)


def _approval(name: str, product: str) -> Html:
    text = sanitize_text(name) or "x"
    values: dict[str, Any] = {
        "account_name": text,
        "form_token": "x",
        "path": "/auth",
        "product": sanitize_text(product),
        "facts": [("Device", text)],
        "hidden_fields": {"code": text},
        "forward": None,
        "is_forward_refused": False,
        "return_path": text,
    }
    return Html(render_template("approve.html", **values).body.decode())


@given(name=NASTY)
@examples(40)
def test_names_over_the_wire(name: str, signed_in: Browser, make_pin: MakePin) -> None:
    """S23: a name of any kind in the app's request is cut to 128 printable characters and shown as text."""
    pin = make_pin(Device_Name=name)
    found = html(signed_in.get(auth(pin)))
    texts = "".join(found.texts)
    assert not {"script", "img", "b", "style"} & {tag for tag, _facts in found.tags}
    assert sanitize_text(name)[:128] in texts
    assert len(sanitize_text(name)) <= 128 or sanitize_text(name)[:129] not in texts
