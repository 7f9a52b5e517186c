"""Asking for memberships again: at each refresh, and for everybody who is signed in every few hours.

Rule: a membership that Plex says is over ends everything that the person has. An answer that does not come ends
nothing at once; `grace` decides, whenever something is read, how long it may be missing.
"""

from __future__ import annotations

from ticketstub_bridge.config import Server
from ticketstub_bridge.core import Bridge
from ticketstub_bridge.logout import end_person
from ticketstub_bridge.people import may_come_in
from ticketstub_bridge.plex import CheckResult
from ticketstub_bridge.storage import Person

_ASKED = 3
"""People who are asked about a server at most."""


async def check_before_refresh(bridge: Bridge, refresh_token: str, client_id: str) -> None:
    """Ask Plex about the person of a refresh token before it is redeemed by its application."""
    person = await bridge.run(bridge.store.grants.find_refreshing_person, refresh_token, client_id)
    if person is not None:
        await check_person(bridge, person)


async def check_due(bridge: Bridge) -> int:
    """Ask Plex about everybody who is due; returns how many were asked."""
    asked = 0
    while people := await bridge.run(bridge.store.people.claim_checks, bridge.store.freshness):
        for person in people:
            await check_person(bridge, person)
        asked += len(people)
    return asked


async def check_person(bridge: Bridge, person: Person) -> None:
    """Ask Plex for a person's membership, and end what they have if it is over."""
    if person.plex_token is None:
        return
    result = await bridge.plex.check(person.sub, person.plex_token)
    outcome = await bridge.run(_record, bridge, person, result)
    bridge.metrics.checks.labels(outcome).inc()


def _record(bridge: Bridge, person: Person, result: CheckResult) -> str:
    if result == "unknown":
        return "unknown"
    if (
        result != "over"
        and result.account_id == person.account_id
        and may_come_in(bridge.config, result.account_id, result.roles)
    ):
        bridge.store.people.record_check(person.sub, result)
        return "member"
    if bridge.store.people.record_loss(person.sub):
        end_person(bridge, person.sub, "membership_over")
    return "over"


async def look_for_servers(bridge: Bridge) -> dict[str, str]:
    """Ask Plex whether the configured media servers are what the configuration says; nothing is stored.

    Returns:
        For each server's slug `seen` or `not_seen` by people who could use it; `unknown` if Plex does not answer;
        `owner_refused` if only its owner could be asked, who was refused; `nobody` if nobody has signed in.
    """
    people = await bridge.run(bridge.store.people.list_all)
    events = await bridge.run(bridge.store.events.list_newest, 1000)
    refused = {each.detail for each in events if each.kind == "refused"}
    found: dict[str, str] = {}
    for server in bridge.config.servers:
        asked = [each for each in people if each.plex_token and server.slug in each.roles]
        owners = [each for each in asked if each.account_id == server.owner_id]
        found[server.slug] = "owner_refused" if str(server.owner_id) in refused and not asked else "nobody"
        for person in [*owners, *asked][:_ASKED]:
            found[server.slug] = await _look_for(bridge, server, person)
            if found[server.slug] != "not_seen":
                break
    return found


async def _look_for(bridge: Bridge, server: Server, person: Person) -> str:
    if person.plex_token is None:
        return "unknown"
    result = await bridge.plex.check(person.sub, person.plex_token)
    if result == "unknown":
        return "unknown"
    return "seen" if result != "over" and server.slug in result.roles else "not_seen"
