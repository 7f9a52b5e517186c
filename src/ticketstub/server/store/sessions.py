"""What is kept of the browsers that are signed in to the pages, and the verbs for them.

Rule: as in base.py. A session is no token of Plex: it opens the pages and nothing else. Its cookie never gets here,
only a digest of it. A sign-in, a sign-out and a switch each end the session that was there, in the same transaction.
"""

from __future__ import annotations

from typing import Protocol

from ticketstub.server.store.base import Row


class SessionRow(Row, frozen=True, kw_only=True):
    """A session that is alive: whose account, and until when; `by` is who had switched to the account, if anybody."""

    account_id: int
    created_at: int
    expires_at: int
    by: int | None = None


class NewSession(Row, frozen=True, kw_only=True):
    """A session that policy allowed.

    `replaces` is the digest of the one that ends with it; `verification_step` the step that the sign-in spends; `by`
    the account that switched to this one, and `passcode_hash` what that was decided by.
    """

    digest: bytes
    account_id: int
    now: int
    expires_at: int
    replaces: bytes | None = None
    verification_step: int | None = None
    by: int | None = None
    passcode_hash: str | None = None


class Sessions(Protocol):
    """The sessions of a store."""

    async def create(self, session: NewSession) -> bool:
        """Begin a session; `False`, with nothing written, if the account is off or the step was spent before."""
        ...

    async def find(self, digest: bytes, now: int) -> SessionRow | None:
        """Return the session of this digest, unless it is over, was ended or its account is off."""
        ...

    async def rotate(self, session: NewSession) -> bool:
        """Begin a session for another user of the Home, in place of the one that it replaces.

        `False`, with nothing written, if that is not alive, the two are in no Home together, the passcode is no longer
        that of `passcode_hash`, or the account is off.
        """
        ...

    async def end(self, digest: bytes, now: int) -> bool:
        """End a session for ever; `False` if there was none alive."""
        ...
