"""Where this local Plex is, as the client that asks sees it.

Rule: for texts that only this client gets (the address of a QR picture, of a page, of what it made), never for a
decision. The Host field says it, if it looks like one; Plex's own names stand for Plex's own addresses, for a client
that comes by them was led here and will be again. Anything else is answered as plex.tv itself would.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from ticketstub.local_plex.http.request import IncomingRequest

PLEX_TV_URL = "https://plex.tv"
AUTH_APP_URL = "https://app.plex.tv"

_HOST_PATTERN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
_PLEX_HOST_PATTERN = re.compile(r"(?:[a-z]+\.)?plex\.tv(?::443)?", re.IGNORECASE)


def get_base_url(request: IncomingRequest) -> str:
    """Return the base address by which a client asked: `http://127.0.0.1:32400`, or plex.tv's."""
    host = _get_host(request)
    if not _HOST_PATTERN.fullmatch(host) or _PLEX_HOST_PATTERN.fullmatch(host):
        return PLEX_TV_URL
    return f"http://{host}"


def is_plex_host(request: IncomingRequest) -> bool:
    """Tell whether a client asked by one of Plex's own names, and so was led here."""
    return _PLEX_HOST_PATTERN.fullmatch(_get_host(request)) is not None


def _get_host(request: IncomingRequest) -> str:
    return request.get_header(b"host").decode("latin-1")


def build_link_url(base_url: str, code: str) -> str:
    """Return the address of the page where a code of 4 characters is approved, with the code filled in (documented)."""
    return f"{base_url}/link?pin={code}"


def build_auth_url(base_url: str, code: str, client_identifier: str, product: str) -> str:
    """Return the address of the page where a strong code is approved, all in its fragment (documented)."""
    parameters = {"clientID": client_identifier, "code": code, "context[device][product]": product}
    return f"{AUTH_APP_URL if base_url == PLEX_TV_URL else base_url}/auth#?{urlencode(parameters, quote_via=quote)}"
