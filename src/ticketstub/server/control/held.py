"""Putting a hand on a local Plex while that starts.

Rule: called once all addresses are taken and before anything is answered; `LocalPlex` knows no more of a hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from ticketstub.server.app import OnAnswer
from ticketstub.server.control.hand import Hand
from ticketstub.server.control.site import ControlSite
from ticketstub.server.control.sites import Control, Sites
from ticketstub.server.control.watched import WatchedApp
from ticketstub.server.instance import Instance
from ticketstub.server.settings import Settings
from ticketstub.server.world import World


async def held(
    hand: Hand,
    instance: Instance,
    world: World,
    sites: Callable[[], Awaitable[Sites]],
    *,
    settings: Settings,
    places: Mapping[int, str],
    control: Control | None = None,
    on_answer: OnAnswer | None = None,
) -> WatchedApp:
    """Make the application under a hand, and give the hand what it holds.

    Args:
        hand: that one.
        instance: the local Plex.
        world: what it was seeded with.
        sites: makes plex.tv and the media servers anew.
        settings: the limits.
        places: the media servers' names by port.
        control: the control API's key and port, taken by now.
        on_answer: told of each answer.
    """
    hand.watch.places = places
    site = (control.port, ControlSite(hand, control.key)) if control else None
    made = await sites()
    app = WatchedApp(
        instance, (made.plex_tv, made.media_servers), settings, hand.watch, control=site, on_answer=on_answer
    )

    async def renew() -> None:
        fresh = await sites()
        app.renew(fresh.plex_tv, fresh.media_servers)
        hand.reaches(fresh.transient)

    hand.reaches(made.transient)
    await hand.take(instance, world, renew, app=app, loop=asyncio.get_running_loop())
    return app
