"""Finding out about a token: its kind, whose it is, until when, whether it is alive, dead, or nobody can tell.

Rule: only an answer to the token itself counts; `/identity` answers anybody. An outage is no verdict. A token goes to a
media server only if plex.tv does not know it, or lists it for that very server.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from ticketstub.client.config import with_token
from ticketstub.client.flows.request import Flow, FlowContext, to_datetime
from ticketstub.errors import PlexError
from ticketstub.models import Account, AuthorizedDevice
from ticketstub.refusals import Forbidden, TokenExpired, TooManyFailures, Unauthorized
from ticketstub.tokens import Token

CheckedTokenKind = Literal["account", "server", "shared", "transient", "local", "claim", "jwt", "unknown"]


class TokenCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a token.

    Args:
        kind: `account`: an account's, for one of its devices. `server`: a media server's own. `shared`: not plex.tv's
            affair, but the named media server takes it. `transient`, `local`, `claim`, `jwt`: by its text.
            `unknown`: nobody knows it, or nobody could be asked.
        alive: whether it is accepted; `None` where nobody could tell.
        reason: why, in a sentence.
        whose: the account, as plex.tv tells.
        until: when it ends; `None` where it does not, or nobody knows.
        device: the authorized device that it was given to, where plex.tv lists it.
        asked: who was asked: `plex.tv`, `media server`.
        on_server: whether the named media server takes it; `None` where none was named, or nobody could tell.
        unreachable: what went wrong where somebody could not be asked, or `None`.
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
    """Find out about a token: whatever could be one, claim tokens included.

    Raises:
        ValueError: it is none.
    """
    if isinstance(token, str):
        token = Token.from_wire(token.strip()) if token.strip().startswith("claim-") else Token(token)
    if token.kind == "claim":
        return TokenCheck(
            kind="claim",
            alive=None,
            reason="it adds a media server to an account, within four minutes and once; it signs nobody in",
        )
    if token.kind in {"transient", "local"}:
        kind: CheckedTokenKind = "transient" if token.kind == "transient" else "local"
        result = TokenCheck(kind=kind, alive=None, reason="only the media server that made it knows it")
        return (yield from _check_media_server(token, context, result))
    result = yield from _check_plex_tv(token, context)
    if result.alive:
        result = yield from _add_device_details(token, context, result)
        return result if context.settings.server is None else (yield from _check_listed_server(token, context, result))
    if token.kind == "jwt":
        return result
    return (yield from _check_media_server(token, context, result))


def _check_plex_tv(token: Token, context: FlowContext) -> Flow[TokenCheck]:
    from ticketstub.crypto.plex_jwt import peek_expiry  # no library is loaded by it
    from ticketstub.protocol.account import GetTokenDetails

    kind: CheckedTokenKind = "jwt" if token.kind == "jwt" else "unknown"
    expires_at, checked_with = to_datetime(peek_expiry(token)) if token.kind == "jwt" else None, ("plex.tv",)
    try:
        account = yield from context.with_token(token).call(GetTokenDetails())
    except TooManyFailures as error:
        return TokenCheck(
            kind=kind, alive=None, reason="plex.tv does not tell now", checked_with=checked_with, unreachable=str(error)
        )
    except TokenExpired:
        return TokenCheck(
            kind=kind,
            alive=False,
            reason="its time is over; its device can renew it",
            expires_at=expires_at,
            checked_with=checked_with,
        )
    except Unauthorized:
        reason = "plex.tv does not know it (any more); it may be one media server's own, which plex.tv does not tell"
        return TokenCheck(kind=kind, alive=False, reason=reason, expires_at=expires_at, checked_with=checked_with)
    except PlexError as error:
        return TokenCheck(
            kind=kind, alive=None, reason="plex.tv did not answer", checked_with=checked_with, unreachable=str(error)
        )
    if kind == "unknown":
        # The end of a token that lasts for 14 days; the same field of others is in the past (observed).
        remembered_until = account.remember_expires_at
        kind, expires_at = (
            "account",
            to_datetime(remembered_until)
            if remembered_until is not None and remembered_until > context.clock.now()
            else None,
        )
    return TokenCheck(
        kind=kind,
        alive=True,
        reason="plex.tv takes it",
        account=account,
        expires_at=expires_at,
        checked_with=checked_with,
    )


def _add_device_details(token: Token, context: FlowContext, result: TokenCheck) -> Flow[TokenCheck]:
    """Look the token's device up in the account's list; that there is none, or no list, changes nothing."""
    from ticketstub.protocol.resource import GetDevices

    try:
        devices = yield from context.with_token(token).call(GetDevices())
    except PlexError:
        return result
    device = next((one for one in devices if one.token == token), None)
    if device is None or result.kind == "jwt":
        return result
    is_server = "server" in [part.strip() for part in (device.provides or "").split(",")]
    return msgspec.structs.replace(result, device=device, kind="server" if is_server else "account")


def _check_listed_server(token: Token, context: FlowContext, result: TokenCheck) -> Flow[TokenCheck]:
    """Ask the named media server about an account's token, if plex.tv lists that token for it (security rule)."""
    checked_with = result.checked_with
    accepted: bool | None = False
    if token.kind != "jwt":  # media servers refuse them (observed)
        try:
            if (yield from _is_listed_for_server(token, context)):
                checked_with = (*checked_with, "media server")
                accepted = yield from _probe_media_server(token, context)
        except PlexError as error:
            return msgspec.structs.replace(result, checked_with=checked_with, unreachable=str(error))
    return msgspec.structs.replace(result, checked_with=checked_with, accepted_by_server=accepted)


def _is_listed_for_server(token: Token, context: FlowContext) -> Flow[bool]:
    """Tell whether plex.tv lists this token as that of the named media server, which says who it is without one."""
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
    """Ask the named media server with the token; `None` where it answers without one too, which says nothing."""
    from ticketstub.protocol.media_server import GetServerInformation

    settings = with_token(context.settings, token, trusted_url=context.settings.server)
    try:
        yield from context._replace(settings=settings).call(GetServerInformation())
    except (Unauthorized, Forbidden):
        return False
    try:
        yield from context._replace(settings=with_token(context.settings, None)).call(GetServerInformation())
    except PlexError:
        return True
    return None


def _check_media_server(token: Token, context: FlowContext, result: TokenCheck) -> Flow[TokenCheck]:
    """Ask the named media server about a token that plex.tv does not vouch for."""
    if context.settings.server is None:
        return result
    result = msgspec.structs.replace(result, checked_with=(*result.checked_with, "media server"))
    try:
        accepted = yield from _probe_media_server(token, context)
    except PlexError as error:
        return msgspec.structs.replace(result, alive=None, reason="not everybody answered", unreachable=str(error))
    result = msgspec.structs.replace(result, accepted_by_server=accepted)
    if accepted is None:
        return msgspec.structs.replace(
            result, alive=None, reason="the media server admits this computer without a token"
        )
    if accepted:
        kind: CheckedTokenKind = result.kind if result.kind in {"transient", "local"} else "shared"
        return msgspec.structs.replace(result, kind=kind, alive=True, reason="the media server takes it")
    if result.unreachable:
        reason = "the media server does not take it, and plex.tv did not answer"
        return msgspec.structs.replace(result, alive=None, reason=reason)
    return msgspec.structs.replace(result, alive=False, reason="the media server does not take it")
