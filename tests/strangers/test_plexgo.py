"""What only plexgo has: its call options, a client that many goroutines share, and what its requests carry.

The four operations themselves are in test_generated_sdks.py, its contexts and retries in test_run_go.py. A relay before
the local Plex shows what went over the wire.
"""

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.strangers.kinds import KINDS, Caller
from tests.strangers.test_page_era import ALL_CALLS, MEDIA_SERVER_CALLS, MIRA, ROKU, SOURCE
from tests.strangers.wire import Exchange, relay_to

pytestmark = pytest.mark.strangers

PLEXGO = {kind.folder: kind for kind in KINDS if kind.folder.startswith("plexgo")}
OLDER, NEWEST = PLEXGO["plexgo_0_20_0"], PLEXGO["plexgo_0_29_0"]
AGENTS = {"plexgo_0_20_0": "speakeasy-sdk/go 0.20.0 ", "plexgo_0_29_0": "speakeasy-sdk/go 0.29.0 "}
ASKED = {
    "transient_token": ("/security/token", {"type": "delegation", "scope": "all"}),
    "source": ("/security/resources", {"source": SOURCE}),
}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(params=OLDER.ways)
def older(request: pytest.FixtureRequest, start_stranger) -> Caller:
    return Caller(OLDER, request.param, *start_stranger(OLDER.folder))


@pytest.fixture(params=PLEXGO)
def either(request: pytest.FixtureRequest, start_stranger) -> Caller:
    return Caller(PLEXGO[request.param], "security", *start_stranger(request.param))


def password_of(caller: Caller, username: str) -> dict[str, str]:
    return {"login": username, "password": caller.plex.accounts[username]["password"]}


def sent(exchange: Exchange) -> dict[str, str]:
    return {name.lower(): value for name, value in exchange.headers.items()}


@pytest.mark.parametrize("call", ALL_CALLS)
def test_server_url_and_headers_of_one_call(older: Caller, call: str) -> None:
    """`WithServerURL` of a call replaces the client's, and `WithSetHeaders` goes out beside the SDK's own."""
    target = older.plex.servers["Attic"] if call in MEDIA_SERVER_CALLS else older.plex.plex_tv
    with relay_to(target) as relay:
        url = relay.url if call in MEDIA_SERVER_CALLS else f"{relay.url}/api/v2"
        options = {"server_url": url, "headers": {"X-Request-Id": "kites-7"}}
        asked = {"token": MIRA, "source": SOURCE, **password_of(older, "pip"), "options": options}
        outcome = older.ask(call, server=NOWHERE, **asked)
    (exchange,) = relay.exchanges
    assert (201 if call == "sign_in" else 200) == outcome["status"]
    assert ("kites-7", "application/json") == (sent(exchange)["x-request-id"], sent(exchange)["accept"])
    assert sent(exchange)["user-agent"].startswith(AGENTS[OLDER.folder])
    assert ("x-plex-token" in sent(exchange)) == (call != "sign_in")


def test_request_fields_become_headers_and_form(older: Caller) -> None:
    """The fields of a sign-in go out under Plex's names, the credentials and the code as a form."""
    with relay_to(older.plex.plex_tv) as relay:
        options = {"server_url": f"{relay.url}/api/v2"}
        credentials = {"login": "pip", "password": "not this one", "verification_code": "123456"}
        assert 401 == older.ask("sign_in", **credentials, device=ROKU, options=options)["status"]
    (exchange,) = relay.exchanges
    assert ("POST", "/api/v2/users/signin") == (exchange.method, exchange.path)
    fields = {"clientName": "product", "deviceNickname": "device", "clientVersion": "version", "platform": "platform"}
    assert ROKU == {field: sent(exchange)[f"x-plex-{name}"] for field, name in fields.items()}
    assert "stranger-plexgo-0-20-0" == sent(exchange)["x-plex-client-identifier"]
    assert "application/x-www-form-urlencoded" == sent(exchange)["content-type"]


def test_goroutines_share_one_client(older: Caller) -> None:
    """One client makes twenty calls at once, each answered."""
    at_once = older.ask("transient_token", server="Attic", token=MIRA, at_once=20)
    assert [200] * 20 == at_once["statuses"]


@pytest.mark.parametrize("call", MEDIA_SERVER_CALLS)
def test_what_a_media_server_is_asked(either: Caller, call: str) -> None:
    """0.20.0 asks by GET and names no client; 0.29.0 makes a transient token by POST and names itself each time."""
    with relay_to(either.plex.servers["Attic"]) as relay:
        assert 200 == either.ask(call, server=relay.url, token=MIRA, source=SOURCE)["status"]
    (exchange,) = relay.exchanges
    newest = either.kind is NEWEST
    method = "POST" if newest and call == "transient_token" else "GET"
    path, query = ASKED[call]
    assert (method, path) == (exchange.method, urlsplit(exchange.path).path)
    assert query.items() <= dict(parse_qsl(urlsplit(exchange.path).query)).items()
    assert newest == ("x-plex-client-identifier" in sent(exchange))
    assert sent(exchange)["user-agent"].startswith(AGENTS[either.kind.folder])
    assert ("application/json", "gzip") == (sent(exchange)["accept"], sent(exchange)["accept-encoding"])
