"""Leads programs to one running local Plex, for as long as that is wanted: authority, files and proxy, put together.

Rule: programs have to be told two things, the proxy and the authority; `variables.py` says how each language is. All of
it is made for one occasion, and nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ticketstub.server.addresses import plex_direct_digits
from ticketstub.server.proxy.authority import issue_for_run, server_context
from ticketstub.server.proxy.hosts import Address, Hosts
from ticketstub.server.proxy.proxy import Proxy
from ticketstub.server.proxy.run_folder import fill, keep_address, run_folder

if TYPE_CHECKING:
    from ticketstub.server.local_plex import LocalPlex
    from ticketstub.server.proxy.passage import Event
    from ticketstub.server.proxy.upstream import Upstream


class Way(NamedTuple):
    """What programs are told: the proxy's address, and the file with the authority."""

    proxy: str
    authority: Path


@contextmanager
def leading(
    plex: LocalPlex,
    environ: Mapping[str, str],
    *,
    offline: bool,
    upstream: Upstream | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Generator[Way, None, None]:
    """Lead programs to a running local Plex for as long as the `with` lasts.

    Args:
        plex: that one.
        environ: what they would have without it: it says who else is trusted, and where folders of programs belong.
        offline: whether everything that is not Plex's is refused, loopback excepted; nobody else is trusted then.
        upstream: the proxy by which everything else is reached.
        on_event: told what became of each connection.
    """
    hosts = hosts_of(plex, offline=offline)
    with run_folder(environ) as folder:
        issued = issue_for_run(hosts.names(), datetime.now(UTC))
        authority = fill(folder, issued.authority, alone=offline, environ=environ)
        proxy = Proxy(hosts, server_context(issued, folder), upstream=upstream, on_event=on_event)
        with proxy.running():
            keep_address(folder, proxy.url)
            yield Way(proxy.url, authority)


def hosts_of(plex: LocalPlex, *, offline: bool) -> Hosts:
    """Return the hosts of a running local Plex."""
    servers = {
        plex_direct_digits(server.machine_identifier): Address(server.host, server.port)
        for server in plex.media_servers
    }
    own = urlsplit(plex.url)
    return Hosts(Address(own.hostname or "", own.port or 0), servers, offline=offline)
