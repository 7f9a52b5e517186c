"""The calls about other people: friends, shares of media servers, and invitations.

Rule: the client and the local Plex use the same code (see `call`). Sources: observed bodies of the older API, whose
lists are XML whatever format is requested. The content of v2's lists beyond their first members is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha1

import msgspec

from ticketstub.messages import Response, is_array, is_object
from ticketstub.models import Friend, Invitation, Model, PublishedServer, Share, SharedServer, User
from ticketstub.models.base import ModelT
from ticketstub.protocol import lenient
from ticketstub.protocol.call import (
    CONTAINER,
    Call,
    HttpSpec,
    NoContentCall,
    ReplyCodec,
    build_malformed_reply,
    find_container_items,
    parse_response,
    read_reply,
)
from ticketstub.protocol.codec import Format, to_builtins, write_document

# Observed: the older lists of plex.tv describe plex.tv as if it were a media server.
_PLEX_TV_ATTRIBUTES: dict[str, object] = {
    "friendlyName": "myPlex",
    "identifier": "com.plexapp.plugins.myplex",
    "machineIdentifier": sha1(b"plex.tv", usedforsecurity=False).hexdigest(),
}


def write_container(
    name: str, items: Sequence[dict[str, object]], form: Format, attributes: Mapping[str, object] | None = None
) -> bytes:
    """Write a list as plex.tv's older API does: in a `MediaContainer` with its size (observed).

    Args:
        name: the name of an item.
        items: the items.
        form: XML as observed, or JSON with the same content (our own).
        attributes: further attributes of the container.
    """
    size = len(items)
    return write_document(
        CONTAINER,
        {**_PLEX_TV_ATTRIBUTES, "totalSize": size, "size": size, **(attributes or {}), name: items},
        form,
        wrap_json=True,
    )


def _read_list(kind: type[ModelT], name: str, response: Response) -> tuple[ModelT, ...]:
    """Read a list, which may be empty. `name` is the name of a `MediaContainer`'s items, or empty for v2's lists."""
    data = parse_response(response)
    items = find_container_items(name, data) if name else None
    found = lenient.read_models(kind, data if items is None else items)
    if not found and data != "" and not (is_object(data) or is_array(data)):
        raise build_malformed_reply(response, f"the reply is not a list of {kind.__name__}s")
    return found


def _build_container_list_codec(kind: type[Model], name: str) -> ReplyCodec:
    """Build the codec for a list in a `MediaContainer` of the older API."""
    return ReplyCodec(
        partial(_read_list, kind, name),
        lambda value, form: write_container(name, [to_builtins(each) for each in value], form),
    )


def _build_list_codec(
    kind: type[ModelT], root: str, to_dict: Callable[[ModelT], dict[str, object]] = to_builtins
) -> ReplyCodec:
    """Build the codec for a list of v2."""
    return ReplyCodec(
        partial(_read_list, kind, ""),
        lambda value, form: write_document(root, [to_dict(each) for each in value], form),
    )


class GetUsers(Call[tuple[User, ...]], frozen=True, kw_only=True):
    """List friends and Home users, each with the caller's media servers they may use: `GET /api/users`, 200.

    Documented as JSON, observed as XML whatever format is requested.
    """

    http = HttpSpec("GET", "/api/users", "users", reply=_build_container_list_codec(User, "User"))


def _friend_to_dict(friend: Friend) -> dict[str, object]:
    """Convert a friend in the observed order. Only members of the Home have `restrictionProfile`."""
    members: dict[str, object] = {**to_builtins(friend), "sharedSources": ()}
    if friend.home:
        members.setdefault("restrictionProfile", None)
    return {name: members[name] for name in ("status", "sharingSettings", "sharedServers", "sharedSources")} | members


class GetFriends(Call[tuple[Friend, ...]], frozen=True, kw_only=True):
    """List friends: `GET /api/v2/friends`, 200 (observed); reported to reply 410 (gone) in 2026.

    Args:
        status: list only friends with this status: `accepted`, `pending_sent`, `pending_received`, or several of them,
            separated by commas.
    """

    http = HttpSpec(
        "GET",
        "/api/v2/friends",
        "friends",
        mark="observed",
        reply=_build_list_codec(Friend, "friends", _friend_to_dict),
    )

    status: str | None = msgspec.field(name="status", default=None)


class RemoveFriend(NoContentCall, frozen=True, kw_only=True):
    """Remove a friend: `DELETE /api/friends/{id}`. Plex removed this call in 2024: it always replies 410 (observed)."""

    http = HttpSpec("DELETE", "/api/friends/{id}", "remove_friend", retryable=False, mark="observed")

    id: int


class GetSharedServers(Call[tuple[SharedServer, ...]], frozen=True, kw_only=True):
    """List the users with whom you share a media server, each with their token for it (observed).

    `GET /api/servers/{machineIdentifier}/shared_servers`, 200, XML. Owner only.
    """

    http = HttpSpec(
        "GET",
        "/api/servers/{machineIdentifier}/shared_servers",
        "shared_servers",
        mark="observed",
        reply=_build_container_list_codec(SharedServer, "SharedServer"),
    )

    machine_identifier: str

    def write(self, value: tuple[SharedServer, ...], form: Format) -> bytes:
        return write_container(
            "SharedServer",
            [to_builtins(share) for share in value],
            form,
            {"machineIdentifier": self.machine_identifier},
        )


class GetServers(Call[tuple[PublishedServer, ...]], frozen=True, kw_only=True):
    """List the media servers that the caller can reach, in the older form: `GET /api/servers`, 200, XML (observed)."""

    http = HttpSpec(
        "GET",
        "/api/servers",
        "servers",
        mark="observed",
        reply=_build_container_list_codec(PublishedServer, "Server"),
    )


class GetServer(Call[PublishedServer], frozen=True, kw_only=True):
    """Get one media server: `GET /api/v2/servers/{machineIdentifier}`, 200 (observed in JSON)."""

    http = HttpSpec(
        "GET",
        "/api/v2/servers/{machineIdentifier}",
        "server",
        mark="observed",
        reply=ReplyCodec(
            partial(read_reply, PublishedServer, any_of=("machine_identifier",)),
            lambda value, form: write_document("server", {**to_builtins(value), "librarySections": ()}, form),
        ),
    )

    machine_identifier: str


class GetOwnedShares(Call[tuple[Share, ...]], frozen=True, kw_only=True):
    """List the shares of your own servers: `GET /api/v2/shared_servers/owned/accepted` (observed)."""

    http = HttpSpec(
        "GET",
        "/api/v2/shared_servers/owned/accepted",
        "owned_shares",
        mark="observed",
        reply=_build_list_codec(Share, "sharedServers"),
    )


class GetPendingShares(GetOwnedShares, frozen=True, kw_only=True):
    """List the shares you have not accepted yet: `GET /api/v2/shared_servers/invites/received/pending`."""

    http = GetOwnedShares.http._replace(path="/api/v2/shared_servers/invites/received/pending", name="pending_shares")


class GetSentShares(GetPendingShares, frozen=True, kw_only=True):
    """List the shares that others have not accepted yet: `GET /api/v2/shared_servers/invites/owned/pending` (observed).

    This call and the next replace the older lists of invitations, which are gone (410).
    """

    http = GetOwnedShares.http._replace(path="/api/v2/shared_servers/invites/owned/pending", name="sent_shares")


class GetAcceptedShares(GetOwnedShares, frozen=True, kw_only=True):
    """List the shares that others accepted: `GET /api/v2/shared_servers/invites/owned/accepted` (observed)."""

    http = GetOwnedShares.http._replace(path="/api/v2/shared_servers/invites/owned/accepted", name="answered_shares")


class CreateShare(Call[Share], frozen=True, kw_only=True):
    """Share one of your media servers: `POST /api/v2/shared_servers`, 201, parameters as JSON (observed).

    A share that already exists is refused with 422, code 1999.

    Args:
        machine_identifier: the media server.
        invited_id: the account id of the user to share it with.
        invited_email: the e-mail address or user name of the user to share it with.
    """

    http = HttpSpec(
        "POST",
        "/api/v2/shared_servers",
        "create_share",
        in_body=True,
        as_json=True,
        retryable=False,
        status=201,
        mark="observed",
        reply=ReplyCodec(
            partial(read_reply, Share, any_of=("id", "machine_identifier")),
            lambda value, form: write_document("sharedServer", {**to_builtins(value), "libraries": ()}, form),
        ),
    )

    machine_identifier: str
    invited_id: int | None = None
    invited_email: str | None = None


_INVITATIONS_REPLY = _build_container_list_codec(Invitation, "Invite")


class GetReceivedInvitations(Call[tuple[Invitation, ...]], frozen=True, kw_only=True):
    """List the invitations that the caller has not answered: `GET /api/invites/requests`, 200, XML (observed).

    Plex removed this call and the next in 2025: they reply 410 (observed).
    """

    http = HttpSpec("GET", "/api/invites/requests", "received_invitations", mark="observed", reply=_INVITATIONS_REPLY)


class GetSentInvitations(Call[tuple[Invitation, ...]], frozen=True, kw_only=True):
    """List the caller's invitations that others have not answered: `GET /api/invites/requested` (observed)."""

    http = HttpSpec("GET", "/api/invites/requested", "sent_invitations", mark="observed", reply=_INVITATIONS_REPLY)


class _InvitationCall(NoContentCall, frozen=True, kw_only=True):
    """The parameters of all calls about one invitation (observed).

    Args:
        id: the invitation's id.
        friend: whether it is an invitation to be friends. Plex ignores this and the next two: the id suffices.
        home: whether it is an invitation to a Home.
        server: whether it is an invitation to use media servers.
    """

    id: int
    friend: bool | None = None
    home: bool | None = None
    server: bool | None = None


class AcceptInvitation(_InvitationCall, frozen=True, kw_only=True):
    """Accept an invitation: `PUT /api/invites/requests/{id}`, 200."""

    http = HttpSpec("PUT", "/api/invites/requests/{id}", "accept_invitation", retryable=False, mark="observed")


class RefuseInvitation(_InvitationCall, frozen=True, kw_only=True):
    """Refuse an invitation: `DELETE /api/invites/requests/{id}`, 200."""

    http = HttpSpec("DELETE", "/api/invites/requests/{id}", "refuse_invitation", retryable=False, mark="observed")


class WithdrawInvitation(_InvitationCall, frozen=True, kw_only=True):
    """Withdraw an invitation: `DELETE /api/invites/requested/{id}`, 200."""

    http = HttpSpec("DELETE", "/api/invites/requested/{id}", "withdraw_invitation", retryable=False, mark="observed")
