"""S6, S22: what somebody got by switching to another ends with the Home, whatever it was turned into meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.local_plex.asking import MIRA, TOM, Answered
from tests.local_plex.family import IDS, TOMS
from tests.local_plex.test_auth_keys import Key
from tests.local_plex.whole import PASSWORD, Whole
from tests.security.stage import device_jwt, household, jwt, sign_in, switched, token_in

CLIENT = "living-room-tv"
MACHINE, OTHER_MACHINE = "4e6d1c82aa07f35b90c3e1d74b58f2a6630d9e1c", "5f7e2d93bb18046ca1d4f2e85c690b37741e0f2d"


@pytest.fixture(name="plex")
def _plex() -> Iterator[Whole]:
    with Whole(household()) as plex:
        yield plex


def tom_leaves(plex: Whole) -> None:
    assert 200 == plex.ask("DELETE", f"/api/home/users/{IDS['tom']}", TOM).status


def mira_signs_everybody_out(plex: Whole) -> None:
    signs_everybody_out(plex, MIRA)


def tom_signs_everybody_out(plex: Whole) -> None:
    signs_everybody_out(plex, TOM)


def signs_everybody_out(plex: Whole, token: str) -> None:
    form = f"currentPassword={PASSWORD}&password=quiet-otter-31&removeOtherTokens=true"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert 200 == plex.ask("POST", "/api/v2/users/password", token, body=form, headers=kind).status


def mira_removes_the_device(plex: Whole) -> None:
    token_in(sign_in(plex, "mira_quill", CLIENT))
    devices = plex.ask("GET", "/devices.json", MIRA).json["MediaContainer"]["Device"]
    number = next(each["id"] for each in devices if each["clientIdentifier"] == CLIENT)
    assert 204 == plex.ask("DELETE", f"/devices/{number}.json", MIRA).status


ENDS = [tom_leaves, mira_signs_everybody_out, mira_removes_the_device]


@pytest.mark.parametrize("end", ENDS)
def test_a_key_that_was_registered(plex: Whole, end: object) -> None:
    """A key registered with such a token gives no JWT any more, and the JWTs that it gave have ended."""
    key, token = Key("tv"), switched(plex, "tom", client=CLIENT, passcode=TOMS)
    assert 201 == plex.ask("POST", "/api/v2/auth/jwk", token, client=CLIENT, body={"jwk": key.jwk}).status
    given = jwt(plex, key, CLIENT)
    assert 200 == plex.ask("GET", "/api/v2/user", given).status
    end(plex)  # type: ignore[operator]  # one of the functions above
    assert 401 == plex.ask("GET", "/api/v2/user", given).status
    proof = {"jwt": device_jwt(plex, key, CLIENT)}
    assert 422 == plex.ask("POST", "/api/v2/auth/token", client=CLIENT, body=proof).status


@pytest.mark.parametrize("end", ENDS)
def test_a_pin_that_was_approved(plex: Whole, end: object) -> None:
    """The token of a PIN approved with such a token has ended, and the PIN gives none any more."""
    token = switched(plex, "tom", client="another", passcode=TOMS)
    pin = plex.ask("POST", "/api/v2/pins", client=CLIENT).json
    assert 204 == plex.ask("PUT", f"/api/v2/pins/link?code={pin['code']}", token).status
    told = token_in(plex.ask("GET", f"/api/v2/pins/{pin['id']}", client=CLIENT))
    end(plex)  # type: ignore[operator]  # one of the functions above
    assert 401 == plex.ask("GET", "/api/v2/user", told).status
    assert 404 == plex.ask("GET", f"/api/v2/pins/{pin['id']}", client=CLIENT).status


@pytest.mark.parametrize("end", ENDS[:2])
def test_a_browser_that_switched(plex: Whole, end: object) -> None:
    """A browser that mira switched to tom is signed out; tom's own stays signed in."""
    own, other = plex.browser().signed_in("tom"), plex.browser().signed_in("mira_quill")
    token = other.fields("/account/home")["form_token"]
    form = {"form_token": token, "user": str(IDS["tom"]), "passcode": TOMS}
    assert 303 == other.post("/account/home", form).status
    assert [200, 200] == [browser.get("/account").status for browser in (own, other)]
    end(plex)  # type: ignore[operator]  # one of the functions above
    assert [200, 303] == [browser.get("/account").status for browser in (own, other)]


def claimed(plex: Whole, claim: str, machine: str = MACHINE) -> Answered:
    """Exchange a claim token, as a machine that nobody has."""
    return plex.ask("POST", f"/api/claim/exchange?token={claim}", client=machine)


@pytest.mark.parametrize("end", [tom_leaves, tom_signs_everybody_out])
def test_a_server_that_was_claimed(plex: Whole, end: object) -> None:
    """A server that tom claimed for mira with a switched token has no token any more; her own servers' stay."""
    asking = {MACHINE: switched(plex, "mira", TOM, CLIENT), OTHER_MACHINE: MIRA}
    claims = {machine: plex.ask("GET", "/api/claim/token.json", one).json["token"] for machine, one in asking.items()}
    given = [token_in(claimed(plex, claim, machine)) for machine, claim in claims.items()]
    assert [200, 200] == [plex.ask("GET", "/api/v2/user", one).status for one in given]
    end(plex)  # type: ignore[operator]  # one of the functions above
    assert [401, 200] == [plex.ask("GET", "/api/v2/user", one).status for one in given]


def test_a_claim_token_of_a_browser_that_switched(plex: Whole) -> None:
    """A claim token that tom's browser made as mira is good for nothing once tom left, and for a server before."""
    browser = plex.browser().signed_in("tom")
    form = {"form_token": browser.fields("/account/home")["form_token"], "user": str(IDS["mira"])}
    assert 303 == browser.post("/account/home", form).status

    def claim() -> str:
        page = browser.post("/claim", {"form_token": browser.fields("/claim")["form_token"]}).body.decode()
        return re.findall("claim-[A-Za-z0-9_-]{20}", page)[0]

    first, second = claim(), claim()
    token = token_in(claimed(plex, first))
    assert 200 == plex.ask("GET", "/api/v2/user", token).status
    tom_leaves(plex)
    assert 401 == plex.ask("GET", "/api/v2/user", token).status
    assert 404 == claimed(plex, second).status


def test_what_is_toms_own_stays(plex: Whole) -> None:
    """When tom leaves, what he signed in, registered and approved himself is as good as before."""
    key, token = Key("tom"), token_in(sign_in(plex, "tom", CLIENT))
    assert 201 == plex.ask("POST", "/api/v2/auth/jwk", token, client=CLIENT, body={"jwk": key.jwk}).status
    tom_leaves(plex)
    assert [200, 200] == [plex.ask("GET", "/api/v2/user", each).status for each in (TOM, token)]
    assert 200 == plex.ask("GET", "/api/v2/user", jwt(plex, key, CLIENT)).status


def test_a_removed_device_is_not_brought_back_by_its_pin(plex: Whole) -> None:
    """A PIN with a key gives no JWT once its device was removed, also where somebody signs in on it again."""
    key = Key("pin-key")
    pin = plex.ask("POST", "/api/v2/pins", client=CLIENT, body={"jwk": key.jwk}).json
    assert 204 == plex.ask("PUT", f"/api/v2/pins/link?code={pin['code']}", MIRA).status
    path = f"/api/v2/pins/{pin['id']}?deviceJWT={device_jwt(plex, key, CLIENT)}"
    assert 200 == plex.ask("GET", path, client=CLIENT).status
    mira_removes_the_device(plex)
    token_in(sign_in(plex, "mira_quill", CLIENT))
    assert 404 == plex.ask("GET", path, client=CLIENT).status
