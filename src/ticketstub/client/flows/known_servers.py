"""The media servers that an account can reach: choosing one by name, and remembering what worked.

Rule: what is remembered is stored with the sign-in, where its tokens are stored too; a client without a stored sign-in
remembers it as long as it lives. A failure to store it is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from ticketstub.client.config import CallSettings, with_server
from ticketstub.client.flows.home import list_resources
from ticketstub.client.flows.request import Flow, FlowContext, RefusedToken
from ticketstub.client.flows.session import get_stored_session
from ticketstub.credentials.store import KnownServer
from ticketstub.device import Device
from ticketstub.errors import AmbiguousServer, ServerNotFound, sanitize_text
from ticketstub.messages import get_origin
from ticketstub.models import Resource
from ticketstub.protocol.resource import GetResources
from ticketstub.routes import ServerRoute
from ticketstub.tokens import Token

_MAX_SERVERS = 16
_MAX_NETWORKS = 8
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
        owners = ", ".join(f"{each.client_identifier} ({_describe_owner(each)})" for each in found)
        raise AmbiguousServer(
            f"several media servers are called {sanitize_text(query)}", hint=f"name one by its {owners}"
        )
    names = ", ".join(sanitize_text(each.name or each.client_identifier or "") for each in servers)
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
    now = context.clock.now()
    routes = dict(known.routes) if known else {}
    if route:
        routes.pop(network, None)
        routes[network] = (route.url, route.address)
        routes = dict(list(routes.items())[-_MAX_NETWORKS:])
    is_unchanged = (
        known is not None and known.routes == routes and known.resource == resource and now < known.listed_at + _MAX_AGE
    )
    if not is_unchanged:
        others = [each for each in _load(context) if each.resource.client_identifier != resource.client_identifier]
        listed_at = known.listed_at if known and known.resource is resource else now
        server = KnownServer(resource=resource, listed_at=listed_at, routes=routes)
        yield from _save((server, *others)[:_MAX_SERVERS], context)


def forget_server(known: KnownServer, context: FlowContext) -> Flow[None]:
    """Forget a media server that plex.tv no longer lists for the account."""
    others = (each for each in _load(context) if each.resource.client_identifier != known.resource.client_identifier)
    yield from _save(tuple(others), context)


def _load(context: FlowContext) -> tuple[KnownServer, ...]:
    session = get_stored_session(context.settings)
    if session:
        return session.credential.servers
    token = context.settings.token
    return context.known_servers.get(token, ()) if isinstance(token, Token) else ()


def _save(servers: tuple[KnownServer, ...], context: FlowContext) -> Flow[None]:
    session = get_stored_session(context.settings)
    if session:
        yield from session.update(servers=servers)
    elif isinstance(token := context.settings.token, Token):
        context.known_servers[token] = servers


def make_settings(context: FlowContext, resource: Resource, route: ServerRoute) -> CallSettings:
    """Return the settings for a media server at an address that has proved to be it."""
    source = ServerTokenSource(context, resource, get_origin(route.url))
    return replace(with_server(context.settings, route.url, source), route=route)


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
        for resource in (yield from list_resources(GetResources(), context)):
            if resource.client_identifier == self._resource.client_identifier:
                self._resource = replace(self._resource, access_token=resource.access_token)
                return None if resource.access_token == token else resource.access_token
        return None
