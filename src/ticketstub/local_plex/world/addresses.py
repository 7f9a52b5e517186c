"""The addresses of a world: those of a source, and those of a media server with what a client meets there.

Rule: an address that only names a place is listed, and nothing is started for it. An address with `behaviour` or
`plex_direct` gets a listener of its own on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Literal

from ticketstub.local_plex.world import values as check
from ticketstub.local_plex.world.reading import FieldRule, WorldTable

Behaviour = Literal[
    "answers", "dead", "refusing", "slow", "slow_tls", "dripping", "other_server", "login_page", "redirect"
]
"""What a client meets at an address."""
CertificateKind = Literal["valid", "expired", "self_signed", "other_name"]
"""The certificate of an address."""
DnsKind = Literal["answers", "fails", "private", "lies"]
"""How the name of an address is resolved."""

DEFAULT_DELAYS: dict[Behaviour, float] = {"slow": 2.0, "slow_tls": 2.0, "dripping": 0.1}
"""The behaviours that have a `delay`, and its default in seconds."""


class WorldConnection(WorldTable, frozen=True, kw_only=True):
    """An address of a source: a table, or only its `uri`."""

    shorthand_key: ClassVar = "uri"

    uri: Annotated[str, FieldRule(check.parse_url)]
    local: bool = False
    relay: bool = False


class WorldAddress(WorldTable, frozen=True, kw_only=True):
    """An address of a media server: a `uri`, or a `host` and a `port`, which default to where the server answers.

    With `behaviour` or `plex_direct` it has a listener of its own: `port` is then a free one by default, and `host` an
    address of this machine. With `plex_direct` the listener speaks TLS beside plain HTTP, and the address is listed by
    its name below plex.direct. `delay` is in seconds.
    """

    conflicts: ClassVar = {
        ("host", "uri"): ", which has its own",
        ("port", "uri"): ", which has its own",
        ("relay", "local"): " = true: a relay is not in the server's own network",
        ("behaviour", "uri"): ": nothing can be started at an address that you write yourself",
        ("plex_direct", "uri"): ": nothing can be started at an address that you write yourself",
    }

    uri: Annotated[str | None, FieldRule(check.parse_url)] = None
    host: Annotated[str | None, FieldRule(check.parse_ip_address)] = None
    port: Annotated[int | None, FieldRule(check.parse_port)] = None
    local: bool = False
    relay: bool = False
    behaviour: Behaviour | None = None
    delay: Annotated[float | None, FieldRule(check.parse_seconds)] = None
    plex_direct: bool = False
    certificate: CertificateKind | None = None
    dns: DnsKind | None = None

    @property
    def has_listener(self) -> bool:
        """Whether it has a listener of its own."""
        return self.behaviour is not None or self.plex_direct

    @classmethod
    def find_faults(cls, values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield what needs a name below plex.direct or a delayed behaviour, and a listener on another machine."""
        behaviour, plex_direct = values.get("behaviour"), values.get("plex_direct", False)
        if not plex_direct:
            yield from ((key, "requires plex_direct = true") for key in ("certificate", "dns") if key in values)
        if behaviour == "slow_tls" and not plex_direct:
            yield "behaviour", 'is "slow_tls", which requires plex_direct = true'
        if "delay" in values and behaviour not in DEFAULT_DELAYS:
            yield "delay", "requires behaviour = " + " or ".join(f'"{each}"' for each in DEFAULT_DELAYS)
        if (behaviour or plex_direct) and "host" in values and not ip_address(values["host"]).is_loopback:
            yield "host", "must be a loopback address, because something is started there"
