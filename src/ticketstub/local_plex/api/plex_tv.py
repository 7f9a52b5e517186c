"""plex.tv's API: which calls it answers, who may ask, and how it says no.

Rule: an unknown path is 404 with code 1002, a known one with another method 405 with code 1005, a token that is not an
account's 401 with code 1001; all in the format that was asked for.
"""

from __future__ import annotations

import string

from ticketstub.local_plex.api import account, avatars, device_key, devices, home, passwords, people, pins
from ticketstub.local_plex.api.principal import Noted, caller
from ticketstub.local_plex.domain import permissions
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.negotiation import without_suffix
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import PLEX_TV, PLEX_TV_401, PLEX_TV_EMPTY, Answer
from ticketstub.local_plex.http.router import Route, Table, Visit
from ticketstub.local_plex.openapi import documents
from ticketstub.local_plex.pages import site
from ticketstub.local_plex.storage.base import TokenRow
from ticketstub.protocol import error_bodies
from ticketstub.protocol.codec import Format
from ticketstub.refusals import ClientIdentifierMissing, Default, Forbidden, NotFound, Refusal

_OF_NAMES = frozenset(b"-_, " + string.ascii_letters.encode() + string.digits.encode())


class MethodNotAllowed(Refusal):
    """The path is known, and takes other methods (405, code 1005).

    Attributes:
        allowed: those.
    """

    __slots__ = ("allowed",)
    default = Default(405, 1005, "The request method is not allowed for this endpoint")

    def __init__(self, allowed: list[str]) -> None:
        super().__init__()
        self.allowed = ", ".join([*allowed, *(["HEAD"] if "GET" in allowed else []), "OPTIONS"])


_FAMILIES = (home, people, account, passwords, avatars, pins, device_key, devices)
ROUTES: Table[Instance, TokenRow] = Table([route for family in _FAMILIES for route in family.ROUTES])
"""plex.tv's calls."""


class PlexTv:
    """plex.tv, on a port of its own.

    Args:
        instance: the local Plex that it belongs to.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._noted = Noted(instance)
        self.default = Format(instance.answers.default_format)
        self.traces = True
        """Whether its answers carry a request id and the time they took (observed)."""

    async def answer(self, asked: Asked) -> Answer:
        """Answer a request; raises a `Refusal`, or what stores and passwords raise."""
        if site.has(self._instance, asked):
            return await site.answer(self._instance, asked)
        return self._for_browsers(await self._answer(asked))

    def _for_browsers(self, answer: Answer) -> Answer:
        """Leave out what lets pages of other origins read an answer, where the world has it so."""
        if self._instance.answers.cors == "none":
            answer.headers = [each for each in answer.headers if not each[0].startswith(b"access-control-")]
        return answer

    async def _answer(self, asked: Asked) -> Answer:
        if asked.method == "OPTIONS":
            return _preflight(asked)
        if asked.path == documents.PATH and asked.method == "GET":
            return documents.answer("plex.tv")
        route = self.find(asked)
        if route is None:
            raise self._unknown(asked)
        required = route.identifier == "required" or (
            route.identifier == "disputed" and self._instance.answers.require_client_identifier
        )
        if required and not asked.client_identifier:
            raise ClientIdentifierMissing
        visit: Visit[Instance, TokenRow] = Visit(self._instance, asked)
        if route.needs_token:
            visit.token = asked.token or ""
            visit.caller = permissions.check_kind(await caller(self._instance, visit.token), route.kinds)
            is_forbidden = visit.caller.kind == "server" and self._instance.answers.server_tokens == "forbidden"
            if is_forbidden and asked.path.startswith("/api/v2/"):
                raise Forbidden
            self._noted.note(visit.caller.device_id, asked)
        reply = await route.reply(visit)
        if isinstance(reply, Answer):
            return reply
        return Answer(route.status, PLEX_TV[asked.form] if reply else PLEX_TV_EMPTY, reply)

    def refuse(self, refusal: Refusal, asked: Asked) -> Answer:
        """Write a refusal."""
        if site.has(self._instance, asked):
            return site.refused(refusal.status or 500)
        if asked.template == "-":  # its head or its body was refused before anybody looked for its route
            self.find(asked)
        form = asked.form
        status, body = error_bodies.write_as(refusal, form, asked.dialect, self._instance.answers.legacy_dead_token)
        fields = (PLEX_TV_401 if status == 401 else PLEX_TV)[form]
        if isinstance(refusal, MethodNotAllowed):
            fields = [*fields, (b"allow", refusal.allowed.encode())]
        return self._for_browsers(Answer(status, fields, body))

    def find(self, asked: Asked) -> Route[Instance, TokenRow] | None:
        """Find what answers a request, and note which call it is and how it is answered; `None`: there is nothing."""
        path, form = without_suffix(asked.path)
        asked.form = form or asked.form
        route = (ROUTES.find(asked, path) or {}).get(asked.method)
        if route is not None:
            asked.template, asked.dialect, asked.form = route.template, route.dialect, route.form or asked.form
        return route

    def _unknown(self, asked: Asked) -> Refusal:
        """Return the refusal of what has no route: an unknown path (404), or another method's (405)."""
        methods = ["GET"] if asked.path == documents.PATH else ROUTES.find(asked, without_suffix(asked.path)[0])
        return MethodNotAllowed(sorted(methods)) if methods else NotFound()


def _preflight(asked: Asked) -> Answer:
    """Allow a browser whatever fields it asks for (assumed: any `X-Plex-…` one works on plex.tv)."""
    wanted = bytes(c for c in asked.header(b"access-control-request-headers") if c in _OF_NAMES)
    return Answer(200, [*PLEX_TV_EMPTY, (b"access-control-allow-headers", wanted)], b"")
