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

from ticketstub.local_plex.api import DEFAULT_TOKEN_KINDS, PlexTvContext, Routes
from ticketstub.local_plex.api.principal import find_token, read_client
from ticketstub.local_plex.domain import accounts, sign_ins
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import AccountRow, TokenRow
from ticketstub.models import Account
from ticketstub.protocol.account import GetTokenDetails, Ping, PostUsersSignInData, SignOut
from ticketstub.protocol.call import read_call
from ticketstub.protocol.codec import Format
from ticketstub.protocol.legacy import WRONG_LOGIN_MESSAGE, GetLegacyAccount, LegacySignIn
from ticketstub.refusals import BadRequest, Unauthorized
from ticketstub.tokens import Secret, Token

# Observed in clients, each of these pairs, in a form and in the query.
_CREDENTIAL_NAMES = (("user[login]", "user[password]"), ("login", "password"), ("username", "password"))
_MAX_CACHED = 2048


def with_token(record: Account, token: str, expires_at: int | None) -> Account:
    """Describe an account with a token of its own, and until when that is remembered."""
    return replace(record, auth_token=Token.from_wire(token), remember_expires_at=expires_at)


async def get_token_details(context: PlexTvContext, _call: GetTokenDetails) -> TokenRow:
    """Tell whose token it is."""
    return context.caller


class AccountBodyCache:
    """Bodies around a token, for the accounts that were asked for last."""

    def __init__(self) -> None:
        self._placeholder = secrets.token_urlsafe(15)
        self._cache: dict[tuple[int, Format], tuple[AccountRow, list[bytes]]] = {}

    def write(self, caller: TokenRow, context: PlexTvContext) -> bytes:
        """Write the reply to whose token this is."""
        row, response_format = caller.account, context.request.response_format
        parts = self._get_parts(row, response_format) if caller.expires_at is None else []
        return (
            context.token.encode().join(parts)
            if len(parts) == 2
            else _write_account(row, context.token, response_format, caller)
        )

    def _get_parts(self, row: AccountRow, response_format: Format) -> list[bytes]:
        cached_row, parts = self._cache.get((row.id, response_format), (None, list[bytes]()))
        # The store hands out the same row for as long as nothing in it changed.
        if cached_row is not row:
            parts = _write_account(row, self._placeholder, response_format).split(self._placeholder.encode())
            if len(self._cache) >= _MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[row.id, response_format] = (row, parts)
        return parts


def _write_account(row: AccountRow, token: str, response_format: Format, caller: TokenRow | None = None) -> bytes:
    expires_at = sign_ins.get_remember_expiry(row.record.joined_at or 0, caller.expires_at if caller else None)
    return GetTokenDetails().write(with_token(row.record, token, expires_at), response_format)


async def ping(_context: PlexTvContext, _call: Ping) -> bool:
    """Answer a ping: the token was checked already."""
    return True


def read_sign_in(request: IncomingRequest) -> PostUsersSignInData:
    """Read a sign-in from its form or JSON object.

    An empty password is one that is wrong, not one that is missing: it costs a verification like any other.

    Raises:
        BadRequest: login or password is missing, or `rememberMe` is neither true nor false.
    """
    if "password" not in request.body_parameters:
        raise BadRequest
    call = read_call(
        PostUsersSignInData, request.body_parameters | {"password": request.body_parameters["password"] or "-"}
    )
    return replace(call, password=Secret(request.body_parameters["password"]))


async def sign_in(context: PlexTvContext, call: PostUsersSignInData) -> Account:
    """Sign somebody in; raises as `sign_ins.sign_in`."""
    instance, request = context.server, context.request
    account, token, expires_at = await sign_ins.sign_in(instance, call, read_client(request))
    return with_token(account.record, token, sign_ins.get_remember_expiry(instance.now(), expires_at))


async def sign_out(context: PlexTvContext, _call: SignOut) -> None:
    """End the token that asks; its device stays. Raises `Unauthorized` where it was ended in between."""
    instance = context.server
    if not await instance.store.revoke_token(instance.keys.digest(context.token), instance.now()):
        raise Unauthorized


def read_legacy_sign_in(request: IncomingRequest) -> LegacySignIn:
    """Read a sign-in from its form, its query or its HTTP Basic field; a login without password has an empty one.

    Raises:
        BadRequest: `rememberMe` is neither true nor false.
    """
    parameters = request.query | request.body_parameters
    remember = parameters.get("rememberMe") or parameters.get("user[rememberMe]") or ""
    call = read_call(LegacySignIn, {"rememberMe": remember})
    login, password = _find_login(parameters) or _read_basic_auth(request) or (None, None)
    return replace(call, login=login, password=None if password is None else Secret(password))


async def sign_in_legacy(context: PlexTvContext, call: LegacySignIn) -> Account:
    """Sign somebody in, or tell whose token it is where nothing but a token was sent.

    Raises:
        Unauthorized: in one of its kinds; a wrong login or password, and a dead token, each in its own words.
    """
    if call.login is None or call.password is None:
        return await _get_account_by_token(context)
    instance, request = context.server, context.request
    sign_in_call = PostUsersSignInData(login=call.login, password=call.password, remember_me=call.remember_me)
    client = read_client(request) if request.client_identifier else None
    try:
        account, token, expires_at = await sign_ins.sign_in(instance, sign_in_call, client)
    except Unauthorized as refusal:  # in this API's words where it has some: the rest is as in v2 (observed)
        raise (_build_wrong_login_refusal() if refusal.code in {1001, 1030} else refusal) from None
    return with_token(account.record, token, expires_at)


async def get_legacy_account(context: PlexTvContext, _call: GetLegacyAccount) -> Account:
    """Tell whose token it is."""
    return with_token(context.caller.account.record, context.token, context.caller.expires_at)


async def _get_account_by_token(context: PlexTvContext) -> Account:
    token = context.request.token
    if token is None:
        raise _build_wrong_login_refusal()
    row = accounts.check_token_kind(await find_token(context.server, token), DEFAULT_TOKEN_KINDS)
    return with_token(row.account.record, token, row.expires_at)


def _build_wrong_login_refusal() -> Unauthorized:
    return Unauthorized(WRONG_LOGIN_MESSAGE, status=401, code=1001)


def _find_login(parameters: dict[str, str]) -> tuple[str, str] | None:
    for login, password in _CREDENTIAL_NAMES:
        if parameters.get(login):
            return parameters[login], parameters.get(password, "")
    return None


def _read_basic_auth(request: IncomingRequest) -> tuple[str, str] | None:
    """Read HTTP Basic (RFC 7617); what is none is none."""
    scheme, _, encoded = request.get_header(b"authorization").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        pair = b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return None
    try:
        text = pair.decode()
    except UnicodeDecodeError:
        text = pair.decode("latin-1")
    login, colon, password = text.partition(":")
    return (login, password) if colon and login else None


ROUTES: Routes = [
    Route(GetTokenDetails, get_token_details, write=AccountBodyCache().write, client_identifier="disputed"),
    Route(PostUsersSignInData, sign_in, read=read_sign_in, client_identifier="required"),
    Route(Ping, ping, client_identifier="disputed"),
    Route(SignOut, sign_out, client_identifier="disputed"),
    Route(LegacySignIn, sign_in_legacy, read=read_legacy_sign_in, dialect="legacy"),
    Route(GetLegacyAccount, get_legacy_account, dialect="legacy"),
]
