"""Each call as a request, written out by hand, and read back from a request's parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.tables import every
from ticketstub.protocol.account import GetTokenDetails, Ping, PostUsersSignInData
from ticketstub.protocol.call import Call, read_call
from ticketstub.protocol.media_server import (
    GetIdentity,
    GetServerInformation,
    GetSourceConnectionInformation,
    GetTransientToken,
    RawRequest,
    TransientTokenScope,
    TransientTokenType,
)
from ticketstub.protocol.resource import GetResources
from ticketstub.refusals import BadRequest
from ticketstub.tokens import Secret

FORM = "application/x-www-form-urlencoded"
TRANSIENT = GetTransientToken(type=TransientTokenType.DELEGATION, scope=TransientTokenScope.ALL)


@dataclass
class Row:
    """A call, and its request on the wire."""

    call: Call[Any]
    method: str
    target: str
    body: bytes = b""
    media_type: str | None = None
    base: str = "plex.tv"
    token: bool = True
    repeats: bool = True
    status: int = 200


TABLE = {
    "token details": Row(GetTokenDetails(), "GET", "/api/v2/user"),
    "ping": Row(Ping(), "GET", "/api/v2/ping"),
    "sign-in": Row(
        PostUsersSignInData.from_text("mira_quill", "hunter2"),
        "POST",
        "/api/v2/users/signin",
        b"login=mira_quill&password=hunter2&rememberMe=false",
        FORM,
        token=False,
        repeats=False,
        status=201,
    ),
    "sign-in with a code": Row(
        PostUsersSignInData.from_text("mira@example.test", "a b&c=d+é", "123456", remember_me=True),
        "POST",
        "/api/v2/users/signin",
        b"login=mira%40example.test&password=a+b%26c%3Dd%2B%C3%A9&rememberMe=true&verificationCode=123456",
        FORM,
        token=False,
        repeats=False,
        status=201,
    ),
    "resources": Row(GetResources(), "GET", "/api/v2/resources?includeHttps=1&includeRelay=1&includeIPv6=1"),
    "resources without": Row(
        GetResources(include_https=False, include_relay=False, include_ipv6=False),
        "GET",
        "/api/v2/resources?includeHttps=0&includeRelay=0&includeIPv6=0",
    ),
    "transient token": Row(
        TRANSIENT, "POST", "/security/token?type=delegation&scope=all", base="server", repeats=False
    ),
    "source": Row(
        GetSourceConnectionInformation(source="server://9b1f"),
        "GET",
        "/security/resources?source=server%3A%2F%2F9b1f&refresh=0",
        base="server",
    ),
    "source anew": Row(
        GetSourceConnectionInformation(source="provider://tv.plex.provider.x", refresh=True),
        "GET",
        "/security/resources?source=provider%3A%2F%2Ftv.plex.provider.x&refresh=1",
        base="server",
    ),
    "identity": Row(GetIdentity(), "GET", "/identity", base="server", token=False),
    "information": Row(GetServerInformation(), "GET", "/", base="server"),
    "raw": Row(RawRequest(path="/library/sections"), "GET", "/library/sections", base="server"),
    "raw with a query": Row(
        RawRequest(path="/a%20b", query={"q": "ü &=", "n": "1"}), "GET", "/a%20b?q=%C3%BC+%26%3D&n=1", base="server"
    ),
    "raw with two queries": Row(RawRequest(path="/a?x=1", query={"y": "2"}), "GET", "/a?x=1&y=2", base="server"),
    "raw put": Row(
        RawRequest(method="PUT", path="/a", content=b"{}", content_type="application/json"),
        "PUT",
        "/a",
        b"{}",
        "application/json",
        base="server",
        repeats=False,
    ),
}


@every("row", TABLE)
def test_request(row: Row) -> None:
    """Each call is exactly this request: method, target, body, media type, base, token, and whether it is retryable."""
    call = row.call
    actual = (
        call.get_method(),
        call.build_target(),
        *call.build_body(),
        call.http.base,
        call.http.needs_token,
        call.is_retryable(),
    )
    assert (row.method, row.target, row.body, row.media_type, row.base, row.token, row.repeats) == actual
    assert row.status == call.http.status


@every("name", [name for name in TABLE if not name.startswith("raw")])
def test_reads_itself_from_its_parameters(name: str) -> None:
    """A call's parameters are read back as the same call by the other end."""
    call = TABLE[name].call
    assert call == read_call(type(call), dict(call.list_parameters()))


READABLE = [
    (GetResources, {"includeHttps": "True", "includeRelay": "0"}, GetResources(include_relay=False)),
    (GetResources, {"unknown": "x", "includeIPv6": "false"}, GetResources(include_ipv6=False)),
    (GetTransientToken, {"type": "delegation", "scope": "all", "X-Plex-Token": "x"}, TRANSIENT),
    (
        PostUsersSignInData,
        {"login": "a", "password": "b", "rememberMe": "True", "verificationCode": ""},
        PostUsersSignInData.from_text("a", "b", remember_me=True),
    ),
    (
        PostUsersSignInData,
        {"login": "a", "password": "-b", "verificationCode": "123456"},
        PostUsersSignInData.from_text("a", "-b", Secret("123456")),
    ),
]


@pytest.mark.parametrize(("kind", "given", "expected"), READABLE)
def test_reads_what_other_clients_send(kind, given: dict[str, str], expected) -> None:
    """Python's `True`, empty optional parameters and unknown ones are read as intended."""
    assert expected == read_call(kind, given)


UNREADABLE = [
    (PostUsersSignInData, {"login": "a"}),
    (PostUsersSignInData, {"login": "", "password": "b"}),
    (PostUsersSignInData, {"login": "a", "password": "b", "rememberMe": "perhaps"}),
    (GetTransientToken, {"type": "delegation"}),
    (GetTransientToken, {"type": "", "scope": "all"}),
    (GetTransientToken, {"type": "delegations", "scope": "all"}),
    (GetTransientToken, {"type": "delegation", "scope": "some"}),
    (GetSourceConnectionInformation, {}),
    (GetSourceConnectionInformation, {"source": "9b1f"}),
    (GetSourceConnectionInformation, {"source": "server://"}),
    (GetSourceConnectionInformation, {"source": "server://9b1f", "refresh": "2"}),
    (GetResources, {"includeHttps": "yes please"}),
]


@every(("kind", "given"), UNREADABLE)
def test_wrong_parameters_are_a_bad_request(kind, given: dict[str, str]) -> None:
    """A missing parameter or an invalid value is a `BadRequest` for the local Plex."""
    with pytest.raises(BadRequest) as caught:
        read_call(kind, given)
    assert (400, 1004) == (caught.value.status, caught.value.code)


@pytest.mark.parametrize("source", ["", "9b1f", "server:9b1f", "server://", "provider://", "SERVER://x", " server://x"])
def test_source_without_prefix(source: str) -> None:
    """A source without its prefix is a ValueError when the call is created, before anything is sent."""
    with pytest.raises(ValueError, match="server:// or provider://"):
        GetSourceConnectionInformation(source=source)


RAW = [
    ({"path": "library"}, "path"),
    ({"path": ""}, "path"),
    ({"path": "//evil.example/x"}, "path"),
    ({"path": "/a b"}, "path"),
    ({"path": "/ü"}, "path"),
    ({"path": "/a\r\nHost: x"}, "path"),
    ({"path": "/a\n"}, "path"),
    ({"path": "/a#b"}, "path"),
    ({"path": "http://evil.example/"}, "path"),
    ({"path": "/", "method": "GET\r\nX: y"}, "method"),
    ({"path": "/", "method": "get"}, "method"),
    ({"path": "/", "content_type": "text/xml\r\nX: y"}, "media type"),
    ({"path": "/", "content_type": ""}, "media type"),
]


@every(("given", "what"), RAW)
def test_raw_request_that_would_break_out(given: dict[str, Any], what: str) -> None:
    """An unsafe raw path, method or media type is a ValueError when the call is created."""
    with pytest.raises(ValueError, match=what):
        RawRequest(**given)


def test_calls_list_their_secrets() -> None:
    """A call lists its secret parameters, so that no message repeats them."""
    assert ("hunter2", "123456") == PostUsersSignInData.from_text("mira", "hunter2", "123456").list_secrets()
    assert () == TRANSIENT.list_secrets()
