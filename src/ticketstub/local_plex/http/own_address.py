"""Where this local Plex is, as the client that asks sees it.

Rule: for texts that only this client gets (the address of a QR picture, of a page, of what it made), never for a
decision. The Host field says it, if it looks like one; Plex's own names stand for Plex's own addresses, for a client
that comes by them was led here and will be again. Anything else is answered as plex.tv itself would.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from ticketstub.local_plex.http.request import Asked

PLEX_TV = "https://plex.tv"
AUTH_APP = "https://app.plex.tv"

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PLEX_S = re.compile(r"(?:[a-z]+\.)?plex\.tv(?::443)?", re.IGNORECASE)


def own_address(asked: Asked) -> str:
    """Return the base address by which a client asked: `http://127.0.0.1:32400`, or plex.tv's."""
    host = _host(asked)
    if not _HOST.fullmatch(host) or _PLEX_S.fullmatch(host):
        return PLEX_TV
    return f"http://{host}"


def by_plex_s_name(asked: Asked) -> bool:
    """Tell whether a client asked by one of Plex's own names, and so was led here."""
    return _PLEX_S.fullmatch(_host(asked)) is not None


def _host(asked: Asked) -> str:
    return asked.header(b"host").decode("latin-1")


def link_page(base: str, code: str) -> str:
    """Return the address of the page where a code of 4 characters is approved, with the code filled in (documented)."""
    return f"{base}/link?pin={code}"


def auth_page(base: str, code: str, client_identifier: str, product: str) -> str:
    """Return the address of the page where a strong code is approved, all in its fragment (documented)."""
    facts = {"clientID": client_identifier, "code": code, "context[device][product]": product}
    return f"{AUTH_APP if base == PLEX_TV else base}/auth#?{urlencode(facts, quote_via=quote)}"
