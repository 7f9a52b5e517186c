"""How a media server was reached, and what became of each of its addresses.

Rule: frozen data. These are our own findings; Plex sends nothing like them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

RouteKind = Literal["local", "remote", "relay"]
"""In the server's own network, over the internet, or through a relay of Plex, which limits the bandwidth."""

RouteReason = Literal["remembered", "best", "first"]

AddressFamily = Literal["ipv4", "ipv6"]

UnreachableReason = Literal[
    "refused",
    "no_answer",
    "no_route",
    "dns",
    "certificate_expired",
    "certificate_name",
    "certificate_untrusted",
    "tls",
]
"""Why there was no response."""

Fate = Literal[
    "reachable",
    UnreachableReason,
    "wrong_server",
    "not_plex",
    "http_not_allowed",
    "never_dialled",
    "token_refused",
    "streaming_refused",
    "failed",
    "not_tried",
]
"""The result of trying an address.

reachable: it is this server. refused: nothing listens there. no_answer: it did not answer in time. no_route: this
computer has no route to it. dns: its name could not be looked up. certificate_expired, certificate_name,
certificate_untrusted: its certificate is not valid now, not for this name, or not from an authority that this computer
trusts. tls: TLS could not be agreed on. wrong_server: another media server answers there. not_plex: something else
answers, such as a router's login page. http_not_allowed: it is not encrypted, see `allow_http`. never_dialled: it is a
link-local, metadata or multicast address. token_refused: the server refuses the token. streaming_refused: the server
refuses access from outside its network. failed: anything else; `detail` says what. not_tried: a better address won.
"""

DnsFinding = Literal["agrees", "fails", "removed", "differs"]


class ServerRoute(msgspec.Struct, frozen=True, kw_only=True):
    """How a client reached its media server.

    Args:
        name: The server's name.
        machine_identifier: The identifier that the server proved with its certificate, or, over http, claimed.
        url: The base URL of the address.
        address: The IP address to connect to, or `None` if the host is looked up each time.
        kind: `local`, `remote` or `relay`.
        family: `ipv4` or `ipv6`; `None` if the host is looked up.
        milliseconds: From the first connection attempt to this address until its identity was verified.
        reason: `remembered` (it worked last time on this network), `best` (no better address was left) or `first` (it
            answered, and better ones did not in the time that they were given).
        is_offline: Whether plex.tv could not be asked, so that the address and the token are those of the last time.
    """

    name: str
    machine_identifier: str
    url: str
    address: str | None
    kind: RouteKind
    family: AddressFamily | None
    milliseconds: float
    reason: RouteReason
    is_offline: bool = False

    @property
    def is_relay(self) -> bool:
        """Whether the connection goes through a relay, whose bandwidth is limited."""
        return self.kind == "relay"


class AddressReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of trying one address of a media server.

    Args:
        url: The base URL of the address.
        kind: `local`, `remote` or `relay`.
        family: `ipv4` or `ipv6`; `None` if the host is a name that was not looked up.
        fate: The result, as a word.
        detail: The same as a sentence.
        milliseconds: How long the connection, TLS and the server's answer took; `None` if there was no answer.
        is_remembered: Whether this address worked last time on this network.
        dns: What a name look-up says about a name below plex.direct, which contains the address: it `agrees`; it
            `fails`; the private address was `removed` (rebinding protection of the router or resolver); or it
            `differs`. Ticketstub connects to the address in the name; other programs may fail. `None`: not looked up.
    """

    url: str
    kind: RouteKind
    family: AddressFamily | None
    fate: Fate
    detail: str
    milliseconds: float | None = None
    is_remembered: bool = False
    dns: DnsFinding | None = None
