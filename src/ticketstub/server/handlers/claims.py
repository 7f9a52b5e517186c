"""plex.tv's answers about claims: a claim token for an account, and a server's token for a claim token.

Rule: only an account's own token gets a claim token, and never a managed user's (ours): a media server claims no other.
The exchange asks for no token: the claim token says for whom, the client identifier which machine.
"""

from __future__ import annotations

from msgspec.structs import replace

from ticketstub.records import Account
from ticketstub.refusals import RateLimited
from ticketstub.server.claiming import LIVES, MOST, claim, new_claim
from ticketstub.server.clients import client_of
from ticketstub.server.instance import Instance
from ticketstub.server.policies.media_servers import check_may_claim
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Visit
from ticketstub.server.store.base import TokenRow
from ticketstub.token import Token
from ticketstub.wire.call import from_parameters
from ticketstub.wire.claims import ExchangeClaim, GetClaimToken


def allow_claims(_instance: Instance, caller: TokenRow) -> None:
    """Refuse whom no server can belong to; raises `Refusal`."""
    check_may_claim(caller)


async def get_claim_token(visit: Visit[Instance, TokenRow], _call: GetClaimToken) -> Token:
    """Make a claim token; raises `RateLimited` for who has too many."""
    instance, now = visit.place, visit.place.now()
    text = new_claim(instance)
    made = await instance.store.claims.create(
        digest=instance.keys.digest(text),
        account_id=visit.caller.account_id,
        origin=instance.keys.digest(visit.token),
        now=now,
        expires_at=now + LIVES,
        most=MOST,
    )
    if not made:
        raise RateLimited
    return Token.received(text)


def read_exchange(asked: Asked) -> ExchangeClaim:
    """Read a claim token from the query (observed) or a form; raises `BadRequest` where there is none."""
    return from_parameters(ExchangeClaim, asked.query | asked.fields)


async def exchange_claim(visit: Visit[Instance, TokenRow], call: ExchangeClaim) -> Account:
    """Give the server its token, shown with the account that it belongs to from now on; raises `Refusal`."""
    client = client_of(visit.asked)
    account_id, token = await claim(visit.place, call.token, replace(client, provides=client.provides or "server"))
    found = await visit.place.store.account(account_id)
    return replace(found.record if found else Account(id=account_id), auth_token=token)
