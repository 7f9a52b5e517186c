"""The older API's sign-in and account: read from wherever old clients put them, written as observed."""

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.local_plex.asking import MIRA, PASSWORDS, TOM, TOM_ON_ATTIC, Answered, Clock, ask, code_at, get, world
from tests.local_plex.conftest import Start
from tests.local_plex.counting import verifications
from tests.tables import every
from ticketstub.testing import LocalPlexController, local_plex

PATH = "/users/sign_in.json"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DEAD = "Dead_token_012345678"
ODD_PASSWORD = "p:ä & = + % \u20ac"
PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.fixture(scope="module")
def plex() -> Iterator[LocalPlexController]:
    """A local Plex whose mira has everything that the observed account has."""
    given = world()
    given["account"][0] |= {
        "subscription": {"active": False, "features": ["home"]},
        "roles": ["plexpass"],
        "entitlements": ["all", "ios"],
    }
    given["account"].append({"username": "odd", "email": "odd@example.test", "password": ODD_PASSWORD})
    with local_plex(given, clock=Clock()) as running:
        yield running


def basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{login}:{password}".encode()).decode(), "Content-Length": "0"}


def form(**fields: str) -> str:
    return urlencode(fields)


WAYS: list[tuple[str, dict[str, str], str]] = [
    ("", FORM, "user%5Blogin%5D=tom&user%5Bpassword%5D=rainy-harbour-17"),
    ("", FORM, "user[login]=tom&user[password]=rainy-harbour-17"),
    ("", FORM, "login=tom%40example.test&password=rainy-harbour-17"),
    ("", FORM, "username=TOM&password=rainy-harbour-17"),
    ("?user%5Blogin%5D=tom&user%5Bpassword%5D=rainy-harbour-17", {}, ""),
    ("?login=tom&password=rainy-harbour-17", {"Content-Length": "0"}, ""),
    ("?username=tom&password=rainy-harbour-17", FORM, ""),
    ("", basic("tom", "rainy-harbour-17"), ""),
    ("", basic("tom", "rainy-harbour-17") | {"X-Plex-Token": DEAD}, ""),
    ("", {"Content-Type": "application/json"}, '{"login": "tom", "password": "rainy-harbour-17"}'),
]


@every(("query", "headers", "body"), WAYS)
def test_wherever_login_and_password_are(
    plex: LocalPlexController, query: str, headers: dict[str, str], body: str
) -> None:
    """Three pairs of names in a form or query, and HTTP Basic with an empty body, sign in; no identifier is needed."""
    answer = ask(plex.url, "POST", PATH + query, headers, body)
    user = answer.json["user"]
    assert (201, "tom", user["authToken"]) == (answer.status, user["username"], user["authentication_token"])
    assert "tom" == get(plex.url, "/api/v2/user", user["authToken"]).json["username"]


def test_the_body_in_json(plex: LocalPlexController) -> None:
    """The JSON has exactly the observed members, in their order."""
    answer = ask(plex.url, "POST", PATH, FORM, "login=mira_quill&password=paper-lantern-42&rememberMe=1")
    token = answer.json["user"]["authToken"]
    assert re.fullmatch("[A-Za-z0-9_-]{20}", token)
    assert (
        '{"user":{"id":10500123,"uuid":"3f9c2b7a5d1e8f04","email":"mira@example.test",'
        '"joined_at":"2019-03-14T19:58:51Z","username":"mira_quill","title":"mira_quill",'
        '"thumb":"https://plex.tv/users/3f9c2b7a5d1e8f04/avatar?c=1724402119","hasPassword":true,'
        f'"authToken":"{token}","authentication_token":"{token}",'
        '"subscription":{"active":false,"status":"Inactive","plan":null,"features":["home"]},'
        '"roles":{"roles":["plexpass"]},"entitlements":["all","ios"],'
        '"confirmedAt":"2019-03-14T19:58:51Z","forumId":null,"ssoCookie":true,"rememberMe":true}}'
    ).encode() == answer.body
    assert (201, "application/json; charset=utf-8") == (answer.status, answer.headers["content-type"])


ACCOUNT_XML = (
    '<user email="mira@example.test" id="10500123" uuid="3f9c2b7a5d1e8f04" mailing_list_status="unsubscribed"'
    ' thumb="https://plex.tv/users/3f9c2b7a5d1e8f04/avatar?c=1724402119" username="mira_quill" title="mira_quill"'
    ' cloudSyncDevice="" locale="" authenticationToken="{token}" authToken="{token}" scrobbleTypes="" restricted="0"'
    ' home="0" guest="0" queueEmail="queue+3f9c2b7a5d1e8f04@save.plex.tv" queueUid="" hasPassword="true"'
    ' homeSize="1" maxHomeSize="15" rememberMe="false" secure="1" certificateVersion="3">'
    '<subscription active="0" status="Inactive" plan=""><feature id="home"/></subscription>'
    '<roles><role id="plexpass"/></roles>'
    '<entitlements all="1"><entitlement id="ios"/></entitlements>'
    '<profile_settings default_audio_language="" default_subtitle_language="" auto_select_subtitle="1"'
    ' auto_select_audio="1" default_subtitle_accessibility="0" default_subtitle_forced="0"/>'
    "<providers/><services/>"
    "<username>mira_quill</username><email>mira@example.test</email>"
    '<joined-at type="datetime">2019-03-14 19:58:51 UTC</joined-at>'
    "<authentication-token>{token}</authentication-token></user>"
)


def test_the_account_in_xml(plex: LocalPlexController) -> None:
    """`/users/account` is XML: two styles of booleans, three of names, and the token three times."""
    for path in ("/users/account", "/users/account.xml"):
        answer = ask(plex.url, "GET", path, {"X-Plex-Token": MIRA})
        assert (200, "application/xml; charset=utf-8") == (answer.status, answer.headers["content-type"])
        assert PROLOG + ACCOUNT_XML.format(token=MIRA) == answer.body.decode()


def test_the_account_in_json(plex: LocalPlexController) -> None:
    """`/users/account.json` has the members of the sign-in, and the token that asks."""
    answer = ask(plex.url, "GET", f"/users/account.json?X-Plex-Token={TOM}")
    user = answer.json["user"]
    assert (200, 10500321, "tom@example.test", TOM, TOM, False) == (
        answer.status,
        user["id"],
        user["email"],
        user["authToken"],
        user["authentication_token"],
        user["rememberMe"],
    )
    assert {"active": True, "status": "Active", "plan": "lifetime", "features": ["companions_sonos"]} == (
        user["subscription"]
    )


def test_sign_in_in_xml(plex: LocalPlexController) -> None:
    """`sign_in.xml` answers the account's XML, with 201 and the literal `authenticationToken="…"` that clients seek."""
    answer = ask(plex.url, "POST", "/users/sign_in.xml", basic("mira_quill", PASSWORDS["mira_quill"]))
    (token,) = re.findall('authenticationToken="([^"]+)"', answer.body.decode())
    assert (201, PROLOG + ACCOUNT_XML.format(token=token)) == (answer.status, answer.body.decode())
    assert 200 == get(plex.url, "/api/v2/user", token).status


def test_what_is_special_in_xml(plex: LocalPlexController) -> None:
    """A name with markup in it is text."""
    assert "Tom & <Co>" == ask(plex.url, "GET", "/users/account", {"X-Plex-Token": TOM}).xml.get("title")


@pytest.mark.parametrize("where", ["header", "query", "form"])
def test_a_token_without_credentials_is_validated(plex: LocalPlexController, where: str) -> None:
    """With a token and no credentials the account comes back, with the same token and nothing new."""
    headers = {"X-Plex-Token": TOM} if where == "header" else FORM
    query = f"?X-Plex-Token={TOM}" if where == "query" else ""
    answer = ask(plex.url, "POST", PATH + query, headers, form(**{"X-Plex-Token": TOM} if where == "form" else {}))
    assert (201, TOM) == (answer.status, answer.json["user"]["authToken"])


WRONG = b'{"error":"Invalid email, username, or password."}'
WRONG_XML = PROLOG + "<errors><error>Invalid email, username, or password.</error></errors>"
REFUSED: list[tuple[str, str, str, dict[str, str]]] = [
    ("an unknown login", "nobody", "x", {}),
    ("a wrong password", "tom", "x", {}),
    ("no password", "tom", "", {}),
    ("an account without password", "silent", "x", {}),
    ("a disabled account", "gone", "was-here-once-1", {}),
    ("a user name where only the address is taken", "elsa", PASSWORDS["elsa"], {}),
    ("a wrong password with a code", "vera", "x123456", {}),
]


@pytest.mark.parametrize(("login", "password"), [each[1:3] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_refused_sign_ins(plex: LocalPlexController, login: str, password: str) -> None:
    """S3: any wrong login or password gets the same reply, in JSON and XML, at the cost of one argon2 verification."""
    before = verifications(plex)
    in_json = ask(plex.url, "POST", PATH, FORM, form(login=login, password=password))
    assert 1 == verifications(plex) - before
    in_xml = ask(plex.url, "POST", "/users/sign_in.xml", basic(login, password))
    assert (401, WRONG) == (in_json.status, in_json.body)
    assert (401, WRONG_XML) == (in_xml.status, in_xml.body.decode())


ODD: list[tuple[dict[str, str], str, int]] = [
    ({}, "", 401),
    (FORM, "", 401),
    (FORM, "password=x", 401),
    (FORM, "login=&password=x", 401),
    ({"Authorization": "Basic"}, "", 401),
    ({"Authorization": "Basic ~~~~"}, "", 401),
    ({"Authorization": "Basic " + b64encode(b"no colon").decode()}, "", 401),
    ({"Authorization": "Basic " + b64encode(b":x").decode()}, "", 401),
    ({"Authorization": "Basic " + b64encode(b"\xff\xfe:\xff").decode()}, "", 401),
    ({"Authorization": "Bearer x"}, "", 401),
    (FORM, "login=tom&password=" + "x" * 1025, 400),
    (FORM, "login=tom&password=x&rememberMe=banana", 400),
]


@every(("headers", "body", "status"), ODD)
def test_odd_sign_ins(plex: LocalPlexController, headers: dict[str, str], body: str, status: int) -> None:
    """A malformed sign-in is refused in this API's words, never with an internal error."""
    answer = ask(plex.url, "POST", PATH, headers, body)
    assert status == answer.status
    assert ["error"] == list(answer.json)


@pytest.mark.parametrize("way", ["form", "Basic"])
def test_a_code_behind_the_password(start: Start, way: str) -> None:
    """If a code is needed, its six digits follow the password; without them it is requested."""
    clock = Clock()
    plex = start(clock=clock)

    def attempt(password: str) -> Answered:
        if way == "Basic":
            return ask(plex.url, "POST", PATH, basic("vera", password))
        return ask(plex.url, "POST", PATH, FORM, form(**{"user[login]": "vera", "user[password]": password}))

    right = PASSWORDS["vera"] + code_at(clock.now)
    wanted, wrong, good, again = (
        attempt(each) for each in (PASSWORDS["vera"], PASSWORDS["vera"] + "000000", right, right)
    )
    assert (401, b'{"error":"Please enter the verification code"}') == (wanted.status, wanted.body)
    assert (401, b'{"error":"Invalid verification code"}') == (wrong.status, wrong.body)
    assert (201, 401) == (good.status, again.status)


DEAD_TOKENS: list[tuple[str, str]] = [
    ("GET", "/users/account"),
    ("GET", "/users/account.json"),
    ("POST", "/users/sign_in.xml"),
    ("POST", "/users/sign_in.json"),
]


@pytest.mark.parametrize("answers", [422, 401])
def test_dead_tokens(plex: LocalPlexController, start: Start, answers: int) -> None:
    """A dead token and a share's are 422 "Invalid token", or 401 if the world says so."""
    if answers == 401:
        plex = start({"legacy_dead_token": 401})
    for token in (DEAD, TOM_ON_ATTIC, "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJwbGV4LnR2In0.c2ln"):
        for method, path in DEAD_TOKENS:
            answer = ask(plex.url, method, path, {"X-Plex-Token": token})
            expected = (
                '{"error":"Invalid token"}'
                if path.endswith("json")
                else PROLOG + "<errors><error>Invalid token</error></errors>"
            )
            assert (answers, expected) == (answer.status, answer.body.decode())
    assert answers == ask(plex.url, "GET", "/users/account").status


def test_remembered(start: Start) -> None:
    """With `rememberMe` the token ends after 14 days and the account says that it is remembered."""
    clock = Clock()
    plex = start(clock=clock)
    kept = ask(plex.url, "POST", PATH, FORM, "login=tom&password=rainy-harbour-17").json["user"]
    remembered = ask(plex.url, "POST", PATH, FORM, "login=tom&password=rainy-harbour-17&rememberMe=true").json["user"]
    assert (False, True) == (kept["rememberMe"], remembered["rememberMe"])
    token = remembered["authToken"]
    assert 'rememberMe="true"' in ask(plex.url, "GET", "/users/account", {"X-Plex-Token": token}).body.decode()
    clock.now += 14 * 24 * 3600
    assert [422, 200] == [
        ask(plex.url, "GET", "/users/account", {"X-Plex-Token": each}).status for each in (token, kept["authToken"])
    ]


def test_the_device_of_an_old_client(start: Start) -> None:
    """Without a client identifier no device is recorded; with one it is, as everywhere."""
    plex = start()
    body = "login=tom&password=rainy-harbour-17"
    nameless = ask(plex.url, "POST", PATH, FORM, body).json["user"]["authToken"]
    named = ask(plex.url, "POST", PATH, FORM | {"X-Plex-Client-Identifier": "old-client-1"}, body)
    devices: Any = ask(plex.url, "GET", "/devices.xml", {"X-Plex-Token": nameless}).xml
    found = {each.get("clientIdentifier"): each.get("token") for each in devices if each.get("product") is None}
    assert "" not in found
    identifiers = [each.get("clientIdentifier") for each in devices]
    assert ("old-client-1" in identifiers, "" in identifiers) == (True, False)
    assert 201 == named.status


def test_methods_and_unknown_formats(plex: LocalPlexController) -> None:
    """Another method is 405, in v2's words as for every path."""
    assert 405 == ask(plex.url, "GET", PATH).status
    assert 405 == ask(plex.url, "POST", "/users/account").status
    assert 404 == ask(plex.url, "GET", "/users/account.html").status


def test_quoting(plex: LocalPlexController) -> None:
    """A password with any character in it is accepted unchanged from each place."""
    answers = [
        ask(plex.url, "POST", f"{PATH}?login=odd&password={quote(ODD_PASSWORD, safe='')}"),
        ask(plex.url, "POST", PATH, FORM, form(login="odd", password=ODD_PASSWORD)),
        ask(plex.url, "POST", PATH, basic("odd", ODD_PASSWORD)),
    ]
    assert [201] * 3 == [answer.status for answer in answers]
