"""Which file of a folder answers a request: names made of path and query, the same on every system.

Rule: `/library/sections/1/all?type=1` is `library/sections/1/all@type=1` and an ending. Letters, digits, `.`, `_` and
`-` stand for themselves, all else is `%` and two hexadecimal digits a byte, and so is a dot at either end: no name
leads out of the folder. Parameters are sorted; of those named X-Plex-… only the ones of paging count, in a header too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.redaction.known_secrets import KnownSecrets

_UNRESERVED = re.compile(r"[A-Za-z0-9._-]")
PAGING_PARAMETERS = ("X-Plex-Container-Size", "X-Plex-Container-Start")
"""The parameters of paging, in a query or as header fields."""
_MAX_LENGTH = 110  # two of these and an ending are what every file system takes


def list_reply_names(request: IncomingRequest) -> list[str]:
    """List the names, without ending, that answer a request: the exact one first, the path's alone last."""
    paging = {name: text for name in PAGING_PARAMETERS if (text := request.get_plex_parameter(name, in_body=False))}
    query = drop_plex_parameters(request.query)
    names = [build_reply_name(request.path, each, request.method) for each in (query | paging, query, {})]
    return list(dict.fromkeys(names))


def set_path_template(request: IncomingRequest, token: str) -> None:
    """Give a request the path under which it is logged, unless the token is in that."""
    if not KnownSecrets((token,)).is_found_in(request.path):
        request.path_template = "/" + build_reply_name(request.path, {})


def drop_plex_parameters(query: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that do not say who asks."""
    return {name: text for name, text in query.items() if not name.lower().startswith("x-plex-")}


def build_reply_name(path: str, query: Mapping[str, str], method: str = "GET") -> str:
    """Name a request: its path, percent-decoded; what counts of its query; `~` and its method unless that is GET."""
    folders = [encode_segment(piece) for piece in path.split("/") if piece]
    last = folders.pop() if folders else "%2F"
    encoded_query = "&".join(f"{_percent_encode(name)}={_percent_encode(text)}" for name, text in sorted(query.items()))
    verb = "" if method == "GET" else f"~{_percent_encode(method)}"
    return "/".join([*folders, last + verb + (f"@{_shorten(encoded_query)}" if encoded_query else "")])


def encode_segment(segment: str) -> str:
    """Write a piece of a path; a dot at either end is not left as it is."""
    name = _percent_encode(segment)
    if name.startswith("."):
        name = "%2E" + name[1:]
    return _shorten(name.removesuffix(".") + "%2E" if name.endswith(".") else name)


def _percent_encode(text: str) -> str:
    return "".join(
        character
        if _UNRESERVED.fullmatch(character)
        else "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        for character in text
    )


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_LENGTH else f"sha256-{sha256(name.encode()).hexdigest()[:32]}"
