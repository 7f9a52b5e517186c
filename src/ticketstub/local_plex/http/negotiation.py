"""Which format an answer has.

Rule: a suffix of the path decides, then what the client accepts, then the world's default. Only JSON and XML count: a
wildcard and every other type leave it to the default (observed: plex.tv answers `*/*` with XML).
"""

from __future__ import annotations

import re
from functools import lru_cache

from ticketstub.protocol.codec import Format

_FORMATS_BY_MEDIA_TYPE = {
    "application/json": Format.JSON,
    "text/json": Format.JSON,
    "application/xml": Format.XML,
    "text/xml": Format.XML,
}
_QUALITY = re.compile(r"q\s*=\s*([0-9]+(?:\.[0-9]*)?)").fullmatch
_FORMATS_BY_SUFFIX = {".json": Format.JSON, ".xml": Format.XML}


@lru_cache(maxsize=256)
def choose_format(accept: bytes, default: Format) -> Format:
    """Choose by an Accept header: the highest weight wins, of equal ones the first; 0 rules a format out."""
    weights: dict[Format, float] = {}
    for item in accept.decode("latin-1").lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        if media_type in _FORMATS_BY_MEDIA_TYPE:
            weights.setdefault(_FORMATS_BY_MEDIA_TYPE[media_type], _read_quality(parameters))
    best = max(weights, key=lambda response_format: weights[response_format], default=default)
    if weights.get(best, 1.0) > 0:
        return best
    return next((form for form in (default, *Format) if form not in weights), default)


def _read_quality(parameters: list[str]) -> float:
    """Read the q value; one that cannot be read counts as none."""
    return next((float(match[1]) for each in parameters if (match := _QUALITY(each))), 1.0)


def split_suffix(path: str) -> tuple[str, Format | None]:
    """Split a path into what is asked for and the format that its suffix names, if any; a last slash is dropped."""
    path = path.rstrip("/")
    for suffix, suffix_format in _FORMATS_BY_SUFFIX.items():
        if path.endswith(suffix):
            return path.removesuffix(suffix), suffix_format
    return path, None
