"""Device keys and JWTs at the local Plex, over HTTP; what a device signs is signed here by hand, not by the library."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from tests.local_plex.asking import MIRA, PASSWORDS, Answered, Clock, ask, get, sign_in

CLIENT = "demo-client-7c1f"
DAY = 24 * 3600


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpacked(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Key:
    """A device's key."""

    def __init__(self, kid: str = "demo-key-1") -> None:
        self.private = Ed25519PrivateKey.generate()
        self.kid = kid

    @property
    def jwk(self) -> dict[str, str]:
        x = packed(self.private.public_key().public_bytes_raw())
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "use": "sig", "alg": "EdDSA"}

    def sign(self, claims: dict[str, Any], **header: str) -> str:
        parts = [{"kid": self.kid, "alg": "EdDSA", "typ": "JWT"} | header, claims]
        text = ".".join(packed(json.dumps(part).encode()) for part in parts)
        return f"{text}.{packed(self.private.sign(text.encode()))}"


def post(url: str, path: str, body: object, token: str | None = None, client: str | None = CLIENT) -> Answered:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    headers |= {"X-Plex-Token": token} if token else {}
    headers |= {"X-Plex-Client-Identifier": client} if client else {}
    return ask(url, "POST", path, headers, json.dumps(body))


def signed_in(url: str, client: str = CLIENT) -> str:
    """Sign tom in on this client, for a token with a device."""
    answer = sign_in(url, "tom", PASSWORDS["tom"], {"X-Plex-Client-Identifier": client})
    assert 201 == answer.status
    return str(answer.json["authToken"])


def nonce(url: str, client: str = CLIENT) -> str:
    answer = get(url, "/api/v2/auth/nonce", **{"X-Plex-Client-Identifier": client})
    assert (200, ["nonce"]) == (answer.status, list(answer.json))
    return str(answer.json["nonce"])


def claims(given: str, now: float, **changes: Any) -> dict[str, Any]:
    scope = "username,email,friendly_name,restricted,anonymous,joinedAt"
    return {
        "aud": "plex.tv",
        "iss": CLIENT,
        "nonce": given,
        "scope": scope,
        "iat": int(now),
        "exp": int(now) + 300,
    } | changes


def exchange(url: str, key: Key, now: float, client: str = CLIENT, **changes: Any) -> Answered:
    jwt = key.sign(claims(nonce(url, client), now, iss=client) | changes)
    return post(url, "/api/v2/auth/token", {"jwt": jwt}, client=client)


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="url")
def _url(start: Any, clock: Clock) -> str:
    return str(start(clock=clock).url)


def registered(url: str, client: str = CLIENT, kid: str = "demo-key-1") -> tuple[Key, str]:
    key, token = Key(kid), signed_in(url, client)
    answer = post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}, token, client)
    assert (201, b"") == (answer.status, answer.body)
    return key, token


def test_the_whole_way(url: str, clock: Clock) -> None:
    """Register, nonce, exchange: Plex's JWT has the documented header and claims, and works as a token."""
    key, _ = registered(url)
    answer = exchange(url, key, clock.now)
    assert (200, ["auth_token"]) == (answer.status, list(answer.json))
    header, payload, signature = answer.json["auth_token"].split(".")
    assert ["kid", "typ", "alg"] == list(unpacked(header))
    assert (43, "JWT", "EdDSA") == (len(unpacked(header)["kid"]), unpacked(header)["typ"], unpacked(header)["alg"])
    found = unpacked(payload)
    assert ["nonce", "thumbprint", "iss", "aud", "iat", "exp", "user"] == list(found)
    assert ("demo-key-1", "plex.tv", ["plex.tv", CLIENT]) == (found["thumbprint"], found["iss"], found["aud"])
    assert (int(clock.now), 604_800) == (found["iat"], found["exp"] - found["iat"])
    assert ["id", "uuid", "username", "email", "friendly_name", "restricted", "anonymous", "joinedAt"] == list(
        found["user"]
    )
    assert (10500321, "tom", "Tom & <Co>", False, None) == tuple(
        found["user"][name] for name in ("id", "username", "friendly_name", "restricted", "anonymous")
    )
    public = next(k for k in get(url, "/api/v2/auth/keys").json["keys"] if k["kid"] == unpacked(header)["kid"])
    assert {"kty", "crv", "x", "use", "alg", "kid"} == public.keys()
    x = base64.urlsafe_b64decode(public["x"] + "=")
    Ed25519PublicKey.from_public_bytes(x).verify(
        base64.urlsafe_b64decode(signature + "=="), f"{header}.{payload}".encode()
    )
    assert "tom" == get(url, "/api/v2/user", answer.json["auth_token"]).json["username"]
    other = {"X-Plex-Client-Identifier": "another-client"}
    assert 200 == get(url, "/api/v2/user", answer.json["auth_token"], **other).status


def test_only_the_asked_scope(url: str, clock: Clock) -> None:
    """The user in a JWT always has id and uuid, and of the other members those of the scope."""
    key, _ = registered(url)
    found = unpacked(exchange(url, key, clock.now, scope="joinedAt,unknown").json["auth_token"].split(".")[1])
    assert ["id", "uuid", "joinedAt"] == list(found["user"])


def test_claims_that_may_be_missing(url: str, clock: Clock) -> None:
    """A device JWT without iat and exp is accepted; one client sends neither."""
    key, _ = registered(url)
    jwt = key.sign({"aud": "plex.tv", "iss": CLIENT, "nonce": nonce(url)})
    assert 200 == post(url, "/api/v2/auth/token", {"jwt": jwt}).status


def test_a_key_without_kid_is_named_by_its_thumbprint(url: str, clock: Clock) -> None:
    """A JWK without `kid` is registered, and its device uses the key's RFC 7638 thumbprint."""
    key = Key()
    token = signed_in(url)
    bare = {name: value for name, value in key.jwk.items() if name in {"kty", "crv", "x"}}
    assert 201 == post(url, "/api/v2/auth/jwk", {"jwk": bare}, token).status
    text = json.dumps({name: bare[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    key.kid = packed(sha256(text.encode()).digest())
    found = exchange(url, key, clock.now)
    assert 200 == found.status
    assert key.kid == unpacked(found.json["auth_token"].split(".")[1])["thumbprint"]


def test_rsa_keys(url: str, clock: Clock) -> None:
    """An RSA key is accepted too, with RS256."""
    private = rsa.generate_private_key(65537, 2048)
    numbers = private.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": packed(numbers.n.to_bytes(256)), "e": "AQAB", "kid": "rsa-1", "alg": "RS256"}
    assert 201 == post(url, "/api/v2/auth/jwk", {"jwk": jwk}, signed_in(url)).status
    parts = [{"kid": "rsa-1", "alg": "RS256", "typ": "JWT"}, claims(nonce(url), clock.now)]
    text = ".".join(packed(json.dumps(part).encode()) for part in parts)
    jwt = f"{text}.{packed(private.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"
    assert 200 == post(url, "/api/v2/auth/token", {"jwt": jwt}).status


def error(answer: Answered) -> tuple[int, int]:
    return answer.status, answer.json["errors"][0]["code"]


def test_registrations_that_are_refused(url: str) -> None:
    """Without a token it is 401, an invalid key is 400, and a registered key or name of the same client is 422."""
    key, token = registered(url)
    assert (401, 1001) == error(post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}))
    for jwk in (None, "x", {}, key.jwk | {"x": "AAAA"}, key.jwk | {"d": "A"}):
        assert (400, 1004) == error(post(url, "/api/v2/auth/jwk", {"jwk": jwk}, token)), jwk
    assert (400, 1004) == error(post(url, "/api/v2/auth/jwk", {}, token))
    assert (422, 1011) == error(post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}, token))
    assert (422, 1011) == error(post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}, signed_in(url, "second"), "second"))
    assert (422, 1011) == error(post(url, "/api/v2/auth/jwk", {"jwk": Key().jwk}, token))


def test_a_key_belongs_to_the_token_s_device(url: str, clock: Clock) -> None:
    """A key is bound to the device of the token, whatever client the request names."""
    key, token = Key(), signed_in(url)
    assert 201 == post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}, token, "somebody-else").status
    assert 200 == exchange(url, key, clock.now).status
    assert (422, 1008) == error(exchange(url, key, clock.now, client="somebody-else"))


def test_a_known_token_without_device(url: str, clock: Clock) -> None:
    """A token of the world has no device: the one that registers a key becomes it."""
    key = Key()
    assert (400, 1004) == error(post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}, MIRA, None))
    assert 201 == post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}, MIRA).status
    assert 200 == exchange(url, key, clock.now).status
    assert 401 == get(url, "/api/v2/user", MIRA).status, "the first JWT ends it, now that it is that device's"


def test_exchanges_that_are_refused(url: str, clock: Clock) -> None:
    """A missing jwt is 400; a wrong one 422 with code 1008, another's iss 1097; none of them spends the nonce."""
    key, _ = registered(url)
    assert (400, 1004) == error(post(url, "/api/v2/auth/token", {}))
    assert (400, 1000) == error(post(url, "/api/v2/auth/token", {"jwt": "x"}, client=None))
    good = claims(nonce(url), clock.now)
    wrong = {
        "no jwt": "x.y.z",
        "another key": Key().sign(good),
        "unknown kid": Key("other").sign(good),
        "audience": key.sign(good | {"aud": "plex.example"}),
        "no nonce": key.sign({name: value for name, value in good.items() if name != "nonce"}),
        "unknown nonce": key.sign(good | {"nonce": "0d9f6c1e-3b2a-4e57-9c88-71a5d2f4b603"}),
        "over": key.sign(good | {"iat": int(clock.now) - 900, "exp": int(clock.now) - 600}),
        "none": key.sign(good, alg="none"),
        "jku": key.sign(good, jku="http://127.0.0.1/keys"),
    }
    for name, jwt in wrong.items():
        assert (422, 1008) == error(post(url, "/api/v2/auth/token", {"jwt": jwt})), name
    assert (422, 1097) == error(post(url, "/api/v2/auth/token", {"jwt": key.sign(good | {"iss": "another"})}))
    assert 200 == post(url, "/api/v2/auth/token", {"jwt": key.sign(good)}).status


def test_a_nonce_is_good_once_for_its_client_for_five_minutes(url: str, clock: Clock) -> None:
    """A nonce is spent by the first exchange, belongs to one client, and expires after 300 seconds."""
    key, _ = registered(url)
    jwt = key.sign(claims(nonce(url), clock.now))
    assert 200 == post(url, "/api/v2/auth/token", {"jwt": jwt}).status
    assert (422, 1008) == error(post(url, "/api/v2/auth/token", {"jwt": jwt}))
    foreign = key.sign(claims(nonce(url, "another"), clock.now))
    assert (422, 1008) == error(post(url, "/api/v2/auth/token", {"jwt": foreign}))
    late = claims(nonce(url), clock.now)
    clock.now += 300
    assert (422, 1008) == error(post(url, "/api/v2/auth/token", {"jwt": key.sign(late | {"exp": int(clock.now) + 60})}))


def test_the_life_of_a_jwt(url: str, clock: Clock) -> None:
    """A JWT is valid for seven days, then it is 498; its key renews it before and after."""
    key, _ = registered(url)
    first = exchange(url, key, clock.now).json["auth_token"]
    clock.now += 7 * DAY - 1
    assert 200 == get(url, "/api/v2/user", first).status
    clock.now += 1
    answer = get(url, "/api/v2/user", first)
    assert (498, {"errors": [{"code": 1001, "message": "Token expired", "status": 498}]}) == (
        answer.status,
        answer.json,
    )
    second = exchange(url, key, clock.now).json["auth_token"]
    assert 200 == get(url, "/api/v2/user", second).status


def test_the_first_jwt_ends_the_device_s_token(url: str, clock: Clock) -> None:
    """A device's first JWT ends its previous token; other devices and later tokens are not affected."""
    other = signed_in(url, "other-device")
    key, token = registered(url)
    assert 200 == get(url, "/api/v2/user", token).status
    first = exchange(url, key, clock.now).json["auth_token"]
    assert (401, 200, 200) == tuple(get(url, "/api/v2/user", each).status for each in (token, first, other))
    later = signed_in(url)
    exchange(url, key, clock.now)
    assert 200 == get(url, "/api/v2/user", later).status


def test_altered_jwts(url: str, clock: Clock) -> None:
    """S17: a JWT with a missing or changed character is 401, on plex.tv and on media servers, and never 500."""
    key, _ = registered(url)
    jwt = exchange(url, key, clock.now).json["auth_token"]
    for place in range(0, len(jwt), 7):
        other = "A" if jwt[place] != "A" else "B"
        for changed in (jwt[:place] + other + jwt[place + 1 :], jwt[:place]):
            assert 401 == get(url, "/api/v2/user", changed or "-").status, place


def test_a_first_jwt_may_leave_the_token(start: Any, clock: Clock) -> None:
    """With `first_jwt = "keeps_token"` a device's token stays valid beside its JWTs."""
    url = start({"first_jwt": "keeps_token"}, clock=clock).url
    key, token = Key(), signed_in(url)
    assert 201 == post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}, token).status
    assert 200 == post(url, "/api/v2/auth/token", {"jwt": key.sign(claims(nonce(url), clock.now))}).status
    assert 200 == get(url, "/api/v2/user", token).status


def test_no_identifier_no_nonce(url: str) -> None:
    """Without client identifier a nonce is 422 (observed), unlike everything else."""
    assert (422, 1000) == error(ask(url, "GET", "/api/v2/auth/nonce", {"Accept": "application/json"}))


def test_xml(url: str) -> None:
    """Nonce and keys come in XML too, by default."""
    answer = ask(url, "GET", "/api/v2/auth/nonce", {"X-Plex-Client-Identifier": CLIENT})
    assert ("nonce", ["nonce"]) == (answer.xml.tag, list(answer.xml.attrib))
    keys = ask(url, "GET", "/api/v2/auth/keys", {})
    assert ["Ed25519"] == [found.get("crv") for found in keys.xml.iter() if found.get("crv")]


def test_nonces_have_a_rate(url: str) -> None:
    """Each client gets ten nonces a minute, then 429 with code 1003; another client still gets one."""
    for _ in range(10):
        nonce(url, "eager")
    answer = get(url, "/api/v2/auth/nonce", **{"X-Plex-Client-Identifier": "eager"})
    assert (429, 1003) == error(answer)
    assert "retry-after" not in answer.headers
    nonce(url, "patient")
