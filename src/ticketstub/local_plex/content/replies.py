"""A media server's answers from a folder: the user's own XML and JSON, and pictures, by path and query.

Rule: reply_names.py says which file. The ending says what it is; where there are both JSON and XML, what is accepted
decides. A name is compared letter by letter on every system, and nothing outside the folder is read, by a link neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ticketstub.local_plex.content.fallback import MOST, page, typed
from ticketstub.local_plex.content.reply_names import counted, stems
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.redaction.known_secrets import HiddenSecret
from ticketstub.local_plex.redaction.scrubbing import Scrubber, scrubbed_stem
from ticketstub.protocol.codec import Format

TYPES = {
    ".json": "application/json",
    ".xml": "text/xml;charset=utf-8",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".txt": "text/plain;charset=utf-8",
    ".srt": "text/plain;charset=utf-8",
    ".vtt": "text/vtt",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".mp4": "video/mp4",
    ".mkv": "video/x-matroska",
    ".ts": "video/mp2t",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".bin": "application/octet-stream",
}
"""Media types by a file's ending."""


class Replies:
    """The answers in a folder.

    Args:
        folder: it. What changes in it counts from the next request on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def answer(self, asked: Asked, token: str) -> Answer:
        """Answer from a file, or with a page that names the files which would be an answer."""
        return await asyncio.to_thread(self._answer, asked, token)

    def _answer(self, asked: Asked, token: str) -> Answer:
        names = stems(asked)
        for name in [*names, *_recorded(asked, token)]:
            for ending in _endings(asked.form, name):
                if found := self._file(name + ending):
                    return _whole(found, TYPES[ending or found.suffix.lower()])
        return _missing(names, asked)

    def _file(self, name: str) -> Path | None:
        """Find a file by its exact name, inside the folder."""
        try:
            at = self._folder
            for piece in name.split("/"):
                if not any(piece == entry.name for entry in at.iterdir()):  # exact where file systems are not, too
                    return None
                at /= piece
            inside = at.resolve(strict=True).is_relative_to(self._folder.resolve(strict=True))
            return at if inside and at.is_file() else None
        except (OSError, ValueError):
            return None


def _recorded(asked: Asked, token: str) -> Iterator[str]:
    """Return the name of a recorded answer, in which no secret of the request stands."""
    with suppress(HiddenSecret):
        yield scrubbed_stem(Scrubber((token,)), asked.path, counted(asked.query))


def _endings(form: Format, name: str) -> list[str]:
    """List the endings to look for, the one that is accepted first; none at all where the name has a known one."""
    accepted = [".json", ".xml"] if form is Format.JSON else [".xml", ".json"]
    own = [""] if "." in name and f".{name.rpartition('.')[2].lower()}" in TYPES else []
    return [*accepted, *own, *(ending for ending in TYPES if ending not in accepted)]


def _whole(file: Path, media_type: str) -> Answer:
    with file.open("rb") as opened:
        body = opened.read(MOST + 1)
    if len(body) > MOST:
        return page(404, f"{file.name} is longer than {MOST} bytes, which is the most that is answered.")
    return Answer(200, typed(media_type), body)


def _missing(names: list[str], asked: Asked) -> Answer:
    """Name the files that would be an answer."""
    first = [".json", ".xml"] if asked.form is Format.JSON else [".xml", ".json"]
    files = ", ".join(name + ending for name in names for ending in first)
    exact = (names[0] + first[0]).encode()
    return page(
        404,
        "The replies of this media server hold nothing for this request.",
        f"One of these files in their folder would be an answer: {files}",
        more=[(b"x-ticketstub-missing", exact)],
    )
