"""How a world's Homes, managed users and passcodes get into a store.

Rule: as in seed.py. A passcode is kept as a password is; what bodies show of it is random.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from ticketstub.records import Account, CustomRestrictions, Profile, Subscription
from ticketstub.server.keys import Keys
from ticketstub.server.passwords import Passwords
from ticketstub.server.store.base import Store
from ticketstub.server.store.homes import NewHome, NewManagedUser, NewMember, Passcode
from ticketstub.server.world import WorldAccount
from ticketstub.server.world_homes import WorldHome, WorldManaged
from ticketstub.token import Secret


def new_passcodes(accounts: Iterable[WorldAccount], passwords: Passwords) -> Iterable[tuple[str, Passcode]]:
    """Yield the passcodes of new accounts by user name."""
    for account in accounts:
        if account.passcode is not None:
            yield account.username, _passcode(account.passcode, passwords)


async def new_homes(store: Store, homes: Iterable[WorldHome], keys: Keys, passwords: Passwords) -> tuple[NewHome, ...]:
    """Describe a world's Homes; the passcodes of managed users that exist already are not hashed again."""
    return tuple([await _new_home(store, home, keys, passwords) for home in homes])


async def _new_home(store: Store, home: WorldHome, keys: Keys, passwords: Passwords) -> NewHome:
    known = {managed.id for managed in home.managed if await store.account(managed.id) is not None}
    return NewHome(
        id=home.id,
        name=home.name,
        admin=home.admin,
        members=tuple(NewMember(username=member.account, guest=member.guest) for member in home.members),
        managed=tuple(_new_managed(managed, keys, passwords, known) for managed in home.managed),
    )


def _new_managed(managed: WorldManaged, keys: Keys, passwords: Passwords, known: set[int]) -> NewManagedUser:
    code = None if managed.id in known else managed.passcode
    text = managed.token.reveal() if managed.token else None
    return NewManagedUser(
        record=managed_record(managed),
        id=managed.id,
        passcode=_passcode(code, passwords) if code else None,
        digest=keys.digest(text) if text else None,
        sealed_token=keys.seal(text) if text else None,
    )


def _passcode(code: Secret, passwords: Passwords) -> Passcode:
    return Passcode(hash=passwords.hash_of_world(code), shown=shown_pin())


def shown_pin() -> str:
    """Make what bodies show as `pin`: it looks like a hash (observed) and is random, so that nobody can guess by it."""
    return secrets.token_hex(16)


def managed_record(managed: WorldManaged, joined_at: int = 1_552_593_531) -> Account:
    """Describe a managed user as plex.tv would (observed fields and defaults), without any token."""
    return Account(
        id=managed.id,
        uuid=managed.uuid,
        username="",
        title=managed.title,
        email="",
        friendly_name=managed.title,
        confirmed=False,
        joined_at=joined_at,
        email_only_auth=False,
        has_password=False,
        protected=False,
        thumb=f"https://plex.tv/users/{managed.uuid}/avatar?c={joined_at}",
        mailing_list_active=False,
        scrobble_types="",
        country="US",
        subscription=Subscription(active=False, status="Inactive"),
        restricted=True,
        restriction_profile=managed.restriction_profile,
        custom_restrictions=CustomRestrictions(),
        home=True,
        guest=False,
        home_size=1,
        home_admin=False,
        max_home_size=15,
        profile=Profile(
            auto_select_audio=True,
            default_audio_accessibility=0,
            auto_select_subtitle=0,
            default_subtitle_accessibility=0,
            default_subtitle_forced=0,
            watched_indicator=1,
            media_reviews_visibility=0,
        ),
        experimental_features=False,
        two_factor_enabled=False,
        backup_codes_created=False,
    )
