"""S9: hostile JWTs over HTTP, as a token, as a device's and as a PIN's proof: a plain no, never an error of ours."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.crypto.forging import Valid, raw_private
from tests.crypto.hostile import Hostile, hostile_device_claims, hostile_plex_claims, hostile_tokens
from tests.local_plex.asking import ATTIC, Answered, Clock, ask, get, world
from tests.local_plex.test_auth_keys import CLIENT, Key, claims, exchange, nonce, post, registered, unpacked
from ticketstub.crypto import SigningKey
from ticketstub.local_plex.domain.instance import SIGNING_PURPOSE
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.testing import LocalPlexController, local_plex

assert ATTIC


class Stage:
    """A local Plex, a device with a key and its JWT, and the private key that the local Plex signs with."""

    def __init__(self, plex: LocalPlexController, clock: Clock, database: Path) -> None:
        self.url, self.attic = plex.url, plex.media_server("Toms").url
        self.clock = clock
        self.key, _ = registered(self.url)
        self.jwt = str(exchange(self.url, self.key, clock.now).json["auth_token"])
        self._database = database

    def plex_jwt(self) -> Valid:
        """The JWT that the device has, with the key that signed it: what a forger could wish for."""
        header, payload, _ = self.jwt.split(".")
        signing = SigningKey.load(self._dumped())
        return Valid(header=unpacked(header), claims=unpacked(payload), private=raw_private(signing))

    def device_jwt(self, given: str) -> Valid:
        header = {"kid": self.key.kid, "alg": "EdDSA", "typ": "JWT"}
        return Valid(header=header, claims=claims(given, self.clock.now), private=self.key.private)

    def _dumped(self) -> str:
        store = SqliteStore(f"sqlite:///{self._database}")
        try:
            rows = store._reader.fetch_all("SELECT sealed FROM signing_key")
            return InstanceKeys.load_or_create(self._database).unseal(rows[-1][0], SIGNING_PURPOSE)
        finally:
            store._reader.connection.close()
            store._writer.close()


@pytest.fixture(scope="module", name="stage")
def _stage(tmp_path_factory: Any) -> Iterator[Stage]:
    clock, database = Clock(), tmp_path_factory.mktemp("hostile") / "plex.db"
    settings = Settings(poll_burst=1000)
    with local_plex(world(), clock=clock, db=f"sqlite:///{database}", settings=settings) as plex:
        yield Stage(plex, clock, database)


def as_token(url: str, path: str, text: str) -> Answered:
    """Send a text as the token, in the query: there everything can stand."""
    token = quote(text.encode("utf-8", "surrogatepass"), safe="")
    headers = {"Accept": "application/json", "X-Plex-Client-Identifier": CLIENT}
    return ask(url, "GET", f"{path}?X-Plex-Token={token}", headers)


def expected_statuses(name: str, hostile: Hostile) -> set[int]:
    """What may be said: 498 where only the time is over, 4xx where the text could not be sent as one."""
    if hostile.reason == "expired":
        return {498}
    try:
        hostile.text.encode()
    except UnicodeEncodeError:
        return {400, 401}
    return {400, 401, 431} if len(hostile.text) > 4000 else {401}


def test_as_a_token(stage: Stage) -> None:
    """Each hostile form of Plex's own JWT is 401 (498 where its time alone is over) on plex.tv, and 401 on a server."""
    valid = stage.plex_jwt()
    assert 200 == as_token(stage.url, "/api/v2/user", stage.jwt).status
    table = hostile_tokens(valid) | hostile_plex_claims(valid)
    assert len(table) >= 40
    wrong = {
        name: answer.status
        for name, hostile in table.items()
        if (answer := as_token(stage.url, "/api/v2/user", hostile.text)).status not in expected_statuses(name, hostile)
    }
    assert {} == wrong
    for hostile in list(table.values())[::5]:
        assert as_token(stage.attic, "/", hostile.text).status in {400, 401, 431}


def test_a_good_signature_is_not_enough(stage: Stage) -> None:
    """A JWT that our key signed and we never gave out, for another account, say, is none."""
    valid = stage.plex_jwt()
    forged = Valid(
        header=valid.header, claims=dict(valid.claims) | {"user": {"id": 10500123, "uuid": "x"}}, private=valid.private
    )
    assert 401 == as_token(stage.url, "/api/v2/user", forged.token()).status


def test_on_a_media_server(stage: Stage) -> None:
    """Plex's JWT, good as it is, is 401 with a page on a media server (observed), its owner's too."""
    answer = as_token(stage.attic, "/", stage.jwt)
    assert (401, "text/html") == (answer.status, answer.headers["content-type"])


def test_as_a_device_jwt(stage: Stage) -> None:
    """Each hostile form of a device's JWT is 422 (400 where JSON cannot hold it), and none of them spends the nonce."""
    given = nonce(stage.url)
    valid = stage.device_jwt(given)
    table = hostile_tokens(valid) | hostile_device_claims(valid)
    assert len(table) >= 40
    wrong = {}
    for name, hostile in table.items():
        try:
            hostile.text.encode()
        except UnicodeEncodeError:
            continue  # JSON in UTF-8 cannot hold it
        status = post(stage.url, "/api/v2/auth/token", {"jwt": hostile.text}).status
        if status not in ({400, 422, 413} if not hostile.text or len(hostile.text) > 4000 else {422}):
            wrong[name] = status
    assert {} == wrong
    assert 200 == post(stage.url, "/api/v2/auth/token", {"jwt": valid.token()}).status


def test_as_a_pin_s_proof(stage: Stage) -> None:
    """A PIN with a key gives its token to nobody who does not have that key."""
    key = Key("pin-key-1")
    made = post(stage.url, "/api/v2/pins", {"jwk": key.jwk, "strong": True})
    assert 201 == made.status
    pin = made.json
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Plex-Token": stage.jwt}
    headers |= {"X-Plex-Client-Identifier": "approver"}
    assert 204 == ask(stage.url, "PUT", "/api/v2/pins/link", headers, f"code={pin['code']}").status
    good = {"aud": "plex.tv", "iss": CLIENT, "iat": int(stage.clock.now), "exp": int(stage.clock.now) + 300}
    thief = Ed25519PrivateKey.generate()
    valid = Valid(header={"kid": key.kid, "alg": "EdDSA", "typ": "JWT"}, claims=good, private=thief)
    proofs = [
        valid.token(),
        *(h.text for h in list(hostile_tokens(valid).values())[::3] if h.text.isascii() and h.text),
    ]
    for proof in proofs:
        answer = get(stage.url, f"/api/v2/pins/{pin['id']}?deviceJWT={quote(proof[:4000], safe='')}")
        assert (422, None) == (answer.status, answer.json.get("authToken")), proof[:30]
    assert json.loads(get(stage.url, f"/api/v2/pins/{pin['id']}").body)["authToken"] is None
    answer = get(stage.url, f"/api/v2/pins/{pin['id']}?deviceJWT={key.sign(good)}")
    assert 200 == answer.status
    assert 200 == get(stage.url, "/api/v2/user", answer.json["authToken"]).status
    assert base64.urlsafe_b64decode(answer.json["authToken"].split(".")[0] + "==")
