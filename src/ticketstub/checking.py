"""`check(token)`: what kind of token, whose, until when, alive or dead or not to be told; and its async twin.

Rule: it asks plex.tv and, where one is named, a media server; it says so, and never guesses from what answers anybody.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

from ticketstub.frames import hide_locals
from ticketstub.options import ClientOptions
from ticketstub.token import Token

if TYPE_CHECKING:
    from ticketstub.flows.check import Checked


@hide_locals
def check(token: str | Token, *, server: str | None = None, **client: Unpack[ClientOptions]) -> Checked:
    """Find out about a token by asking plex.tv, over the network, and a media server if one is named.

    A token that plex.tv does not know, or of a kind that it never knows, is sent to the named server: name one only if
    the token may go there. A token that plex.tv takes goes there only if plex.tv lists it for that server.

    Args:
        token: a text as it was found somewhere, claim tokens included, or a `Token`.
        server: a media server's address.
        client: as `Plex`'s arguments of these names.

    Returns:
        What was found; an outage is no error here, but `alive` is `None` then and `unreachable` says why.

    Raises:
        ValueError: the text is no token at all (an e-mail address, a whole header); nothing was sent.
    """
    from ticketstub.client import Plex
    from ticketstub.flows.check import check as flow
    from ticketstub.flows.check import taken

    given = taken(token)
    with Plex(server=server, **client) as plex:
        return plex.follow(partial(flow, given))


@hide_locals
async def acheck(token: str | Token, *, server: str | None = None, **client: Unpack[ClientOptions]) -> Checked:
    """As `check`."""
    from ticketstub.aclient import AsyncPlex
    from ticketstub.flows.check import check as flow
    from ticketstub.flows.check import taken

    given = taken(token)
    async with AsyncPlex(server=server, **client) as plex:
        return await plex.follow(partial(flow, given))
