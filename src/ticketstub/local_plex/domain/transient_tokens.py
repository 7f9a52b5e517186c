"""Transient tokens: kept in memory by the media server that made them, and by nothing else.

Rule: they end after 48 hours, with the server's restart, and with the token that they were made from, which is looked
up again at each use. One made by another ends no later than that one. They are never listed nor exchanged, and a
crowd of them is refused rather than allowed to push out those that live. Sources: the first two ends are documented.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.refusals import ServerError
from ticketstub.tokens import Token


class TransientTokens:
    """The transient tokens of one media server, until it restarts.

    Args:
        keys: make tokens and their digests.
        max_tokens: how many may be alive at once.
    """

    def __init__(self, keys: InstanceKeys, max_tokens: int) -> None:
        self._keys = keys
        self._max_tokens = max_tokens
        self._tokens: dict[bytes, tuple[bytes, int]] = {}

    def issue(self, source_digest: bytes, expires_at: int, now: int) -> Token:
        """Make a token.

        Args:
            source_digest: the digest of the account's or share's token that it stands for.
            expires_at: when it ends, seconds since 1970.
            now: likewise.

        Raises:
            ServerError: too many are alive (503, ours).
        """
        if len(self._tokens) >= self._max_tokens:
            self._tokens = {digest: entry for digest, entry in self._tokens.items() if entry[1] > now}
        if len(self._tokens) >= self._max_tokens:
            raise ServerError("The server cannot handle the request", status=503, code=1013)
        text = self._keys.generate_transient_token()
        self._tokens[self._keys.digest(text)] = (source_digest, expires_at)
        return Token.from_wire(text)

    def find(self, text: str, now: int) -> tuple[bytes, int] | None:
        """Return the digest that a token stands for and when it ends, or `None` where it is unknown or over."""
        if not self._keys.is_transient_token_shaped(text):
            return None
        entry = self._tokens.get(self._keys.digest(text))
        return entry if entry is not None and entry[1] > now else None

    def revoke(self, text: str, now: int) -> bool:
        """End a token at once; `False` if it is unknown or over."""
        is_active = self.find(text, now) is not None
        self._tokens.pop(self._keys.digest(text), None)
        return is_active
