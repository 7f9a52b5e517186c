"""plex.tv's answers about accounts: whose token is this, sign in with a password and out, ping.

Rule: what a sign-in costs and tells is decided in sign_ins.py, the same for all that take a password. A sign-out ends
the one token that asks, and is acknowledged once that is so.
"""

from __future__ import annotations

from msgspec.structs import replace

from ticketstub.records import Account
from ticketstub.refusals import BadRequest, Unauthorized
from ticketstub.server import policy, sign_ins
from ticketstub.server.account_bodies import Shown
from ticketstub.server.clients import client_of
from ticketstub.server.instance import Instance
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Visit
from ticketstub.server.sign_ins import Issued
from ticketstub.server.store.base import TokenRow
from ticketstub.token import Secret, Token
from ticketstub.wire.accounts import GetTokenDetails, Ping, PostUsersSignInData, SignOut
from ticketstub.wire.call import from_parameters


async def get_token_details(visit: Visit[Instance, TokenRow], _call: GetTokenDetails) -> Shown:
    """Tell whose token it is."""
    account, ends = visit.caller.account, visit.caller.expires_at
    until = policy.remembered_until(account.record.joined_at or 0, ends)
    return Shown(account, visit.token, until, ends=ends is not None)


async def ping(_visit: Visit[Instance, TokenRow], _call: Ping) -> bool:
    """Answer a ping: the token was checked already."""
    return True


def read_sign_in(asked: Asked) -> PostUsersSignInData:
    """Read a sign-in from its form or JSON object.

    An empty password is one that is wrong, not one that is missing: it costs a verification like any other.

    Raises:
        BadRequest: login or password is missing, or `rememberMe` is neither true nor false.
    """
    if "password" not in asked.fields:
        raise BadRequest
    call = from_parameters(PostUsersSignInData, asked.fields | {"password": asked.fields["password"] or "-"})
    return replace(call, password=Secret(asked.fields["password"]))


async def sign_in(visit: Visit[Instance, TokenRow], call: PostUsersSignInData) -> Account:
    """Sign somebody in; raises as `sign_ins.sign_in`."""
    instance, asked = visit.place, visit.asked
    return shown(await sign_ins.sign_in(instance, call, client_of(asked)), instance)


def shown(issued: Issued, instance: Instance) -> Account:
    """Describe an account with the token that was just given out."""
    until = policy.remembered_until(instance.now(), issued.ends)
    return replace(issued.account.record, auth_token=Token.received(issued.token), remember_expires_at=until)


async def sign_out(visit: Visit[Instance, TokenRow], _call: SignOut) -> None:
    """End the token that asks; with `[answers] sign_out_device = "remove"` its device and all that is of it goes too.

    Raises:
        Unauthorized: it was ended in between.
    """
    instance, row, now = visit.place, visit.caller, visit.place.now()
    if row.device_id is not None and instance.answers.sign_out_device == "remove":
        ended = await instance.store.devices.remove(row.account_id, row.device_id, now)
    else:
        ended = await instance.store.revoke_token(instance.keys.digest(visit.token), now)
    if not ended:
        raise Unauthorized
