"""Finding out about a token: its kind, whose it is, until when, whether it is alive, dead, or nobody can tell.

Rule: only an answer to the token itself counts; `/identity` answers anybody. An outage is no verdict. A token goes to a
media server only if plex.tv does not know it, or lists it for that very server.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from ticketstub.client.config import with_token
from ticketstub.client.flows.request import Caller
from ticketstub.client.flows.steps import Flow
from ticketstub.client.flows.stored_session import moment
from ticketstub.errors import PlexError
from ticketstub.models import Account, AuthorizedDevice
from ticketstub.refusals import Forbidden, TokenExpired, TooManyFailures, Unauthorized
from ticketstub.tokens import Token

CheckedKind = Literal["account", "server", "shared", "transient", "local", "claim", "jwt", "unknown"]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
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

    kind: CheckedKind
    alive: bool | None
    reason: str
    whose: Account | None = None
    until: datetime | None = None
    device: AuthorizedDevice | None = None
    asked: tuple[str, ...] = ()
    on_server: bool | None = None
    unreachable: str | None = None


def check(token: str | Token, caller: Caller) -> Flow[Checked]:
    """Find out about a token: whatever could be one, claim tokens included.

    Raises:
        ValueError: it is none.
    """
    if isinstance(token, str):
        token = Token.received(token.strip()) if token.strip().startswith("claim-") else Token(token)
    if token.kind == "claim":
        return Checked(
            kind="claim",
            alive=None,
            reason="it adds a media server to an account, within four minutes and once; it signs nobody in",
        )
    if token.kind in {"transient", "local"}:
        of_one_server: CheckedKind = "transient" if token.kind == "transient" else "local"
        here = Checked(kind=of_one_server, alive=None, reason="only the media server that made it knows it")
        return (yield from _asked_server(token, caller, here))
    here = yield from _asked_plex_tv(token, caller)
    if here.alive:
        here = yield from _listed(token, caller, here)
        return here if caller.settings.server is None else (yield from _on_its_server(token, caller, here))
    if token.kind == "jwt":
        return here
    return (yield from _asked_server(token, caller, here))


def _asked_plex_tv(token: Token, caller: Caller) -> Flow[Checked]:
    from ticketstub.crypto.plex_jwt import peek  # no library is loaded by it
    from ticketstub.protocol.account import GetTokenDetails

    kind: CheckedKind = "jwt" if token.kind == "jwt" else "unknown"
    until, asked = moment(peek(token)) if token.kind == "jwt" else None, ("plex.tv",)
    try:
        account = yield from caller.with_token(token).call(GetTokenDetails())
    except TooManyFailures as error:
        return Checked(kind=kind, alive=None, reason="plex.tv does not tell now", asked=asked, unreachable=str(error))
    except TokenExpired:
        return Checked(
            kind=kind, alive=False, reason="its time is over; its device can renew it", until=until, asked=asked
        )
    except Unauthorized:
        reason = "plex.tv does not know it (any more); it may be one media server's own, which plex.tv does not tell"
        return Checked(kind=kind, alive=False, reason=reason, until=until, asked=asked)
    except PlexError as error:
        return Checked(kind=kind, alive=None, reason="plex.tv did not answer", asked=asked, unreachable=str(error))
    if kind == "unknown":
        # The end of a token that lasts for 14 days; the same field of others is in the past (observed).
        ends = account.remember_expires_at
        kind, until = "account", moment(ends) if ends is not None and ends > caller.senses.now() else None
    return Checked(kind=kind, alive=True, reason="plex.tv takes it", whose=account, until=until, asked=asked)


def _listed(token: Token, caller: Caller, here: Checked) -> Flow[Checked]:
    """Look the token's device up in the account's list; that there is none, or no list, changes nothing."""
    from ticketstub.protocol.device import GetDevices

    try:
        devices = yield from caller.with_token(token).call(GetDevices())
    except PlexError:
        return here
    device = next((one for one in devices if one.token == token), None)
    if device is None or here.kind == "jwt":
        return here
    own = "server" in [part.strip() for part in (device.provides or "").split(",")]
    return msgspec.structs.replace(here, device=device, kind="server" if own else "account")


def _on_its_server(token: Token, caller: Caller, here: Checked) -> Flow[Checked]:
    """Ask the named media server about an account's token, if plex.tv lists that token for it (security rule)."""
    asked = here.asked
    takes: bool | None = False
    if token.kind != "jwt":  # media servers refuse them (observed)
        try:
            if (yield from _is_listed(token, caller)):
                asked = (*asked, "media server")
                takes = yield from _takes(token, caller)
        except PlexError as error:
            return msgspec.structs.replace(here, asked=asked, unreachable=str(error))
    return msgspec.structs.replace(here, asked=asked, on_server=takes)


def _is_listed(token: Token, caller: Caller) -> Flow[bool]:
    """Tell whether plex.tv lists this token as that of the named media server, which says who it is without one."""
    from ticketstub.protocol.media_server import GetIdentity
    from ticketstub.protocol.resource import GetResources

    identity = yield from caller.with_token(None).call(GetIdentity())
    found = yield from caller.with_token(token).call(GetResources())
    return any(
        one.client_identifier == identity.machine_identifier and one.access_token == token
        for one in found
        if one.client_identifier
    )


def _takes(token: Token, caller: Caller) -> Flow[bool | None]:
    """Ask the named media server with the token; `None` where it answers without one too, which says nothing."""
    from ticketstub.protocol.media_server import GetServerInformation

    named = with_token(caller.settings, token, beside=caller.settings.server)
    try:
        yield from caller._replace(settings=named).call(GetServerInformation())
    except (Unauthorized, Forbidden):
        return False
    try:
        yield from caller._replace(settings=with_token(caller.settings, None)).call(GetServerInformation())
    except PlexError:
        return True
    return None


def _asked_server(token: Token, caller: Caller, here: Checked) -> Flow[Checked]:
    """Ask the named media server about a token that plex.tv does not vouch for."""
    if caller.settings.server is None:
        return here
    here = msgspec.structs.replace(here, asked=(*here.asked, "media server"))
    try:
        takes = yield from _takes(token, caller)
    except PlexError as error:
        return msgspec.structs.replace(here, alive=None, reason="not everybody answered", unreachable=str(error))
    here = msgspec.structs.replace(here, on_server=takes)
    if takes is None:
        return msgspec.structs.replace(here, alive=None, reason="the media server admits this computer without a token")
    if takes:
        kind: CheckedKind = here.kind if here.kind in {"transient", "local"} else "shared"
        return msgspec.structs.replace(here, kind=kind, alive=True, reason="the media server takes it")
    if here.unreachable:
        reason = "the media server does not take it, and plex.tv did not answer"
        return msgspec.structs.replace(here, alive=None, reason=reason)
    return msgspec.structs.replace(here, alive=False, reason="the media server does not take it")
