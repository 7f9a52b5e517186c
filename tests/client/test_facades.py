"""One set of cases for both façades, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.conftest import DEVICE, TOKEN, Make, reply
from tests.client.scripts import ATTIC, NEVER, OLD, SOON, Serve, head_of, start
from tests.client.transports.hostile import closed_port
from tests.samples.reading import sample
from ticketstub import Err, NotFound, Ok, Token, Unauthorized, Unreachable
from ticketstub.calls import GetTokenDetails, PostUsersSignInData, TransientTokenScope, TransientTokenType


def test_token_details(make: Make, serve: Serve) -> None:
    """The first operation sends the identity and the token, and returns the account."""
    server = start(serve, "/api/v2/user", reply(sample("account.json")))
    account = make(plex_tv=server.url).authentication.get_token_details()
    assert (10500123, "mira_quill", Token(TOKEN)) == (account.id, account.username, account.auth_token)
    line, fields = head_of(server.came[0])
    assert "GET /api/v2/user HTTP/1.1" == line
    assert {
        "host": server.url.removeprefix("http://"),
        "accept": "application/json",
        "accept-encoding": "gzip",
        "x-plex-client-identifier": "demo-client-7c1f",
        "x-plex-product": "Demo App",
        "x-plex-token": TOKEN,
    } == fields


def test_sign_in(make: Make, serve: Serve) -> None:
    """The second operation sends a form without a token, and returns the account with its new token."""
    server = start(serve, "/api/v2/users/signin", reply(sample("sign_in.json"), 201))
    client = make(plex_tv=server.url)
    account = client.authentication.post_users_sign_in_data(
        login="mira_quill", password="p&ss word", verification_code="123456", remember_me=True
    )
    assert (Token(TOKEN), server.url) == (account.auth_token, account.auth_token.origin)
    line, fields = head_of(server.came[0])
    assert "POST /api/v2/users/signin HTTP/1.1" == line
    assert ("application/x-www-form-urlencoded", False) == (fields["content-type"], "x-plex-token" in fields)
    body = b"login=mira_quill&password=p%26ss+word&rememberMe=true&verificationCode=123456"
    assert body == server.came[0].partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("form", ["json", "xml"])
def test_transient_token(make: Make, serve: Serve, form: str) -> None:
    """The third operation is a POST to the media server; its reply is read in either format."""
    server = start(serve, "/security/token", reply(sample(f"transient_token.{form}")))
    client = make(server=server.url)
    found = client.authentication.get_transient_token(type=TransientTokenType.DELEGATION, scope=TransientTokenScope.ALL)
    assert (Token(OLD), "transient") == (found.token, found.token.kind)
    assert found == client.authentication.get_transient_token(type="delegation", scope="all")
    line, fields = head_of(server.came[0])
    assert "POST /security/token?type=delegation&scope=all HTTP/1.1" == line
    assert (TOKEN, "0") == (fields["x-plex-token"], fields["content-length"])


@pytest.mark.parametrize("name", ["source_object.json", "source_list.json", "source.xml"])
def test_source(make: Make, serve: Serve, name: str) -> None:
    """The fourth operation reads `Device` as an object, as a list, or in XML; a transient token works for it."""
    server = start(serve, "/security/resources", reply(sample(name)))
    attic = make(token=None).at(server.url, token=OLD)
    found = attic.authentication.get_source_connection_information(source=f"server://{ATTIC}", refresh=True)
    assert (ATTIC, [32400, 8443], [None, True]) == (
        found.client_identifier,
        [connection.port for connection in found.connections],
        [connection.relay for connection in found.connections],
    )
    line, fields = head_of(server.came[0])
    assert f"GET /security/resources?source=server%3A%2F%2F{ATTIC}&refresh=1 HTTP/1.1" == line
    assert OLD == fields["x-plex-token"]


def test_other_calls(make: Make, serve: Serve) -> None:
    """Ping, resources, identity and server information work on plex.tv and on a media server."""
    server = serve(identity=reply(sample("identity.json")))
    server.answers["/"] = reply(sample("server_information.xml"))
    server.answers["/api/v2/ping"] = reply(sample("ping.xml"))
    server.answers["/api/v2/resources"] = reply(sample("resources.json"))
    client = make(plex_tv=server.url, server=server.url)
    assert True is client.ping()
    assert ["Attic", "Friend Box", "Phone"] == [resource.name for resource in client.resources(include_relay=False)]
    assert "GET /api/v2/resources?includeHttps=1&includeRelay=0&includeIPv6=1 HTTP/1.1" == head_of(server.came[1])[0]
    assert (ATTIC, True) == (client.identity().machine_identifier, client.identity().claimed)
    assert "x-plex-token" not in head_of(server.came[2])[1]
    attic = client.at(server.url, token=TOKEN)
    assert ("Attic", ATTIC) == (client.server_information().friendly_name, attic.identity().machine_identifier)
    assert (server.url, Token(TOKEN)) == (attic.url, attic.token)


def test_raw_requests(make: Make, serve: Serve) -> None:
    """A raw request has any path, query, method and body, and returns the response unchanged."""
    server = start(
        serve, "/library/sections", reply(b'{"a":1}', Content_Type="application/json", X_Plex_Protocol="1.0")
    )
    server.answers["/a%20b"] = reply(b"<x/>", 201)
    attic = make(token=None).at(server.url, token=TOKEN)
    found = attic.get("/library/sections", {"type": "ü"})
    assert (200, {"a": 1}, "1.0") == (found.status, found.json(), found.headers["x-plex-protocol"])
    other = attic.request("PUT", "/a%20b?x=1", {"y": "2"}, body=b"hi", content_type="text/plain")
    assert (201, "<x/>") == (other.status, other.text)
    assert ["GET /library/sections?type=%C3%BC HTTP/1.1", "PUT /a%20b?x=1&y=2 HTTP/1.1"] == [
        head_of(came)[0] for came in server.came
    ]
    assert ("text/plain", "2") == (
        head_of(server.came[1])[1]["content-type"],
        head_of(server.came[1])[1]["content-length"],
    )
    with pytest.raises(NotFound):
        attic.get("/nothing")


def test_calls_are_values(make: Make, serve: Serve) -> None:
    """`send` returns the value; `attempt` returns `Ok` or `Err`, each with its response, for `match`."""
    server = start(serve, "/api/v2/user", reply(sample("account.json")), reply(sample("error_1001.json"), 401))
    client = make(plex_tv=server.url)
    match client.attempt(GetTokenDetails()):
        case Ok(account, response):
            assert ("mira_quill", 200) == (account.username, response.status)
        case other:
            pytest.fail(f"{other!r}")
    match client.attempt(GetTokenDetails()):
        case Err(Unauthorized(code=1001) as error, said):
            assert (401, said) == (error.status, error.response)
        case other:
            pytest.fail(f"{other!r}")


def test_attempt_without_an_answer(make: Make) -> None:
    """Without a response, `attempt` returns an `Err` that has none; a mistake in the program is still raised."""
    client = make(plex_tv=f"http://127.0.0.1:{closed_port()}", retry=NEVER)
    outcome = client.attempt(PostUsersSignInData.from_text("mira", "hunter2"))
    assert (Err, Unreachable, None) == (type(outcome), type(outcome.error), outcome.response)
    with pytest.raises(TypeError):
        client.attempt(GetTokenDetails(), timout=1)


def test_derived_clients_share_connections(make: Make, serve: Serve) -> None:
    """A client, its derived client and its media server's client share one connection to the same server."""
    server = serve(identity=reply(sample("identity.json")))
    server.answers["/api/v2/ping"] = reply(sample("ping.json"))
    client = make(plex_tv=server.url)
    client.ping()
    client.with_options(timeout=3.0, headers={"X-Note": "1"}).ping()
    client.at(server.url).identity()
    assert (1, 3) == (server.connections, len(server.came))


def test_with_closes(make: Make, serve: Serve) -> None:
    """`with` closes the client; using it or a derived client afterwards is an error, and nothing is sent."""
    server = start(serve, "/api/v2/ping", reply(sample("ping.json")))
    with make(plex_tv=server.url) as client:
        attic = client.at(server.url, token=TOKEN)
        assert True is client.ping()
    for use in (client.ping, attic.identity, client.with_options(timeout=60.0).ping):
        with pytest.raises(RuntimeError, match="this client was closed; make a new one"):
            use()
    assert 1 == len(server.came)


def test_hooks(make: Make, serve: Serve) -> None:
    """Hooks are called for each request, response and retry."""
    seen: list[str] = []
    server = start(serve, "/api/v2/ping", reply(b"", 503), reply(sample("ping.json")))
    client = make(
        plex_tv=server.url,
        retry=SOON,
        on_request=lambda request: seen.append(f"{request!r}"),
        on_response=lambda _request, response, seconds: seen.append(f"{response!r} {0 < seconds < 1}"),
        on_retry=lambda error, wait: seen.append(f"{type(error).__name__} {wait}"),
    )
    client.ping()
    request = "<Request ping: GET /api/v2/ping>"
    assert [
        request,
        "<Response 503, 0 bytes> True",
        "ServerError 0.01",
        request,
        "<Response 200, 13 bytes> True",
    ] == seen


def test_token_source(make: Make, serve: Serve) -> None:
    """A token callable is called before each request, hears which token was refused, and is called once more."""

    class Source:
        def __init__(self) -> None:
            self.tokens = ["first", "second"]
            self.told: list[Token] = []

        def __call__(self) -> str:
            return self.tokens[0]

        def refused(self, token: Token) -> None:
            self.told.append(token)
            self.tokens.pop(0)

    server = start(serve, "/api/v2/ping", reply(sample("error_1001.json"), 401), reply(sample("ping.json")))
    source = Source()
    make(plex_tv=server.url, token=source).ping()
    assert ["first", "second"] == [head_of(came)[1]["x-plex-token"] for came in server.came]
    assert [Token("first")] == source.told


def test_redirect_within_the_origin(make: Make, serve: Serve) -> None:
    """A GET is followed within its origin, over the same connection."""
    server = serve(moved=reply(sample("ping.json")))
    server.answers["/api/v2/ping"] = reply(b"", 302, Location="/moved")
    assert True is make(plex_tv=server.url).ping()
    assert (1, TOKEN) == (server.connections, head_of(server.came[1])[1]["x-plex-token"])


def test_remembered_device(make: Make, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Without a device, a client sends this installation's own device, always the same."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    server = start(serve, "/api/v2/ping", reply(sample("ping.json")))
    for _ in range(2):
        make(plex_tv=server.url, device=None).ping()
    first, second = (head_of(came)[1] for came in server.came)
    assert first == second
    assert ("Ticketstub", 36) == (first["x-plex-product"], len(first["x-plex-client-identifier"]))
    assert DEVICE.client_identifier != first["x-plex-client-identifier"]
