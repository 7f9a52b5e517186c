"""A media server comes into an account: what plex.tv and a media server do with a claim token.

Rule: a claim token is `claim-` and 20 characters (observed), lives four minutes (observed in clients) and is good for
this alone. One statement of the store takes it; whatever is wrong with it is refused alike.
"""

from __future__ import annotations

from typing import Literal

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.storage.base import DeviceRow
from ticketstub.refusals import RateLimited, Refusal
from ticketstub.tokens import Secret, Token

PREFIX = "claim-"
LIVES = 240
"""Seconds that a claim token lives (observed in clients; no answer says it)."""

MOST = 100
"""Claim tokens of one account that are alive at once, whoever made them (ours)."""


async def make_claim(instance: Instance, account_id: int, origin: bytes | None) -> str:
    """Make a claim token for an account.

    Args:
        instance: the local Plex.
        account_id: whose media server it is to be.
        origin: the digest of the token or session that asks, if the claim token is to end with that.

    Raises:
        RateLimited: the account has too many.
    """
    text, now = PREFIX + instance.keys.new_token(), instance.now()
    made = await instance.store.claims.create(
        digest=instance.keys.digest(text),
        account_id=account_id,
        origin=origin,
        now=now,
        expires_at=now + LIVES,
        most=MOST,
    )
    if not made:
        raise RateLimited
    return text


async def claim(instance: Instance, given: Secret, server: DeviceRow, *, first: bool = False) -> tuple[int, Token]:
    """Give a machine to the account of a claim token; return that account's id and the server's own token.

    Args:
        instance: the local Plex.
        given: the claim token.
        server: what the machine says of itself.
        first: whether a machine that the account has already is refused as well.

    Raises:
        Refusal: the claim token is unknown, over or spent, or the machine is somebody else's (404; the text is ours).
    """
    keys, text, claimed = instance.keys, given.reveal(), instance.keys.new_token()
    account_id: int | Literal[False] = False
    if text.startswith(PREFIX) and keys.well_formed(text.removeprefix(PREFIX)):
        account_id = await instance.store.claims.exchange(
            digest=keys.digest(text),
            server=server,
            token_digest=keys.digest(claimed),
            sealed_token=keys.seal(claimed),
            now=instance.now(),
            first=first,
        )
    if account_id is False:
        raise Refusal("The claim token is unknown, expired or used", status=404, code=None)
    return account_id, Token.received(claimed)
