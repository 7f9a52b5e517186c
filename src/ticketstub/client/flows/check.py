"""Checking a token: its kind, its account, when it expires, and whether it is accepted.

Rule: only an answer to the token itself counts. `/identity` answers without one, and an outage says nothing about it. A
token is sent to a media server only if plex.tv does not know it, or lists it for that very server.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Literal

import msgspec
from msgspec.structs import replace

from ticketstub.client.config import with_token
from ticketstub.client.flows.request import Flow, FlowContext, to_datetime
from ticketstub.errors import PlexError
from ticketstub.models import Account, AuthorizedDevice
from ticketstub.refusals import Forbidden, TokenExpired, TooManyFailures, Unauthorized
from ticketstub.tokens import Token

CheckedTokenKind = Literal["account", "server", "shared", "transient", "local", "claim", "jwt", "unknown"]

_SERVER_REASONS = {
    True: "the media server accepts it",
    False: "the media server does not accept it",
    None: "the media server accepts this computer without a token",
}


class TokenCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a token.

    Args:
        kind: `account`: an account's, for one of its devices. `server`: a media server's own. `shared`: plex.tv does
            not know it, but the named media server accepts it. `transient`, `local`, `claim`, `jwt`: known by its text.
            `unknown`: neither plex.tv nor the media server knows it, or neither could be asked.
        alive: whether those that were asked (`checked_with`) accept it; `None` if unknown. If only plex.tv was asked, a
            refused token of kind `unknown` may still be a media server's own.
        reason: why, in a sentence.
        account: the account, as plex.tv describes it.
        expires_at: when it expires; `None` if it does not, or that is unknown.
        device: the authorized device that it was given to, if plex.tv lists it.
        checked_with: what was asked, in this order: `plex.tv`, `media server`.
        accepted_by_server: whether the named media server accepts it; `None` if none was named, or that is unknown.
        unreachable: the error if plex.tv or the media server could not be asked, or `None`.
    """

    kind: CheckedTokenKind
    alive: bool | None
    reason: str
    account: Account | None = None
    expires_at: datetime | None = None
    device: AuthorizedDevice | None = None
    checked_with: tuple[str, ...] = ()
    accepted_by_server: bool | None = None
    unreachable: str | None = None


def check_token(token: str | Token, context: FlowContext) -> Flow[TokenCheck]:
    """Check anything that could be a token, claim tokens included.

    Raises:
        ValueError: it cannot be a token.
    """
    if isinstance(token, str):
        token = Token.from_wire(token.strip()) if token.strip().startswith("claim-") else Token(token)
    if token.kind == "claim":
        return TokenCheck(
            kind="claim",
            alive=None,
            reason="it adds a media server to an account, once and within four minutes; it does not sign in",
        )
    if token.kind in {"transient", "local"}:
        kind: CheckedTokenKind = "transient" if token.kind == "transient" else "local"
        result = TokenCheck(kind=kind, alive=None, reason="only the media server that created it knows it")
        return (yield from _check_media_server(token, context, result))
    result = yield from _check_plex_tv(token, context)
    if result.alive:
        result = yield from _add_device_details(token, context, result)
        return result if context.settings.server is None else (yield from _check_listed_server(token, context, result))
    return result if token.kind == "jwt" else (yield from _check_media_server(token, context, result))


def _check_plex_tv(token: Token, context: FlowContext) -> Flow[TokenCheck]:
    from ticketstub.crypto.plex_jwt import peek_expiry  # loads no library
    from ticketstub.protocol.account import GetTokenDetails

    kind: CheckedTokenKind = "jwt" if token.kind == "jwt" else "unknown"
    expires_at = to_datetime(peek_expiry(token)) if kind == "jwt" else None
    answer = partial(TokenCheck, kind=kind, checked_with=("plex.tv",))
    try:
        account = yield from context.with_token(token).call(GetTokenDetails())
    except TooManyFailures as error:
        return answer(alive=None, reason="plex.tv refuses to check tokens for a while", unreachable=str(error))
    except TokenExpired:
        return answer(alive=False, reason="it has expired; its device can renew it", expires_at=expires_at)
    except Unauthorized:
        return answer(
            alive=False,
            reason="plex.tv does not know it, or no longer does; it may be a media server's own, unknown to plex.tv",
            expires_at=expires_at,
        )
    except PlexError as error:
        return answer(alive=None, reason="plex.tv did not answer", unreachable=str(error))
    if kind == "unknown":
        kind = "account"
        # Of a token that lasts 14 days this is when it expires; of others it is in the past (observed).
        if (account.remember_expires_at or 0) > context.clock.now():
            expires_at = to_datetime(account.remember_expires_at)
    return answer(kind=kind, alive=True, reason="plex.tv accepts it", account=account, expires_at=expires_at)


def _add_device_details(token: Token, context: FlowContext, result: TokenCheck) -> Flow[TokenCheck]:
    """Add the token's device, if the account's list has it."""
    from ticketstub.protocol.resource import GetDevices

    try:
        devices = yield from context.with_token(token).call(GetDevices())
    except PlexError:
        return result
    device = next((one for one in devices if one.token == token), None)
    if device is None or result.kind == "jwt":
        return result
    is_server = "server" in [part.strip() for part in (device.provides or "").split(",")]
    return replace(result, device=device, kind="server" if is_server else "account")


def _check_listed_server(token: Token, context: FlowContext, result: TokenCheck) -> Flow[TokenCheck]:
    """Check an account's token with the named media server, if plex.tv lists the token for it (security rule)."""
    checked_with = result.checked_with
    accepted: bool | None = False
    if token.kind != "jwt":  # media servers refuse them (observed)
        try:
            if (yield from _is_listed_for_server(token, context)):
                checked_with = (*checked_with, "media server")
                accepted = yield from _probe_media_server(token, context)
        except PlexError as error:
            return replace(result, checked_with=checked_with, unreachable=str(error))
    return replace(result, checked_with=checked_with, accepted_by_server=accepted)


def _is_listed_for_server(token: Token, context: FlowContext) -> Flow[bool]:
    """Tell whether plex.tv lists this token for the named media server, which says who it is without a token."""
    from ticketstub.protocol.media_server import GetIdentity
    from ticketstub.protocol.resource import GetResources

    identity = yield from context.with_token(None).call(GetIdentity())
    resources = yield from context.with_token(token).call(GetResources())
    return any(
        resource.client_identifier == identity.machine_identifier and resource.access_token == token
        for resource in resources
        if resource.client_identifier
    )


def _probe_media_server(token: Token, context: FlowContext) -> Flow[bool | None]:
    """Tell whether the named media server accepts the token; `None` if it answers without one too."""
    from ticketstub.protocol.media_server import GetServerInformation

    try:
        yield from context._replace(
            settings=with_token(context.settings, token, trusted_url=context.settings.server)
        ).call(GetServerInformation())
    except (Unauthorized, Forbidden):
        return False
    try:
        yield from context._replace(settings=with_token(context.settings, None)).call(GetServerInformation())
    except PlexError:
        return True
    return None


def _check_media_server(token: Token, context: FlowContext, result: TokenCheck) -> Flow[TokenCheck]:
    """Check a token that plex.tv does not know with the named media server."""
    if context.settings.server is None:
        return result
    checked_with = (*result.checked_with, "media server")
    try:
        accepted = yield from _probe_media_server(token, context)
    except PlexError as error:
        return replace(
            result,
            checked_with=checked_with,
            alive=None,
            reason="the media server did not answer",
            unreachable=str(error),
        )
    is_undecided = accepted is False and result.unreachable is not None
    return replace(
        result,
        kind="shared" if accepted and result.kind == "unknown" else result.kind,
        alive=None if is_undecided else accepted,
        reason=_SERVER_REASONS[accepted] + (", and plex.tv did not answer" if is_undecided else ""),
        checked_with=checked_with,
        accepted_by_server=accepted,
    )
