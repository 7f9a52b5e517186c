"""The request log has no secrets, wherever a client puts them."""

from __future__ import annotations

import json
import string
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.local_plex.asking import ask
from ticketstub.testing import LocalPlexController, local_plex

_TEXT = st.text(string.ascii_letters + string.digits + "-_", min_size=9, max_size=21).map("Zq9{}".format)
_DIGITS = st.text(string.digits, min_size=8, max_size=8).map("9071{}".format)
_JWT = st.builds("eyJ{}.{}.{}".format, _TEXT, _TEXT, _TEXT)
SECRETS = st.one_of(_TEXT, _DIGITS, _JWT, _TEXT.map("claim-{}".format), _TEXT.map("transient-{}".format))
"""Long enough to be in nothing by chance: what a name hides does not depend on the length."""

NAMES = (
    *("X-Plex-Token", "authToken", "auth_token", "accessToken", "token", "password", "passwordConfirmation"),
    *("currentPassword", "user[password]", "pin", "currentPin", "code", "verificationCode", "jwt", "deviceJWT"),
    *("claim", "claimToken", "nonce", "secret", "X-Plex-Pin"),
)
HEADERS = ("X-Plex-Token", "Authorization", "Cookie", "Proxy-Authorization", "X-Plex-Claim-Token", "Set-Cookie")
CALLS = (
    *(("POST", "/api/v2/users/signin"), ("POST", "/users/sign_in.xml"), ("GET", "/api/v2/user"), ("HEAD", "/users")),
    *(("POST", "/api/v2/auth/token"), ("PUT", "/api/v2/pins/link"), ("POST", "/api/claim/exchange")),
    *(
        ("POST", "/api/v2/home/users/3f9c2b7a5d1e8f04/switch"),
        ("PUT", "/api/home/users/1"),
        ("OPTIONS", "/api/v2/pins"),
    ),
    *(("GET", "/api/v2/pins/qr/{}"), ("HEAD", "/api/v2/pins/qr/{}.json"), ("GET", "/api/v2/pins/qr/{}/")),
    *(("POST", "/nowhere"), ("GET", "/api/v2/user.xml"), ("DELETE", "/api/v2/users/signout")),
)


@pytest.fixture(scope="module", name="stage")
def _stage() -> Iterator[LocalPlexController]:
    with local_plex({"account": [{"username": "ana", "email": "ana@example.test"}]}) as plex:
        yield plex


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, str], str, list[str]]:
    """Draw a request and its secrets."""
    sent: list[str] = []

    def secret() -> str:
        sent.append(draw(SECRETS))
        return sent[-1]

    def named() -> dict[str, str]:
        return {name: secret() for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))}

    method, path = draw(st.sampled_from(CALLS))
    path = path.format(secret()) if "{}" in path else path
    query = urlencode({**named(), "forwardUrl": f"http://127.0.0.1/a?code={secret()}"})
    headers = {name: secret() for name in draw(st.lists(st.sampled_from(HEADERS), max_size=3, unique=True))}
    if draw(st.booleans()):
        user, password = secret(), secret()
        basic = b64encode(f"{user}:{password}".encode()).decode()
        sent.append(basic)
        headers["Authorization"] = f"{draw(st.sampled_from(['Basic', 'Bearer', 'basic']))} {basic}"
    headers |= {"Referer": f"http://ana:{secret()}@127.0.0.1/p?X-Plex-Token={secret()}#{secret()}"}
    headers |= {"X-Forwarded-Uri": f"/api/v2/user?x=1&X-Plex-Token={secret()}&code={secret()}"}
    kind = draw(st.sampled_from(["form", "object", "nested", "none"]))
    if kind == "form":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return method, f"{path}?{query}", headers, urlencode(named(), quote_via=quote), sent
    headers["Content-Type"] = "application/json"
    bodies: dict[str, Any] = {"none": {}, "object": named(), "nested": _nested(draw, named())}
    sent.extend(_texts(bodies[kind]))
    return method, f"{path}?{query}", headers, json.dumps(bodies[kind]), sent


def _nested(draw: st.DrawFn, named: dict[str, str]) -> dict[str, Any]:
    """Nest named secrets below a neutral name, in a list, and below a secret's name."""
    below = {"value": list(named.values()), "of": named}
    return {
        "user": named,
        "many": [named],
        "password": {"first": below, "all": list(named.values())},
        "pin": draw(st.integers(10**11, 10**12 - 1)),
    }


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [str(value)]


@given(request=requests())
@examples(150)
def test_no_secret_that_was_sent_is_told(
    stage: LocalPlexController, request: tuple[str, str, dict[str, str], str, list[str]]
) -> None:
    """Tokens, passwords, codes, JWTs, cookies, Basic auth, claim tokens and passcodes are in no form of `requests`."""
    stage.requests.clear()
    method, target, headers, body, sent = request
    ask(stage.url, method, target, headers, body if method not in {"GET", "HEAD", "OPTIONS"} else None)
    (only,) = stage.requests
    told = [
        repr(stage.requests),
        repr(only),
        str(only),
        msgspec.json.encode(only).decode(),
        f"{msgspec.to_builtins(only)}",
    ]
    assert [] == [(secret, text) for text in told for secret in sent if secret in text]
    assert method == only.method


def test_what_is_no_secret_is_told(stage: LocalPlexController) -> None:
    """Identifiers, products, logins and addresses stay readable."""
    stage.requests.clear()
    fields = {"X-Plex-Client-Identifier": "demo-client-7c1f-0001", "X-Plex-Product": "A pinball, decoded; eyJ"}
    body = json.dumps({"login": "ana", "rememberMe": True, "strong": False, "count": 0, "email": None})
    ask(stage.url, "POST", "/api/v2/users/signin?includeLists=1", {**fields, "Content-Type": "application/json"}, body)
    (only,) = stage.requests
    assert fields == {name: only.headers[name.lower()] for name in fields}
    assert {"login": "ana", "rememberMe": True, "strong": False, "count": 0, "email": None} == only.body
    assert {"includeLists": "1"} == only.query
    assert only.headers["host"] in stage.url


BROKEN = '{"authToken": "%s", "then'
AS_TEXT = {
    "an object": json.dumps({"authToken": "%s", "title": "Attic"}),
    "a list": json.dumps([1, {"user": {"auth_token": ["%s"]}}]),
    "twice": json.dumps({"user": json.dumps({"password": {"value": "%s"}})}),
    "three times": json.dumps(json.dumps(json.dumps({"nonce": "%s"}))),
    "two of a name": '{"a": {"secret": "%s"}, "a": 1}',
    "cut off": BROKEN,
    "cut off, twice": json.dumps(BROKEN)[1:-1],
    "amid a text": 'state {"X-Plex-Token" : "%s"} of the client',
}


@pytest.mark.parametrize("text", AS_TEXT.values(), ids=[*AS_TEXT])
def test_json_within_a_text_is_masked(stage: LocalPlexController, text: str) -> None:
    """A member with a secret's name is masked in JSON inside a parameter, a header field or a member of a body."""
    secret = "Xk3mPz_9Q-vT7rLb2NfW"
    sent = text.replace("%s", secret)
    body = json.dumps({"context": sent, "deeper": {"many": [sent]}})
    stage.requests.clear()
    fields = {"X-Plex-Device-Name": sent, "Content-Type": "application/json"}
    ask(stage.url, "POST", f"/api/v2/pins?{urlencode({'context': sent})}", fields, body)
    (only,) = stage.requests
    assert secret in sent
    assert {"context", "deeper"} == only.body.keys()
    assert secret not in msgspec.json.encode(only).decode()


def test_json_within_a_text_stays_readable(stage: LocalPlexController) -> None:
    """Everything else in such JSON stays, including lone surrogates and numbers; a token becomes its fingerprint."""
    stage.requests.clear()
    text = '{"title": "Café", "authToken": "Xk3mPz_9Q-vT7rLb2NfW", "count": 2, "half": "\\ud800"}'
    body = json.dumps({"a": text, "b": "[1, 2", "c": "[" * 10_000})
    ask(stage.url, "POST", "/api/v2/pins", {"Content-Type": "application/json"}, body)
    (only,) = stage.requests
    found = json.loads(str(only.body["a"]))
    assert ("Café", 2, "\ud800") == (found["title"], found["count"], found["half"])
    assert found["authToken"].startswith("#")
    assert ("[1, 2", "[" * 10_000) == (only.body["b"], only.body["c"])
    assert msgspec.json.encode(only)


def test_values_that_are_no_secret_stay(stage: LocalPlexController) -> None:
    """Numbers and truths of a body stay; within a secret, an empty text, a null and a truth stay and numbers do not."""
    stage.requests.clear()
    body = json.dumps({"count": 5, "strong": True, "secret": {"empty": "", "none": None, "set": False, "digits": 4711}})
    ask(stage.url, "POST", "/api/v2/pins", {"Content-Type": "application/json"}, body)
    (only,) = stage.requests
    masked = {"empty": "", "none": None, "set": False, "digits": "…"}
    assert {"count": 5, "strong": True, "secret": masked} == only.body
