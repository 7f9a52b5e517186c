"""Writing what a media server answers into a folder that `replies` can serve, without its secrets.

Rule: what cannot be scrubbed is not written: archives, and pictures and other bytes with a known secret in them. What
titles, file names and user names there are stays: look before you publish. A file appears whole or not at all, and only
its owner can read it, from the first byte on. All ours.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from ticketstub import private_files
from ticketstub.local_plex.content.replies import MEDIA_TYPES
from ticketstub.local_plex.content.reply_names import PAGING_PARAMETERS, drop_plex_parameters
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.redaction.known_secrets import ARCHIVE_SIGNATURES, HiddenSecret, KnownSecrets
from ticketstub.local_plex.redaction.scrubbing import Scrubber, build_scrubbed_stem, is_secret_name
from ticketstub.protocol.plain import is_array
from ticketstub.tokens import Secret

_TEXT_EXTENSIONS = (".json", ".xml", ".html", ".txt", ".m3u8", ".svg", ".srt", ".vtt")
_MEDIA_PREFIXES = ("image/", "video/", "audio/", "font/")
_CHARSET = re.compile(rb"""(?i)(?:charset|encoding)\s*=\s*["']?([\w-]+)""")
_XML_ENCODING = re.compile(r"(?i)\A(<\?xml[^>]*?encoding=[\"'])[\w-]+")
_SECRET_FORM = re.compile(
    rb"(?:transient|claim|local)-[\w-]{20}|eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]"
    rb"|(?i:token|secret|passw[a-z]{1,8}|cookie|authori[sz]ation|api[_-]?key)[\"'>]?\s?[=:>]\s?[\"']?[!-~]{4}"
)


def find_secrets(value: object) -> Iterator[str]:
    """Find the secrets in a world, or a part of one."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from find_secrets(getattr(value, name))
    elif is_array(value):
        for each in value:
            yield from find_secrets(each)


class Recorder:
    """Writes answers into a folder. Any thread may use it.

    Args:
        folder: it; made where it is not there.
        secrets: texts that are in no file: the tokens that are known.
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
        """Write the answer to a request; `secrets` are known beside those that it was made with."""
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.items()]
        named_secrets = [text for name, text in [*fields, *request.query.items()] if is_secret_name(name)]
        for secret in (*secrets, *named_secrets):
            self._scrubber.remember(secret)
        paging = {name: text for name in PAGING_PARAMETERS if (text := request.get_plex_parameter(name, in_body=False))}
        return self.record_path(request.path, drop_plex_parameters(request.query) | paging, media_type, body)

    def record_path(self, path: str, query: dict[str, str], media_type: str, body: bytes) -> Path | None:
        """Write the answer to a request for this path, percent-decoded, and query.

        Returns:
            The file, `None` where a secret would be in it.
        """
        with self._lock:
            try:
                content, extension = self._scrub_content(media_type, body)
                name = build_scrubbed_stem(self._scrubber, path, query)
            except HiddenSecret:
                return None
            file = self._folder / (name + extension)
            if content is None or KnownSecrets(self._scrubber.known_texts).is_found_in(
                str(file.relative_to(self._folder))
            ):
                return None
            self._rescrub_files()
            self._write(file, content)
            return file

    def scrub(self, text: str) -> str:
        """Return a text as it may be shown."""
        try:
            return self._scrubber.scrub(text)
        except HiddenSecret:
            return "…"

    def _scrub_content(self, media_type: str, body: bytes) -> tuple[bytes | None, str]:
        """Return what is written, `None` where that is nothing, and the file's ending."""
        extension, kind = _get_extension(media_type), media_type.strip().lower()
        if extension in _TEXT_EXTENSIONS or b"\0" not in body[:4096]:
            # A playlist is of type audio; and what is called a picture may be an error's text.
            text = _decode_text(
                "" if kind.startswith(_MEDIA_PREFIXES) and extension not in _TEXT_EXTENSIONS else media_type, body
            )
            if text is None and extension in _TEXT_EXTENSIONS:  # one wrong byte is no reason to keep the secrets
                text = body.decode("latin-1")
            if text is not None:
                return self._scrubber.scrub(text).encode("utf-8", "replace"), extension
        known = KnownSecrets(self._scrubber.known_texts)
        has_secret = body.startswith(ARCHIVE_SIGNATURES) or _SECRET_FORM.search(body) or known.is_found_in(body)
        return (None if has_secret else body), extension

    def _rescrub_files(self) -> None:
        """Write again what was written before a secret in it was known as one, or remove it."""
        texts = self._scrubber.known_texts
        new, self._scrubbed_texts = texts - self._scrubbed_texts, texts
        if not new:
            return
        known = KnownSecrets(new)  # what was known before is in no file
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
    """Read a text, by what it says of itself; `None` where it is none."""
    named = _CHARSET.search(media_type.encode("latin-1", "replace")) or _CHARSET.search(body[:200])
    bom_encoding = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(body[:2])
    if b"\0" in body[:2]:
        bom_encoding = "utf-16-be" if body[:1] == b"\0" else "utf-16-le"
    for encoding in filter(None, (bom_encoding, "utf-8-sig", named[1].decode() if named else None)):
        with suppress(LookupError, UnicodeError):
            return _XML_ENCODING.sub(r"\1UTF-8", body.decode(encoding))
    return None


def _get_extension(media_type: str) -> str:
    kind = media_type.partition(";")[0].strip().lower()
    if kind in {"application/xml", "text/xml"}:
        return ".xml"
    return next((ending for ending, known in MEDIA_TYPES.items() if known.partition(";")[0] == kind), ".bin")
