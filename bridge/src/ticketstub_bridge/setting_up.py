"""Finding the media servers of the person who sets up a bridge.

Rule: the sign-in is used once. Its token is not stored, and is revoked afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from ticketstub import Browser, MemoryStore, PendingState, Plex, PlexError, Resource


def find_own_servers(plex_tv: str, say: Callable[[str], object]) -> tuple[int, list[Resource]]:
    """Let the owner sign in, and return their account id and media servers.

    Args:
        plex_tv: Plex, or a local Plex.
        say: shows a text to them.

    Raises:
        PlexError: the sign-in failed, or Plex does not answer.
    """

    def show(pending: PendingState) -> None:
        say(f"Sign in as the owner of the media server:\n\n  {pending.url}\n")

    plex = Plex.sign_in(
        "Ticketstub bridge", method=Browser(show=show, open=False), plex_tv=plex_tv, store=MemoryStore(), force=True
    )
    with plex:
        account = plex.account()
        own = [each for each in plex.resources() if each.is_media_server and each.owned and each.owner_id is None]
        with suppress(PlexError):
            plex.sign_out()
    if account.id is None:
        raise PlexError("Plex does not say whose account this is")
    return account.id, own


def choose_server(servers: Sequence[Resource], name: str | None, ask: Callable[[list[str]], str]) -> Resource | None:
    """Choose a media server by name or identifier, the only one, or by asking; `None` if there is no such one."""
    names = [each.name or "" for each in servers]
    if name is None:
        if len(servers) == 1:
            return servers[0]
        name = ask(names) if servers else None
    found = [each for each in servers if name in (each.client_identifier, each.name)]
    return found[0] if len(found) == 1 else None
