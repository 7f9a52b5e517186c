"""One operation of 0.36.3 as its users call it, sync or async."""

from __future__ import annotations

import asyncio
from typing import Any

from ticketstub.compat.plex_api_client import PlexAPI

WAYS = ["sync", "async"]


def ask(way: str, arguments: dict[str, Any], group: str, method: str, **given: Any) -> Any:
    """Make a client, one call, and close it."""
    if way == "sync":
        with PlexAPI(**arguments) as sdk:
            return getattr(getattr(sdk, group), method)(**given)

    async def main() -> Any:
        async with PlexAPI(**arguments) as sdk:
            return await getattr(getattr(sdk, group), f"{method}_async")(**given)

    return asyncio.run(main())
