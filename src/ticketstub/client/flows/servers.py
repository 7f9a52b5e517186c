"""What the account can reach, each server with a token that it takes.

Rule: a JWT never goes to a media server, which would refuse it; the account's opaque token stands in its place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import msgspec

from ticketstub.client.flows.request import FlowContext
from ticketstub.client.flows.steps import Flow
from ticketstub.models import Account, Resource
from ticketstub.protocol.call import Call
from ticketstub.refusals import PasscodeRequired
from ticketstub.tokens import Token


def list_resources(call: Call[tuple[Resource, ...]], context: FlowContext) -> Flow[tuple[Resource, ...]]:
    """List the account's resources; a JWT in place of a server's token is replaced by a token that the server takes."""
    resources = yield from context.call(call)
    if not any(_has_jwt(resource) for resource in resources):
        return resources
    from ticketstub.client.flows.home import get_media_server_token  # with an opaque token nothing of it is needed

    token: Token | None = None
    with contextlib.suppress(PasscodeRequired):
        token = yield from get_media_server_token(None, context)
    return tuple(_with_token(resource, token) if _has_jwt(resource) else resource for resource in resources)


def _has_jwt(resource: Resource) -> bool:
    return resource.access_token is not None and resource.access_token.kind == "jwt"


def _with_token(resource: Resource, token: Token | None) -> Resource:
    changed = msgspec.structs.replace(resource, access_token=token)
    vars(changed).update(vars(resource))  # what could not be read of it
    return changed


def can_reach(
    account: Account, resources: Iterable[Resource], server: str, *, owned: bool | None, owner: int | None
) -> bool:
    """Tell whether one of the resources is that media server, and whose it is."""
    return any(
        resource.is_media_server
        and server in (resource.client_identifier, resource.name)
        and owned in (None, bool(resource.owned))
        and owner in (None, account.id if resource.owned and resource.owner_id is None else resource.owner_id)
        for resource in resources
    )
