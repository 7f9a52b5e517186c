"""Claims: a media server joins an account with a claim token.

Rule: a claim token is `claim-` and 20 characters (observed), lives four minutes (observed in clients), and serves this
purpose only. One operation of the store uses it up. Every invalid claim token is refused in the same way.
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
"""The lifetime of a claim token in seconds (observed in clients; no response contains it)."""

MAX_CLAIMS = 100
"""The largest number of valid claim tokens of one account (our choice)."""


async def issue_claim_token(instance: Instance, account_id: int, requester_digest: bytes | None) -> str:
    """Issue a claim token for an account and return it.

    Args:
        instance: the local Plex.
        account_id: the future owner of the media server.
        requester_digest: the digest of the token or session with which the claim token ends, if any.

    Raises:
        RateLimited: the account has `MAX_CLAIMS` claim tokens.
    """
    text, now = CLAIM_PREFIX + instance.keys.generate_token(), instance.now()
    if not await instance.store.claims.create(
        digest=instance.keys.digest(text),
        account_id=account_id,
        requester_digest=requester_digest,
        now=now,
        expires_at=now + CLAIM_SECONDS,
        max_claims=MAX_CLAIMS,
    ):
        raise RateLimited
    return text


async def redeem_claim(
    instance: Instance, claim_token: Secret, device: DeviceRow, *, refuse_owned: bool = False
) -> tuple[int, Token]:
    """Make the account of a claim token the owner of a machine. Return the account's id and the server's new token.

    Args:
        instance: the local Plex.
        claim_token: the claim token.
        device: what the machine says about itself.
        refuse_owned: whether to refuse a machine that the account already owns.

    Raises:
        Refusal: the claim token is unknown, expired or used, or another account owns the machine (404; the text is our
            choice).
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
