"""Redirects: followed within the origin, for GET, three times; refused otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.flows.stepping import HERE, PONG, SIGN_IN, TOKEN, TRANSIENT, WITH_TOKEN, Stepper, base, failed, moved
from tests.tables import every
from ticketstub.client.config import CallSettings, with_token
from ticketstub.errors import (
    CrossOriginRedirect,
    RedirectRefused,
)
from ticketstub.protocol.account import Ping
from ticketstub.protocol.call import Call
from ticketstub.protocol.media_server import RawRequest


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_within_the_origin(status: int) -> None:
    """A GET is followed within its origin, relative or absolute, with the same headers."""
    for location, expected in {
        "/other?x=1": f"{HERE}/other?x=1",
        "other": f"{HERE}/api/v2/other",
        f"{HERE}/x": f"{HERE}/x",
        "HTTP://127.0.0.1:8190/y#top": f"{HERE}/y",
        "//127.0.0.1:8190/z": f"{HERE}/z",
        "?again": f"{HERE}/api/v2/ping?again",
    }.items():
        stepper = Stepper([moved(location, status), PONG])
        assert True is stepper.run(Ping(), base())
        assert ("GET", expected, WITH_TOKEN) == (
            stepper.sent[1].method,
            stepper.sent[1].url,
            stepper.sent[1].headers,
        )


def test_three_redirects_and_no_more() -> None:
    """Three redirects in a row are followed; the fourth is refused, and so is a loop."""
    stepper = Stepper([*[moved(f"/{hop}") for hop in range(3)], PONG])
    assert True is stepper.run(Ping(), base())
    loop = Stepper([moved("/api/v2/ping")] * 4)
    failed(loop, Ping(), base(), RedirectRefused)
    assert 4 == len(loop.sent)


ELSEWHERE = [
    "http://127.0.0.1:8191/",
    "https://127.0.0.1:8190/",
    "http://localhost:8190/",
    "http://127.0.0.1.:8190/",
    "//evil.example/",
    "http://127.0.0.1/",
    "https://plex.tv/",
    "http://[::1]:8190/",
    "http://2130706433:8190/",
]
NOWHERE = [
    None,
    "",
    "#top",
    "http://user@127.0.0.1:8190/",
    "http://127.0.0.1:8190@evil.example/",
    "http://:@127.0.0.1:8190/",
    "https:evil.example",
    "http:evil.example",
    "mailto:mira@evil.example",
    "myapp:callback",
    "data:text/plain,x",
    "http://127.0.0.1:8190\\@evil.example/",
    "http://evil.example\\@127.0.0.1:8190/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "http://%65vil.example/",
    "http://127.0.0.1:0/",
    "javascript:alert(1)",
    "ftp://127.0.0.1/",
    "http://[::1",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:x/",
    "/with space",
    "/tab\there",
    "/ümlaut",
    "http://127.0.0.1:8190\t.evil.example/",
    "http://\u2102.example/",
    "/\x7f",
]


@every("location", ELSEWHERE)
@every("call", [Ping(), SIGN_IN])
def test_redirect_to_another_origin(call: Call[Any], location: str) -> None:
    """A redirect to another scheme, host or port is refused for every method, and nothing more is sent."""
    stepper = Stepper([moved(location)])
    error = failed(stepper, call, base(), CrossOriginRedirect)
    assert (1, 302) == (len(stepper.sent), error.status)
    assert "evil" not in str(error)


@pytest.mark.parametrize("location", ["http://plex.example/", "http://plex.example:443/", "//plex.example:80/"])
def test_redirect_from_https_to_http(location: str) -> None:
    """A redirect from https to http or to another port is refused."""
    settings = with_token(CallSettings(plex_tv="https://plex.example"), TOKEN)
    stepper = Stepper([moved(location)])
    failed(stepper, Ping(), settings, CrossOriginRedirect)
    assert 1 == len(stepper.sent)


@every("location", NOWHERE)
def test_redirect_to_no_address(location: str | None) -> None:
    """A redirect without a location or to an invalid URL is refused at once, and the message does not repeat it."""
    stepper = Stepper([moved(location)])
    error = failed(stepper, Ping(), base(), RedirectRefused)
    assert (1, "the response redirects to no valid address") == (len(stepper.sent), error.message)


@every("status", [301, 302, 303, 307, 308])
@every("call", [SIGN_IN, TRANSIENT, RawRequest(path="/", method="DELETE")])
def test_redirect_of_what_is_no_get(call: Call[Any], status: int) -> None:
    """A method other than GET and HEAD is never sent again, not even within its origin."""
    stepper = Stepper([moved("/other", status)])
    failed(stepper, call, base(), RedirectRefused)
    assert 1 == len(stepper.sent)
