"""What only the releases of the reference pages have: plexjs 0.35.1 with its options, `plex_api` 0.6.6 and 0.9.0.

The four operations themselves are in test_generated_sdks.py and test_wire.py. A relay before the local Plex shows what
an option does on the wire, and refuses where a retry is to be seen.
"""

import json

import pytest

from tests.strangers.kinds import KINDS, Caller, callers
from tests.strangers.wire import relay_to

pytestmark = pytest.mark.strangers

MIRA = "Xk3mPz_9Q-vT7rLb2NfW"
DEAD = "Dd0-xX9_zZ8yWw7VvU6t"
SOURCE = "provider://tv.example.movies"
BACKOFF = {"initialInterval": 1, "maxInterval": 5, "exponent": 1.1, "maxElapsedTime": 5000}
RETRIES = {"strategy": "backoff", "backoff": BACKOFF, "retryConnectionErrors": False}
ROKU = {"clientName": "Plex for Roku", "deviceNickname": "Roku 3", "clientVersion": "2.4.1", "platform": "Roku"}
PLEXJS = next(kind for kind in KINDS if kind.folder == "plexjs_0_35_1")
MEDIA_SERVER_CALLS = ("transient_token", "source")
ALL_CALLS = ("sign_in", "token_details", *MEDIA_SERVER_CALLS)


@pytest.fixture(params=PLEXJS.ways)
def plexjs(request: pytest.FixtureRequest, start_stranger) -> Caller:
    return Caller(PLEXJS, request.param, *start_stranger(PLEXJS.folder))


def asked_of(caller: Caller, call: str, **options: object) -> dict[str, object]:
    """What this call takes, with the right things in it."""
    facts = {"login": "pip", "password": caller.plex.accounts["pip"]["password"], "source": SOURCE}
    return {"server": "Attic", "token": MIRA, **facts, "options": options}


def relayed(plexjs: Caller, call: str, refusing: tuple[int, ...], **options: object):
    """One call through a relay that `options.serverURL` names: the outcome, and what went through."""
    target = plexjs.plex.servers["Attic"] if call in MEDIA_SERVER_CALLS else plexjs.plex.plex_tv
    with relay_to(target, refusing) as relay:
        url = relay.url if call in MEDIA_SERVER_CALLS else f"{relay.url}/api/v2"
        asked = asked_of(plexjs, call, serverURL=url, **options)
        return plexjs.ask(call, **asked | {"server": "http://127.0.0.1:9"}), relay.exchanges


@pytest.mark.parametrize("call", ALL_CALLS)
def test_server_address_and_headers_of_one_call(plexjs: Caller, call: str) -> None:
    """`serverURL` of a call replaces the client's, and `fetchOptions.headers` go out beside the SDK's own."""
    outcome, exchanges = relayed(plexjs, call, (), fetchOptions={"headers": {"X-Request-Id": "kites-7"}})
    (exchange,) = exchanges
    sent = {name.lower(): value for name, value in exchange.headers.items()}
    assert (201 if call == "sign_in" else 200) == outcome["status"]
    assert ("kites-7", "application/json") == (sent["x-request-id"], sent["accept"])
    assert sent["user-agent"].startswith("speakeasy-sdk/typescript 0.35.1 ")
    assert ("x-plex-token" in sent) == (call != "sign_in")


@pytest.mark.parametrize("call", ALL_CALLS)
def test_retries_of_one_call(plexjs: Caller, call: str) -> None:
    """With a retry configuration a call outlasts a 503 and a 429, sign-in too; without one the 503 is its error."""
    outcome, exchanges = relayed(plexjs, call, (503, 429), retries=RETRIES)
    assert [503, 429, outcome["status"]] == [exchange.status for exchange in exchanges]
    assert "result" in outcome
    refused, exchanges = relayed(plexjs, call, (503, 429))
    assert ("SDKError", 503, 1) == (refused["raised"], refused["status"], len(exchanges))


def test_retries_do_not_repeat_a_refusal(plexjs: Caller) -> None:
    """A 401 is not among the statuses that are tried again: the local Plex is asked once."""
    with relay_to(plexjs.plex.servers["Cellar"]) as relay:
        asked = asked_of(plexjs, "transient_token", retries=RETRIES) | {"server": relay.url, "token": DEAD}
        assert 401 == plexjs.ask("transient_token", **asked)["status"]
    assert 1 == len(relay.exchanges)


@pytest.mark.parametrize("call", ALL_CALLS)
def test_standalone_function_returns_its_error(plexjs: Caller, call: str) -> None:
    """A method throws what went wrong; a standalone function throws nothing and returns it, in the same class."""
    wrong = {"server": "Cellar", "token": DEAD, "password": "not this one"}
    refused = plexjs.ask(call, **asked_of(plexjs, call) | {"options": {}} | wrong)
    assert (401, plexjs.way == "method") == (refused["status"], refused["thrown"])
    assert refused["raised"].endswith("Unauthorized")


def test_one_instance_serves_many_calls_at_once(plexjs: Caller) -> None:
    """An instance that an application shares makes twenty calls at once, each answered."""
    at_once = plexjs.ask("transient_token", **asked_of(plexjs, "transient_token"), at_once=20)
    assert [200] * 20 == at_once["statuses"]


def test_request_fields_become_headers_and_form(plexjs: Caller) -> None:
    """The page's five fields of a sign-in go out under Plex's names, the credentials and the code as a form."""
    with relay_to(plexjs.plex.plex_tv) as relay:
        options = {"serverURL": f"{relay.url}/api/v2"}
        credentials = {"login": "pip", "password": "not this one", "verification_code": "123456"}
        assert 401 == plexjs.ask("sign_in", **credentials, device=ROKU, options=options)["status"]
    (exchange,) = relay.exchanges
    sent = {name.lower(): value for name, value in exchange.headers.items()}
    assert ("POST", "/api/v2/users/signin") == (exchange.method, exchange.path)
    assert "stranger-plexjs-0-35-1" == sent["x-plex-client-identifier"]
    named = {"clientName": "product", "deviceNickname": "device", "clientVersion": "version", "platform": "platform"}
    assert ROKU == {field: sent[f"x-plex-{name}"] for field, name in named.items()}
    assert "application/x-www-form-urlencoded" == sent["content-type"]


def test_typed_error_holds_the_refusal(plexjs: Caller) -> None:
    """A documented 400 has a class of its own, with the code, the message and the status in it."""
    refused = plexjs.ask("source", **asked_of(plexjs, "source") | {"server": "Cellar", "source": "attic"})
    assert "GetSourceConnectionInformationBadRequest" == refused["raised"]
    (error,) = json.loads(refused["body"])["errors"]
    assert (400, {"code", "message", "status"}) == (error["status"], set(error))


PAGE_LINE = tuple(kind for kind in KINDS if kind.folder in {"plexpy_0_6_6", "plexpy_0_9_0"})


@pytest.mark.parametrize("kind", PAGE_LINE, ids=[kind.folder for kind in PAGE_LINE])
def test_plex_api_takes_the_pages_type_only_with_an_underscore(kind, start_stranger) -> None:
    """The page's own call, with `type=`, does not get as far as a request; with `type_=` it works."""
    caller = Caller(kind, "sync", *start_stranger(kind.folder))
    outcome = caller.ask("transient_token", server="Attic", token=MIRA, as_on_the_page=True)
    assert "TypeError" == outcome["raised"]
    assert "unexpected keyword argument 'type'" in outcome["message"]


@pytest.mark.parametrize("call", MEDIA_SERVER_CALLS)
@pytest.mark.parametrize("kind", PAGE_LINE, ids=[kind.folder for kind in PAGE_LINE])
def test_plex_api_sends_no_identity(kind, call: str, start_stranger) -> None:
    """It is built with a client identifier and sends none to a media server, which answers all the same, in JSON."""
    caller = Caller(kind, "sync", *start_stranger(kind.folder))
    with relay_to(caller.plex.servers["Attic"]) as relay:
        assert 200 == caller.ask(call, server=relay.url, token=MIRA, source=SOURCE)["status"]
    (exchange,) = relay.exchanges
    assert ["x-plex-token"] == [name.lower() for name in exchange.headers if name.lower().startswith("x-plex")]
    assert ("GET", "application/json") == (exchange.method, exchange.content_type.partition(";")[0])


@callers(offering="transient_token")
def test_wrong_path_is_every_sdk_s_catch_all_error(caller: Caller) -> None:
    """A server address with a path too many is 404, which has no class of its own in any release."""
    outcome = caller.ask("transient_token", server=f"{caller.plex.servers['Attic']}/nowhere", token=MIRA)
    assert ("SDKError", 404) == (outcome["raised"], outcome["status"])
