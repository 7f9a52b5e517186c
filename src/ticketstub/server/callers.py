"""Who asks plex.tv: the account and device behind a token.

Rule: a token is looked up anew at each request; whatever ended it counts from the moment it was acknowledged.
"""

from __future__ import annotations

from ticketstub.server import jwts
from ticketstub.server.instance import Instance
from ticketstub.server.store.base import TokenRow


async def caller(instance: Instance, token: str) -> TokenRow | None:
    """Return what is known of a token, or `None` where it is unknown or dead.

    Raises:
        TokenExpired: it is a JWT, and its time is over.
    """
    if jwts.looks_like_one(token):
        return await jwts.caller(instance, token)
    if not instance.keys.well_formed(token):
        return None
    return await instance.store.find_token(instance.keys.digest(token), instance.now())
