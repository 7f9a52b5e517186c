"""Which file of a folder answers a request: names made of path and query, the same on every system.

Rule: `/library/sections/1/all?type=1` is `library/sections/1/all@type=1` and an ending. Letters, digits, `.`, `_` and
`-` stand for themselves, all else is `%` and two hexadecimal digits a byte, and so is a dot at either end: no name
leads out of the folder. Parameters are sorted; of those named X-Plex-… only the ones of paging count, in a header too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

from ticketstub.local_plex.http.request import Asked

_PLAIN = re.compile(r"[A-Za-z0-9._-]")
PAGING = ("X-Plex-Container-Size", "X-Plex-Container-Start")
"""The parameters of paging, in a query or as header fields."""
_LONGEST = 110  # two of these and an ending are what every file system takes


def stems(asked: Asked) -> list[str]:
    """List the names, without ending, that answer a request: the exact one first, the path's alone last."""
    paging = {name: text for name in PAGING if (text := asked.x_plex(name, in_body=False))}
    query = counted(asked.query)
    found = [stem(asked.path, each, asked.method) for each in (query | paging, query, {})]
    return list(dict.fromkeys(found))


def counted(query: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that do not say who asks."""
    return {name: text for name, text in query.items() if not name.lower().startswith("x-plex-")}


def stem(path: str, query: Mapping[str, str], method: str = "GET") -> str:
    """Name a request: its path, percent-decoded; what counts of its query; `~` and its method unless that is GET."""
    folders = [name_of(piece) for piece in path.split("/") if piece]
    last = folders.pop() if folders else "%2F"
    asked = "&".join(f"{_encoded(name)}={_encoded(text)}" for name, text in sorted(query.items()))
    verb = "" if method == "GET" else f"~{_encoded(method)}"
    return "/".join([*folders, last + verb + (f"@{_shortened(asked)}" if asked else "")])


def name_of(piece: str) -> str:
    """Write a piece of a path; a dot at either end is not left as it is."""
    name = _encoded(piece)
    if name.startswith("."):
        name = "%2E" + name[1:]
    return _shortened(name.removesuffix(".") + "%2E" if name.endswith(".") else name)


def _encoded(text: str) -> str:
    return "".join(
        character
        if _PLAIN.fullmatch(character)
        else "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        for character in text
    )


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"sha256-{sha256(name.encode()).hexdigest()[:32]}"
