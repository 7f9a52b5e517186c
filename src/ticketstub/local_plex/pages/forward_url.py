"""Where a browser may be sent after an approval: the rules for `forwardUrl`.

Rule: a URL is taken only if this module and a browser cannot read it differently: it is matched character by character
before anything parses it (a browser takes a backslash for a slash and `2130706433` for 127.0.0.1). By itself the
browser goes to this site or to loopback; to any other host only by the user's own click, and nothing is ever appended
to a URL. All of that is ours; that Plex goes to http and https only is observed.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import msgspec

_MAX_LENGTH = 2048
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{{2,45}}\]|{_LABEL}(?:\.{_LABEL})*)(?P<port>:[0-9]{{1,5}})?"
    r"(?P<rest>(?:[/?#][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*)?)",
    re.ASCII | re.IGNORECASE,
).fullmatch
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)").fullmatch
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ForwardUrl(msgspec.Struct, frozen=True):
    """A URL that a browser may be sent to.

    Attributes:
        url: the URL, with scheme and host in lower case.
        host: host and port, as they are shown.
        is_automatic: whether the browser goes there without a click.
    """

    url: str
    host: str
    is_automatic: bool


def parse_forward_url(text: str, own_host: str) -> ForwardUrl | None:
    """Judge a `forwardUrl`; `None` where it is not taken.

    Args:
        text: the URL, decoded once.
        own_host: host and port of this site, as the browser names it.
    """
    match = _URL(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        return None
    scheme, host, port = match["scheme"].lower(), _normalize_host(match["host"].lower()), match["port"] or ""
    if host is None or int(port[1:] or 0) > 65535:
        return None
    authority = host + port
    is_automatic = host in _LOOPBACK or _build_origin(scheme, authority) == _build_origin(scheme, own_host.lower())
    return ForwardUrl(url=f"{scheme}://{authority}{match['rest']}", host=authority, is_automatic=is_automatic)


def _normalize_host(host: str) -> str | None:
    """Return a host that has one spelling only; an address in any other spelling than its usual one is none."""
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
            return host
        return str(IPv4Address(host)) if _ENDS_IN_NUMBER(host) else host
    except AddressValueError:
        return None


def _build_origin(scheme: str, authority: str) -> str:
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS[scheme])}"
