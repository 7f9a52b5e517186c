"""The keys that sign ID tokens and logout tokens.

Rule: a private key is in the database only sealed, and in memory only here. RS256 is always there, because OpenID
Connect requires it; EdDSA is made when an application asks for it. A replaced key stays published as long as anything
that it signed may be used.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeyParameters, KeySet, OKPKey, RSAKey

from ticketstub_bridge.config import SigningAlgorithm
from ticketstub_bridge.sealing import Sealer
from ticketstub_bridge.storage import StoredKey
from ticketstub_bridge.storage.keys import KeyStore

# Clients know the algorithm by this name only (RFC 8037), not yet by RFC 9864's.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)

Key = RSAKey | OKPKey
ALGORITHMS: tuple[SigningAlgorithm, ...] = ("RS256", "EdDSA")
_RSA_BITS = 2048


class KeyRing:
    """The signing keys of a bridge.

    Args:
        store: where they are stored.
        sealer: what they are sealed with.
    """

    def __init__(self, store: KeyStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self._loaded: dict[str, Key] = {}
        self._lock = threading.Lock()

    def ensure(self, algorithms: Iterable[SigningAlgorithm]) -> None:
        """Make the first key of each of these algorithms that has none."""
        known = {each.algorithm for each in self._store.list_published() if each.is_current}
        for algorithm in sorted(set(algorithms) - known):
            self._store.add_first(*self._make(algorithm))  # false: another replica was faster

    def rotate(self, overlap: float) -> list[str]:
        """Replace the current key of each algorithm; returns the new keys' names.

        Args:
            overlap: how long the old ones stay published, in seconds.
        """
        replaced: list[str] = []
        for key in self._store.list_published():
            if key.is_current:
                new = self._make(key.algorithm)
                if self._store.replace_current(*new, overlap=overlap):
                    replaced.append(new[0])
        return replaced

    def _make(self, algorithm: str) -> tuple[str, str, bytes, str]:
        parameters: KeyParameters = {"use": "sig", "alg": algorithm}
        key: Key = (
            RSAKey.generate_key(_RSA_BITS, parameters, auto_kid=True)
            if algorithm == "RS256"
            else OKPKey.generate_key("Ed25519", parameters, auto_kid=True)
        )
        kid = str(key.kid)
        private = self._sealer.seal(json.dumps(key.as_dict(private=True)), f"signing key {kid}")
        return kid, algorithm, private, json.dumps(key.as_dict(private=False))

    def list_public(self) -> list[Mapping[str, Any]]:
        """Return the published keys as JWKs."""
        return [json.loads(each.public) for each in self._store.list_published()]

    def sign(self, claims: Mapping[str, Any], algorithm: SigningAlgorithm, *, kind: str = "JWT") -> str:
        """Return a signed JWT.

        Args:
            claims: its claims.
            algorithm: how to sign it.
            kind: its `typ`.
        """
        self.ensure([algorithm])
        stored = next(each for each in self._store.list_published() if each.is_current and each.algorithm == algorithm)
        header = {"typ": kind, "alg": algorithm, "kid": stored.kid}
        return jwt.encode(header, dict(claims), self._load(stored), algorithms=[algorithm])

    def verify(self, token: str) -> dict[str, Any] | None:
        """Return the claims of an ID token that this bridge has signed, however old it is; `None` if it has not."""
        published = self._store.list_published()
        keys = KeySet([self._load(each) for each in published])
        try:
            decoded = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            return None
        by_kid = {each.kid: each.algorithm for each in published}
        header = decoded.header
        is_matching = by_kid.get(str(header.get("kid"))) == header.get("alg") and header.get("typ") == "JWT"
        return dict(decoded.claims) if is_matching else None

    def _load(self, stored: StoredKey) -> Key:
        with self._lock:
            if stored.kid not in self._loaded:
                private = json.loads(self._sealer.unseal(stored.private, f"signing key {stored.kid}"))
                kind = RSAKey if stored.algorithm == "RS256" else OKPKey
                self._loaded[stored.kid] = kind.import_key(private)
            return self._loaded[stored.kid]
