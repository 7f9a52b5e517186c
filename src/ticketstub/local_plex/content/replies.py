"""A media server's answers from a folder: the user's own XML and JSON, and pictures, by path and query.

Rule: reply_names.py says which file. The ending says what it is; where there are both JSON and XML, what is accepted
decides. A name is compared letter by letter on every system, and nothing outside the folder is read, by a link neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ticketstub.local_plex.content.fallback import MAX_BODY_BYTES, build_headers, render_page
from ticketstub.local_plex.content.reply_names import drop_plex_parameters, list_reply_names, set_path_template
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.redaction.known_secrets import HiddenSecret
from ticketstub.local_plex.redaction.scrubbing import Scrubber, build_scrubbed_stem
from ticketstub.protocol.codec import Format

MEDIA_TYPES = {
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


class ReplyFolder:
    """The answers in a folder.

    Args:
        folder: it. What changes in it counts from the next request on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def answer(self, request: IncomingRequest, token: str) -> OutgoingResponse:
        """Answer from a file, or with a page that names the files which would be an answer."""
        set_path_template(request, token)
        return await asyncio.to_thread(self._answer, request, token)

    def _answer(self, request: IncomingRequest, token: str) -> OutgoingResponse:
        names = list_reply_names(request)
        for name in [*names, *_build_recorded_stems(request, token)]:
            for extension in _list_extensions(request.response_format, name):
                if file := self._find_file(name + extension):
                    return _answer_with_file(file, MEDIA_TYPES[extension or file.suffix.lower()])
        return _answer_missing(names, request)

    def _find_file(self, name: str) -> Path | None:
        """Find a file by its exact name, inside the folder."""
        try:
            path = self._folder
            for piece in name.split("/"):
                if not any(piece == entry.name for entry in path.iterdir()):  # exact where file systems are not, too
                    return None
                path /= piece
            is_inside = path.resolve(strict=True).is_relative_to(self._folder.resolve(strict=True))
            return path if is_inside and path.is_file() else None
        except (OSError, ValueError):
            return None


def _build_recorded_stems(request: IncomingRequest, token: str) -> Iterator[str]:
    """Return the name of a recorded answer, in which no secret of the request stands."""
    with suppress(HiddenSecret):
        yield build_scrubbed_stem(Scrubber((token,)), request.path, drop_plex_parameters(request.query))


def _list_extensions(form: Format, name: str) -> list[str]:
    """List the endings to look for, the one that is accepted first; none at all where the name has a known one."""
    preferred = [".json", ".xml"] if form is Format.JSON else [".xml", ".json"]
    own = [""] if "." in name and f".{name.rpartition('.')[2].lower()}" in MEDIA_TYPES else []
    return [*preferred, *own, *(ending for ending in MEDIA_TYPES if ending not in preferred)]


def _answer_with_file(file: Path, media_type: str) -> OutgoingResponse:
    with file.open("rb") as stream:
        body = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        return render_page(
            404, f"{file.name} is longer than {MAX_BODY_BYTES} bytes, which is the most that is answered."
        )
    return OutgoingResponse(200, build_headers(media_type), body)


def _answer_missing(names: list[str], request: IncomingRequest) -> OutgoingResponse:
    """Name the files that would be an answer."""
    preferred = [".json", ".xml"] if request.response_format is Format.JSON else [".xml", ".json"]
    files = ", ".join(name + ending for name in names for ending in preferred)
    exact = (names[0] + preferred[0]).encode()
    return render_page(
        404,
        "The replies of this media server hold nothing for this request.",
        f"One of these files in their folder would be an answer: {files}",
        extra=[(b"x-ticketstub-missing", exact)],
    )
