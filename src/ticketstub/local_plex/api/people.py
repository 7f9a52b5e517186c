"""plex.tv's answers about other people: friends, who may use which media server, the servers themselves.

Rule: a caller is told of their own servers' shares and of what was shared with them, and of nobody else's; another's
media server is not there (404). A guest's token is told to the server's owner alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import asdict

from ticketstub.local_plex.api import OWN, Routes, Visited
from ticketstub.local_plex.api.devices import resources
from ticketstub.local_plex.domain.addresses import public
from ticketstub.local_plex.http.response import PLEX_TV, Answer
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.media_servers import ShareRow
from ticketstub.models import (
    Friend,
    Person,
    PublishedServer,
    Resource,
    Share,
    SharedServer,
    SharedWith,
    SharingSettings,
    User,
)
from ticketstub.protocol.codec import Format, document
from ticketstub.protocol.people import (
    CreateShare,
    GetAnsweredShares,
    GetFriends,
    GetOwnedShares,
    GetPendingShares,
    GetSentShares,
    GetServer,
    GetServers,
    GetSharedServers,
    GetUsers,
    RemoveFriend,
)
from ticketstub.protocol.resource import GetResources
from ticketstub.refusals import Forbidden, NotFound
from ticketstub.tokens import Token


class _People(Struct, frozen=True):
    """The people around a caller: in the same Home or not, and the shares between them."""

    me: int
    found: tuple[AccountRow, ...]
    at_home: frozenset[int]
    shares: tuple[ShareRow, ...]


async def _people(visit: Visited) -> _People:
    """Find the others of the caller's Home, then everybody there is a share with."""
    me, store = visit.caller.account_id, visit.place.store
    home, shares = await store.homes.of(me), await store.users.shares(me)
    housemates = [member.account for member in home.members] if home else []
    sharing = [account for share in shares for account in (share.guest, share.owner)]
    others = {account.id: account for account in (*housemates, *sharing) if account.id != me}
    at_home = frozenset(account.id for account in housemates)
    return _People(me, tuple(others.values()), at_home, shares)


async def get_users(visit: Visited, _call: GetUsers) -> tuple[User, ...]:
    """List friends and Home users, each with the caller's servers that they may use."""
    people, now = await _people(visit), visit.place.now()
    return tuple(_user(person, people, now) for person in people.found)


async def get_friends(visit: Visited, call: GetFriends) -> tuple[Friend, ...]:
    """List them as v2 does; there are none but accepted ones."""
    if call.having and _ACCEPTED not in call.having.split(","):
        return ()
    people = await _people(visit)
    return tuple(_friend(person, people) for person in people.found)


_ACCEPTED = "accepted"

# What a share allows where nobody said otherwise (observed members, assumed values).
_SETTINGS = SharingSettings(
    allow_channels=False,
    allow_subtitle_admin=False,
    filter_movies="",
    filter_music="",
    filter_television="",
    allow_sync=False,
    allow_camera_upload=False,
    allow_tuners=0,
)


def _friend(person: AccountRow, people: _People) -> Friend:
    """Describe a friend; `sharedServers` is empty whatever is shared (observed)."""
    known = _person(person, home=person.id in people.at_home)
    profile = person.record.restriction_profile
    return Friend(**asdict(known), status=_ACCEPTED, sharing_settings=_SETTINGS, restriction_profile=profile)


async def remove_friend(_visit: Visited, _call: RemoveFriend) -> Answer:
    """Say that this is gone (observed)."""
    return gone()


def gone() -> Answer:
    """Answer as the older API does for what it no longer has."""
    body = document("Response", {"code": 410, "status": "This endpoint was deprecated and removed"}, Format.XML)
    return Answer(410, PLEX_TV[Format.XML], body)


def _user(person: AccountRow, people: _People, now: int) -> User:
    record, given = person.record, [each for each in people.shares if each.owner.id == people.me]
    return User(
        id=record.id,
        title=record.title,
        username=record.username,
        email=record.email,
        recommendations_playlist_id="",
        thumb=record.thumb,
        protected=record.protected,
        home=person.id in people.at_home,
        allow_tuners=False,
        allow_sync=False,
        allow_camera_upload=False,
        allow_channels=False,
        allow_subtitle_admin=False,
        filter_all="",
        filter_movies="",
        filter_music="",
        filter_photos="",
        filter_television="",
        restricted=record.restricted,
        servers=tuple(_shared_with(share, now) for share in given if share.guest.id == person.id),
    )


def _shared_with(share: ShareRow, now: int) -> SharedWith:
    return SharedWith(
        id=_share_id(share),
        server_id=share.server_number,
        machine_identifier=share.machine_identifier,
        name=share.server_name,
        last_seen_at=now,
        num_libraries=0,
        all_libraries=True,
        owned=True,
        pending=False,
    )


def _share_id(share: ShareRow) -> int:
    """Number a share: the same number as long as it lasts (ours; Plex counts)."""
    made = sha256(f"share {share.machine_identifier} {share.guest.id}".encode()).digest()
    return 100_000_000 + int.from_bytes(made[:8], "big") % 900_000_000


def _person(account: AccountRow, *, home: bool) -> Person:
    record = account.record
    return Person(
        id=record.id,
        uuid=record.uuid,
        title=record.title,
        username=record.username or None,
        email=record.email or None,
        friendly_name=record.friendly_name or None,
        thumb=record.thumb,
        restricted=record.restricted,
        home=home,
    )


def _share(share: ShareRow, people: _People, now: int) -> Share:
    accepted = datetime.fromtimestamp(share.created_at, UTC)
    return Share(
        id=_share_id(share),
        name=share.server_name,
        owner_id=share.owner.id,
        invited_id=share.guest.id,
        server_id=share.server_number,
        accepted=True,
        accepted_at=accepted,
        owned=True,
        machine_identifier=share.machine_identifier,
        last_seen_at=datetime.fromtimestamp(now, UTC),
        num_libraries=0,
        invited=_person(share.guest, home=share.guest.id in people.at_home),
        sharing_settings=_SETTINGS,
        all_libraries=True,
    )


async def shared_servers(visit: Visited, call: GetSharedServers) -> tuple[SharedServer, ...]:
    """List who may use a server of the caller's, with their tokens there; raises `NotFound` for any other server."""
    me, store = visit.caller.account_id, visit.place.store
    rows = await store.resources(me)
    if not any(row.owned and row.server.machine_identifier == call.machine_identifier for row in rows):
        raise NotFound
    people = await _people(visit)
    shares = [share for share in people.shares if share.machine_identifier == call.machine_identifier]
    told = people.at_home if visit.place.answers.shared_server_tokens == "missing" else None
    return tuple(_with_token(share, visit, told=told is None or share.guest.id in told) for share in shares)


def _with_token(share: ShareRow, visit: Visited, *, told: bool) -> SharedServer:
    return SharedServer(
        id=_share_id(share),
        username=share.guest.record.username or share.guest.record.title,
        email=share.guest.record.email,
        user_id=share.guest.id,
        access_token=Token.received(visit.place.keys.unseal(share.sealed_token)) if told else None,
        name=share.server_name,
        accepted_at=share.created_at,
        invited_at=share.created_at,
        all_libraries=True,
        owned=False,
        machine_identifier=share.machine_identifier,
    )


async def owned_shares(visit: Visited, _call: GetOwnedShares) -> tuple[Share, ...]:
    """List the shares of the caller's servers."""
    people, now = await _people(visit), visit.place.now()
    return tuple(_share(share, people, now) for share in people.shares if share.owner.id == people.me)


async def create_share(visit: Visited, call: CreateShare) -> Share | Answer:
    """Share a media server of the caller's; it is accepted at once (ours), and one that exists is refused (observed).

    Raises:
        NotFound: the caller owns no such media server, or there is no such account.
        Forbidden: it is the owner's own.
    """
    me, instance = visit.caller.account_id, visit.place
    rows = await instance.store.resources(me)
    if not any(row.owned and row.server.machine_identifier == call.machine_identifier for row in rows):
        raise NotFound
    guest = await _invited(visit, call)
    if _found(await _people(visit), call.machine_identifier, guest.id):
        return _exists(visit.asked.form)
    text = instance.keys.new_token()
    await instance.store.users.share(
        call.machine_identifier,
        owner_id=me,
        guest_id=guest.id,
        digest=instance.keys.digest(text),
        sealed_token=instance.keys.seal(text),
        now=instance.now(),
    )
    people = await _people(visit)
    if (made := _found(people, call.machine_identifier, guest.id)) is None:
        raise NotFound  # the server changed hands, or the account ended, a moment ago
    return _share(made, people, instance.now())


async def _invited(visit: Visited, call: CreateShare) -> AccountRow:
    store = visit.place.store
    if call.invited_id is not None:
        guest = await store.account(call.invited_id)
    else:
        guest = await store.find_account(call.invited_email or "")
    if guest is None or guest.disabled:
        raise NotFound
    if guest.id == visit.caller.account_id:
        raise Forbidden
    return guest


def _found(people: _People, machine_identifier: str, guest_id: int) -> ShareRow | None:
    return next(
        (each for each in people.shares if (each.machine_identifier, each.guest.id) == (machine_identifier, guest_id)),
        None,
    )


def _exists(form: Format) -> Answer:
    """Refuse a share that exists already: 422, but its body says 400 and has no message (observed in XML)."""
    item: list[object] = [{"code": 1999, "field": "base", "status": 400}]
    body = document("errors", item, form, wrapped=True)
    return Answer(422, PLEX_TV[form], body)


async def pending_shares(_visit: Visited, _call: GetPendingShares) -> tuple[Share, ...]:
    """List nothing: shares come from the world, and nobody has to say yes to them."""
    return ()


_DIRECT = GetResources(include_relay=False)


async def servers(visit: Visited, _call: GetServers) -> tuple[PublishedServer, ...]:
    """List the media servers that the caller can reach."""
    found = await resources(visit, _DIRECT)
    return tuple(_published(resource) for resource in found if resource.is_media_server)


async def server(visit: Visited, call: GetServer) -> PublishedServer:
    """Tell about one of them; raises `NotFound` for any other."""
    for resource in await resources(visit, _DIRECT):
        if resource.is_media_server and resource.client_identifier == call.machine_identifier:
            return _published(resource, token=False)
    raise NotFound


def _published(resource: Resource, *, token: bool = True) -> PublishedServer:
    address = public(resource.connections)
    local = dict.fromkeys(known.address or "" for known in resource.connections if known.local)
    return PublishedServer(
        access_token=resource.access_token if token else None,
        name=resource.name,
        address=address.address if address else None,
        port=address.port if address else None,
        version=resource.product_version,
        scheme=address.protocol if address else None,
        host=address.address if address else None,
        local_addresses=",".join(local),
        machine_identifier=resource.client_identifier,
        created_at=int(resource.created_at.timestamp()) if resource.created_at else None,
        updated_at=int(resource.last_seen_at.timestamp()) if resource.last_seen_at else None,
        owned=resource.owned,
        synced=resource.synced,
    )


ROUTES: Routes = [
    Route(GetUsers, get_users, form=Format.XML),
    Route(GetFriends, get_friends, identifier="required"),
    Route(RemoveFriend, remove_friend, kinds=OWN, form=Format.XML),
    Route(GetSharedServers, shared_servers, kinds=OWN, dialect="legacy", form=Format.XML),
    Route(GetServers, servers, dialect="legacy", form=Format.XML),
    Route(GetServer, server),
    Route(GetOwnedShares, owned_shares, identifier="required"),
    Route(GetAnsweredShares, owned_shares, identifier="required"),
    Route(GetPendingShares, pending_shares, identifier="required"),
    Route(GetSentShares, pending_shares, identifier="required"),
    Route(CreateShare, create_share, identifier="required", kinds=OWN),
]
