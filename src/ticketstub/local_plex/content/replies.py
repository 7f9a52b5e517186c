"""Media server responses from a folder: the user's own XML, JSON and pictures, by path and query.

Rule: `/library/sections/1/all?type=1` is `library/sections/1/all@type=1` and an extension. Letters, digits, `.`, `_`
and `-` stay as they are. Every other byte, and a dot at either end, becomes `%` and two hexadecimal digits, so that no
name leads out of the folder. Parameters are sorted; of those named `X-Plex-…` only the paging ones count, which may
also be header fields. If a reply exists as JSON and XML, the Accept header decides. Names are compared exactly on every
system, and nothing outside the folder is read, not even through a link.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from html import escape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from ticketstub.local_plex.api.media_server import NoAnswer
from ticketstub.local_plex.http.request import Headers, IncomingRequest
from ticketstub.local_plex.http.response import MEDIA_SERVER_HEADERS, MEDIA_SERVER_HTML_HEADERS, OutgoingResponse
from ticketstub.local_plex.redaction.known_secrets import HiddenSecret, KnownSecrets
from ticketstub.local_plex.redaction.scrubbing import Scrubber
from ticketstub.protocol.codec import Format

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The longest body that is served, forwarded or recorded, in bytes."""
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
"""Media types by file extension."""
PAGING_PARAMETERS = ("X-Plex-Container-Size", "X-Plex-Container-Start")
"""The paging parameters, in a query or as header fields."""

_MAX_LENGTH = 110  # every file system takes two of these and an extension
_PAGE_HEADERS: Headers = [field for field in MEDIA_SERVER_HTML_HEADERS if field[0] != b"content-type"]


class ReplyFolder:
    """The replies in a folder.

    Args:
        folder: read anew for each request.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def answer(self, request: IncomingRequest, token: str) -> OutgoingResponse:
        """Answer from a file, or with a page that lists the files that would answer the request."""
        set_logged_path(request, token)
        return await asyncio.to_thread(self._answer, request, token)

    def _answer(self, request: IncomingRequest, token: str) -> OutgoingResponse:
        query = drop_plex_parameters(request.query)
        exact = build_reply_name(request.path, get_reply_parameters(request), request.method)
        names = dict.fromkeys([exact, *(build_reply_name(request.path, each, request.method) for each in (query, {}))])
        preferred = [".json", ".xml"] if request.response_format is Format.JSON else [".xml", ".json"]
        for name in [*names, *_build_recorded_name(request, token)]:
            for extension in _list_extensions(name, preferred):
                if file := self._find_file(name + extension):
                    return _answer_with_file(file, MEDIA_TYPES[extension or file.suffix.lower()])
        files = ", ".join(name + extension for name in names for extension in preferred)
        page = render_page(
            404,
            "The replies of this media server have no file for this request.",
            f"Add one of these files to their folder: {files}",
            extra=[(b"x-ticketstub-missing", (exact + preferred[0]).encode())],
        )
        return NoAnswer(page.status, page.headers, page.body)

    def _find_file(self, name: str) -> Path | None:
        """Find a file inside the folder by its exact name, also where file systems ignore case."""
        try:
            path = self._folder
            for segment in name.split("/"):
                if not any(segment == entry.name for entry in path.iterdir()):
                    return None
                path /= segment
            is_inside = path.resolve(strict=True).is_relative_to(self._folder.resolve(strict=True))
            return path if is_inside and path.is_file() else None
        except (OSError, ValueError):
            return None


def set_logged_path(request: IncomingRequest, token: str) -> None:
    """Set the path under which a request is logged, unless it contains the client's token."""
    if not KnownSecrets((token,)).is_found_in(request.path):
        request.path_template = "/" + build_reply_name(request.path, {})


def get_reply_parameters(request: IncomingRequest) -> dict[str, str]:
    """Return the parameters that select a reply: the paging ones, and all that are not named `X-Plex-…`."""
    paging = {name: text for name in PAGING_PARAMETERS if (text := request.get_plex_parameter(name, in_body=False))}
    return drop_plex_parameters(request.query) | paging


def drop_plex_parameters(query: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that are not named `X-Plex-…`."""
    return {name: text for name, text in query.items() if not name.lower().startswith("x-plex-")}


def build_reply_name(path: str, query: Mapping[str, str], method: str = "GET") -> str:
    """Return the file name, without extension, of the reply to a request.

    Args:
        path: the path, percent-decoded.
        query: the parameters that count.
        method: the HTTP method; any but GET becomes part of the name.
    """
    *folders, last = [encode_segment(segment) for segment in path.split("/") if segment] or ["%2F"]
    encoded_query = "&".join(f"{_percent_encode(name)}={_percent_encode(text)}" for name, text in sorted(query.items()))
    verb = "" if method == "GET" else f"~{_percent_encode(method)}"
    return "/".join([*folders, last + verb + (f"@{_shorten(encoded_query)}" if encoded_query else "")])


def build_scrubbed_name(scrubber: Scrubber, path: str, query: Mapping[str, str]) -> str:
    """Return the file name of the reply to a GET request, without its secrets; raises `HiddenSecret`."""
    segments = [scrubber.scrub(segment).replace("/", "%2F") for segment in path.split("/")]
    parameters = {scrubber.scrub(name): scrubber.scrub(text, name) for name, text in query.items()}
    return build_reply_name("/".join(segments), parameters)


def encode_segment(segment: str) -> str:
    """Return a path segment as a file name."""
    return _shorten(re.sub(r"\A\.|\.\Z", "%2E", _percent_encode(segment)))


def build_headers(media_type: str, extra: Headers | None = None) -> Headers:
    """Return a media server's header fields for a body of this type."""
    if media_type.partition(";")[0].strip() == "text/xml":
        return [*MEDIA_SERVER_HEADERS[Format.XML], *(extra or [])]
    return [(b"content-type", media_type.encode("latin-1", "replace")), *_PAGE_HEADERS, *(extra or [])]


def render_page(status: int, *sentences: str, extra: Headers | None = None) -> OutgoingResponse:
    """Return a small page in the style of a media server's own, with these sentences."""
    phrase = HTTPStatus(status).phrase
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    body = f"<html><head><title>{phrase}</title></head><body><h1>{status} {phrase}</h1>{paragraphs}</body></html>"
    return OutgoingResponse(status, [*MEDIA_SERVER_HTML_HEADERS, *(extra or [])], body.encode())


def _build_recorded_name(request: IncomingRequest, token: str) -> Iterator[str]:
    """Yield the name that a recording of this request has: without the request's secrets."""
    with suppress(HiddenSecret):
        yield build_scrubbed_name(Scrubber((token,)), request.path, drop_plex_parameters(request.query))


def _list_extensions(name: str, preferred: list[str]) -> list[str]:
    """List the extensions to try, the preferred ones first; an empty one if the name ends in a known extension."""
    own = [""] if "." in name and f".{name.rpartition('.')[2].lower()}" in MEDIA_TYPES else []
    return [*preferred, *own, *(extension for extension in MEDIA_TYPES if extension not in preferred)]


def _answer_with_file(file: Path, media_type: str) -> OutgoingResponse:
    with file.open("rb") as stream:
        body = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        return render_page(404, f"{file.name} is longer than {MAX_BODY_BYTES} bytes, the most that is served.")
    return OutgoingResponse(200, build_headers(media_type), body)


def _percent_encode(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass").replace("~", "%7E")


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_LENGTH else f"sha256-{sha256(name.encode()).hexdigest()[:32]}"
