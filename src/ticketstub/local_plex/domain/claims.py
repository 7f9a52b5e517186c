"""A media server comes into an account: what plex.tv and a media server do with a claim token.

Rule: a claim token is `claim-` and 20 characters (observed), lives four minutes (observed in clients) and is good for
this alone. One statement of the store takes it; whatever is wrong with it is refused alike.
"""

from __future__ import annotations

from typing import Literal

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.storage.base import DeviceRow
from ticketstub.local_plex.world.values import is_token_shaped
from ticketstub.refusals import RateLimited, Refusal
from ticketstub.tokens import Secret, Token

CLAIM_PREFIX = "claim-"
CLAIM_SECONDS = 240
"""Seconds that a claim token lives (observed in clients; no answer says it)."""

MAX_CLAIMS = 100
"""Claim tokens of one account that are alive at once, whoever made them (ours)."""


async def issue_claim_token(instance: Instance, account_id: int, requester_digest: bytes | None) -> str:
    """Make a claim token for an account.

    Args:
        instance: the local Plex.
        account_id: whose media server it is to be.
        requester_digest: the digest of the token or session that asks, if the claim token is to end with that.

    Raises:
        RateLimited: the account has too many.
    """
    text, now = CLAIM_PREFIX + instance.keys.generate_token(), instance.now()
    is_stored = await instance.store.claims.create(
        digest=instance.keys.digest(text),
        account_id=account_id,
        requester_digest=requester_digest,
        now=now,
        expires_at=now + CLAIM_SECONDS,
        max_claims=MAX_CLAIMS,
    )
    if not is_stored:
        raise RateLimited
    return text


async def redeem_claim(
    instance: Instance, claim_token: Secret, device: DeviceRow, *, refuse_owned: bool = False
) -> tuple[int, Token]:
    """Give a machine to the account of a claim token; return that account's id and the server's own token.

    Args:
        instance: the local Plex.
        claim_token: the claim token.
        device: what the machine says of itself.
        refuse_owned: whether a machine that the account has already is refused as well.

    Raises:
        Refusal: the claim token is unknown, over or spent, or the machine is somebody else's (404; the text is ours).
    """
    keys, text, server_token = instance.keys, claim_token.reveal(), instance.keys.generate_token()
    account_id: int | Literal[False] = False
    if text.startswith(CLAIM_PREFIX) and is_token_shaped(text.removeprefix(CLAIM_PREFIX)):
        account_id = await instance.store.claims.exchange(
            digest=keys.digest(text),
            device=device,
            token_digest=keys.digest(server_token),
            sealed_token=keys.seal(server_token),
            now=instance.now(),
            refuse_owned=refuse_owned,
        )
    if account_id is False:
        raise Refusal("The claim token is unknown, expired or used", status=404, code=None)
    return account_id, Token.from_wire(server_token)
