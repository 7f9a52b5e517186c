"""The transport of `Plex`: the standard library's sockets, TLS and `http.client`, behind a small pool.

Rule: one request, one reply, or one error that says whether anything was sent; never a repetition. Read in this order:
`heads` writes the request, `dial` connects, `connection` exchanges, `reply` reads, `pool` keeps what is idle.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ticketstub.names import Resolver, system_resolver
from ticketstub.transports.dial import Dialler
from ticketstub.transports.environment import ProxyFor, proxy_for
from ticketstub.transports.failures import timed_out
from ticketstub.transports.heads import written
from ticketstub.transports.pool import Pool
from ticketstub.wire.http import Request, Response, destination

if TYPE_CHECKING:
    import ssl

# Sockets refuse an endless wait given as a number: an endless deadline is a day.
_LONGEST = 86400.0


class StandardTransport:
    """Sends for `Plex`, for many threads at once; see `base.Transport`.

    Args:
        resolver: looks names up.
        proxy_for: says which places are reached through a proxy; the default asks the environment.
        ssl_context: used for https as it is; the default checks certificates against the computer's authorities.
    """

    def __init__(
        self,
        *,
        resolver: Resolver = system_resolver,
        proxy_for: ProxyFor = proxy_for,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._dialler = Dialler(resolver, proxy_for, ssl_context)
        self._pool = Pool()

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`."""
        place, target = destination(request.url)
        message = written(request, place, target)
        now = time.monotonic()
        deadline = min(deadline, now + _LONGEST)
        if deadline <= now:
            raise timed_out(place, sent=False)
        connection = self._pool.take(place) or self._dialler.dial(place, min(deadline, now + connect_timeout))
        try:
            response, reusable = connection.exchange(message, request.method, deadline)
        except BaseException:  # Ctrl-C too
            connection.close()
            raise
        if reusable:
            self._pool.give(connection)
        else:
            connection.close()
        return response

    def sleep(self, seconds: float) -> None:
        """As `base.Transport.sleep`."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()
