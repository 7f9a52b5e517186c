"""A media server: which calls it answers, who may ask, and how it says no.

Rule: but for the identity, a claim and our own OpenAPI document, the token comes first: without a good one every path
is 401, an unknown one too. Only a server that nobody owns asks its own machine for none, and no web page of another
site counts as that (ours). Refusals are web pages whatever is accepted (observed), or with `errors = "documented"` JSON
for 400 and 401 on `/security/*`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ticketstub.local_plex.api import media_server_calls as handlers
from ticketstub.local_plex.content.reply_names import stem
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.media_servers import access, is_this_machine
from ticketstub.local_plex.domain.permissions import Access
from ticketstub.local_plex.domain.transient_tokens import TransientTokens
from ticketstub.local_plex.http.request import Asked, Headers
from ticketstub.local_plex.http.response import MEDIA_SERVER, MEDIA_SERVER_PAGE, Answer
from ticketstub.local_plex.http.router import ANY_METHOD, Route, Table, Visit
from ticketstub.local_plex.openapi import documents
from ticketstub.local_plex.redaction.known_secrets import KnownSecrets
from ticketstub.local_plex.storage.base import MediaServerRow, TokenRow
from ticketstub.protocol import error_bodies
from ticketstub.protocol.codec import Format
from ticketstub.refusals import Forbidden, NotFound, Refusal, TokenExpired, Unauthorized

if TYPE_CHECKING:
    from ticketstub.local_plex.content.replies import Replies
    from ticketstub.local_plex.content.upstream import Upstream


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks a media server: with which access, by which token's digest, and until when if by a transient token.

    There is no digest for who needs no token: this machine, while nobody owns the server.
    """

    access: Access
    origin: bytes | None
    ends: int | None = None


ROUTES: Table[MediaServer, Guest] = Table(handlers.ROUTES)
"""A media server's calls."""

_OPEN = frozenset((route.method, route.template) for route in handlers.ROUTES if not route.needs_token)


class MediaServer:
    """A media server, on a port of its own.

    A token is looked up anew at each request, a transient one through the token that it stands for, and so is whom the
    server belongs to: whatever ends or loses its rights does so here at once.

    Args:
        row: what the store knew of it at the start; whom it belongs to may change, see `owner_id`.
        instance: the local Plex that it belongs to.
        elsewhere: answers what it does not know itself.
    """

    def __init__(self, row: MediaServerRow, instance: Instance, elsewhere: Replies | Upstream | None = None) -> None:
        settings = instance.rates.settings
        self.row = row
        self.instance = instance
        self.transient = TransientTokens(instance.keys, settings.transient_tokens)
        self._elsewhere = elsewhere
        self.default = Format(instance.answers.default_format)
        self.traces = False
        keep_alive = settings.media_server_keep_alive_seconds
        self._kept: Headers = [(b"connection", b"Keep-Alive"), (b"keep-alive", b"timeout=%d" % keep_alive)]

    async def answer(self, asked: Asked) -> Answer:
        """Answer a request; raises a `Refusal`, or what stores raise."""
        if asked.path == documents.PATH and asked.method == "GET":
            return documents.answer("media server")
        visit: Visit[MediaServer, Guest] = Visit(self, asked)
        path = _path(asked)
        if (asked.method, path) not in _OPEN:
            try:
                visit.caller = await self._guest(asked)
            except Unauthorized:  # whether `/security/*` says 401 or 403 to nobody is disputed
                if self.instance.answers.security_without_token == 403 and asked.path.startswith("/security/"):
                    raise Forbidden from None
                raise
        # A folder or an upstream has what has no route here, and the libraries, which are empty here.
        if self._elsewhere and (path == handlers.GetSections.http.path or ROUTES.find(asked, path) is None):
            # An unclaimed server lets its own machine in: that proves nothing to what is upstream.
            token = (_token(asked) if visit.caller.origin else "") or ""
            if not KnownSecrets((token,)).found_in(asked.path):  # else nobody logs it
                asked.template = "/" + stem(asked.path, {})
            answer = await self._elsewhere.answer(asked, token)
            answer.headers = self._with_connection(answer.headers, asked)
            return answer
        route = self.find(asked)
        if route is None:
            raise NotFound
        reply = await route.reply(visit)
        if isinstance(reply, Answer):
            return reply
        return Answer(route.status, self._with_connection(MEDIA_SERVER[asked.form], asked), reply)

    async def owner_id(self) -> int | None:
        """Return the id of the account that the server belongs to now; `None` where it is not claimed."""
        return await self.instance.store.claims.owner(self.row.machine_identifier)

    async def _guest(self, asked: Asked) -> Guest:
        """Return who asks.

        A server that nobody owns has no use for tokens: it lets in its own machine (observed), and nobody else.

        Raises:
            Unauthorized: the token is missing, dead, or nothing that this server takes.
        """
        owner_id, token, instance, now = await self.owner_id(), _token(asked), self.instance, self.instance.now()
        if owner_id is None:
            if not is_this_machine(asked.address) or not asked.has_local_host or asked.is_cross_site:
                raise Unauthorized
            return Guest(access="owner", origin=None)
        if not token:
            raise Unauthorized
        row: TokenRow | None
        if held := self.transient.find(token, now):
            row, (origin, ends) = await instance.store.find_token(held[0], now), held
        else:
            row, origin, ends = await self._known(token, now), instance.keys.digest(token), None
        return Guest(access=access(row, self.row.machine_identifier, owner_id), origin=origin, ends=ends)

    async def _known(self, token: str, now: int) -> TokenRow | None:
        """Look a token up; a JWT only where media servers take it (observed: they do not, though documented)."""
        keys = self.instance.keys
        if keys.well_formed(token):
            return await self.instance.store.find_token(keys.digest(token), now)
        if self.instance.answers.jwt_on_media_server == "refuse" or not device_keys.looks_like_one(token):
            return None
        try:
            return await device_keys.caller(self.instance, token)
        except TokenExpired:
            return None

    def find(self, asked: Asked) -> Route[MediaServer, Guest] | None:
        """Find what answers a request, and note which call it is; `None` where there is nothing."""
        methods = ROUTES.find(asked, _path(asked)) or {}
        route = methods.get(asked.method) or methods.get(ANY_METHOD)
        if route is not None:
            asked.template = route.template
        return route

    def refuse(self, refusal: Refusal, asked: Asked) -> Answer:
        """Write a refusal."""
        status = refusal.status or 500
        fields, body = MEDIA_SERVER_PAGE, error_bodies.write_page(status, at_root=asked.path == "/")
        if status in {400, 401} and self.row.errors == "documented" and asked.path.startswith("/security/"):
            fields, body = MEDIA_SERVER[Format.JSON], error_bodies.write(refusal, Format.JSON)
        if status == 401:
            return Answer(status, fields, body, closes=True)
        return Answer(status, self._with_connection(fields, asked), body)

    def _with_connection(self, fields: Headers, asked: Asked) -> Headers:
        return [*fields, *self._kept] if asked.keeps_alive else fields


def _token(asked: Asked) -> str | None:
    """Take the token from header or query; a media server looks into no body for it (ours)."""
    return asked.x_plex("X-Plex-Token", in_body=False)


def _path(asked: Asked) -> str:
    """Return the path without the slash at its end, which makes no difference, as on plex.tv (assumed)."""
    return asked.path.rstrip("/") or "/"
