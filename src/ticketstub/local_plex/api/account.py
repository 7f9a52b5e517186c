"""plex.tv's answers about accounts: whose token is this, sign in with a password and out, ping; both forms.

Rule: what a sign-in costs and tells is decided in sign_ins.py, the same for all that take a password. A sign-out ends
the one token that asks, and is acknowledged once that is so. The older sign-in is read from wherever old clients put
it: a form, the query, or HTTP Basic. A client identifier is not asked for there (observed); without one the token has
no device, for a device without identifier would be everybody's (ours). Its refusals say less than those of v2, in one
sentence without code.

The account as a token shows it is written once per account and format, not once per request: only the token differs,
and its alphabet needs no escaping in either format, so it is put into the place that a mark of the same alphabet held.
The mark is chosen at random when the process starts; should it stand anywhere else in a body, or is there more that
differs, the body is written in full.
"""

from __future__ import annotations

import binascii
import secrets
from base64 import b64decode

from msgspec.structs import replace

from ticketstub.local_plex.api import Routes, Visited
from ticketstub.local_plex.api.principal import caller, client_of
from ticketstub.local_plex.domain import permissions, sign_ins
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.router import ANYBODY, Route
from ticketstub.local_plex.storage.base import AccountRow, TokenRow
from ticketstub.models import Account
from ticketstub.protocol.account import GetTokenDetails, Ping, PostUsersSignInData, SignOut
from ticketstub.protocol.call import from_parameters
from ticketstub.protocol.codec import Format
from ticketstub.protocol.legacy_account import WRONG_LOGIN, LegacyAccount, LegacySignIn
from ticketstub.refusals import BadRequest, Unauthorized
from ticketstub.tokens import Secret, Token

# Observed in clients, each of these pairs, in a form and in the query.
_NAMES = (("user[login]", "user[password]"), ("login", "password"), ("username", "password"))
_MOST = 2048


def shown(record: Account, token: str, until: int | None) -> Account:
    """Describe an account with a token of its own, and until when that is remembered."""
    return replace(record, auth_token=Token.received(token), remember_expires_at=until)


async def get_token_details(visit: Visited, _call: GetTokenDetails) -> TokenRow:
    """Tell whose token it is."""
    return visit.caller


class AccountBodies:
    """Bodies around a token, for the accounts that were asked for last."""

    def __init__(self) -> None:
        self._mark = secrets.token_urlsafe(15)
        self._kept: dict[tuple[int, Format], tuple[AccountRow, list[bytes]]] = {}

    def write(self, caller: TokenRow, visit: Visited) -> bytes:
        """Write the reply to whose token this is."""
        row, form = caller.account, visit.asked.form
        parts = self._parts(row, form) if caller.expires_at is None else []
        return visit.token.encode().join(parts) if len(parts) == 2 else _written(row, visit.token, form, caller)

    def _parts(self, row: AccountRow, form: Format) -> list[bytes]:
        kept, parts = self._kept.get((row.id, form), (None, list[bytes]()))
        # The store hands out the same row for as long as nothing in it changed.
        if kept is not row:
            parts = _written(row, self._mark, form).split(self._mark.encode())
            if len(self._kept) >= _MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[row.id, form] = (row, parts)
        return parts


def _written(row: AccountRow, token: str, form: Format, caller: TokenRow | None = None) -> bytes:
    until = permissions.remembered_until(row.record.joined_at or 0, caller.expires_at if caller else None)
    return GetTokenDetails().write(shown(row.record, token, until), form)


async def ping(_visit: Visited, _call: Ping) -> bool:
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


async def sign_in(visit: Visited, call: PostUsersSignInData) -> Account:
    """Sign somebody in; raises as `sign_ins.sign_in`."""
    instance, asked = visit.place, visit.asked
    account, token, ends = await sign_ins.sign_in(instance, call, client_of(asked))
    return shown(account.record, token, permissions.remembered_until(instance.now(), ends))


async def sign_out(visit: Visited, _call: SignOut) -> None:
    """End the token that asks; its device stays. Raises `Unauthorized` where it was ended in between."""
    instance = visit.place
    if not await instance.store.revoke_token(instance.keys.digest(visit.token), instance.now()):
        raise Unauthorized


def read_legacy_sign_in(asked: Asked) -> LegacySignIn:
    """Read a sign-in from its form, its query or its HTTP Basic field; a login without password has an empty one.

    Raises:
        BadRequest: `rememberMe` is neither true nor false.
    """
    given = asked.query | asked.fields
    remember = given.get("rememberMe") or given.get("user[rememberMe]") or ""
    call = from_parameters(LegacySignIn, {"rememberMe": remember})
    login, password = _typed(given) or _basic(asked) or (None, None)
    return replace(call, login=login, password=None if password is None else Secret(password))


async def legacy_sign_in(visit: Visited, call: LegacySignIn) -> Account:
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
        account, token, ends = await sign_ins.sign_in(instance, wanted, client)
    except Unauthorized as refused:  # in this API's words where it has some: the rest is as in v2 (observed)
        raise (_wrong_login() if refused.code in {1001, 1030} else refused) from None
    return shown(account.record, token, ends)


async def legacy_account(visit: Visited, _call: LegacyAccount) -> Account:
    """Tell whose token it is."""
    return shown(visit.caller.account.record, visit.token, visit.caller.expires_at)


async def _validated(visit: Visited) -> Account:
    token = visit.asked.token
    if token is None:
        raise _wrong_login()
    row = permissions.check_kind(await caller(visit.place, token), ANYBODY)
    return shown(row.account.record, token, row.expires_at)


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


ROUTES: Routes = [
    Route(GetTokenDetails, get_token_details, write=AccountBodies().write, identifier="disputed"),
    Route(PostUsersSignInData, sign_in, read=read_sign_in, identifier="required"),
    Route(Ping, ping, identifier="disputed"),
    Route(SignOut, sign_out, identifier="disputed"),
    Route(LegacySignIn, legacy_sign_in, read=read_legacy_sign_in, dialect="legacy"),
    Route(LegacyAccount, legacy_account, dialect="legacy"),
]
