"""plex.tv's older answers about accounts: sign in with a password, whose token is this.

Rule: the same sign-in as anywhere (sign_ins.py), read from wherever old clients put it: a form, the query, or HTTP
Basic. A client identifier is not asked for (observed); without one the token has no device, for a device without
identifier would be everybody's (ours). Refusals say less than those of v2, in one sentence without code.
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from msgspec.structs import replace

from ticketstub.records import Account
from ticketstub.refusals import Unauthorized
from ticketstub.server import policy, sign_ins
from ticketstub.server.callers import caller
from ticketstub.server.clients import client_of
from ticketstub.server.instance import Instance
from ticketstub.server.requests import Asked
from ticketstub.server.routes import ANYBODY, Visit
from ticketstub.server.store.base import AccountRow, TokenRow
from ticketstub.token import Secret, Token
from ticketstub.wire.accounts import PostUsersSignInData
from ticketstub.wire.call import from_parameters
from ticketstub.wire.legacy_accounts import WRONG_LOGIN, LegacyAccount, LegacySignIn

# Observed in clients, each of these pairs, in a form and in the query.
_NAMES = (("user[login]", "user[password]"), ("login", "password"), ("username", "password"))


def read_sign_in(asked: Asked) -> LegacySignIn:
    """Read a sign-in from its form, its query or its HTTP Basic field; a login without password has an empty one.

    Raises:
        BadRequest: `rememberMe` is neither true nor false.
    """
    given = asked.query | asked.fields
    remember = given.get("rememberMe") or given.get("user[rememberMe]") or ""
    call = from_parameters(LegacySignIn, {"rememberMe": remember})
    login, password = _typed(given) or _basic(asked) or (None, None)
    return replace(call, login=login, password=None if password is None else Secret(password))


async def sign_in(visit: Visit[Instance, TokenRow], call: LegacySignIn) -> Account:
    """Sign somebody in, or tell whose token it is where nothing but a token was sent.

    Raises:
        Unauthorized: in one of its kinds; a wrong login or password, and a dead token, each in its own words.
    """
    if call.login is None or call.password is None:
        return await _validated(visit)
    instance, asked = visit.place, visit.asked
    wanted = PostUsersSignInData(login=call.login, password=call.password, remember_me=call.remember_me)
    client = client_of(asked) if asked.client_identifier else None
    try:
        issued = await sign_ins.sign_in(instance, wanted, client)
    except Unauthorized as refused:
        raise _worded(refused) from None
    return _shown(issued.account, issued.token, issued.ends)


async def account(visit: Visit[Instance, TokenRow], _call: LegacyAccount) -> Account:
    """Tell whose token it is."""
    return _shown(visit.caller.account, visit.token, visit.caller.expires_at)


async def _validated(visit: Visit[Instance, TokenRow]) -> Account:
    token = visit.asked.token
    if token is None:
        raise _wrong_login()
    row = policy.check_kind(await caller(visit.place, token), ANYBODY)
    return _shown(row.account, token, row.expires_at)


def _shown(row: AccountRow, token: str, ends: int | None) -> Account:
    return replace(row.record, auth_token=Token.received(token), remember_expires_at=ends)


def _worded(refused: Unauthorized) -> Unauthorized:
    """Say it in this API's words where it has some: those of codes and lock-outs it shares with v2 (observed)."""
    return _wrong_login() if refused.code in {1001, 1030} else refused


def _wrong_login() -> Unauthorized:
    return Unauthorized(WRONG_LOGIN, status=401, code=1001)


def _typed(given: dict[str, str]) -> tuple[str, str] | None:
    for login, password in _NAMES:
        if given.get(login):
            return given[login], given.get(password, "")
    return None


def _basic(asked: Asked) -> tuple[str, str] | None:
    """Read HTTP Basic (RFC 7617); what is none is none."""
    scheme, _, packed = asked.header(b"authorization").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        pair = b64decode(packed.strip(), validate=True)
    except binascii.Error:
        return None
    try:
        text = pair.decode()
    except UnicodeDecodeError:
        text = pair.decode("latin-1")
    login, colon, password = text.partition(":")
    return (login, password) if colon and login else None
