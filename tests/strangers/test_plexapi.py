"""python-plexapi 4.18.3, unmodified, against `ticketstub serve`.

Plex's addresses are built into it; its documented `session=` argument takes a requests session, and the program's own
session sends what is for plex.tv and clients.plex.tv to the local Plex. It asks without `Accept`, so it reads XML.
"""

import pytest

from tests.strangers.processes import LocalPlex, Outcome, Stranger

pytestmark = pytest.mark.strangers

MIRA = "Xk3mPz_9Q-vT7rLb2NfW"
TOM_ON_ATTIC = "Sh1-aT9_tM5cQe3VzXrB"
DEAD = "Dd0-xX9_zZ8yWw7VvU6t"


class PlexApi:
    """The program of python-plexapi, beside its local Plex."""

    def __init__(self, stranger: Stranger, plex: LocalPlex) -> None:
        self.stranger = stranger
        self.plex = plex

    def ask(self, call: str, **arguments: object) -> Outcome:
        return self.stranger.ask(call, plex_tv=self.plex.plex_tv, **arguments)

    def result(self, call: str, **arguments: object) -> Outcome:
        outcome = self.ask(call, **arguments)
        assert "result" in outcome, outcome
        return outcome["result"]


@pytest.fixture
def plexapi(start_stranger) -> PlexApi:
    return PlexApi(*start_stranger("plexapi_4_18_3"))


def test_password_signs_in(plexapi: PlexApi) -> None:
    """`MyPlexAccount(user, password)` gives an account with a new token, which `MyPlexAccount(token=)` accepts."""
    signed_in = plexapi.result("sign_in", login="pip", password=plexapi.plex.accounts["pip"]["password"])
    assert ("pip", "pip@example.test", False) == tuple(signed_in[key] for key in ("username", "email", "two_factor"))
    assert signed_in == plexapi.result("token_details", token=signed_in["token"])


def test_verification_code_is_asked_for_and_accepted(plexapi: PlexApi) -> None:
    """Without a code it raises its TwoFactorRequired, with `code=` it signs in."""
    account = plexapi.plex.accounts["mira_quill"]
    credentials = {"login": account["username"], "password": account["password"]}
    assert "TwoFactorRequired" == plexapi.ask("sign_in", **credentials)["raised"]
    code = plexapi.plex.code_of("mira_quill")
    signed_in = plexapi.result("sign_in", **credentials, verification_code=code)
    assert ("mira_quill", True) == (signed_in["username"], signed_in["two_factor"])


def test_wrong_password_is_unauthorized(plexapi: PlexApi) -> None:
    """A wrong password raises its Unauthorized, with code 1001 in the text."""
    refused = plexapi.ask("sign_in", login="pip", password="not this one")
    assert "Unauthorized" == refused["raised"]
    assert 'code="1001"' in refused["message"]


def test_token_of_an_account(plexapi: PlexApi) -> None:
    """`MyPlexAccount(token=)` gives the account and keeps the token; a dead one raises its Unauthorized."""
    account = plexapi.result("token_details", token=MIRA)
    assert ("mira_quill", MIRA) == (account["username"], account["token"])
    assert "Unauthorized" == plexapi.ask("token_details", token=DEAD)["raised"]


def test_ping(plexapi: PlexApi) -> None:
    """`ping()` is true for a live token."""
    assert {"pong": True} == plexapi.result("ping", token=MIRA)


def test_resources(plexapi: PlexApi) -> None:
    """`resources()` brings each server with its own token, whether it is owned, and its address."""
    owned = plexapi.result("resources", token=MIRA)["servers"]
    assert {"Attic": (MIRA, True), "Cellar": (MIRA, True)} == {
        name: (one["token"], one["owned"]) for name, one in owned.items()
    }
    assert plexapi.plex.servers["Attic"] in owned["Attic"]["connections"]
    shared = plexapi.result("resources", token=plexapi.plex.accounts["tom"]["token"])["servers"]
    assert {"Attic": (TOM_ON_ATTIC, False)} == {name: (one["token"], one["owned"]) for name, one in shared.items()}


@pytest.mark.parametrize("name", ["Attic", "Cellar"])
def test_resource_connects(plexapi: PlexApi, name: str) -> None:
    """`resource.connect()` reaches the server at the address and with the token that plex.tv told."""
    assert name == plexapi.result("connect", token=MIRA, name=name)["name"]


def test_a_friend_connects(plexapi: PlexApi) -> None:
    """A friend's `resource.connect()` reaches a shared server, whose local addresses python-plexapi skips."""
    token, attic = plexapi.plex.accounts["tom"]["token"], plexapi.plex.servers["Attic"]
    found = plexapi.result("connect", token=token, name="Attic")
    assert ("Attic", attic) == (found["name"], found["url"])


def test_server_by_address(plexapi: PlexApi) -> None:
    """`PlexServer(url, token)` reads who the server is; a dead token raises its Unauthorized."""
    attic = plexapi.plex.servers["Attic"]
    expected = {"name": "Attic", "identifier": "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8", "version": "1.42.2.10156"}
    assert expected == plexapi.result("server", server=attic, token=MIRA)
    assert "Unauthorized" == plexapi.ask("server", server=attic, token=DEAD)["raised"]


@pytest.mark.parametrize("token", [MIRA, TOM_ON_ATTIC], ids=["owner", "shared"])
def test_create_token(plexapi: PlexApi, token: str) -> None:
    """`createToken()` gives a transient token, which opens the server in its turn."""
    attic = plexapi.plex.servers["Attic"]
    transient = plexapi.result("transient_token", server=attic, token=token)["token"]
    assert transient.startswith("transient-")
    assert "Attic" == plexapi.result("server", server=attic, token=transient)["name"]
