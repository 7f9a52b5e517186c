"""python-plexapi 4.18.3: every way that it has to sign in, Home users, devices, claims, and what it asks of a server.

Unmodified, against `ticketstub serve`; what a person does in a browser is done here by a plain request.
"""

from __future__ import annotations

import http.client
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.strangers.test_plexapi import MIRA, TOM_ON_ATTIC, PlexApi

pytestmark = pytest.mark.strangers

ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"


@pytest.fixture
def plexapi(start_stranger) -> PlexApi:
    return PlexApi(*start_stranger("plexapi_4_18_3"))


def approve(plexapi: PlexApi, code: str, token: str) -> None:
    """Approve a code, as the link page of a signed-in person does."""
    connection = http.client.HTTPConnection(urlsplit(plexapi.plex.plex_tv).netloc, timeout=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Plex-Token": token}
    headers |= {"X-Plex-Client-Identifier": "browser"}
    try:
        connection.request("PUT", "/api/v2/pins/link", urlencode({"code": code}), headers)
        assert 204 == connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("oauth", [False, True], ids=["link code", "oauth"])
def test_pin_login_by_polling(plexapi: PlexApi, oauth: bool) -> None:
    """`MyPlexPinLogin` with `checkLogin()`: nothing before the approval, then a token of the approver's account."""
    begun = plexapi.result("pin_begin", name="polled", oauth=oauth, client=f"polled-{oauth}")
    assert (25 if oauth else 4) == len(begun["code"])
    assert {"done": False, "expired": False, "token": None} == plexapi.result("pin_check", name="polled")
    approve(plexapi, begun["code"], MIRA)
    found = plexapi.result("pin_check", name="polled")
    assert (True, False) == (found["done"], found["expired"])
    assert "mira_quill" == plexapi.result("token_details", token=found["token"])["username"]


def test_pin_login_by_thread(plexapi: PlexApi) -> None:
    """`MyPlexPinLogin.run()` and `waitForLogin()`, with the address that a browser would open."""
    begun = plexapi.result("pin_begin", name="thread", oauth=True, client="thread", forward="http://127.0.0.1:9/done")
    split = urlsplit(begun["url"])
    assert ("app.plex.tv", "/auth/") == (split.hostname, split.path)
    given = parse_qs(split.fragment.removeprefix("!?"))
    assert (["thread"], [begun["code"]]) == (given["clientID"], given["code"])
    assert {} == plexapi.result("pin_run", name="thread")
    approve(plexapi, begun["code"], MIRA)
    assert plexapi.result("pin_wait", name="thread")["done"]


def test_pin_login_that_nobody_approves(plexapi: PlexApi) -> None:
    """Given up, it has no token and did not expire."""
    plexapi.result("pin_begin", name="lonely", oauth=False, client="lonely")
    plexapi.result("pin_run", name="lonely", timeout=0.1)
    assert {"done": False, "expired": False, "token": None} == plexapi.result("pin_wait", name="lonely")


def test_link_approves_a_code(plexapi: PlexApi) -> None:
    """`account.link(code)` approves another client's code."""
    begun = plexapi.result("pin_begin", name="linked", oauth=False, client="linked")
    assert {} == plexapi.result("link", token=MIRA, code=begun["code"])
    assert plexapi.result("pin_check", name="linked")["done"]


@pytest.mark.parametrize("oauth", [False, True], ids=["link code", "oauth"])
def test_jwt_login_through_a_pin(plexapi: PlexApi, oauth: bool) -> None:
    """`MyPlexJWTLogin.run()`: the same device JWT at every poll; the token is a JWT that verifies and signs in."""
    client, key = f"jwt-{oauth}", f"key-{oauth}"
    begun = plexapi.result("jwt_begin", name=client, key=key, oauth=oauth, client=client)
    approve(plexapi, begun["code"], MIRA)
    token = plexapi.result("pin_wait", name=client)["token"]
    assert token.startswith("eyJ")
    assert "mira_quill" == plexapi.result("token_details", token=token)["username"]
    refreshed = plexapi.result("jwt_refresh", key=key, client=client, token=token)
    assert refreshed["before"], "it verifies what the PIN gave, with the published keys and its own thumbprint"
    assert (604_800, "mira_quill") == (
        refreshed["claims"]["exp"] - refreshed["claims"]["iat"],
        refreshed["claims"]["user"]["username"],
    )


def test_jwt_login_with_a_token(plexapi: PlexApi) -> None:
    """`registerDevice()` with a token, then `refreshJWT()` and `verifyJWT()`; the token of before ends with it."""
    begun = plexapi.result("pin_begin", name="before", oauth=False, client="jwt-token")
    approve(plexapi, begun["code"], MIRA)
    token = plexapi.result("pin_check", name="before")["token"]
    found = plexapi.result("jwt_register", key="key-token", client="jwt-token", token=token)
    assert found["verified"]
    assert "mira_quill" == plexapi.result("token_details", token=found["token"])["username"]
    assert "Unauthorized" == plexapi.ask("token_details", token=token)["raised"]


def test_users(plexapi: PlexApi) -> None:
    """`users()` lists Home users and who shares, with the servers that they may use, and their tokens there."""
    users = plexapi.result("users", token=MIRA)
    assert (True, ["Attic"]) == (users["tom"]["home"], users["tom"]["servers"])
    assert users["Wren"]["home"]
    assert {"token": TOM_ON_ATTIC} == plexapi.result("user_token", token=MIRA, user="tom", identifier=ATTIC)


def test_switching_home_users(plexapi: PlexApi) -> None:
    """`switchHomeUser` becomes a managed user, or a protected one with the passcode; a wrong one raises."""
    switched = plexapi.result("switch", token=MIRA, user="Wren")
    assert switched["id"] == plexapi.result("users", token=MIRA)["Wren"]["id"]
    assert "tom" == plexapi.result("switch", token=MIRA, user="tom", passcode="4711")["username"]
    for passcode in (None, "0000"):
        assert plexapi.ask("switch", token=MIRA, user="tom", passcode=passcode)["raised"] in {
            "BadRequest",
            "Unauthorized",
        }


def test_passcodes(plexapi: PlexApi) -> None:
    """`setPin`, `removePin`, and the same for a managed user."""
    nora = plexapi.plex.accounts["nora_field"]["token"]
    assert {} == plexapi.result("set_passcode", token=nora, passcode="2468")
    assert "Unauthorized" == plexapi.ask("set_passcode", token=nora, passcode="1357", current="0000")["raised"]
    assert {} == plexapi.result("set_passcode", token=nora, passcode="1357", current="2468")
    assert {} == plexapi.result("remove_passcode", token=nora, current="1357")
    assert {} == plexapi.result("set_managed_passcode", token=MIRA, user="Wren", passcode="1234")
    assert "raised" in plexapi.ask("switch", token=MIRA, user="Wren")
    assert "result" in plexapi.ask("switch", token=MIRA, user="Wren", passcode="1234")
    assert {} == plexapi.result("remove_managed_passcode", token=MIRA, user="Wren")
    assert "result" in plexapi.ask("switch", token=MIRA, user="Wren")


def test_devices(plexapi: PlexApi) -> None:
    """`devices()` lists what signed in and the servers; `delete()` ends a device's token, and that one alone."""
    begun = plexapi.result("pin_begin", name="device", oauth=False, client="removed-device")
    approve(plexapi, begun["code"], MIRA)
    token = plexapi.result("pin_check", name="device")["token"]
    devices = plexapi.result("devices", token=MIRA)
    assert token == devices["removed-device"]["token"]
    assert "server" == devices[ATTIC]["provides"]
    assert {} == plexapi.result("remove_device", token=MIRA, identifier="removed-device")
    assert "Unauthorized" == plexapi.ask("token_details", token=token)["raised"]
    assert "removed-device" not in plexapi.result("devices", token=MIRA)


def test_sign_out(plexapi: PlexApi) -> None:
    """`signout()` ends the token."""
    signed_in = plexapi.result("sign_in", login="pip", password=plexapi.plex.accounts["pip"]["password"])
    assert {} == plexapi.result("sign_out", token=signed_in["token"])
    assert "Unauthorized" == plexapi.ask("token_details", token=signed_in["token"])["raised"]


def test_claim_token(plexapi: PlexApi) -> None:
    """`claimToken()` gives a claim token, which signs nobody in."""
    token = plexapi.result("claim_token", token=MIRA)["token"]
    assert (True, 26) == (token.startswith("claim-"), len(token))
    assert "Unauthorized" == plexapi.ask("token_details", token=token)["raised"]


def test_what_it_asks_of_a_server(plexapi: PlexApi) -> None:
    """Accounts, devices, clients, statistics and the server's own account, each read without complaint."""
    attic = plexapi.plex.servers["Attic"]
    accounts = plexapi.result("server_accounts", server=attic, token=MIRA)["accounts"]
    assert [1, "mira_quill"] in accounts
    for call in ("server_devices", "server_clients", "server_statistics"):
        assert "result" in plexapi.ask(call, server=attic, token=MIRA), call
    assert "mira@example.test" == plexapi.result("server_account", server=attic, token=MIRA)["username"]
    assert plexapi.ask("server_accounts", server=attic, token=TOM_ON_ATTIC)["raised"] in {"BadRequest", "Unauthorized"}


def test_public_address(plexapi: PlexApi) -> None:
    """`publicIP()` gives the address that the request came from."""
    assert {"address": "127.0.0.1"} == plexapi.result("public_address", token=MIRA)
