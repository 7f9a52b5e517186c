"""The generated SDKs, unmodified, against `ticketstub serve`: what they offer of the four operations.

Each test runs once for every release that offers the call and for every way that release has to make it: sync and
async (Python), method and standalone function (JavaScript).

What plexjs 0.35.1 and 0.39.0 get from a media server they throw away themselves, so here only the status is checked;
test_wire.py shows the answers that they were sent. plex-api-client up to 0.30.0 gives no result for those two calls
either, but keeps the response, whose text its program reads. test_page_era.py holds what only one release has.
"""

import json

import pytest

from tests.strangers.kinds import Caller, callers

pytestmark = pytest.mark.strangers

MIRA = "Xk3mPz_9Q-vT7rLb2NfW"
TOM_ON_ATTIC = "Sh1-aT9_tM5cQe3VzXrB"
DEAD = "Dd0-xX9_zZ8yWw7VvU6t"
SOURCES = {"server://5e80c2a7149db36f20e5d8417ba0936cf21d4e88", "provider://tv.example.movies"}


def errors_in(outcome) -> list[int]:
    """The codes in the body of a refusal by plex.tv, as any client can read them."""
    return [error["code"] for error in json.loads(outcome["body"])["errors"]]


@callers(offering="sign_in")
def test_password_signs_in(caller: Caller) -> None:
    """A user name and a password give the account and a new token of 20 characters, which then works."""
    account = caller.result("sign_in", login="pip", password=caller.plex.accounts["pip"]["password"])
    assert ("pip", "pip@example.test", 20) == (account["username"], account["email"], len(account["token"]))
    assert account == caller.result("token_details", token=account["token"])


@callers(offering="sign_in")
def test_email_signs_in_to_the_same_account(caller: Caller) -> None:
    """The e-mail address does as well as the user name, with the password remembered."""
    password = caller.plex.accounts["tom"]["password"]
    by_email = caller.result("sign_in", login="tom@example.test", password=password, remember_me=True)
    by_name = caller.result("sign_in", login="tom", password=password)
    assert "tom" == by_email["username"]
    assert by_name["id"] == by_email["id"]


@callers(offering="sign_in")
def test_verification_code_is_asked_for_and_accepted_once(caller: Caller) -> None:
    """Without the code the sign-in is refused as 1029, with it it succeeds, and the same code again is 1028."""
    account = caller.two_factor_account
    credentials = {"login": account["username"], "password": account["password"]}
    without = caller.ask("sign_in", **credentials)
    assert (401, [1029]) == (without["status"], errors_in(without))
    code = caller.plex.code_of(account["username"])
    signed_in = caller.result("sign_in", **credentials, verification_code=code)
    assert account["username"] == signed_in["username"]
    again = caller.ask("sign_in", **credentials, verification_code=code)
    assert (401, [1028]) == (again["status"], errors_in(again))


@callers(offering="sign_in")
def test_wrong_password_is_the_sdk_s_typed_error(caller: Caller) -> None:
    """A wrong password is 401 with code 1001 in JSON, in the class that the SDK has for it."""
    refused = caller.ask("sign_in", login="pip", password="not this one")
    assert refused["raised"].endswith("Unauthorized")
    assert (401, [1001]) == (refused["status"], refused["codes"])


@callers(offering="sign_in")
def test_unknown_account_looks_like_a_wrong_password(caller: Caller) -> None:
    """Nobody can find out by signing in whether an account exists."""
    password = caller.ask("sign_in", login="pip", password="not this one")
    account = caller.ask("sign_in", login="nobody", password="not this one")
    assert password == account


@callers(offering="token_details")
def test_token_details_of_a_live_token(caller: Caller) -> None:
    """A known token gives its account, and the token is echoed."""
    account = caller.result("token_details", token=MIRA)
    assert ("mira_quill", "mira@example.test", MIRA) == (account["username"], account["email"], account["token"])


@callers(offering="token_details")
def test_token_details_of_a_dead_token(caller: Caller) -> None:
    """A token that nobody has is 401 with code 1001, in the class that the SDK has for it."""
    refused = caller.ask("token_details", token=DEAD)
    assert refused["raised"].endswith("Unauthorized")
    assert (401, [1001]) == (refused["status"], refused["codes"])


@callers(offering="resources")
def test_resources_bring_each_server_s_own_token(caller: Caller) -> None:
    """An owner's servers come with the token that was presented, a shared one with the share's own."""
    owned = caller.result("resources", token=MIRA)["servers"]
    assert {"Attic": MIRA, "Cellar": MIRA} == owned
    shared = caller.result("resources", token=caller.plex.accounts["tom"]["token"])["servers"]
    assert {"Attic": TOM_ON_ATTIC} == shared


@pytest.mark.parametrize("server", ["Attic", "Cellar"])
@callers(offering="transient_token")
def test_transient_token(caller: Caller, server: str) -> None:
    """The owner's token gives a transient one, a new one each time."""
    first, second = (caller.result("transient_token", server=server, token=MIRA) for _ in range(2))
    if caller.kind.keeps_answers:
        tokens = {first["token"], second["token"]}
        assert 2 == len(tokens)
        assert all(each.startswith("transient-") for each in tokens)


@callers(offering="transient_token")
def test_transient_token_of_a_shared_user(caller: Caller) -> None:
    """Whom the server is shared with gets a transient token too: it has that user's access, no more."""
    assert 200 == caller.ask("transient_token", server="Attic", token=TOM_ON_ATTIC)["status"]
    assert 403 == caller.ask("source", server="Attic", token=TOM_ON_ATTIC, source=min(SOURCES))["status"]


@pytest.mark.parametrize("server", ["Attic", "Cellar"])
@pytest.mark.parametrize("source", sorted(SOURCES))
@callers(offering="source")
def test_source_connection_information(caller: Caller, source: str, server: str) -> None:
    """A source that the server knows comes with its name, its addresses and a transient token, in the world's words."""
    found = caller.result("source", server=server, token=MIRA, source=source)
    if caller.kind.keeps_answers:
        (known,) = [each for each in caller.plex.sources[server] if each["identifier"] == source]
        assert (known["name"], source.partition("://")[2]) == (found["name"], found["client_identifier"])
        addresses = [each if isinstance(each, str) else each["uri"] for each in known["connections"]]
        assert addresses == found["connections"]
        assert found["token"].startswith("transient-")


@callers(offering="source", keeping=True)
def test_source_answers_to_a_transient_token(caller: Caller) -> None:
    """A transient token made from the owner's may ask for a source; it is the documented way."""
    transient = caller.result("transient_token", server="Attic", token=MIRA)["token"]
    found = caller.result("source", server="Attic", token=transient, source="provider://tv.example.movies")
    assert "Example Movies" == found["name"]


@callers(offering="source")
def test_unknown_source_is_not_found(caller: Caller) -> None:
    """A source that the server does not know is 404, which every SDK has only its catch-all error for."""
    outcome = caller.ask("source", server="Attic", token=MIRA, source="provider://tv.example.nothing")
    assert ("SDKError", 404) == (outcome["raised"], outcome["status"])


@pytest.mark.parametrize("call", ["transient_token", "source"])
@callers(offering="source")
def test_refusal_as_observed_is_html(caller: Caller, call: str) -> None:
    """A server in `observed` mode refuses a dead token as real ones do: 401 with a page, whatever was asked for."""
    outcome = caller.ask(call, server="Attic", token=DEAD, source=min(SOURCES))
    assert ("SDKError", 401) == (outcome["raised"], outcome["status"])
    assert "<h1>401 Unauthorized</h1>" in outcome["body"]


@pytest.mark.parametrize("call", ["transient_token", "source"])
@callers(offering="source")
def test_refusal_as_documented_is_the_sdk_s_typed_error(caller: Caller, call: str) -> None:
    """A server in `documented` mode refuses a dead token with 401 and JSON, in the class of each SDK that has one."""
    outcome = caller.ask(call, server="Cellar", token=DEAD, source=min(SOURCES))
    assert (401, [1001]) == (outcome["status"], errors_in(outcome))
    if call in caller.kind.typed_errors:
        assert outcome["raised"].endswith("Unauthorized")
        assert [1001] == outcome["codes"]
    else:
        assert "SDKError" == outcome["raised"]


@pytest.mark.parametrize(("server", "documented"), [("Attic", False), ("Cellar", True)])
@callers(offering="source")
def test_source_without_its_prefix_is_a_bad_request(caller: Caller, server: str, documented: bool) -> None:
    """A source without `server://` or `provider://` is 400: a page as observed, typed JSON as documented."""
    outcome = caller.ask("source", server=server, token=MIRA, source="attic")
    assert 400 == outcome["status"]
    typed = documented and "source" in caller.kind.typed_errors
    assert outcome["raised"].endswith("BadRequest" if typed else "SDKError")
