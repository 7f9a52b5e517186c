"""Where a media server's answers come from that the local Plex does not know: a folder, or a media server upstream.

Rule: whoever asks was let in before, by the real token check. Bodies are whole and at most `MAX_BODY_BYTES` bytes.
Where there is no answer, the page says what to do, and `X-Ticketstub-Missing` names the file that would have been
one. All ours.
"""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from ticketstub.local_plex.http.request import Headers
from ticketstub.local_plex.http.response import MEDIA_SERVER_HEADERS, MEDIA_SERVER_HTML_HEADERS, OutgoingResponse
from ticketstub.local_plex.world.schema import WorldMediaServer
from ticketstub.protocol.codec import Format

if TYPE_CHECKING:
    from ticketstub.local_plex.content.replies import ReplyFolder
    from ticketstub.local_plex.content.upstream import Upstream

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Bytes of the longest body that is answered, passed on or kept."""

_PAGE_HEADERS: Headers = [field for field in MEDIA_SERVER_HTML_HEADERS if field[0] != b"content-type"]


def create_fallback(
    server: WorldMediaServer, name: str, record_folder: Path | None, world: object = None
) -> ReplyFolder | Upstream | None:
    """Return what answers for a media server, as its world has it; `None` where it answers alone.

    Args:
        server: the media server's part of the world.
        name: its name.
        record_folder: the folder in which what comes from upstream is written, into one of the server's name.
        world: no secret of it is written.
    """
    if server.replies:
        from ticketstub.local_plex.content.replies import ReplyFolder

        return ReplyFolder(Path(server.replies))
    if not server.upstream:
        return None
    from ticketstub.local_plex.content.recording import Recorder, find_secrets
    from ticketstub.local_plex.content.reply_names import encode_segment
    from ticketstub.local_plex.content.upstream import Upstream

    recorder = Recorder(record_folder / encode_segment(name), find_secrets((server, world))) if record_folder else None
    return Upstream(server, recorder)


def build_headers(media_type: str, extra: Headers | None = None) -> Headers:
    """Return the header fields of an answer of this type."""
    if media_type.partition(";")[0].strip() == "text/xml":
        return [*MEDIA_SERVER_HEADERS[Format.XML], *(extra or [])]
    return [(b"content-type", media_type.encode("latin-1", "replace")), *_PAGE_HEADERS, *(extra or [])]


def render_page(status: int, *sentences: str, extra: Headers | None = None) -> OutgoingResponse:
    """Answer with a small page as a media server's, and what there is to say."""
    phrase = HTTPStatus(status).phrase
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    body = f"<html><head><title>{phrase}</title></head><body><h1>{status} {phrase}</h1>{paragraphs}</body></html>"
    return OutgoingResponse(status, [*MEDIA_SERVER_HTML_HEADERS, *(extra or [])], body.encode())
