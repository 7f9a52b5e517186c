"""Transient tokens: kept in memory by the media server that made them, and by nothing else.

Rule: they end after 48 hours, with the server's restart, and with the token that they were made from, which is looked
up again at each use. One made by another ends no later than that one. They are never listed nor exchanged, and a
crowd of them is refused rather than allowed to push out those that live. The owner's are counted apart from those of
shares, and each token has only so many, so that nobody else's leave the owner without. Sources: the first two ends are
documented.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from ticketstub.refusals import RateLimited, ServerError
from ticketstub.server.keys import Keys
from ticketstub.server.policy import Access
from ticketstub.token import Token


class Transient(msgspec.Struct, frozen=True):
    """What is known of a transient token: the digest of the token it stands for, what that may do, when it ends."""

    origin: bytes
    access: Access
    ends: int


class TransientTokens:
    """The transient tokens of one media server, until it restarts.

    Args:
        keys: make tokens and their digests.
        most: how many of the owner's may be alive at once, and how many of everybody else's.
        most_each: how many that stand for one and the same token.
    """

    def __init__(self, keys: Keys, most: int, most_each: int) -> None:
        self._keys = keys
        self._most = most
        self._most_each = most_each
        self._alive: dict[bytes, Transient] = {}
        self._held: Counter[bytes | Access] = Counter()

    def make(self, origin: bytes, access: Access, ends: int, now: int) -> Token:
        """Make a token.

        Args:
            origin: the digest of the account's or share's token that it stands for.
            access: what that token may do.
            ends: when it ends, seconds since 1970.
            now: likewise.

        Raises:
            RateLimited: too many that stand for this token are alive (429, ours).
            ServerError: too many are alive in all (503, ours).
        """
        if self._is_full(origin, access):
            for digest in [digest for digest, held in self._alive.items() if held.ends <= now]:
                self._drop(digest)
        if self._held[access] >= self._most:
            raise ServerError("The server cannot handle the request", status=503, code=1013)
        if self._held[origin] >= self._most_each:
            raise RateLimited
        text = self._keys.new_transient_token()
        self._alive[self._keys.digest(text)] = Transient(origin, access, ends)
        self._held.update((origin, access))
        return Token.received(text)

    def find(self, text: str, now: int) -> Transient | None:
        """Return what is known of a token, or `None` where it is unknown or over."""
        if not self._keys.well_formed_transient(text):
            return None
        digest = self._keys.digest(text)
        held = self._alive.get(digest)
        if held is not None and held.ends <= now:
            self._drop(digest)
            return None
        return held

    def end(self, text: str, now: int) -> bool:
        """End a token at once; `False` if it is unknown or over."""
        if self.find(text, now) is None:
            return False
        self._drop(self._keys.digest(text))
        return True

    def _is_full(self, origin: bytes, access: Access) -> bool:
        return self._held[access] >= self._most or self._held[origin] >= self._most_each

    def _drop(self, digest: bytes) -> None:
        held = self._alive.pop(digest)
        for counted in (held.origin, held.access):
            self._held[counted] -= 1
            if not self._held[counted]:
                del self._held[counted]
