"""Which host is whose: what the proxy takes, passes on or refuses.

Rule: a name that is Plex's is answered by this run or by nobody; it is never looked up, so nothing meant for the local
Plex can reach the real one. What is refused is told by its name and reason, in words for the person who reads the
program's log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ticketstub.dns import is_loopback
from ticketstub.local_plex.domain.media_servers import build_plex_direct_authority, list_certificate_names

PLEX_TV = frozenset({"plex.tv", "www.plex.tv", "clients.plex.tv", "app.plex.tv"})
"""The hosts that a local Plex answers for, by its plex.tv port."""


class HostPort(NamedTuple):
    """A host, by name or in digits, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Destination(NamedTuple):
    """Where a connection goes.

    Attributes:
        address: that.
        is_plex: whether it is the local Plex.
        tls: whether it is for https, and so for tunnels only.
    """

    address: HostPort
    is_plex: bool = False
    is_https: bool = False


class ProxyRefusal(Exception):
    """A connection that goes nowhere.

    Attributes:
        status: the status that the client gets.
        reason: the sentence with it.
        is_usual: whether it is nothing to tell of.
    """

    def __init__(self, status: int, reason: str, *, is_expected: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.is_expected = is_expected


class HostTable:
    """The hosts of one run.

    Args:
        plex_tv: where its plex.tv answers, by plain http.
        media_servers: where its media servers answer, by the 32 digits of their plex.direct names.
        offline: whether everything that is not this run's is refused, loopback excepted.
    """

    def __init__(self, plex_tv: HostPort, media_servers: Mapping[str, HostPort], *, offline: bool) -> None:
        self._offline = offline
        self._servers = {
            build_plex_direct_authority(digits, server.host, server.port): Destination(
                server, is_plex=True, is_https=True
            )
            for digits, server in sorted(media_servers.items(), key=lambda item: item[1].port)
        }
        https, http = Destination(plex_tv, is_plex=True, is_https=True), Destination(plex_tv, is_plex=True)
        self._plex_tv = {f"{host}:443": https for host in PLEX_TV} | {f"{host}:80": http for host in PLEX_TV}
        self.certificate_names = list_certificate_names(media_servers)
        """The names, with wildcards, that a certificate must have for all that is taken."""

    def route(self, target: HostPort) -> Destination:
        """Say where a connection goes that is to go to this address; raises `ProxyRefusal`."""
        host, known = target.host, self._plex_tv | self._servers
        if str(target) in known:
            return known[str(target)]
        if host in PLEX_TV:
            raise ProxyRefusal(502, f"{target}: plex.tv answers on the ports 443 and 80 only")
        if host == "plex.direct" or host.endswith(".plex.direct"):
            examples = ", ".join([*self._servers][:5])
            raise ProxyRefusal(502, f"{target} is no media server of this run, which has: {examples or 'none'}")
        if host.endswith(".plex.tv"):
            raise ProxyRefusal(502, f"{target} is one of Plex's hosts that a local Plex does not answer for")
        if self._offline and not is_loopback(host):
            raise ProxyRefusal(403, f"{target} is not Plex's, and this run is offline (--offline)")
        return Destination(target)
