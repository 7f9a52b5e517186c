"""A media server: which calls it answers, who may ask, and how it says no.

Rule: but for the identity, a claim and our own OpenAPI document, the token comes first: without a good one every path
is 401, an unknown one too. Only a server that nobody owns asks its own machine for none, and no web page of another
site counts as that (ours). Refusals are web pages whatever is accepted (observed), or with `errors = "documented"` JSON
for 400 and 401 on `/security/*`.
"""

from __future__ import annotations

from ticketstub.refusals import Forbidden, NotFound, Refusal, Unauthorized
from ticketstub.server import openapi
from ticketstub.server.answers import MEDIA_SERVER, MEDIA_SERVER_PAGE, Answer
from ticketstub.server.box import Box, Guest
from ticketstub.server.elsewhere import Elsewhere
from ticketstub.server.handlers import media_server as handlers
from ticketstub.server.handlers import media_server_owner as owner
from ticketstub.server.handlers import security
from ticketstub.server.known_secrets import KnownSecrets
from ticketstub.server.policies.media_servers import is_this_machine
from ticketstub.server.reply_names import stem
from ticketstub.server.requests import Asked, Headers
from ticketstub.server.routes import ANY_METHOD, Route, Table, Visit
from ticketstub.wire import refused
from ticketstub.wire.claims import ClaimServer, GetClaimedServer, UnclaimServer
from ticketstub.wire.codec import Format
from ticketstub.wire.media_server import GetIdentity, GetServerInformation
from ticketstub.wire.security import GetSourceConnectionInformation, GetTransientToken


def routes() -> Table[Box, Guest]:
    """Make the table of a media server's calls."""
    return Table(
        [
            Route(GetIdentity, handlers.identity),
            Route(GetServerInformation, handlers.server_information),
            Route(handlers.GetSections, handlers.sections),
            Route(GetTransientToken, security.get_transient_token, any_method=True),
            Route(
                GetSourceConnectionInformation,
                security.get_source_connection_information,
                write=security.write_told,
                allow=security.allow_sources,
            ),
            Route(owner.GetAccounts, owner.accounts, allow=owner.allow_owner),
            Route(owner.GetSystemDevices, owner.system_devices, allow=owner.allow_owner),
            Route(owner.GetStatistics, owner.statistics, allow=owner.allow_owner),
            Route(owner.GetClients, owner.clients),
            Route(GetClaimedServer, owner.claimed_server, allow=owner.allow_my_plex),
            Route(UnclaimServer, owner.unclaim_server, allow=owner.allow_owner),
            Route(ClaimServer, owner.claim_server),
        ]
    )


_ROUTES = routes()
_OPEN = frozenset((route.method, route.template) for route in _ROUTES.all() if not route.needs_token)


class MediaServer:
    """A media server, on a port of its own.

    Args:
        box: what it is and knows.
        keep_alive: seconds that an idle connection is kept, as it announces.
        elsewhere: answers what it does not know itself.
    """

    def __init__(self, box: Box, keep_alive: int, elsewhere: Elsewhere | None = None) -> None:
        self._box = box
        self._elsewhere = elsewhere
        self.default = Format(box.instance.answers.default_format)
        self.traces = False
        self._kept: Headers = [(b"connection", b"Keep-Alive"), (b"keep-alive", b"timeout=%d" % keep_alive)]

    async def answer(self, asked: Asked) -> Answer:
        """Answer a request; raises a `Refusal`, or what stores raise."""
        if asked.path == openapi.PATH and asked.method == "GET":
            return openapi.answer("media server")
        visit: Visit[Box, Guest] = Visit(self._box, asked)
        if (asked.method, _path(asked)) not in _OPEN:
            visit.caller = await self._guest(asked)
        if self._elsewhere is not None and _is_known_elsewhere(asked):
            # An unclaimed server lets its own machine in: that proves nothing to what is upstream.
            token = (_token(asked) if visit.caller.origin else "") or ""
            if not KnownSecrets((token,)).found_in(asked.path):  # else nobody logs it
                asked.template = "/" + stem(asked.path, {})
            return self._kept_open(await self._elsewhere.answer(asked, token), asked)
        route = self.find(asked)
        if route is None:
            raise NotFound
        reply = await route.reply(visit)
        if isinstance(reply, Answer):
            return reply
        return Answer(route.status, self._with_connection(MEDIA_SERVER[asked.form], asked), reply)

    async def _guest(self, asked: Asked) -> Guest:
        """Return who asks; whether `/security/*` says 401 or 403 to nobody is disputed."""
        try:
            this_machine = is_this_machine(asked.address) and asked.has_local_host and not asked.is_cross_site
            return await self._box.guest(_token(asked), this_machine=this_machine)
        except Unauthorized:
            if self._box.instance.answers.security_without_token == 403 and asked.path.startswith("/security/"):
                raise Forbidden from None
            raise

    def find(self, asked: Asked) -> Route[Box, Guest] | None:
        """Find what answers a request, and note which call it is; `None` where there is nothing."""
        methods = _ROUTES.find(asked, _path(asked)) or {}
        route = methods.get(asked.method) or methods.get(ANY_METHOD)
        if route is not None:
            asked.template = route.template
        return route

    def refuse(self, refusal: Refusal, asked: Asked) -> Answer:
        """Write a refusal."""
        status = refusal.status or 500
        fields, body = MEDIA_SERVER_PAGE, refused.write_page(status, at_root=asked.path == "/")
        if status in {400, 401} and self._box.row.errors == "documented" and asked.path.startswith("/security/"):
            fields, body = MEDIA_SERVER[Format.JSON], refused.write(refusal, Format.JSON)
        if status == 401:
            return Answer(status, fields, body, closes=True)
        return Answer(status, self._with_connection(fields, asked), body)

    def _kept_open(self, answer: Answer, asked: Asked) -> Answer:
        return Answer(answer.status, self._with_connection(answer.headers, asked), answer.body)

    def _with_connection(self, fields: Headers, asked: Asked) -> Headers:
        return [*fields, *self._kept] if asked.keeps_alive else fields


def _token(asked: Asked) -> str | None:
    """Take the token from header or query; a media server looks into no body for it (ours)."""
    return asked.x_plex("X-Plex-Token", in_body=False)


def _is_known_elsewhere(asked: Asked) -> bool:
    """Tell whether a folder or an upstream answers: what has no route here, and the libraries, which are empty here."""
    path = _path(asked)
    return path == handlers.GetSections.http.path or _ROUTES.find(asked, path) is None


def _path(asked: Asked) -> str:
    """Return the path without the slash at its end, which makes no difference, as on plex.tv (assumed)."""
    return asked.path.rstrip("/") or "/"
