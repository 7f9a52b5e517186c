"""The media servers that an account can reach: choosing one by name, and remembering what worked.

Rule: what is remembered is stored with the sign-in, where its tokens are stored too; a client without a stored sign-in
remembers it as long as it lives. A failure to store it is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from ticketstub.client.config import CallSettings, with_server
from ticketstub.client.flows.home import list_resources
from ticketstub.client.flows.request import Flow, FlowContext, RefusedToken
from ticketstub.client.flows.session import Servers, get_stored_session
from ticketstub.credentials.store import KnownServer
from ticketstub.device import Device
from ticketstub.errors import AmbiguousServer, MalformedReply, ServerNotFound, Unreachable, sanitize_text
from ticketstub.messages import get_origin
from ticketstub.models import Resource
from ticketstub.protocol.resource import GetResources
from ticketstub.refusals import ServerError
from ticketstub.routes import ServerRoute
from ticketstub.tokens import Secret, Token

_MAX_SERVERS = 16
_MAX_NETWORKS = 8
_MAX_SIZE = 16 * 1024
"""The largest listing of one server, in bytes, that is remembered. plex.tv sends 2 KiB."""
_MAX_SHOWN = 8
"""The largest number of servers that an error names."""
_MAX_AGE = 3600.0
"""Seconds after which an unchanged list is stored again."""


def choose_server(resources: Sequence[Resource], query: str) -> Resource:
    """Return the media server with this machine identifier or name, ignoring the case of names.

    Raises:
        AmbiguousServer: several have this name.
        ServerNotFound: none has it.
    """
    servers = [each for each in resources if each.is_media_server]
    text = query.strip().casefold()
    found = [each for each in servers if each.client_identifier == query] or [
        each for each in servers if (each.name or "").strip().casefold() == text
    ]
    if len(found) == 1:
        return found[0]
    if found:
        owners = ", ".join(
            f"{sanitize_text(each.client_identifier or '')} ({_describe_owner(each)})" for each in found[:_MAX_SHOWN]
        )
        raise AmbiguousServer(
            f"several media servers are called {sanitize_text(query)}", hint=f"name one by its {owners}"
        )
    names = ", ".join(sanitize_text(each.name or each.client_identifier or "") for each in servers[:_MAX_SHOWN])
    names += ", …" if len(servers) > _MAX_SHOWN else ""
    raise ServerNotFound(
        f"this account has no media server {sanitize_text(query)}",
        hint=f"it has {names}" if names else "no media server is shared with it",
    )


def _describe_owner(resource: Resource) -> str:
    return "yours" if resource.owned else f"of {sanitize_text(resource.source_title or 'another account')}"


def find_known(query: str, context: FlowContext) -> KnownServer | None:
    """Return what is remembered of a media server, if exactly one matches."""
    known = _load(context)
    with suppress(ServerNotFound):
        resource = choose_server([each.resource for each in known], query)
        return next(each for each in known if each.resource is resource)
    return None


def remember(
    resource: Resource, route: ServerRoute | None, network: str, known: KnownServer | None, context: FlowContext
) -> Flow[None]:
    """Remember a media server and, if there is a route, the address that worked on this network."""
    if known and known.resource.client_identifier != resource.client_identifier:  # another one of the same name
        yield from forget_server(known, context)
        known = None
    if not _can_be_remembered(resource):
        return
    now = context.clock.now()

    def change(servers: Servers) -> Servers:  # what others have remembered meanwhile is kept
        stored = next((each for each in servers if each.resource.client_identifier == resource.client_identifier), None)
        routes = dict(stored.routes) if stored else {}
        if route:
            routes.pop(network, None)
            routes[network] = (route.url, route.address)
            routes = dict(list(routes.items())[-_MAX_NETWORKS:])
        if known and known.resource is resource:  # no news from plex.tv
            server = replace(stored or known, routes=routes)
        elif stored and stored.resource == resource and now < stored.listed_at + _MAX_AGE:
            server = replace(stored, routes=routes)
        else:
            server = KnownServer(resource=resource, listed_at=now, routes=routes)
        if stored and server == stored and list(routes) == list(stored.routes):
            return servers
        return (server, *_without(servers, resource))[:_MAX_SERVERS]

    yield from _save(change, context)


def _can_be_remembered(resource: Resource) -> bool:
    """Return whether a listing has what the next connection needs, and is not so long that a store would suffer."""
    with suppress(msgspec.MsgspecError, OverflowError, ValueError):  # a number that JSON cannot hold
        data = msgspec.json.encode(resource, enc_hook=Secret.reveal)
        return resource.access_token is not None and len(data) <= _MAX_SIZE
    return False


def forget_server(known: KnownServer, context: FlowContext) -> Flow[None]:
    """Forget a media server that plex.tv no longer lists for the account."""
    yield from _save(lambda servers: _without(servers, known.resource), context)


def _without(servers: Servers, resource: Resource) -> Servers:
    return tuple(each for each in servers if each.resource.client_identifier != resource.client_identifier)


def _load(context: FlowContext) -> Servers:
    session = get_stored_session(context.settings)
    if session and session.credential.servers:
        return session.credential.servers
    token = session() if session else context.settings.token
    return context.known_servers.get(token, ()) if isinstance(token, Token) else ()


def _save(change: Callable[[Servers], Servers], context: FlowContext) -> Flow[None]:
    before = _load(context)
    if change(before) is before:
        return
    session = get_stored_session(context.settings)
    if session:
        yield from session.update(change_servers=change)
        if session.credential.servers:
            return
    token = session() if session else context.settings.token  # some keyrings have no room for servers
    if isinstance(token, Token):
        context.known_servers.change(token, change)


def make_settings(context: FlowContext, resource: Resource, route: ServerRoute) -> CallSettings:
    """Return the settings for a media server at an address that has proved to be it."""
    context = drop_deadline(context)  # that of the search, not of the calls that follow
    source = ServerTokenSource(context, resource, get_origin(route.url))
    return replace(with_server(context.settings, route.url, source), route=route)


def drop_deadline(context: FlowContext) -> FlowContext:
    """Return the context for work that goes on after the program's call has ended."""
    return context._replace(settings=replace(context.settings, deadline=None))


class ServerTokenSource:
    """The account's token for one media server. If the server refuses it, plex.tv is asked for the current one."""

    def __init__(self, context: FlowContext, resource: Resource, origin: str) -> None:
        self._context = context
        self._resource = resource
        self.origin = origin

    def __call__(self) -> Token | None:
        """Return the current token."""
        return self._resource.access_token

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.origin}>"

    def get_token_flow(
        self,
        settings: CallSettings,  # noqa: ARG002  # plex.tv is asked with those of the account's client
        device: Device,  # noqa: ARG002
        deadline: float,
        refused_token: RefusedToken | None,
    ) -> Flow[Token | None]:
        """Return the token for a call; after a refusal a different one, or `None` if plex.tv lists no other."""
        token = self._resource.access_token
        if refused_token is None or refused_token.token != token:
            return token
        context = self._context.with_attempts(1, deadline)
        try:
            resources = yield from list_resources(GetResources(), context)
        except (Unreachable, ServerError, MalformedReply):
            refused_token.refusal.hint = "plex.tv could not be asked for the current token"
            return None
        for resource in resources:
            if resource.client_identifier == self._resource.client_identifier:
                self._resource = replace(self._resource, access_token=resource.access_token)
                return None if resource.access_token == token else resource.access_token
        return None
