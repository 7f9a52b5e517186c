"""What is wrong with an address in bridge.toml.

Rule: an address that a browser could read in two ways is refused. Nothing here touches the network.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

_PRINTABLE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+").fullmatch
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?").fullmatch
_DATABASES = ("sqlite", "postgresql")


def check_redirect_uri(url: str, *, is_public: bool, for_browser: bool = True) -> str | None:
    """Return what is wrong with an application's address; `None` if nothing is.

    Args:
        url: the address.
        is_public: whether the application has no secret: http is then for loopback only (OpenID Connect Core, 3.1.2.1).
        for_browser: whether a browser is sent there, so that an application's own scheme is possible (RFC 8252).
    """
    if "#" in url:
        return "must not have a fragment (#)"
    parts = split_url(url)
    if parts is None:
        return "must be an absolute address without user name, spaces, backslashes and wildcards"
    if parts.scheme in {"http", "https"}:
        if parts.scheme == "http" and is_public and not is_loopback(parts.hostname or ""):
            return "must be https; http is for loopback, or for applications with a secret"
        return None
    if for_browser and "." in parts.scheme:
        return None
    return "must begin with https://, or with a scheme that contains a dot (app.example:/callback)"


def check_database(url: str) -> str | None:
    """Return what is wrong with a database's address; `None` if nothing is."""
    if url.partition(":")[0] not in _DATABASES or "://" not in url:
        return "must be sqlite:///FILE or postgresql://USER@HOST/NAME"
    if url.startswith("sqlite") and (not url.startswith("sqlite:///") or url == "sqlite:///" or ":memory:" in url):
        return "must name a file: sqlite:///bridge.db"
    if url.startswith("sqlite") and "?" in url:
        return "must be only the name of a file, without options after a question mark"
    try:
        _ = urlsplit(url).port
    except ValueError:  # whose message may have a part of the password
        return "is not an address: write special characters of the password as %23, and the port as a number"
    return None


def resolve_database(url: str, folder: Path) -> str:
    """Return the address with the absolute path of an SQLite file."""
    prefix = "sqlite:///"
    return f"{prefix}{(folder / url.removeprefix(prefix)).absolute()}" if url.startswith(prefix) else url


class Url(msgspec.Struct, frozen=True):
    """The parts of an address."""

    scheme: str
    hostname: str | None
    path: str
    query: str


def split_url(url: str) -> Url | None:
    """Split an address that a browser cannot read differently; `None` if it is not one."""
    if len(url) > 2000 or not _PRINTABLE_URL(url) or "*" in url.partition("?")[0]:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if "@" in parts.netloc or (parts.scheme in {"http", "https"} and not _HOST_AND_PORT(parts.netloc)):
        return None
    return Url(parts.scheme, parts.hostname, parts.path, parts.query)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this computer's own; `*.localhost` is (RFC 6761)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
