"""Who has signed in, as applications see them: handles, groups, claims, and who may come in.

Rule: `sub` and the handle never change, whatever Plex's names and addresses do. Who may come in depends on account ids
and roles alone. Nothing here touches the network or the database.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from ticketstub_bridge.config import ANYONE, Client, Config
from ticketstub_bridge.storage import Identity

SCOPES = ("openid", "profile", "email", "groups", "offline_access")
CLAIMS = ("sub", "name", "preferred_username", "picture", "email", "email_verified", "groups")
"""The claims about a person; ID tokens also have auth_time, nonce, sid and amr."""

_RESERVED = frozenset({"admin", "administrator", "anonymous", "guest", "nobody", "root", "system"})
_UNSAFE = re.compile("[^a-z0-9]+")


def make_handles(username: str) -> Iterator[str]:
    """Yield handles for a new person: the user name in safe letters, then numbered ones.

    Names that applications may treat specially (`admin`) are never given unnumbered.
    """
    letters = unicodedata.normalize("NFKD", username).casefold().encode("ascii", "ignore").decode()
    base = _UNSAFE.sub("-", letters.partition("@")[0]).strip("-")[:60] or "person"
    if base not in _RESERVED:
        yield base
    for number in count(2):
        yield f"{base}-{number}"


def may_come_in(config: Config, account_id: int, roles: Mapping[str, str], client: Client | None = None) -> bool:
    """Decide whether somebody may sign in, to the bridge or to one application.

    Args:
        config: the configuration.
        account_id: the id of the Plex account.
        roles: the role at each server, by its slug.
        client: the application.
    """
    slugs = {each.slug for each in config.servers}
    held = {role for slug, role in roles.items() if slug in slugs}
    if "home_admin" in held:
        held.add("home")  # who administers the Home is a member of it
    return account_id not in config.deny and all(
        ANYONE in allow or not held.isdisjoint(allow) for allow in (config.allow, client.allow if client else {ANYONE})
    )


def list_groups(person: Identity, client: Client) -> list[str]:
    """Return the groups that an application gets: `attic:friend`, or those that it maps them to."""
    own = {f"{slug}:{role}" for slug, role in person.roles.items()}
    if not client.groups:
        return sorted(own)
    return [name for name, members in client.groups.items() if not own.isdisjoint(members)]


def make_claims(person: Identity, client: Client, scope: str) -> dict[str, Any]:
    """Return the claims about a person that a scope covers.

    What Plex does not say is left out, and so is an address that Plex has not confirmed: it may be somebody else's.
    """
    scopes = scope.split()
    claims: dict[str, Any] = {"sub": person.sub}
    if "profile" in scopes:
        claims |= {"name": person.name, "preferred_username": person.handle}
        if person.picture:
            claims["picture"] = person.picture
    # Many applications link accounts by address and do not look at email_verified.
    if "email" in scopes and person.email and person.email_verified:
        claims |= {"email": person.email, "email_verified": True}
    if "groups" in scopes:
        claims["groups"] = list_groups(person, client)
    return claims


def describe_scope(scope: str) -> list[str]:
    """Return in plain words what a scope passes on."""
    texts = {
        "profile": "your name, user name and picture",
        "email": "your e-mail address, if Plex has confirmed it",
        "groups": "which of the servers you can use, and in which role",
        "offline_access": "your access while you are away, until you sign out or lose access to the server",
    }
    return [text for name, text in texts.items() if name in scope.split()]
