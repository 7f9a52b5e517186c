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
from ticketstub.models import Friend, Invitation, PublishedServer, Record, Share, SharedServer, User
from ticketstub.protocol import lenient
from ticketstub.protocol.call import CONTAINER, Call, Http, Reply, Silent, data_of, in_root, malformed
from ticketstub.protocol.codec import Format, document, plain
from ticketstub.protocol.plain import is_items, is_members

R = TypeVar("R", bound=Record)

# Observed: the older lists of plex.tv name plex.tv itself as if it were a media server.
_PLEX_TV: dict[str, object] = {
    "friendlyName": "myPlex",
    "identifier": "com.plexapp.plugins.myplex",
    "machineIdentifier": sha1(b"plex.tv", usedforsecurity=False).hexdigest(),
}


def container(
    name: str, listed: Sequence[dict[str, object]], form: Format, more: Mapping[str, object] | None = None
) -> bytes:
    """Write a list as plex.tv's older API does: in a `MediaContainer` with its size (observed).

    Args:
        name: what each item is called.
        listed: the items.
        form: XML, as observed, or what the same would be in JSON (ours).
        more: what else the container says of itself.
    """
    counts: dict[str, object] = {"totalSize": len(listed), "size": len(listed)}
    return document(CONTAINER, {**_PLEX_TV, **counts, **(more or {}), name: list(listed)}, form, wrapped=True)


def inside(name: str, data: object) -> object:
    """Return what a container holds under a name; its own members look like an item's. Other data comes as it is."""
    if is_members(data) and is_members(inner := data.get(CONTAINER)):
        data = inner
    return data.get(name, ()) if is_members(data) and _SIZES & data.keys() else data


_SIZES = frozenset({"size", "totalSize", "identifier"})


def _listed(kind: type[R], response: Response, name: str = "") -> tuple[R, ...]:
    """Read a list, which may be empty; `name` is what its items are called where they stand in a container."""
    data = data_of(response)
    found = lenient.records(kind, inside(name, data) if name else data)
    if not found and ((isinstance(data, str) and data) or not (is_members(data) or is_items(data) or data == "")):
        raise malformed(response, f"the answer is no list of {kind.__name__}s")
    return found


def _older(kind: type[Record], name: str) -> Reply:
    """Make the reply that is a list in the older API's container."""

    def write(value: tuple[Record, ...], form: Format) -> bytes:
        return container(name, [plain(each) for each in value], form)

    return Reply(partial(_listed, kind, name=name), write)


class GetUsers(Call[tuple[User, ...]], frozen=True, kw_only=True):
    """List friends and Home users, with the caller's media servers that each may use: `GET /api/users`, 200.

    Documented as JSON, observed as XML, whatever is accepted.
    """

    http = Http("GET", "/api/users", "users", reply=_older(User, "User"))


class GetFriends(Call[tuple[Friend, ...]], frozen=True, kw_only=True):
    """List friends: `GET /api/v2/friends`, 200 (observed); reported as gone (410) in 2026.

    Args:
        having: only those of this status: `accepted`, `pending_sent` or `pending_received`, or several with commas.
    """

    http = Http("GET", "/api/v2/friends", "friends", mark="observed")

    having: str | None = msgspec.field(name="status", default=None)

    def read(self, response: Response) -> tuple[Friend, ...]:
        return _listed(Friend, response)

    def write(self, value: tuple[Friend, ...], form: Format) -> bytes:
        return document("friends", [_friend(friend) for friend in value], form)


def _friend(friend: Friend) -> dict[str, object]:
    """Write a friend in the observed order; `restrictionProfile` stands there for members of the Home only."""
    members: dict[str, object] = {**plain(friend), "sharedSources": _NOTHING}
    if friend.home:
        members.setdefault("restrictionProfile", None)
    first = ("status", "sharingSettings", "sharedServers", "sharedSources")
    return {name: members[name] for name in first} | members


_NOTHING: list[object] = []


class RemoveFriend(Silent, frozen=True, kw_only=True):
    """Remove a friend, in the way that is gone since 2024: `DELETE /api/friends/{id}`, always 410 (observed)."""

    http = Http("DELETE", "/api/friends/{id}", "remove_friend", repeatable=False, mark="observed")

    id: int


class GetSharedServers(Call[tuple[SharedServer, ...]], frozen=True, kw_only=True):
    """List who may use a media server of one's own, with each one's token there (observed).

    `GET /api/servers/{machineIdentifier}/shared_servers`, 200, XML. Owner only.
    """

    http = Http(
        "GET",
        "/api/servers/{machineIdentifier}/shared_servers",
        "shared_servers",
        mark="observed",
        reply=_older(SharedServer, "SharedServer"),
    )

    machine_identifier: str

    def write(self, value: tuple[SharedServer, ...], form: Format) -> bytes:
        listed = [plain(share) for share in value]
        return container("SharedServer", listed, form, {"machineIdentifier": self.machine_identifier})


class GetServers(Call[tuple[PublishedServer, ...]], frozen=True, kw_only=True):
    """List the media servers that the caller can reach, in the older form: `GET /api/servers`, 200, XML (observed)."""

    http = Http("GET", "/api/servers", "servers", mark="observed", reply=_older(PublishedServer, "Server"))


class GetServer(Call[PublishedServer], frozen=True, kw_only=True):
    """Ask about one media server: `GET /api/v2/servers/{machineIdentifier}`, 200 (observed in JSON)."""

    http = Http(
        "GET",
        "/api/v2/servers/{machineIdentifier}",
        "server",
        mark="observed",
        reply=in_root(PublishedServer, "server", "machine_identifier"),
    )

    machine_identifier: str

    def write(self, value: PublishedServer, form: Format) -> bytes:
        return document("server", {**plain(value), "librarySections": _NOTHING}, form)


class GetOwnedShares(Call[tuple[Share, ...]], frozen=True, kw_only=True):
    """List the shares of one's own servers: `GET /api/v2/shared_servers/owned/accepted` (observed)."""

    http = Http("GET", "/api/v2/shared_servers/owned/accepted", "owned_shares", mark="observed")

    def read(self, response: Response) -> tuple[Share, ...]:
        return _listed(Share, response)

    def write(self, value: tuple[Share, ...], form: Format) -> bytes:
        return document("sharedServers", [plain(share) for share in value], form)


class GetPendingShares(GetOwnedShares, frozen=True, kw_only=True):
    """List the shares that wait for the caller's yes: `GET /api/v2/shared_servers/invites/received/pending`."""

    http = Http("GET", "/api/v2/shared_servers/invites/received/pending", "pending_shares", mark="observed")


class GetSentShares(GetPendingShares, frozen=True, kw_only=True):
    """List the shares that others have not answered: `GET /api/v2/shared_servers/invites/owned/pending` (observed).

    It and the next one stand in the place of the older lists of invitations, which are gone (410).
    """

    http = Http("GET", "/api/v2/shared_servers/invites/owned/pending", "sent_shares", mark="observed")


class GetAnsweredShares(GetOwnedShares, frozen=True, kw_only=True):
    """List the shares that others accepted: `GET /api/v2/shared_servers/invites/owned/accepted` (observed)."""

    http = Http("GET", "/api/v2/shared_servers/invites/owned/accepted", "answered_shares", mark="observed")


class CreateShare(Call[Share], frozen=True, kw_only=True):
    """Share a media server of one's own: `POST /api/v2/shared_servers`, 201, its parameters as JSON (observed).

    A share that exists already is refused with 422, code 1999.

    Args:
        machine_identifier: the media server.
        invited_id: with whom, by the account's id.
        invited_email: with whom, by e-mail address or user name.
    """

    http = Http(
        "POST",
        "/api/v2/shared_servers",
        "create_share",
        in_body=True,
        as_json=True,
        repeatable=False,
        status=201,
        mark="observed",
        reply=in_root(Share, "sharedServer", "id", "machine_identifier"),
    )

    machine_identifier: str
    invited_id: int | None = None
    invited_email: str | None = None

    def write(self, value: Share, form: Format) -> bytes:
        return document("sharedServer", {**plain(value), "libraries": _NOTHING}, form)


_INVITATIONS = _older(Invitation, "Invite")


class GetReceivedInvitations(Call[tuple[Invitation, ...]], frozen=True, kw_only=True):
    """List the invitations that wait for the caller: `GET /api/invites/requests`, 200, XML (observed).

    Since 2025 it is gone (410), and so is the next one (observed).
    """

    http = Http("GET", "/api/invites/requests", "received_invitations", mark="observed", reply=_INVITATIONS)


class GetSentInvitations(Call[tuple[Invitation, ...]], frozen=True, kw_only=True):
    """List the invitations that the caller sent and nobody answered: `GET /api/invites/requested` (observed)."""

    http = Http("GET", "/api/invites/requested", "sent_invitations", mark="observed", reply=_INVITATIONS)


class _AnsweredInvitation(Silent, frozen=True, kw_only=True):
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


class AcceptInvitation(_AnsweredInvitation, frozen=True, kw_only=True):
    """Accept an invitation: `PUT /api/invites/requests/{id}`, 200."""

    http = Http("PUT", "/api/invites/requests/{id}", "accept_invitation", repeatable=False, mark="observed")


class RefuseInvitation(_AnsweredInvitation, frozen=True, kw_only=True):
    """Refuse an invitation: `DELETE /api/invites/requests/{id}`, 200."""

    http = Http("DELETE", "/api/invites/requests/{id}", "refuse_invitation", repeatable=False, mark="observed")


class WithdrawInvitation(_AnsweredInvitation, frozen=True, kw_only=True):
    """Take back an invitation: `DELETE /api/invites/requested/{id}`, 200."""

    http = Http("DELETE", "/api/invites/requested/{id}", "withdraw_invitation", repeatable=False, mark="observed")
