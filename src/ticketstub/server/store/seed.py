"""How a world gets into a store, whichever engine it is.

Rule: what the world has anew is added, what exists is kept as it is, so that the same world can be seeded at every
start. Secrets of the world end here: hashed, sealed or digested.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from ticketstub.records import Account, Connection, Profile, Subscription
from ticketstub.server.keys import VERIFICATION, Keys
from ticketstub.server.passwords import Passwords
from ticketstub.server.store.base import (
    Addition,
    NewAccount,
    NewMediaServer,
    NewShare,
    NewToken,
    SourceRow,
    Store,
    canonical_login,
)
from ticketstub.server.store.seed_homes import new_homes, new_passcodes
from ticketstub.server.store.seed_servers import identities
from ticketstub.server.world import World, WorldAccount, WorldConnection, WorldMediaServer, WorldShare, WorldSource
from ticketstub.server.world_homes import WorldHome, managed_named


async def seed(store: Store, world: World, keys: Keys, passwords: Passwords, now: int) -> None:
    """Add to a store what a world has anew. In a file, each new password takes about 20 ms.

    Args:
        store: where it goes.
        world: what to add; accounts are known by user name, media servers by machine identifier.
        keys: the instance's keys.
        passwords: hashes the new accounts' passwords.
        now: seconds since 1970.

    Raises:
        StoreConflict: something in the world belongs to somebody else in this store.
        StoreUnavailable: the store cannot write; nothing was added.
    """
    new = [account for account in world.accounts if not await _is_known(store, account.username)]
    addition = Addition(
        now=now,
        accounts=tuple(_new_account(account, keys, passwords) for account in new),
        tokens=tuple(_known_tokens(world.accounts, keys)),
        media_servers=tuple(_new_server(server) for server in world.media_servers),
        identities=tuple(identities(world.media_servers, keys)),
        shares=tuple(
            _new_share(server, share, world.homes, keys) for server in world.media_servers for share in server.shares
        ),
        passcodes=tuple(new_passcodes(new, passwords)),
        homes=await new_homes(store, world.homes, keys, passwords),
    )
    await store.add(addition)


def account_record(account: WorldAccount) -> Account:
    """Describe a world's account as plex.tv would (observed fields and defaults), without any token."""
    paid = account.subscription
    has_password = account.password is not None or account.password_hash is not None
    return Account(
        id=account.id,
        uuid=account.uuid,
        username=account.username,
        title=account.title,
        email=account.email,
        friendly_name=account.friendly_name,
        locale=account.locale,
        confirmed=account.confirmed,
        joined_at=account.joined_at,
        email_only_auth=account.email_only_auth,
        has_password=has_password,
        protected=False,
        thumb=account.thumb,
        mailing_list_status="unsubscribed",
        mailing_list_active=False,
        scrobble_types="",
        country=account.country,
        subscription=Subscription(
            active=paid.active,
            status=paid.status or ("Active" if paid.active else "Inactive"),
            plan=paid.plan,
            features=paid.features,
        ),
        subscription_description=account.subscription_description,
        restricted=False,
        home=False,
        guest=False,
        home_size=1,
        home_admin=False,
        max_home_size=15,
        profile=_PROFILE,
        entitlements=account.entitlements,
        roles=account.roles,
        experimental_features=False,
        two_factor_enabled=account.verification_secret is not None,
        backup_codes_created=False,
    )


# What the account of somebody who never changed it has (observed).
_PROFILE = Profile(
    auto_select_audio=True,
    default_audio_accessibility=0,
    auto_select_subtitle=1,
    default_subtitle_accessibility=0,
    default_subtitle_forced=0,
    watched_indicator=1,
    media_reviews_visibility=0,
)


async def _is_known(store: Store, username: str) -> bool:
    """Tell whether an account has this user name; where it is somebody's e-mail address, adding it will conflict."""
    found = await store.find_account(username)
    return found is not None and canonical_login(found.record.username or "") == canonical_login(username)


def _new_account(account: WorldAccount, keys: Keys, passwords: Passwords) -> NewAccount:
    secret = account.verification_secret
    return NewAccount(
        record=account_record(account),
        id=account.id,
        username=account.username,
        email=account.email,
        password_hash=passwords.hash_of_world(account.password) if account.password else account.password_hash,
        sealed_verification=keys.seal(secret.reveal(), VERIFICATION) if secret else None,
        email_only_auth=account.email_only_auth,
        disabled=account.disabled,
    )


def _known_tokens(accounts: Iterable[WorldAccount], keys: Keys) -> Iterable[NewToken]:
    for account in accounts:
        if account.token:
            text = account.token.reveal()
            yield NewToken(username=account.username, digest=keys.digest(text), sealed_token=keys.seal(text))


def _new_server(server: WorldMediaServer) -> NewMediaServer:
    return NewMediaServer(
        machine_identifier=server.machine_identifier,
        name=server.name,
        owner=server.owner or None,
        port=server.port,
        version=server.version,
        errors=server.errors,
        platform=server.platform,
        platform_version=server.platform_version,
        sources=tuple(_source(source) for source in server.sources),
    )


def _new_share(server: WorldMediaServer, share: WorldShare, homes: Sequence[WorldHome], keys: Keys) -> NewShare:
    text = share.token.reveal() if share.token else keys.new_token()
    return NewShare(
        machine_identifier=server.machine_identifier,
        username=share.account or share.managed,
        account_id=managed_named(homes, share.managed, share.home)[0].id if share.managed else None,
        digest=keys.digest(text),
        sealed_token=keys.seal(text),
        known=share.token is not None,
        owner=server.owner,
    )


def _source(source: WorldSource) -> SourceRow:
    connections = tuple(_connection(connection) for connection in source.connections)
    return SourceRow(identifier=source.identifier, name=source.name, connections=connections)


def _connection(connection: WorldConnection) -> Connection:
    parts = urlsplit(connection.uri)
    address = parts.hostname or ""
    return Connection(
        protocol=parts.scheme,
        address=address,
        port=parts.port or (443 if parts.scheme == "https" else 80),
        uri=connection.uri,
        local=connection.local,
        relay=connection.relay,
        ipv6=":" in address,
    )
