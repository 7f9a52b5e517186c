"""Handlers for other people: friends, shares of media servers, and the servers themselves.

Rule: a caller sees the shares of its own servers and those that it received, and no others. Any other media server does
not exist (404). Only a server's owner sees the tokens of its guests.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import asdict

from ticketstub.local_plex.api import ACCOUNT_TOKEN_KINDS, PlexTvContext, Routes
from ticketstub.local_plex.api.devices import list_resources
from ticketstub.local_plex.domain.media_servers import find_public_connection
from ticketstub.local_plex.http.response import PLEX_TV_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.media_servers import ShareRow
from ticketstub.models import (
    AccessibleServer,
    Friend,
    Person,
    PublishedServer,
    Resource,
    Share,
    SharedServer,
    SharingSettings,
    User,
)
from ticketstub.protocol.codec import Format, write_document
from ticketstub.protocol.people import (
    CreateShare,
    GetAcceptedShares,
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

# The settings of every share (observed members, assumed values).
_DEFAULT_SHARING_SETTINGS = SharingSettings(
    allow_channels=False,
    allow_subtitle_admin=False,
    filter_movies="",
    filter_music="",
    filter_television="",
    allow_sync=False,
    allow_camera_upload=False,
    allow_tuners=0,
)


class _Contacts(Struct, frozen=True):
    """The people around a caller, in the same Home or not, and the shares between them."""

    account_id: int
    accounts: tuple[AccountRow, ...]
    home_member_ids: frozenset[int]
    shares: tuple[ShareRow, ...]


async def _load_contacts(context: PlexTvContext) -> _Contacts:
    """Load the other members of the caller's Home, then everybody with whom the caller shares a server."""
    account_id, store = context.caller.account_id, context.server.store
    home, shares = await store.homes.find_home(account_id), await store.shares.list_shares(account_id)
    housemates = [member.account for member in home.members] if home else []
    share_accounts = [account for share in shares for account in (share.guest, share.owner)]
    others = {account.id: account for account in (*housemates, *share_accounts) if account.id != account_id}
    home_member_ids = frozenset(account.id for account in housemates)
    return _Contacts(account_id, tuple(others.values()), home_member_ids, shares)


async def get_users(context: PlexTvContext, _call: GetUsers) -> tuple[User, ...]:
    """List friends and Home users, each with the caller's servers that are shared with them."""
    contacts, now = await _load_contacts(context), context.server.now()
    return tuple(_describe_user(person, contacts, now) for person in contacts.accounts)


async def get_friends(context: PlexTvContext, call: GetFriends) -> tuple[Friend, ...]:
    """List friends and Home users as v2 does; all of them are accepted, and `sharedServers` is empty (observed)."""
    if call.status and "accepted" not in call.status.split(","):
        return ()
    contacts = await _load_contacts(context)
    return tuple(
        Friend(
            **asdict(_describe_person(person, is_in_home=person.id in contacts.home_member_ids)),
            status="accepted",
            sharing_settings=_DEFAULT_SHARING_SETTINGS,
            restriction_profile=person.record.restriction_profile,
        )
        for person in contacts.accounts
    )


async def remove_friend(_context: PlexTvContext, _call: RemoveFriend) -> OutgoingResponse:
    """Reply that this call was removed (410, observed)."""
    return build_gone_response()


def build_gone_response() -> OutgoingResponse:
    """Build the older API's reply for removed calls."""
    body = write_document("Response", {"code": 410, "status": "This endpoint was deprecated and removed"}, Format.XML)
    return OutgoingResponse(410, PLEX_TV_HEADERS[Format.XML], body)


def _describe_user(person: AccountRow, contacts: _Contacts, now: int) -> User:
    record = person.record
    return User(
        id=record.id,
        title=record.title,
        username=record.username,
        email=record.email,
        recommendations_playlist_id="",
        thumb=record.thumb,
        protected=record.protected,
        home=person.id in contacts.home_member_ids,
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
        servers=tuple(
            AccessibleServer(
                id=_compute_share_id(share),
                server_id=share.server_number,
                machine_identifier=share.machine_identifier,
                name=share.server_name,
                last_seen_at=now,
                num_libraries=0,
                all_libraries=True,
                owned=True,
                pending=False,
            )
            for share in contacts.shares
            if share.owner.id == contacts.account_id and share.guest.id == person.id
        ),
    )


def _compute_share_id(share: ShareRow) -> int:
    """Compute a share's id, which stays the same as long as the share exists (our choice; Plex counts)."""
    digest = sha256(f"share {share.machine_identifier} {share.guest.id}".encode()).digest()
    return 100_000_000 + int.from_bytes(digest[:8], "big") % 900_000_000


def _describe_person(account: AccountRow, *, is_in_home: bool) -> Person:
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
        home=is_in_home,
    )


def _describe_share(share: ShareRow, contacts: _Contacts, now: int) -> Share:
    accepted_at = datetime.fromtimestamp(share.created_at, UTC)
    return Share(
        id=_compute_share_id(share),
        name=share.server_name,
        owner_id=share.owner.id,
        invited_id=share.guest.id,
        server_id=share.server_number,
        accepted=True,
        accepted_at=accepted_at,
        owned=True,
        machine_identifier=share.machine_identifier,
        last_seen_at=datetime.fromtimestamp(now, UTC),
        num_libraries=0,
        invited=_describe_person(share.guest, is_in_home=share.guest.id in contacts.home_member_ids),
        sharing_settings=_DEFAULT_SHARING_SETTINGS,
        all_libraries=True,
    )


async def list_shared_servers(context: PlexTvContext, call: GetSharedServers) -> tuple[SharedServer, ...]:
    """List the shares of one of the caller's servers, with their tokens; raises `NotFound` for any other server."""
    await _check_owned(context, call.machine_identifier)
    contacts = await _load_contacts(context)
    keys, is_hidden_from_friends = context.server.keys, context.server.quirks.shared_server_tokens == "missing"
    return tuple(
        SharedServer(
            id=_compute_share_id(share),
            username=share.guest.record.username or share.guest.record.title,
            email=share.guest.record.email,
            user_id=share.guest.id,
            access_token=None
            if is_hidden_from_friends and share.guest.id not in contacts.home_member_ids
            else Token.from_wire(keys.unseal(share.sealed_token)),
            name=share.server_name,
            accepted_at=share.created_at,
            invited_at=share.created_at,
            all_libraries=True,
            owned=False,
            machine_identifier=share.machine_identifier,
        )
        for share in contacts.shares
        if share.machine_identifier == call.machine_identifier
    )


async def _check_owned(context: PlexTvContext, machine_identifier: str) -> None:
    """Raise `NotFound` for a media server that is not the caller's own."""
    rows = await context.server.store.list_resources(context.caller.account_id)
    if not any(row.is_owned and row.server.machine_identifier == machine_identifier for row in rows):
        raise NotFound


async def list_owned_shares(context: PlexTvContext, _call: GetOwnedShares) -> tuple[Share, ...]:
    """List the shares of all of the caller's servers."""
    contacts, now = await _load_contacts(context), context.server.now()
    return tuple(
        _describe_share(share, contacts, now) for share in contacts.shares if share.owner.id == contacts.account_id
    )


async def create_share(context: PlexTvContext, call: CreateShare) -> Share | OutgoingResponse:
    """Share one of the caller's media servers.

    A share is accepted at once (our choice). A second one of the same server and account is refused (observed).

    Raises:
        NotFound: the caller owns no such media server, or there is no such account.
        Forbidden: the account is the caller's own.
    """
    instance = context.server
    await _check_owned(context, call.machine_identifier)
    guest = await _find_invited_account(context, call)
    if _find_share(await _load_contacts(context), call.machine_identifier, guest.id):
        # The status is 422, but the body says 400 and has no message (observed in XML).
        response_format = context.request.response_format
        body = write_document(
            "errors", [{"code": 1999, "field": "base", "status": 400}], response_format, wrap_json=True
        )
        return OutgoingResponse(422, PLEX_TV_HEADERS[response_format], body)
    token = instance.keys.generate_token()
    await instance.store.shares.share(
        call.machine_identifier,
        owner_id=context.caller.account_id,
        guest_id=guest.id,
        digest=instance.keys.digest(token),
        sealed_token=instance.keys.seal(token),
        now=instance.now(),
    )
    contacts = await _load_contacts(context)
    if (created := _find_share(contacts, call.machine_identifier, guest.id)) is None:
        raise NotFound  # the server or the account was removed in the meantime
    return _describe_share(created, contacts, instance.now())


async def _find_invited_account(context: PlexTvContext, call: CreateShare) -> AccountRow:
    store = context.server.store
    guest = await (
        store.find_account_by_login(call.invited_email or "")
        if call.invited_id is None
        else store.find_account_by_id(call.invited_id)
    )
    if guest is None or guest.disabled:
        raise NotFound
    if guest.id == context.caller.account_id:
        raise Forbidden
    return guest


def _find_share(contacts: _Contacts, machine_identifier: str, guest_id: int) -> ShareRow | None:
    return next(
        (
            each
            for each in contacts.shares
            if (each.machine_identifier, each.guest.id) == (machine_identifier, guest_id)
        ),
        None,
    )


async def list_pending_shares(_context: PlexTvContext, _call: GetPendingShares) -> tuple[Share, ...]:
    """List the pending shares: none, because every share is accepted at once."""
    return ()


_WITHOUT_RELAY = GetResources(include_relay=False)


async def list_servers(context: PlexTvContext, _call: GetServers) -> tuple[PublishedServer, ...]:
    """List the media servers that the caller can use."""
    return tuple(
        _describe_published_server(resource)
        for resource in await list_resources(context, _WITHOUT_RELAY)
        if resource.is_media_server
    )


async def get_server(context: PlexTvContext, call: GetServer) -> PublishedServer:
    """Return one media server that the caller can use; raises `NotFound` for any other."""
    for resource in await list_resources(context, _WITHOUT_RELAY):
        if resource.is_media_server and resource.client_identifier == call.machine_identifier:
            return _describe_published_server(resource, include_token=False)
    raise NotFound


def _describe_published_server(resource: Resource, *, include_token: bool = True) -> PublishedServer:
    connection = find_public_connection(resource.connections)
    local_addresses = dict.fromkeys(known.address or "" for known in resource.connections if known.local)
    return PublishedServer(
        access_token=resource.access_token if include_token else None,
        name=resource.name,
        address=connection.address if connection else None,
        port=connection.port if connection else None,
        version=resource.product_version,
        scheme=connection.protocol if connection else None,
        host=connection.address if connection else None,
        local_addresses=",".join(local_addresses),
        machine_identifier=resource.client_identifier,
        created_at=int(resource.created_at.timestamp()) if resource.created_at else None,
        updated_at=int(resource.last_seen_at.timestamp()) if resource.last_seen_at else None,
        owned=resource.owned,
        synced=resource.synced,
    )


ROUTES: Routes = [
    Route(GetUsers, get_users, response_format=Format.XML),
    Route(GetFriends, get_friends, client_identifier="required"),
    Route(RemoveFriend, remove_friend, token_kinds=ACCOUNT_TOKEN_KINDS, response_format=Format.XML),
    Route(
        GetSharedServers,
        list_shared_servers,
        token_kinds=ACCOUNT_TOKEN_KINDS,
        dialect="legacy",
        response_format=Format.XML,
    ),
    Route(GetServers, list_servers, dialect="legacy", response_format=Format.XML),
    Route(GetServer, get_server),
    Route(GetOwnedShares, list_owned_shares, client_identifier="required"),
    Route(GetAcceptedShares, list_owned_shares, client_identifier="required"),
    Route(GetPendingShares, list_pending_shares, client_identifier="required"),
    Route(GetSentShares, list_pending_shares, client_identifier="required"),
    Route(CreateShare, create_share, client_identifier="required", token_kinds=ACCOUNT_TOKEN_KINDS),
]
