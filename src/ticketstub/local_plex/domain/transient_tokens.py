"""Transient tokens: kept in memory by the media server that made them, and by nothing else.

Rule: they end after 48 hours, with the server's restart, and with the token that they were made from, which is looked
up again at each use. One made by another ends no later than that one. They are never listed nor exchanged, and a
crowd of them is refused rather than allowed to push out those that live. Sources: the first two ends are documented.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.seal import Keys
from ticketstub.refusals import ServerError
from ticketstub.tokens import Token


class TransientTokens:
    """The transient tokens of one media server, until it restarts.

    Args:
        keys: make tokens and their digests.
        most: how many may be alive at once.
    """

    def __init__(self, keys: Keys, most: int) -> None:
        self._keys = keys
        self._most = most
        self._alive: dict[bytes, tuple[bytes, int]] = {}

    def make(self, origin: bytes, ends: int, now: int) -> Token:
        """Make a token.

        Args:
            origin: the digest of the account's or share's token that it stands for.
            ends: when it ends, seconds since 1970.
            now: likewise.

        Raises:
            ServerError: too many are alive (503, ours).
        """
        if len(self._alive) >= self._most:
            self._alive = {digest: held for digest, held in self._alive.items() if held[1] > now}
        if len(self._alive) >= self._most:
            raise ServerError("The server cannot handle the request", status=503, code=1013)
        text = self._keys.new_transient_token()
        self._alive[self._keys.digest(text)] = (origin, ends)
        return Token.received(text)

    def find(self, text: str, now: int) -> tuple[bytes, int] | None:
        """Return the digest that a token stands for and when it ends, or `None` where it is unknown or over."""
        if not self._keys.well_formed_transient(text):
            return None
        held = self._alive.get(self._keys.digest(text))
        return held if held is not None and held[1] > now else None

    def end(self, text: str, now: int) -> bool:
        """End a token at once; `False` if it is unknown or over."""
        found = self.find(text, now) is not None
        self._alive.pop(self._keys.digest(text), None)
        return found
