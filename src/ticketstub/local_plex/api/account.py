"""Handlers for accounts: sign in and out, get an account by its token, create one, change a password; both APIs.

Rule: `sign_ins` decides what a sign-in costs and reveals, for every handler that takes a password. A sign-out ends the
token of the request, before the reply. Registration reports all invalid fields at once, before it hashes anything, and
stores an account together with its first token. A change of password needs the current one, counts as an attempt to
sign in, and waits for running sign-ins to the account. The names of its parameters are assumed.

The older sign-in is read from wherever old clients put it: a form, the query or HTTP Basic. It does not need a client
identifier (observed); the token then has no device (our choice: all such clients would share it). Its refusals are one
sentence without a code, and say less than those of v2.

The account of a token is written once for each account and format, not once for each request. Only the token differs,
and its alphabet needs no escaping in either format, so it replaces a random placeholder of the same alphabet. If the
placeholder occurs elsewhere in a body, or more than the token differs, the body is written in full.
"""

from __future__ import annotations

import binascii
import secrets
from base64 import b64decode

from msgspec.structs import replace

from ticketstub.local_plex.api import (
    ACCOUNT_TOKEN_KINDS,
    DEFAULT_TOKEN_KINDS,
    PlexTvContext,
    Routes,
    read_call_with_secrets,
)
from ticketstub.local_plex.api.principal import find_token, read_client
from ticketstub.local_plex.domain import sign_ins
from ticketstub.local_plex.domain.accounts import (
    build_taken_faults,
    check_not_managed,
    check_token_kind,
    find_account_faults,
    find_password_faults,
)
from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.http.request import IncomingRequest, decode_header
from ticketstub.local_plex.http.response import PLEX_TV_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import AccountRow, NewSignIn, TokenRow
from ticketstub.local_plex.storage.seed import build_account_record
from ticketstub.local_plex.world.schema import WorldAccount
from ticketstub.models import Account
from ticketstub.protocol.account import (
    ChangePassword,
    CreateAccount,
    FieldError,
    GetTokenDetails,
    Ping,
    PostUsersSignInData,
    SignOut,
    write_field_errors,
)
from ticketstub.protocol.call import read_call
from ticketstub.protocol.codec import Format
from ticketstub.protocol.legacy import WRONG_LOGIN_MESSAGE, GetLegacyAccount, LegacySignIn
from ticketstub.refusals import BadRequest, Forbidden, RateLimited, Refusal, TooManyFailures, Unauthorized
from ticketstub.tokens import Secret, Token

# Clients were observed to send each of these pairs, in a form and in the query.
_CREDENTIAL_NAMES = (("user[login]", "user[password]"), ("login", "password"), ("username", "password"))
_MAX_CACHED = 2048
_MAX_ID_DRAWS = 20


def with_token(record: Account, token: str, expires_at: int | None) -> Account:
    """Return an account with this token and the time at which it ends."""
    return replace(record, auth_token=Token.from_wire(token), remember_expires_at=expires_at)


async def get_token_details(context: PlexTvContext, _call: GetTokenDetails) -> TokenRow:
    """Return the account of the token; `AccountBodyCache` writes it."""
    return context.caller


class AccountBodyCache:
    """Writes the account of a token, and caches the body around the token for recently used accounts."""

    def __init__(self) -> None:
        self._placeholder = secrets.token_urlsafe(15)
        self._cache: dict[tuple[int, Format], tuple[AccountRow, list[bytes]]] = {}

    def write(self, caller: TokenRow, context: PlexTvContext) -> bytes:
        """Write the reply."""
        row, response_format = caller.account, context.request.response_format
        parts = self._get_parts(row, response_format) if caller.expires_at is None else []
        if len(parts) == 2:
            return context.token.encode().join(parts)
        return _write_account(row, context.token, response_format, caller.expires_at)

    def _get_parts(self, row: AccountRow, response_format: Format) -> list[bytes]:
        cached_row, parts = self._cache.get((row.id, response_format), (None, list[bytes]()))
        # The store returns the same row for as long as nothing in it changes.
        if cached_row is not row:
            parts = _write_account(row, self._placeholder, response_format).split(self._placeholder.encode())
            if len(self._cache) >= _MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[row.id, response_format] = (row, parts)
        return parts


def _write_account(row: AccountRow, token: str, response_format: Format, expires_at: int | None = None) -> bytes:
    remembered_until = sign_ins.get_remember_expiry(row.record.joined_at or 0, expires_at)
    return GetTokenDetails().write(with_token(row.record, token, remembered_until), response_format)


async def ping(_context: PlexTvContext, _call: Ping) -> bool:
    """Answer a ping; the token was checked before."""
    return True


async def sign_in(context: PlexTvContext, call: PostUsersSignInData) -> Account:
    """Sign in; raises what `sign_ins.sign_in` raises."""
    instance = context.server
    account, token, expires_at = await sign_ins.sign_in(instance, call, read_client(context.request))
    return with_token(account.record, token, sign_ins.get_remember_expiry(instance.now(), expires_at))


async def sign_out(context: PlexTvContext, _call: SignOut) -> None:
    """End the token of the request, not its device; raises `Unauthorized` if it has ended in the meantime."""
    instance = context.server
    if not await instance.store.revoke_token(instance.keys.digest(context.token), instance.now()):
        raise Unauthorized


def read_legacy_sign_in(request: IncomingRequest) -> LegacySignIn:
    """Read a sign-in from its form, its query or its HTTP Basic field; a missing password is an empty one.

    Raises:
        BadRequest: `rememberMe` is neither true nor false.
    """
    parameters = request.query | request.body_parameters
    remember = parameters.get("rememberMe") or parameters.get("user[rememberMe]") or ""
    call = read_call(LegacySignIn, {"rememberMe": remember})
    sent = (
        (parameters[login], parameters.get(password, ""))
        for login, password in _CREDENTIAL_NAMES
        if parameters.get(login)
    )
    login, password = next(sent, None) or _read_basic_auth(request) or (None, "")
    return replace(call, login=login, password=Secret(password) if login else None)


def _read_basic_auth(request: IncomingRequest) -> tuple[str, str] | None:
    """Read login and password from HTTP Basic (RFC 7617); `None` if the field is missing or malformed."""
    scheme, _, encoded = request.get_header(b"authorization").partition(b" ")
    try:
        pair = b64decode(encoded.strip(), validate=True) if scheme.lower() == b"basic" else b""
    except binascii.Error:
        return None
    login, colon, password = decode_header(pair).partition(":")
    return (login, password) if colon and login else None


async def sign_in_legacy(context: PlexTvContext, call: LegacySignIn) -> Account:
    """Sign in, or return the account of the token if the request has nothing but a token.

    Raises:
        Unauthorized: login or password is wrong, or the token is dead; each has its own text.
    """
    instance, request = context.server, context.request
    wrong_login = Unauthorized(WRONG_LOGIN_MESSAGE, status=401, code=1001)
    if call.login is None or call.password is None:
        if request.token is None:
            raise wrong_login
        row = check_token_kind(await find_token(instance, request.token), DEFAULT_TOKEN_KINDS)
        return with_token(row.account.record, request.token, row.expires_at)
    sign_in_call = PostUsersSignInData(login=call.login, password=call.password, remember_me=call.remember_me)
    client = read_client(request) if request.client_identifier else None
    try:
        account, token, expires_at = await sign_ins.sign_in(instance, sign_in_call, client)
    except Unauthorized as refusal:  # this API has its own text for these codes; others are as in v2 (observed)
        raise (wrong_login if refusal.code in {1001, 1030} else refusal) from None
    return with_token(account.record, token, expires_at)


async def get_legacy_account(context: PlexTvContext, _call: GetLegacyAccount) -> Account:
    """Return the account of the token."""
    return with_token(context.caller.account.record, context.token, context.caller.expires_at)


def read_create_account(request: IncomingRequest) -> CreateAccount:
    """Read a registration; a missing field counts as empty, and is reported with all other invalid fields."""
    form = request.body_parameters
    confirmation = form.get("passwordConfirmation")
    return CreateAccount(
        email=form.get("email", ""),
        username=form.get("username", ""),
        password=Secret(form.get("password", "")),
        password_confirmation=None if confirmation is None else Secret(confirmation),
    )


def read_change_password(request: IncomingRequest) -> ChangePassword:
    """Read a change of password; raises `BadRequest` if `removeOtherTokens` is neither true nor false."""
    return read_call_with_secrets(
        ChangePassword,
        {"currentPassword": "", "password": ""} | request.body_parameters,
        "currentPassword",
        "password",
        "passwordConfirmation",
    )


async def create_account(context: PlexTvContext, call: CreateAccount) -> Account | OutgoingResponse:
    """Create an account and sign in to it.

    Raises:
        Forbidden: this local Plex creates no accounts (code 1043, assumed).
        Overloaded: there is no time to hash the password.
    """
    instance = context.server
    if not instance.rates.settings.allow_account_creation:
        raise Forbidden("This action is not available for this user", status=403, code=1043)
    sign_ins.check_password_length(call.password)
    if faults := find_account_faults(call):
        return _build_faults_response(context, faults)
    password_hash = await instance.passwords.hash(call.password)
    for _ in range(_MAX_ID_DRAWS):
        account = WorldAccount(
            username=call.username,
            email=call.email,
            password_hash=password_hash,
            id=100_000_000 + secrets.randbelow(900_000_000),  # nine digits, as Plex's own (observed)
            uuid=secrets.token_hex(8),
            joined_at=instance.now(),
            confirmed=False,
        )
        new_row = AccountRow(id=account.id, record=build_account_record(account), password_hash=password_hash)
        new_sign_in, token = _generate_token(context, account.id)
        conflicts = await instance.store.accounts.create(new_row, new_sign_in)
        if not conflicts:
            return with_token(new_row.record, token, sign_ins.get_remember_expiry(new_sign_in.now, None))
        if faults := build_taken_faults(conflicts):
            return _build_faults_response(context, faults)
    raise BadRequest  # every drawn id was taken


async def change_password(context: PlexTvContext, call: ChangePassword) -> Account | OutgoingResponse:
    """Change the caller's password, and end all other tokens if asked to.

    Raises:
        Forbidden: the user is managed (1009), or the current password (1040) or the code (1045) is wrong.
        RateLimited: there were too many attempts.
        Unauthorized: the account was changed or disabled in the meantime.
    """
    instance = context.server
    for password in (call.current_password, call.password):
        sign_ins.check_password_length(password)
    check_not_managed(context.caller.account)
    async with instance.locks.hold(str(context.caller.account_id)):
        account = await instance.store.find_account_by_id(context.caller.account_id)
        if account is None or account.disabled:
            raise Unauthorized
        names = (account.record.username or "", account.record.email or "")
        if faults := find_password_faults(call.password, call.password_confirmation, names):
            return _build_faults_response(context, faults)
        return await _verify_and_change(context, call, account)


async def _verify_and_change(context: PlexTvContext, call: ChangePassword, account: AccountRow) -> Account:
    """Verify the current password and code, then set the new password."""
    instance = context.server
    not_verified = Forbidden(
        "A valid password and verification code are required to perform this action", status=403, code=1045
    )
    try:
        attempt = await sign_ins.reserve_attempt(instance, "password", str(account.id))
    except TooManyFailures as error:  # not 401, which means that the token is dead
        raise RateLimited(retry_after=error.retry_after) from None
    old_hash = account.password_hash
    if not await attempt.verify(old_hash, call.current_password) or old_hash is None:
        raise Forbidden("A valid password is required to perform this action", status=403, code=1040)
    try:
        verification_step, code_attempt = await sign_ins.verify_code(instance, account, call.verification_code)
    except Refusal as error:
        await attempt.release()  # the password was correct
        if isinstance(error, RateLimited | TooManyFailures):
            raise RateLimited(retry_after=error.retry_after) from None
        raise not_verified from None
    attempts = [each for each in (attempt, code_attempt) if each is not None]
    try:
        new_hash = await instance.passwords.hash(call.password)
    except Overloaded:
        for each in attempts:
            await each.release()
        raise
    now = instance.now()
    new_sign_in, token = _generate_token(context, account.id) if call.remove_other_tokens else (None, context.token)
    changed = await instance.store.accounts.change_password(
        account.id,
        old_hash=old_hash,
        new_hash=new_hash,
        now=now,
        verification_step=verification_step,
        new_sign_in=new_sign_in,
    )
    if not changed:
        raise not_verified if verification_step is not None else Unauthorized()
    for each in attempts:
        await each.clear_failures()
    expires_at = None if new_sign_in else context.caller.expires_at
    return with_token(account.record, token, sign_ins.get_remember_expiry(now, expires_at))


def _generate_token(context: PlexTvContext, account_id: int) -> tuple[NewSignIn, str]:
    keys, request = context.server.keys, context.request
    token = keys.generate_token()
    new_sign_in = NewSignIn(
        account_id=account_id,
        device=read_client(request) if request.client_identifier else None,
        digest=keys.digest(token),
        sealed_token=keys.seal(token),
        now=context.server.now(),
    )
    return new_sign_in, token


def _build_faults_response(context: PlexTvContext, faults: list[FieldError]) -> OutgoingResponse:
    response_format = context.request.response_format
    return OutgoingResponse(422, PLEX_TV_HEADERS[response_format], write_field_errors(faults, response_format))


ROUTES: Routes = [
    Route(GetTokenDetails, get_token_details, write=AccountBodyCache().write, client_identifier="disputed"),
    Route(
        PostUsersSignInData,
        sign_in,
        # An empty password costs a verification like any other wrong one.
        read=lambda request: read_call_with_secrets(PostUsersSignInData, request.body_parameters, "password"),
        client_identifier="required",
    ),
    Route(Ping, ping, client_identifier="disputed"),
    Route(SignOut, sign_out, client_identifier="disputed"),
    Route(LegacySignIn, sign_in_legacy, read=read_legacy_sign_in, dialect="legacy"),
    Route(GetLegacyAccount, get_legacy_account, dialect="legacy"),
    Route(CreateAccount, create_account, read=read_create_account, client_identifier="required"),
    Route(ChangePassword, change_password, read=read_change_password, token_kinds=ACCOUNT_TOKEN_KINDS),
]
