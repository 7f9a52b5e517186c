"""plex.tv's API: which calls it answers, who may ask, and how it says no.

Rule: an unknown path is 404 with code 1002, a known one with another method 405 with code 1005, a token that is not an
account's 401 with code 1001; all in the format that was asked for.
"""

from __future__ import annotations

import string

from ticketstub.refusals import NotFound, Refusal
from ticketstub.server import openapi, policy
from ticketstub.server.account_bodies import AccountBodies
from ticketstub.server.answers import PLEX_TV, PLEX_TV_401, PLEX_TV_EMPTY, Answer
from ticketstub.server.callers import caller
from ticketstub.server.clients import Noted
from ticketstub.server.handlers import accounts, auth_keys, claims, devices, legacy_accounts, passwords, pins, resources
from ticketstub.server.handlers.avatars import GetAvatar, get_avatar
from ticketstub.server.home_routes import home_routes, people_routes
from ticketstub.server.instance import Instance
from ticketstub.server.negotiation import without_suffix
from ticketstub.server.pages.site import Pages
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Route, Table, Visit
from ticketstub.server.store.base import TokenKind, TokenRow
from ticketstub.wire import refused
from ticketstub.wire.accounts import (
    ChangePassword,
    CreateAccount,
    GetTokenDetails,
    Ping,
    PostUsersSignInData,
    SignOut,
)
from ticketstub.wire.auth_keys import ExchangeDeviceJwt, GetNonce, GetPublishedKeys, RegisterKey
from ticketstub.wire.claims import ExchangeClaim, GetClaimToken
from ticketstub.wire.codec import Format
from ticketstub.wire.devices import GetDevices, GetPublicAddress, RemoveDevice
from ticketstub.wire.legacy_accounts import LegacyAccount, LegacySignIn
from ticketstub.wire.legacy_resources import GetLegacyResources, GetServerList, GetServersResources
from ticketstub.wire.pins import CreateLegacyPin, CreatePin, GetLegacyPin, GetPin, GetPinQr, LinkPin
from ticketstub.wire.resources import GetResources
from ticketstub.wire.xml import PROLOG

_Routes = list[Route[Instance, TokenRow]]
_ACCOUNTS_OWN: frozenset[TokenKind] = frozenset({"account", "jwt"})
_PROLOG = PROLOG.encode()
_OF_NAMES = frozenset(b"-_, " + string.ascii_letters.encode() + string.digits.encode())


class MethodNotAllowed(Refusal):
    """The path is known, and takes other methods (405, code 1005).

    Attributes:
        allowed: those.
    """

    __slots__ = ("allowed",)
    default_status = 405
    default_code = 1005
    default_message = "The request method is not allowed for this endpoint"

    def __init__(self, allowed: list[str]) -> None:
        super().__init__()
        self.allowed = ", ".join([*allowed, *(["HEAD"] if "GET" in allowed else []), "OPTIONS"])


def routes() -> Table[Instance, TokenRow]:
    """Make the table of plex.tv's calls."""
    families = (home_routes, people_routes, _account_routes, _pin_routes, _key_routes, _device_routes)
    return Table([route for family in families for route in family()])


def _account_routes() -> _Routes:
    """Make the routes of signing in and out, and of accounts."""
    bodies = AccountBodies()
    return [
        Route(GetTokenDetails, accounts.get_token_details, write=bodies.write, identifier="disputed"),
        Route(PostUsersSignInData, accounts.sign_in, read=accounts.read_sign_in, identifier="required"),
        Route(Ping, accounts.ping, identifier="disputed"),
        Route(SignOut, accounts.sign_out, identifier="disputed"),
        Route(CreateAccount, passwords.create_account, read=passwords.read_create, identifier="required"),
        Route(ChangePassword, passwords.change_password, read=passwords.read_change, kinds=_ACCOUNTS_OWN),
        Route(LegacySignIn, legacy_accounts.sign_in, read=legacy_accounts.read_sign_in, dialect="legacy"),
        Route(LegacyAccount, legacy_accounts.account, dialect="legacy"),
        Route(GetAvatar, get_avatar),
    ]


def _pin_routes() -> _Routes:
    """Make the routes of PINs."""
    older = pins.read_get_legacy
    return [
        Route(CreatePin, pins.create_pin, read=pins.read_create, identifier="required"),
        Route(GetPin, pins.get_pin, read=pins.read_get, identifier="required"),
        Route(LinkPin, pins.link_pin, identifier="required", kinds=_ACCOUNTS_OWN),
        Route(GetPinQr, pins.get_pin_qr),
        Route(CreateLegacyPin, pins.create_legacy_pin, identifier="required", dialect="legacy"),
        Route(GetLegacyPin, pins.get_legacy_pin, read=older, identifier="required", dialect="legacy"),
    ]


def _key_routes() -> _Routes:
    """Make the routes of device keys and JWTs."""
    return [
        Route(RegisterKey, auth_keys.register, read=auth_keys.read_register, kinds=_ACCOUNTS_OWN),
        Route(GetNonce, auth_keys.nonce, identifier="by the handler"),
        Route(ExchangeDeviceJwt, auth_keys.exchange, identifier="required"),
        Route(GetPublishedKeys, auth_keys.published),
    ]


def _device_routes() -> _Routes:
    """Make the routes of devices, media servers and claims."""
    listed, xml = resources.legacy_resources, Format.XML
    return [
        Route(GetResources, resources.resources, read=resources.read_resources, identifier="required"),
        Route(GetLegacyResources, listed, read=resources.read_legacy, dialect="legacy", form=xml),
        Route(GetServersResources, listed, read=resources.read_servers_resources, dialect="legacy", form=xml),
        Route(GetServerList, resources.server_list, read=resources.read_server_list, dialect="legacy", form=xml),
        Route(GetDevices, devices.devices, write=devices.write_listed, dialect="legacy"),
        Route(RemoveDevice, devices.remove_device, read=devices.read_remove, kinds=_ACCOUNTS_OWN, dialect="legacy"),
        Route(GetPublicAddress, devices.public_address),
        Route(
            GetClaimToken,
            claims.get_claim_token,
            allow=claims.allow_claims,
            kinds=_ACCOUNTS_OWN,
            dialect="legacy",
            form=Format.JSON,
        ),
        Route(ExchangeClaim, claims.exchange_claim, read=claims.read_exchange, identifier="required", dialect="legacy"),
    ]


class PlexTv:
    """plex.tv, on a port of its own.

    Args:
        instance: the local Plex that it belongs to.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._routes = routes()
        self._noted = Noted(instance)
        self._pages = Pages(instance)
        self.default = Format(instance.answers.default_format)
        self.traces = True
        """Whether its answers carry a request id and the time they took (observed)."""

    async def answer(self, asked: Asked) -> Answer:
        """Answer a request; raises a `Refusal`, or what stores and passwords raise."""
        if self._pages.has(asked):
            return await self._pages.answer(asked)
        return self._for_browsers(await self._answer(asked))

    def _for_browsers(self, answer: Answer) -> Answer:
        """Leave out what lets pages of other origins read an answer, where the world has it so."""
        if self._instance.answers.cors == "none":
            answer.headers = [each for each in answer.headers if not each[0].startswith(b"access-control-")]
        return answer

    async def _answer(self, asked: Asked) -> Answer:
        if asked.method == "OPTIONS":
            return _preflight(asked)
        if asked.path == openapi.PATH and asked.method == "GET":
            return openapi.answer("plex.tv")
        route = self.find(asked)
        if route is None:
            raise self._unknown(asked)
        required = route.identifier == "required" or (
            route.identifier == "disputed" and self._instance.answers.require_client_identifier
        )
        policy.check_identifier(asked.client_identifier, required=required)
        visit: Visit[Instance, TokenRow] = Visit(self._instance, asked)
        if route.needs_token:
            visit.token = asked.token or ""
            visit.caller = policy.check_kind(await caller(self._instance, visit.token), route.kinds)
            if visit.caller.kind == "server" and self._instance.answers.server_tokens == "forbidden":
                policy.forbid_v2(asked.path)
            self._noted.note(visit.caller, asked)
        reply = await route.reply(visit)
        if isinstance(reply, Answer):
            return reply
        return Answer(route.status, PLEX_TV[asked.form] if reply else PLEX_TV_EMPTY, self._begun(reply))

    def refuse(self, refusal: Refusal, asked: Asked) -> Answer:
        """Write a refusal."""
        if self._pages.has(asked):
            return self._pages.refuse(refusal, asked)
        if asked.template == "-":  # its head or its body was refused before anybody looked for its route
            self.find(asked)
        form = asked.form
        status, body = refused.write_as(refusal, form, asked.dialect, self._instance.answers.legacy_dead_token)
        fields = (PLEX_TV_401 if status == 401 else PLEX_TV)[form]
        if isinstance(refusal, MethodNotAllowed):
            fields = [*fields, (b"allow", refusal.allowed.encode())]
        if status == 429 and refusal.retry_after is not None and self._instance.answers.retry_after:
            fields = [*fields, (b"retry-after", b"%d" % refusal.retry_after)]
        return self._for_browsers(Answer(status, fields, self._begun(body)))

    def _begun(self, body: bytes) -> bytes:
        """Let XML begin with its prolog or without, as the world has it."""
        return body if self._instance.answers.xml_prolog else body.removeprefix(_PROLOG)

    def find(self, asked: Asked) -> Route[Instance, TokenRow] | None:
        """Find what answers a request, and note which call it is and how it is answered; `None`: there is nothing."""
        path, form = without_suffix(asked.path)
        asked.form = form or asked.form
        route = (self._routes.find(asked, path) or {}).get(asked.method)
        if route is not None:
            asked.template, asked.dialect, asked.form = route.template, route.dialect, route.form or asked.form
        return route

    def _unknown(self, asked: Asked) -> Refusal:
        """Return the refusal of what has no route: an unknown path (404), or another method's (405)."""
        methods = ["GET"] if asked.path == openapi.PATH else self._routes.find(asked, without_suffix(asked.path)[0])
        return MethodNotAllowed(sorted(methods)) if methods else NotFound()


def _preflight(asked: Asked) -> Answer:
    """Allow a browser whatever fields it asks for (assumed: any `X-Plex-…` one works on plex.tv)."""
    wanted = bytes(c for c in asked.header(b"access-control-request-headers") if c in _OF_NAMES)
    return Answer(200, [*PLEX_TV_EMPTY, (b"access-control-allow-headers", wanted)], b"")
