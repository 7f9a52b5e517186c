"""Recording a media server's responses into a folder that `replies` can serve, without their secrets.

Rule: what cannot be scrubbed is not written: archives, and pictures and other binary data that contain a known secret.
Titles, file names and user names stay: check the files before you publish them. Files are written atomically, and only
their owner can ever read them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from ticketstub import private_files
from ticketstub.local_plex.content.replies import (
    MEDIA_TYPES,
    PAGING_PARAMETERS,
    build_scrubbed_name,
    get_reply_parameters,
)
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.redaction.known_secrets import ARCHIVE_SIGNATURES, HiddenSecret, KnownSecrets
from ticketstub.local_plex.redaction.scrubbing import Scrubber, is_secret_name

_TEXT_EXTENSIONS = (".json", ".xml", ".html", ".txt", ".m3u8", ".svg", ".srt", ".vtt")
_EXTENSIONS = {"application/xml": ".xml"} | {
    media_type.partition(";")[0]: extension for extension, media_type in reversed(MEDIA_TYPES.items())
}
_MEDIA_PREFIXES = ("image/", "video/", "audio/", "font/")
_CHARSET = re.compile(rb"""(?i)(?:charset|encoding)\s*=\s*["']?([\w-]+)""")
_XML_ENCODING = re.compile(r"(?i)\A(<\?xml[^>]*?encoding=[\"'])[\w-]+")
_SECRET_FORM = re.compile(
    rb"(?:transient|claim|local)-[\w-]{20}|eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]"
    rb"|(?i:token|secret|passw[a-z]{1,8}|cookie|authori[sz]ation|api[_-]?key)[\"'>]?\s?[=:>]\s?[\"']?[!-~]{4}"
)


def find_secrets(value: object) -> list[str]:
    """Return the secrets in a world, or in a part of one."""
    secrets: list[str] = []
    msgspec.to_builtins(value, enc_hook=lambda secret: secrets.append(secret.reveal()))
    return secrets


class Recorder:
    """Writes responses into a folder. Any thread may use it.

    Args:
        folder: created with the first file.
        secrets: known tokens and other texts that no file may contain.
    """

    def __init__(self, folder: Path, secrets: Iterable[str] = ()) -> None:
        self._folder = folder
        self._scrubber = Scrubber(secrets)
        self._written_files: set[Path] = set()
        self._scrubbed_texts = self._scrubber.known_texts
        self._lock = threading.Lock()

    def record(
        self, request: IncomingRequest, media_type: str, body: bytes, secrets: Iterable[str] = ()
    ) -> Path | None:
        """Write the response to a request, as `record_path` does; `secrets` adds to the known secrets."""
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.items()]
        for secret in (*secrets, *(text for name, text in [*fields, *request.query.items()] if is_secret_name(name))):
            self._scrubber.remember(secret)
        return self.record_path(request.path, get_reply_parameters(request), media_type, body)

    def record_path(self, path: str, query: dict[str, str], media_type: str, body: bytes) -> Path | None:
        """Write the response to a GET request.

        Args:
            path: the request's path, percent-decoded.
            query: its parameters; those named `X-Plex-…` are dropped, except the paging ones.
            media_type: the response's Content-Type.
            body: its body.

        Returns:
            The file, or `None` if a secret in it cannot be removed.
        """
        parameters = {
            name: text
            for name, text in query.items()
            if name in PAGING_PARAMETERS or not name.lower().startswith("x-plex-")
        }
        with self._lock:
            try:
                content, extension = self._scrub_content(media_type, body)
                name = build_scrubbed_name(self._scrubber, path, parameters) + extension
            except HiddenSecret:
                return None
            if content is None or KnownSecrets(self._scrubber.known_texts).is_found_in(name):
                return None
            self._rescrub_files()
            self._write(self._folder / name, content)
            return self._folder / name

    def scrub(self, text: str) -> str:
        """Return a text without its secrets, for a log or a message."""
        try:
            return self._scrubber.scrub(text)
        except HiddenSecret:
            return "…"

    def _scrub_content(self, media_type: str, body: bytes) -> tuple[bytes | None, str]:
        """Return what to write (`None` for nothing), and the file's extension."""
        kind = media_type.partition(";")[0].strip().lower()
        extension = _EXTENSIONS.get(kind, ".bin")
        if extension in _TEXT_EXTENSIONS or b"\0" not in body[:4096]:
            # A playlist has an audio type but is text; what claims to be a picture may be the text of an error.
            is_media = kind.startswith(_MEDIA_PREFIXES) and extension not in _TEXT_EXTENSIONS
            text = _decode_text("" if is_media else media_type, body)
            if text is None and extension in _TEXT_EXTENSIONS:  # one wrong byte is no reason to keep the secrets
                text = body.decode("latin-1")
            if text is not None:
                return self._scrubber.scrub(text).encode("utf-8", "replace"), extension
        known = KnownSecrets(self._scrubber.known_texts)
        has_secret = body.startswith(ARCHIVE_SIGNATURES) or _SECRET_FORM.search(body) or known.is_found_in(body)
        return (None if has_secret else body), extension

    def _rescrub_files(self) -> None:
        """Rewrite or remove the files written before one of their secrets became known."""
        texts = self._scrubber.known_texts
        new, self._scrubbed_texts = texts - self._scrubbed_texts, texts
        if not new:
            return
        known = KnownSecrets(new)  # no file contains the earlier ones
        for file in [*self._written_files]:
            raw = file.read_bytes() if file.is_file() else b""
            if known.is_found_in(str(file.relative_to(self._folder))):
                file.unlink(missing_ok=True)
            elif known.is_found_in(raw):
                file.unlink()
                with suppress(HiddenSecret, UnicodeError):
                    self._write(file, self._scrubber.scrub(raw.decode()).encode())

    def _write(self, file: Path, content: bytes) -> None:
        private_files.make_folder(file.parent)
        private_files.write(file, content, sync=False)
        self._written_files.add(file)


def _decode_text(media_type: str, body: bytes) -> str | None:
    """Decode a text by its byte order mark, as UTF-8 or by its declared encoding; `None` if it is no text."""
    named = _CHARSET.search(media_type.encode("latin-1", "replace")) or _CHARSET.search(body[:200])
    bom_encoding = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(body[:2])
    if b"\0" in body[:2]:
        bom_encoding = "utf-16-be" if body[:1] == b"\0" else "utf-16-le"
    for encoding in filter(None, (bom_encoding, "utf-8-sig", named[1].decode() if named else None)):
        with suppress(LookupError, UnicodeError):
            return _XML_ENCODING.sub(r"\1UTF-8", body.decode(encoding))
    return None
