"""Which host is whose: what the proxy takes, passes on or refuses.

Rule: a name that is Plex's is answered by this run or by nobody; it is never looked up, so nothing meant for the local
Plex can reach the real one. What is refused is told by its name and reason, in words for the person who reads the
program's log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple

from ticketstub.server.addresses import certified_names, plex_direct_name

PLEX_TV = frozenset({"plex.tv", "www.plex.tv", "clients.plex.tv", "app.plex.tv"})
"""The hosts that a local Plex answers for, by its plex.tv port."""
_PLEX_DIRECT = re.compile(r"([0-9]{1,3}(?:-[0-9]{1,3}){3})\.([0-9a-f]{32})\.plex\.direct")
_HTTPS, _HTTP = 443, 80


class Address(NamedTuple):
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

    address: Address
    is_plex: bool = False
    tls: bool = False


class Refused(Exception):
    """A connection that goes nowhere.

    Attributes:
        status: the status that the client gets.
        reason: the sentence with it.
        is_usual: whether it is nothing to tell of.
    """

    def __init__(self, status: int, reason: str, *, is_usual: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.is_usual = is_usual


class Hosts:
    """The hosts of one run.

    Args:
        plex_tv: where its plex.tv answers, by plain http.
        media_servers: where its media servers answer, by the 32 digits of their plex.direct names.
        offline: whether everything that is not this run's is refused, loopback excepted.
    """

    def __init__(self, plex_tv: Address, media_servers: Mapping[str, Address], *, offline: bool) -> None:
        self._plex_tv = plex_tv
        self._media_servers = media_servers
        self._offline = offline

    def decide(self, target: Address) -> Destination:
        """Say where a connection goes that is to go to this address; raises `Refused`."""
        host = target.host
        if host in PLEX_TV:
            return self._plex_tv_by(target)
        if host == "plex.direct" or host.endswith(".plex.direct"):
            return self._plex_direct(target)
        if host.endswith(".plex.tv"):
            raise Refused(502, f"{target} is one of Plex's hosts that a local Plex does not answer for")
        if self._offline and not is_loopback(host):
            raise Refused(403, f"{target} is not Plex's, and this run is offline (--offline)")
        return Destination(target)

    def _plex_tv_by(self, target: Address) -> Destination:
        if target.port in {_HTTPS, _HTTP}:
            return Destination(self._plex_tv, is_plex=True, tls=target.port == _HTTPS)
        raise Refused(502, f"{target}: plex.tv answers on the ports {_HTTPS} and {_HTTP} only")

    def _plex_direct(self, target: Address) -> Destination:
        found = _PLEX_DIRECT.fullmatch(target.host)
        server = self._media_servers.get(found[2]) if found else None
        if found and server and server == (found[1].replace("-", "."), target.port):
            return Destination(server, is_plex=True, tls=True)
        known = ", ".join(plex_direct_name(digits, server.host, server.port) for digits, server in self._shown())
        raise Refused(502, f"{target} is no media server of this run, which has: {known or 'none'}")

    def _shown(self) -> list[tuple[str, Address]]:
        return sorted(self._media_servers.items(), key=lambda item: item[1].port)[:5]

    def names(self) -> tuple[str, ...]:
        """Return the names, with wildcards, that a certificate must have for all that is taken."""
        return certified_names(self._media_servers)


def is_loopback(host: str) -> bool:
    """Tell whether a host, by its name or in digits, is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
