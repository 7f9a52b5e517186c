"""PINs with a device key: the token is a JWT, only for a client with that key. Keys and JWTs are made here."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.local_plex.asking import START, TOM, Answered, Clock, ask, get
from tests.local_plex.conftest import Start
from tests.local_plex.pin_asking import CLIENT, JSON, code_of, create, link, over, poll
from ticketstub.testing import LocalPlexController

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk_of(key: ed25519.Ed25519PrivateKey) -> dict[str, str]:
    x = b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "demo-key-1", "alg": "EdDSA"}


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def rsa_jwk() -> dict[str, str]:
    n = rsa_key().public_key().public_numbers().n
    return {"kty": "RSA", "n": b64(n.to_bytes(256)), "e": "AQAB", "kid": "demo-key-1", "alg": "RS256", "use": "sig"}


def device_jwt(key: Any = KEY, header: dict[str, object] | None = None, **claims: object) -> str:
    """Sign a device JWT as in the protocol reference; other claims and header members replace its own."""
    said = {"aud": "plex.tv", "iss": CLIENT, "iat": START, "exp": START + 300, "scope": "username,email"} | claims
    algorithm = "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey) else "RS256"
    head = {"kid": "demo-key-1", "alg": algorithm, "typ": "JWT"} | (header or {})
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(said).encode())
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return f"{text}.{b64(key.sign(text.encode()))}"
    return f"{text}.{b64(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def create_with(url: str, jwk: object, **more: object) -> Answered:
    return ask(
        url, "POST", "/api/v2/pins", JSON | {"Content-Type": "application/json"}, json.dumps({"jwk": jwk, **more})
    )


def proven(url: str, pin: Any, jwt: str, **headers: str) -> Answered:
    return poll(url, pin["id"], f"?deviceJWT={jwt}", **headers)


def payload(jwt: str) -> Any:
    part = jwt.split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.parametrize(("strong", "length"), [({"strong": True}, 25), ({}, 4), ({"strong": False}, 4)])
def test_a_pin_with_a_key(fresh: LocalPlexController, strong: dict[str, bool], length: int) -> None:
    """A PIN with a key is like any other: 201, short unless strong, pending."""
    made = create_with(fresh.url, jwk_of(KEY), **strong)
    assert (201, length, None) == (made.status, len(made.json["code"]), made.json["authToken"])
    assert create(fresh.url).keys() == made.json.keys()


WITHOUT_X = {"kty": "OKP", "crv": "Ed25519", "kid": "demo-key-1", "alg": "EdDSA"}
BAD_KEYS: dict[str, object] = {
    "text": "key",
    "a list": [],
    "a number": 5,
    "nothing in it": {},
    "a name that is none": jwk_of(KEY) | {"kid": "a b"},
    "no point": WITHOUT_X,
    "a short point": WITHOUT_X | {"x": "AAAA"},
    "a point of small order": WITHOUT_X | {"x": b64(b"\x01" + b"\0" * 31)},
    "another curve": jwk_of(KEY) | {"crv": "X25519"},
    "another kind": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "demo-key-1"},
    "a shared secret": {"kty": "oct", "k": "AAAA", "kid": "demo-key-1"},
    "another algorithm": jwk_of(KEY) | {"alg": "RS256"},
    "another use": jwk_of(KEY) | {"use": "enc"},
    "its private part": jwk_of(KEY) | {"d": b64(b"k" * 32)},
    "a small RSA key": {"kty": "RSA", "n": b64(b"\xff" * 64), "e": "AQAB", "kid": "demo-key-1"},
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_what_is_no_key(fresh: LocalPlexController, name: str) -> None:
    """A `jwk` that is not a public Ed25519 or RSA key is 400 with code 1004, and no private part is repeated."""
    made = create_with(fresh.url, BAD_KEYS[name], strong=True)
    assert (400, 1004) == code_of(made)
    assert b64(b"k" * 32).encode() not in made.body


def test_head_makes_no_jwt(start: Start) -> None:
    """HEAD registers no key, ends no token and returns nothing: the next GET has the JWT."""
    plex = start(clock=Clock())
    before = create(plex.url)
    link(plex.url, before["code"])
    opaque = poll(plex.url, before["id"]).json["authToken"]
    made = create_with(plex.url, jwk_of(KEY)).json
    link(plex.url, made["code"])
    path = f"/api/v2/pins/{made['id']}?deviceJWT={device_jwt()}"
    assert 200 == ask(plex.url, "HEAD", path, JSON).status
    assert 200 == get(plex.url, "/api/v2/user", opaque).status
    assert ask(plex.url, "GET", path, JSON).json["authToken"].startswith("eyJ")
    assert 401 == get(plex.url, "/api/v2/user", opaque).status


def test_the_whole_way(fresh: LocalPlexController) -> None:
    """Pending polls return nothing and spend no nonce; once linked, the same device JWT gets Plex's JWT."""
    made = create_with(fresh.url, jwk_of(KEY), strong=True).json
    nonce = get(fresh.url, "/api/v2/auth/nonce").json["nonce"]
    jwt = device_jwt(nonce=nonce)
    for _ in range(3):
        assert (200, None) == ((found := proven(fresh.url, made, jwt)).status, found.json["authToken"])
    assert 204 == link(fresh.url, made["code"], TOM).status
    found = proven(fresh.url, made, jwt).json
    claims = payload(found["authToken"])
    assert found["newRegistration"] is False
    assert ("demo-key-1", "plex.tv", ["plex.tv", CLIENT], START, START + 604_800) == (
        claims["thumbprint"],
        claims["iss"],
        claims["aud"],
        claims["iat"],
        claims["exp"],
    )
    assert (10500321, "tom", "tom@example.test") == tuple(claims["user"][name] for name in ("id", "username", "email"))
    assert "tom" == get(fresh.url, "/api/v2/user", found["authToken"]).json["username"]
    exchanged = ask(
        fresh.url,
        "POST",
        "/api/v2/auth/token",
        JSON | {"Content-Type": "application/json"},
        json.dumps({"jwt": jwt}),
    )
    assert 200 == exchanged.status, "the nonce was spent by a poll"


def test_polled_again(start: Start) -> None:
    """Each further poll with a valid device JWT returns a working JWT until the PIN expires; the last stays valid."""
    clock = Clock()
    plex = start(clock=clock)
    made = create_with(plex.url, jwk_of(KEY), strong=True).json
    link(plex.url, made["code"], TOM)
    tokens = []
    for moment in (0, 5, 250):
        clock.now = START + moment
        tokens.append(proven(plex.url, made, device_jwt()).json["authToken"])
        assert "tom" == get(plex.url, "/api/v2/user", tokens[-1]).json["username"]
    clock.now = START + 1800
    assert over(proven(plex.url, made, device_jwt(exp=START + 3600)))
    assert 200 == get(plex.url, "/api/v2/user", tokens[-1]).status


def test_rsa(fresh: LocalPlexController) -> None:
    """An RSA key works as well (documented)."""
    made = create_with(fresh.url, rsa_jwk()).json
    link(fresh.url, made["code"], TOM)
    token = proven(fresh.url, made, device_jwt(rsa_key())).json["authToken"]
    assert "tom" == get(fresh.url, "/api/v2/user", token).json["username"]


@pytest.mark.parametrize("linked", [False, True])
def test_without_a_device_jwt(start: Start, linked: bool) -> None:
    """A poll without proof looks pending, whether the PIN is linked or not."""
    plex = start(clock=Clock())
    made = create_with(plex.url, jwk_of(KEY)).json
    if linked:
        link(plex.url, made["code"])
    for query in ("", "?deviceJWT="):
        found = poll(plex.url, made["id"], query)
        assert (200, None, None) == (found.status, found.json["authToken"], found.json["newRegistration"])
    assert bool(proven(plex.url, made, device_jwt()).json["authToken"]) == linked


BAD_JWTS = {
    "another key": (lambda: device_jwt(OTHER), 1008),
    "another client": (lambda: device_jwt(iss="other-client"), 1097),
    "no client": (lambda: device_jwt(iss=None), 1097),
    "another reader": (lambda: device_jwt(aud="other.tv"), 1008),
    "another name of the key": (lambda: device_jwt(header={"kid": "demo-key-2"}), 1008),
    "over": (lambda: device_jwt(iat=START - 900, exp=START - 600), 1008),
    "of the future": (lambda: device_jwt(iat=START + 900, exp=START + 1200), 1008),
    "unsigned": (lambda: device_jwt(header={"alg": "none"}), 1008),
    "a key of its own": (lambda: device_jwt(OTHER, header={"jwk": jwk_of(OTHER)}), 1008),
    "RS256 with an Ed25519 key": (lambda: device_jwt(header={"alg": "RS256"}), 1008),
    "cut off": (lambda: device_jwt()[:-4], 1008),
    "two parts": (lambda: device_jwt().rpartition(".")[0], 1008),
    "junk": (lambda: "junk", 1008),
    "long junk": (lambda: "a" * 9000, 1008),
}


@pytest.mark.parametrize("linked", [False, True])
def test_bad_device_jwts(start: Start, linked: bool) -> None:
    """Each bad device JWT is 422 with code 1008, or 1097 for another's `iss`.

    It is refused at a pending PIN as at a linked one, tells nothing, and a good one works after all of them.
    """
    plex = start(clock=Clock())
    made = create_with(plex.url, jwk_of(KEY), strong=True).json
    if linked:
        link(plex.url, made["code"])
    for name, (bad, code) in BAD_JWTS.items():
        found = proven(plex.url, made, bad())
        assert (422, code) == code_of(found), name
        assert b"authToken" not in found.body
    assert bool(proven(plex.url, made, device_jwt()).json["authToken"]) == linked


def test_a_jwt_of_its_pin_s_client_only(fresh: LocalPlexController) -> None:
    """Another client does not get the token with a good device JWT, its own or the right one."""
    made = create_with(fresh.url, jwk_of(KEY)).json
    link(fresh.url, made["code"])
    for jwt in (device_jwt(), device_jwt(iss="other-client")):
        assert over(proven(fresh.url, made, jwt, **{"X-Plex-Client-Identifier": "other-client"}))


def test_a_plain_pin_ignores_it(fresh: LocalPlexController) -> None:
    """A PIN without a key returns its opaque token for any `deviceJWT`."""
    made = create(fresh.url)
    link(fresh.url, made["code"])
    for jwt in (device_jwt(OTHER), "junk"):
        assert 20 == len(proven(fresh.url, made, jwt).json["authToken"])


def test_a_plain_pin_after_a_key(start: Start) -> None:
    """A client with a key can also use a PIN without one."""
    plex = start(clock=Clock())
    made = create_with(plex.url, jwk_of(KEY)).json
    link(plex.url, made["code"], TOM)
    assert proven(plex.url, made, device_jwt()).json["authToken"]
    plain = create(plex.url)
    assert 204 == link(plex.url, plain["code"], TOM).status


def test_a_jwt_may_approve(fresh: LocalPlexController) -> None:
    """A JWT links a PIN as an opaque token does."""
    made = create_with(fresh.url, jwk_of(KEY)).json
    link(fresh.url, made["code"], TOM)
    token = proven(fresh.url, made, device_jwt()).json["authToken"]
    other = create(fresh.url, headers={"X-Plex-Client-Identifier": "second-client"})
    assert 204 == link(fresh.url, other["code"], token).status
    assert poll(fresh.url, other["id"], **{"X-Plex-Client-Identifier": "second-client"}).json["authToken"]
