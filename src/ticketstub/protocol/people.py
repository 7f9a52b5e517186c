"""Other people: the account's friends, who may use which media server, and invitations.

Rule: as all of wire/, role-blind. Sources: observed bodies of the older API, whose lists are XML whatever was asked
for; what v2's lists hold beyond their first members is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha1
from typing import TypeVar

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Friend, Invitation, Model, PublishedServer, Share, SharedServer, User
from ticketstub.protocol import lenient
from ticketstub.protocol.call import (
    CONTAINER,
    Call,
    HttpSpec,
    NoContentCall,
    ReplyCodec,
    build_malformed_reply,
    build_reply_codec,
    parse_response,
)
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.plain import is_array, is_object

R = TypeVar("R", bound=Model)

# Observed: the older lists of plex.tv name plex.tv itself as if it were a media server.
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
        name: what each item is called.
        items: the items.
        form: XML, as observed, or what the same would be in JSON (ours).
        attributes: what else the container says of itself.
    """
    counts: dict[str, object] = {"totalSize": len(items), "size": len(items)}
    return write_document(
        CONTAINER, {**_PLEX_TV_ATTRIBUTES, **counts, **(attributes or {}), name: list(items)}, form, wrap_json=True
    )


def get_container_items(name: str, data: object) -> object:
    """Return what a container holds under a name; its own members look like an item's. Other data comes as it is."""
    if is_object(data) and is_object(inner := data.get(CONTAINER)):
        data = inner
    return data.get(name, ()) if is_object(data) and _CONTAINER_KEYS & data.keys() else data


_CONTAINER_KEYS = frozenset({"size", "totalSize", "identifier"})


def _read_list(kind: type[R], response: Response, name: str = "") -> tuple[R, ...]:
    """Read a list, which may be empty; `name` is what its items are called where they stand in a container."""
    data = parse_response(response)
    found = lenient.read_models(kind, get_container_items(name, data) if name else data)
    if not found and ((isinstance(data, str) and data) or not (is_object(data) or is_array(data) or data == "")):
        raise build_malformed_reply(response, f"the answer is no list of {kind.__name__}s")
    return found


def _build_list_codec(kind: type[Model], name: str) -> ReplyCodec:
    """Make the reply that is a list in the older API's container."""

    def write(value: tuple[Model, ...], form: Format) -> bytes:
        return write_container(name, [to_builtins(each) for each in value], form)

    return ReplyCodec(partial(_read_list, kind, name=name), write)


class GetUsers(Call[tuple[User, ...]], frozen=True, kw_only=True):
    """List friends and Home users, with the caller's media servers that each may use: `GET /api/users`, 200.

    Documented as JSON, observed as XML, whatever is accepted.
    """

    http = HttpSpec("GET", "/api/users", "users", reply=_build_list_codec(User, "User"))


class GetFriends(Call[tuple[Friend, ...]], frozen=True, kw_only=True):
    """List friends: `GET /api/v2/friends`, 200 (observed); reported as gone (410) in 2026.

    Args:
        status: only those of this status: `accepted`, `pending_sent` or `pending_received`, or several with commas.
    """

    http = HttpSpec("GET", "/api/v2/friends", "friends", mark="observed")

    status: str | None = msgspec.field(name="status", default=None)

    def read(self, response: Response) -> tuple[Friend, ...]:
        return _read_list(Friend, response)

    def write(self, value: tuple[Friend, ...], form: Format) -> bytes:
        return write_document("friends", [_friend_to_dict(friend) for friend in value], form)


def _friend_to_dict(friend: Friend) -> dict[str, object]:
    """Write a friend in the observed order; `restrictionProfile` stands there for members of the Home only."""
    members: dict[str, object] = {**to_builtins(friend), "sharedSources": _EMPTY_LIST}
    if friend.home:
        members.setdefault("restrictionProfile", None)
    first = ("status", "sharingSettings", "sharedServers", "sharedSources")
    return {name: members[name] for name in first} | members


_EMPTY_LIST: list[object] = []


class RemoveFriend(NoContentCall, frozen=True, kw_only=True):
    """Remove a friend, in the way that is gone since 2024: `DELETE /api/friends/{id}`, always 410 (observed)."""

    http = HttpSpec("DELETE", "/api/friends/{id}", "remove_friend", retryable=False, mark="observed")

    id: int


class GetSharedServers(Call[tuple[SharedServer, ...]], frozen=True, kw_only=True):
    """List who may use a media server of one's own, with each one's token there (observed).

    `GET /api/servers/{machineIdentifier}/shared_servers`, 200, XML. Owner only.
    """

    http = HttpSpec(
        "GET",
        "/api/servers/{machineIdentifier}/shared_servers",
        "shared_servers",
        mark="observed",
        reply=_build_list_codec(SharedServer, "SharedServer"),
    )

    machine_identifier: str

    def write(self, value: tuple[SharedServer, ...], form: Format) -> bytes:
        listed = [to_builtins(share) for share in value]
        return write_container("SharedServer", listed, form, {"machineIdentifier": self.machine_identifier})


class GetServers(Call[tuple[PublishedServer, ...]], frozen=True, kw_only=True):
    """List the media servers that the caller can reach, in the older form: `GET /api/servers`, 200, XML (observed)."""

    http = HttpSpec(
        "GET", "/api/servers", "servers", mark="observed", reply=_build_list_codec(PublishedServer, "Server")
    )


class GetServer(Call[PublishedServer], frozen=True, kw_only=True):
    """Ask about one media server: `GET /api/v2/servers/{machineIdentifier}`, 200 (observed in JSON)."""

    http = HttpSpec(
        "GET",
        "/api/v2/servers/{machineIdentifier}",
        "server",
        mark="observed",
        reply=build_reply_codec(PublishedServer, "server", "machine_identifier"),
    )

    machine_identifier: str

    def write(self, value: PublishedServer, form: Format) -> bytes:
        return write_document("server", {**to_builtins(value), "librarySections": _EMPTY_LIST}, form)


class GetOwnedShares(Call[tuple[Share, ...]], frozen=True, kw_only=True):
    """List the shares of one's own servers: `GET /api/v2/shared_servers/owned/accepted` (observed)."""

    http = HttpSpec("GET", "/api/v2/shared_servers/owned/accepted", "owned_shares", mark="observed")

    def read(self, response: Response) -> tuple[Share, ...]:
        return _read_list(Share, response)

    def write(self, value: tuple[Share, ...], form: Format) -> bytes:
        return write_document("sharedServers", [to_builtins(share) for share in value], form)


class GetPendingShares(GetOwnedShares, frozen=True, kw_only=True):
    """List the shares that wait for the caller's yes: `GET /api/v2/shared_servers/invites/received/pending`."""

    http = HttpSpec("GET", "/api/v2/shared_servers/invites/received/pending", "pending_shares", mark="observed")


class GetSentShares(GetPendingShares, frozen=True, kw_only=True):
    """List the shares that others have not answered: `GET /api/v2/shared_servers/invites/owned/pending` (observed).

    It and the next one stand in the place of the older lists of invitations, which are gone (410).
    """

    http = HttpSpec("GET", "/api/v2/shared_servers/invites/owned/pending", "sent_shares", mark="observed")


class GetAcceptedShares(GetOwnedShares, frozen=True, kw_only=True):
    """List the shares that others accepted: `GET /api/v2/shared_servers/invites/owned/accepted` (observed)."""

    http = HttpSpec("GET", "/api/v2/shared_servers/invites/owned/accepted", "answered_shares", mark="observed")


class CreateShare(Call[Share], frozen=True, kw_only=True):
    """Share a media server of one's own: `POST /api/v2/shared_servers`, 201, its parameters as JSON (observed).

    A share that exists already is refused with 422, code 1999.

    Args:
        machine_identifier: the media server.
        invited_id: with whom, by the account's id.
        invited_email: with whom, by e-mail address or user name.
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
        reply=build_reply_codec(Share, "sharedServer", "id", "machine_identifier"),
    )

    machine_identifier: str
    invited_id: int | None = None
    invited_email: str | None = None

    def write(self, value: Share, form: Format) -> bytes:
        return write_document("sharedServer", {**to_builtins(value), "libraries": _EMPTY_LIST}, form)


_INVITATIONS_REPLY = _build_list_codec(Invitation, "Invite")


class GetReceivedInvitations(Call[tuple[Invitation, ...]], frozen=True, kw_only=True):
    """List the invitations that wait for the caller: `GET /api/invites/requests`, 200, XML (observed).

    Since 2025 it is gone (410), and so is the next one (observed).
    """

    http = HttpSpec("GET", "/api/invites/requests", "received_invitations", mark="observed", reply=_INVITATIONS_REPLY)


class GetSentInvitations(Call[tuple[Invitation, ...]], frozen=True, kw_only=True):
    """List the invitations that the caller sent and nobody answered: `GET /api/invites/requested` (observed)."""

    http = HttpSpec("GET", "/api/invites/requested", "sent_invitations", mark="observed", reply=_INVITATIONS_REPLY)


class _InvitationCall(NoContentCall, frozen=True, kw_only=True):
    """What both ends of an invitation say of it (observed).

    Args:
        id: the invitation's.
        friend: whether it is about being friends; ignored, as are the others: the id says all.
        home: whether about a Home.
        server: whether about media servers.
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
    """Take back an invitation: `DELETE /api/invites/requested/{id}`, 200."""

    http = HttpSpec("DELETE", "/api/invites/requested/{id}", "withdraw_invitation", retryable=False, mark="observed")
