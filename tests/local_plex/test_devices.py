"""plex.tv's list of devices: its content, who sees it, and what a removal ends."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.local_plex.asking import ATTIC, MIRA, START, TOM, TOM_ON_ATTIC, Answered, Clock, ask, get, transient
from tests.local_plex.conftest import Start
from tests.local_plex.small import KITCHEN, remove, rows, signed_in, small
from ticketstub.testing import LocalPlexController, local_plex

HOUR = 3600


@pytest.fixture(name="begin")
def _begin(start: Start) -> Start:
    """Start with the small world; `attic` changes keys of its first media server."""

    def begin(
        answers: dict[str, object] | None = None, attic: dict[str, object] | None = None, **options: Any
    ) -> LocalPlexController:
        return start(answers, world=small(**(attic or {})), **options)

    return begin


@pytest.fixture(name="plex", scope="module")
def _plex() -> Iterator[LocalPlexController]:
    """A local Plex for the tests that remove nothing."""
    with local_plex(small(), clock=Clock()) as running:
        yield running


def in_xml(url: str, token: str) -> Any:
    answer = ask(url, "GET", "/devices.xml", {"X-Plex-Token": token})
    assert answer.status == 200, answer
    return answer.xml


def eventually(true: Callable[[], bool]) -> bool:
    """Wait for what is recorded after a reply."""
    until = time.monotonic() + 60
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return true()


def test_a_device_is_listed_with_all_it_said(begin: Start) -> None:
    """Each `X-Plex-…` parameter is in its observed column, in the observed order, with the device's own clear token."""
    plex = begin(clock=Clock())
    token = signed_in(plex.url)
    container = in_xml(plex.url, MIRA)
    assert {"publicAddress": "127.0.0.1", "size": "3"} == container.attrib
    device = container.find("Device[@clientIdentifier='kitchen-1']")
    assert {
        "name": "Kitchen & <Hall>",
        "publicAddress": "127.0.0.1",
        "product": "Demo App",
        "productVersion": "1.2.0",
        "platform": "Linux",
        "platformVersion": "6.1",
        "device": "Linux",
        "model": "Plex OAuth",
        "vendor": "Example",
        "provides": "client,player",
        "clientIdentifier": "kitchen-1",
        "version": "1.2.0",
        "id": device.get("id"),
        "token": token,
        "createdAt": str(START),
        "lastSeenAt": str(START),
        "screenResolution": "1440x772,1440x900",
        "screenDensity": "",
    } == device.attrib
    assert (
        "name publicAddress product productVersion platform platformVersion device model vendor provides"
        in " ".join(device.attrib)
    )
    assert device.get("id").isdigit()


def test_a_media_server_is_a_device(plex: LocalPlexController) -> None:
    """Each media server of the account is listed with its address, what it provides, and its own token."""
    container = in_xml(plex.url, MIRA)
    attic = container.find(f"Device[@clientIdentifier='{ATTIC}']")
    expected = {"name": "Attic", "product": "Plex Media Server", "provides": "server", "platformVersion": "6.1.0"}
    expected |= {"version": "1.43.4.10903-0a1b2c3d4", "productVersion": "1.43.4.10903-0a1b2c3d4"}
    assert expected == {name: attic.get(name) for name in expected}
    assert re.fullmatch("[A-Za-z0-9_-]{20}", attic.get("token"))
    assert [{"uri": plex.media_server("Attic").url}] == [child.attrib for child in attic]
    assert str(START) == attic.get("lastSeenAt")
    assert {"Attic", "Shed"} <= {device.get("name") for device in container}
    assert "Toms" not in {device.get("name") for device in container}


def test_what_python_plexapi_needs_is_there(plex: LocalPlexController) -> None:
    """`size` and ids are numbers, Connection stands right below Device, dates are seconds, and no boolean is empty."""
    signed_in(plex.url)
    container = in_xml(plex.url, MIRA)
    assert int(container.get("size")) == len(container.findall("Device"))
    for device in container:
        assert all(device.get(name) for name in ("id", "name", "clientIdentifier", "token"))
        assert all(int(device.get(name)) > 0 for name in ("id", "createdAt", "lastSeenAt"))
        assert {"Connection"} >= {child.tag for child in device}
        assert device.get("provides") is not None


def test_the_list_in_json(plex: LocalPlexController) -> None:
    """`/devices.json` has the same in one container, numbers as numbers."""
    container = get(plex.url, "/devices.json", TOM).json["MediaContainer"]
    assert {"publicAddress", "size", "Device"} == container.keys()
    (toms,) = (row for row in container["Device"] if row["name"] == "Toms")
    assert (int, int, str) == (type(toms["id"]), type(toms["createdAt"]), type(toms["token"]))
    assert "application/json; charset=utf-8" == get(plex.url, "/devices.json", TOM).headers["content-type"]
    answer = ask(plex.url, "GET", "/devices.xml", {"X-Plex-Token": TOM, "Accept": "application/json"})
    assert "application/xml; charset=utf-8" == answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/devices.xml", "/devices.json"])
def test_the_list_is_for_an_accounts_own_token(plex: LocalPlexController, path: str) -> None:
    """A share's, a transient, a dead and a missing token get no list: 422 or 401, and no token."""
    own = rows(plex.url, MIRA)[ATTIC]["token"]
    short_lived = transient(plex.media_server("Attic").url, MIRA)
    for token in (TOM_ON_ATTIC, short_lived, "Dead_token_012345678", "", None):
        answer = get(plex.url, path, token)
        assert answer.status in {401, 422}
        assert own.encode() not in answer.body


def test_a_media_server_sees_itself(plex: LocalPlexController) -> None:
    """A server's own token lists only its own row, and removes nothing, not even itself (assumed)."""
    row = rows(plex.url, MIRA)[ATTIC]
    assert {ATTIC: row} == rows(plex.url, row["token"])
    assert remove(plex.url, row["token"], row["id"]).status in {401, 422}


def test_a_removal_ends_the_devices_tokens_at_once(begin: Start) -> None:
    """S6: after the reply the row is gone, its token is dead on plex.tv and on the media servers; others stay valid.

    So are transient tokens that were made from it, and those made from them.
    """
    plex = begin()
    attic = plex.media_server("Attic").url
    first, second = signed_in(plex.url), signed_in(plex.url)
    other = signed_in(plex.url, **{"X-Plex-Client-Identifier": "hall-1"})
    short = transient(attic, first)
    shorter = transient(attic, short)
    assert [200] * 4 == [get(attic, "/", token).status for token in (first, second, short, shorter)]
    answer = remove(plex.url, other, rows(plex.url, MIRA)["kitchen-1"]["id"])
    assert (204, b"") == (answer.status, answer.body)
    assert [401] * 4 == [get(attic, "/", token).status for token in (first, second, short, shorter)]
    assert [401, 401] == [get(plex.url, "/api/v2/user", token).status for token in (first, second)]
    assert [200, 200, 200] == [get(plex.url, "/api/v2/user", token).status for token in (other, MIRA, TOM)]
    assert "kitchen-1" not in rows(plex.url, MIRA)


def test_it_may_remove_itself(begin: Start) -> None:
    """A device that removes itself gets a reply, and its next call is refused; a new sign-in makes a new row."""
    plex = begin()
    token = signed_in(plex.url)
    device_id = rows(plex.url, token)["kitchen-1"]["id"]
    assert 204 == remove(plex.url, token, device_id).status
    assert remove(plex.url, token, device_id).status in {401, 422}
    assert 404 == remove(plex.url, MIRA, device_id).status
    again = signed_in(plex.url)
    assert again == rows(plex.url, again)["kitchen-1"]["token"]


def test_others_devices_cannot_be_removed(begin: Start) -> None:
    """S21: another account's id is 404 like an unknown one, and nothing changes; so is a client identifier."""
    plex = begin(clock=Clock())
    token = signed_in(plex.url)
    before = rows(plex.url, MIRA)
    for device_id in (
        before["kitchen-1"]["id"],
        before[ATTIC]["id"],
        987654,
        0,
        "kitchen-1",
        ATTIC,
        "-1",
        "1e3",
        "9" * 30,
    ):
        answer = remove(plex.url, TOM, device_id)
        assert 404 == answer.status, device_id
    answers = [remove(plex.url, TOM, device_id) for device_id in (before["kitchen-1"]["id"], 987654)]
    assert answers[0].body == answers[1].body
    assert before == rows(plex.url, MIRA)
    assert 200 == get(plex.url, "/api/v2/user", token).status


def test_a_shared_identifier_is_one_row_for_each_account(begin: Start) -> None:
    """Two accounts on the same client have a row each; removing one does not affect the other's token."""
    plex = begin()
    miras, toms = signed_in(plex.url), signed_in(plex.url, TOM)
    assert (miras, toms) == tuple(rows(plex.url, token)["kitchen-1"]["token"] for token in (MIRA, TOM))
    assert 204 == remove(plex.url, MIRA, rows(plex.url, MIRA)["kitchen-1"]["id"]).status
    assert [401, 200] == [get(plex.url, "/api/v2/user", token).status for token in (miras, toms)]


def test_the_newest_living_token_is_shown(begin: Start) -> None:
    """The last valid token of a device is listed; a device without one has an empty token."""
    clock = Clock()
    plex = begin(clock=clock)
    old = signed_in(plex.url)
    clock.now += 10
    new = signed_in(plex.url)
    assert new == rows(plex.url, MIRA)["kitchen-1"]["token"]
    for token, left in ((new, old), (old, "")):
        answer = ask(plex.url, "DELETE", "/api/v2/users/signout", {"X-Plex-Token": token, **KITCHEN})
        assert 204 == answer.status
        assert left == rows(plex.url, MIRA)["kitchen-1"]["token"]


def test_a_removed_media_server_belongs_to_nobody(begin: Start) -> None:
    """Its own token and its shares end with its device; it is no longer listed, and accepts its own machine.

    Ours: what a removed server does is not known but that it loses its identity and its shares.
    """
    plex = begin()
    attic = plex.media_server("Attic").url
    row = rows(plex.url, MIRA)[ATTIC]
    assert [200, 200] == [
        get(plex.url, "/api/v2/user", row["token"]).status,
        get(attic, "/accounts", row["token"]).status,
    ]
    assert 204 == remove(plex.url, MIRA, row["id"]).status
    assert 401 == get(plex.url, "/api/v2/user", row["token"]).status
    names = [{each["name"] for each in get(plex.url, "/api/v2/resources", token).json} for token in (MIRA, TOM)]
    assert [{"Toms", "Shed"}, {"Toms"}] == names
    assert ATTIC not in rows(plex.url, MIRA)
    assert False is get(attic, "/identity").json["MediaContainer"]["claimed"]
    assert "unknown" == get(attic, "/").json["MediaContainer"]["myPlexMappingState"]
    assert 200 == get(plex.media_server("Shed").url, "/", MIRA).status


def test_a_servers_token_opens_plex_tv_and_its_own_server(plex: LocalPlexController) -> None:
    """The token has the owner's access on plex.tv and on that server, and none on another server of the same owner."""
    own = rows(plex.url, MIRA)[ATTIC]["token"]
    assert "mira_quill" == get(plex.url, "/api/v2/user", own).json["username"]
    found = {each["name"]: each["accessToken"] for each in get(plex.url, "/api/v2/resources", own).json}
    assert (own, None) == (found["Attic"], found["Shed"])
    assert 200 == get(plex.media_server("Attic").url, "/accounts", own).status
    assert [401, 401] == [get(plex.media_server(name).url, "/", own).status for name in ("Shed", "Toms")]


def test_a_world_may_name_a_servers_token(begin: Start) -> None:
    """`token` of a `[[media_server]]` is the listed token, and it works."""
    plex = begin(attic={"token": "Zp2Vw9LkTq7Xs4RbNd8H"})
    assert "Zp2Vw9LkTq7Xs4RbNd8H" == rows(plex.url, MIRA)[ATTIC]["token"]
    assert 200 == get(plex.media_server("Attic").url, "/", "Zp2Vw9LkTq7Xs4RbNd8H").status


def test_when_a_device_was_there_is_noted_once_an_hour(begin: Start) -> None:
    """A call updates `lastSeenAt`, after its reply and at most once an hour."""
    clock = Clock()
    plex = begin(clock=clock)
    token = signed_in(plex.url)

    def seen() -> int:
        found: int = rows(plex.url, MIRA)["kitchen-1"]["lastSeenAt"]
        return found

    clock.now = START + HOUR - 1
    get(plex.url, "/api/v2/ping", token)
    time.sleep(0.03)
    assert START == seen()
    clock.now = START + HOUR + 300
    get(plex.url, "/api/v2/ping", token)
    assert eventually(lambda: seen() == START + HOUR + 300)
    clock.now += 301
    get(plex.url, "/api/v2/ping", token)
    time.sleep(0.03)
    assert START + HOUR + 300 == seen()


def test_a_call_by_an_unknown_client(begin: Start) -> None:
    """A call with another client identifier alone makes no row."""
    plex = begin()
    answer = get(plex.url, "/api/v2/ping", MIRA, **{"X-Plex-Client-Identifier": "stranger-1", "X-Plex-Product": "Bare"})
    assert 200 == answer.status
    time.sleep(0.03)
    assert "stranger-1" not in rows(plex.url, MIRA)


def test_a_jwt_is_not_listed_and_ends_with_its_device(begin: Start) -> None:
    """A JWT lists devices and resources but is never listed; when its device is removed, it and its key end at once."""
    plex = begin()
    token, key = signed_in(plex.url), Ed25519PrivateKey.generate()
    jwt = jwt_of(plex.url, token, key)
    listed = rows(plex.url, jwt)
    assert "" == listed["kitchen-1"]["token"]  # the first JWT ends the token before it (documented)
    assert jwt.encode() not in get(plex.url, "/devices.json", MIRA).body
    own = {each["name"]: each["accessToken"] for each in get(plex.url, "/api/v2/resources", jwt).json if each["owned"]}
    assert jwt == own["Attic"]
    assert 401 == get(plex.media_server("Attic").url, "/", jwt).status
    assert 204 == remove(plex.url, MIRA, listed["kitchen-1"]["id"]).status
    assert 401 == get(plex.url, "/api/v2/resources", jwt).status
    assert 422 == exchanged(plex.url, key).status


@pytest.mark.parametrize("way", ["refuse", "accept"])
def test_a_jwt_on_a_media_server(begin: Start, way: str) -> None:
    """Refused with the 401 page (observed), or accepted as its account's token if the world says so, until it ends."""
    clock = Clock()
    plex = begin({"jwt_on_media_server": way}, clock=clock)
    attic = plex.media_server("Attic").url
    jwt = jwt_of(plex.url, signed_in(plex.url), Ed25519PrivateKey.generate(), START)
    answer = get(attic, "/accounts", jwt)
    assert (401 if way == "refuse" else 200) == answer.status
    if way == "refuse":
        assert b"<h1>401 Unauthorized</h1>" in answer.body
        return
    assert 401 == get(plex.media_server("Toms").url, "/", jwt).status
    short = transient(attic, jwt)
    assert 200 == get(attic, "/", short).status
    assert 204 == remove(plex.url, MIRA, rows(plex.url, MIRA)["kitchen-1"]["id"]).status
    assert [401, 401] == [get(attic, "/", token).status for token in (jwt, short)]


def test_an_expired_jwt_on_a_media_server_is_401(begin: Start) -> None:
    """A media server has no 498: an expired JWT is an unknown token there."""
    clock = Clock()
    plex = begin({"jwt_on_media_server": "accept"}, clock=clock)
    jwt = jwt_of(plex.url, signed_in(plex.url), Ed25519PrivateKey.generate(), START)
    clock.now = START + 8 * 24 * HOUR
    assert 401 == get(plex.media_server("Attic").url, "/", jwt).status


def test_where_a_client_is(plex: LocalPlexController) -> None:
    """`GET /:/ip` returns the client's address in plain text, to every client and for every Accept."""
    for headers in ({}, {"Accept": "application/json"}, {"X-Plex-Token": "Dead_token_012345678"}):
        answer = ask(plex.url, "GET", "/:/ip", headers)
        assert (200, b"127.0.0.1") == (answer.status, answer.body)
        assert answer.headers["content-type"].startswith("text/plain")


def jwt_of(url: str, token: str, key: Ed25519PrivateKey, now: int | None = None) -> str:
    """Register a device key and exchange a device JWT for Plex's."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw()), "kid": "demo-key-1"}
    body = json.dumps({"jwk": jwk | {"use": "sig", "alg": "EdDSA"}})
    headers = {"X-Plex-Token": token, "Content-Type": "application/json", **KITCHEN}
    assert ask(url, "POST", "/api/v2/auth/jwk", headers, body).status == 201
    answer = exchanged(url, key, now)
    assert answer.status == 200, answer
    found: str = answer.json["auth_token"]
    return found


def exchanged(url: str, key: Ed25519PrivateKey, now: int | None = None) -> Answered:
    accept = {"Accept": "application/json", "Content-Type": "application/json", **KITCHEN}
    nonce = ask(url, "GET", "/api/v2/auth/nonce", accept).json["nonce"]
    moment = now or int(time.time())
    claims = {
        "aud": "plex.tv",
        "iss": "kitchen-1",
        "nonce": nonce,
        "scope": "username",
        "iat": moment,
        "exp": moment + 60,
    }
    head = {"kid": "demo-key-1", "alg": "EdDSA", "typ": "JWT"}
    signed = ".".join(b64(json.dumps(part).encode()) for part in (head, claims))
    jwt = f"{signed}.{b64(key.sign(signed.encode()))}"
    return ask(url, "POST", "/api/v2/auth/token", accept, json.dumps({"jwt": jwt}))


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
