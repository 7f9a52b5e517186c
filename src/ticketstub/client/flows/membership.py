"""Membership: whether an account can reach a media server, and in which role.

Rule: a role is given only for the server's identifier and its owner's id together, and only if plex.tv says everything
that the role depends on. What is missing or contradictory gives the role with fewer rights, or none.
"""

from __future__ import annotations

from collections.abc import Iterable

from ticketstub.models import Account, Resource, Role


def can_reach(
    account: Account, resources: Iterable[Resource], server: str, *, owned: bool | None, owner: int | None
) -> bool:
    """Tell whether the resources include this media server, with this owner."""
    return any(
        resource.is_media_server
        and server in (resource.client_identifier, resource.name)
        and owned in (None, bool(resource.owned))
        and owner in (None, account.id if resource.owned and resource.owner_id is None else resource.owner_id)
        for resource in resources
    )


def determine_role(account: Account, resources: Iterable[Resource], server: str, owner: int) -> Role | None:
    """Return the role of an account, by its own list of resources; `None` if the server is not in it.

    Args:
        account: the account.
        resources: what plex.tv lists for this account.
        server: the server's identifier.
        owner: the id of the account that owns the server.
    """
    found = [one for one in resources if one.is_media_server and server and one.client_identifier == server]
    owned = [one for one in found if one.owned and one.owner_id is None]  # observed
    if account.id is not None and account.id == owner:
        return "owner" if owned else None
    shared = [one for one in found if not one.owned and one.owner_id == owner]
    if not shared:
        return None
    if account.restriction_profile or account.guest:
        return "restricted"
    if account.restricted is not False:
        return "managed"
    if any(one.home for one in shared):
        return "home_admin" if account.home_admin else "home"
    return "friend"
