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
from ticketstub.local_plex.content.replies import TYPES
from ticketstub.local_plex.content.reply_names import PAGING, counted
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.redaction.known_secrets import ARCHIVES, HiddenSecret, KnownSecrets
from ticketstub.local_plex.redaction.scrubbing import Scrubber, is_secret, scrubbed_stem
from ticketstub.protocol.plain import is_items
from ticketstub.tokens import Secret

_TEXTS = (".json", ".xml", ".html", ".txt", ".m3u8", ".svg", ".srt", ".vtt")
_PICTURES = ("image/", "video/", "audio/", "font/")
_CHARSET = re.compile(rb"""(?i)(?:charset|encoding)\s*=\s*["']?([\w-]+)""")
_DECLARED = re.compile(r"(?i)\A(<\?xml[^>]*?encoding=[\"'])[\w-]+")
_FORMS = re.compile(
    rb"(?:transient|claim|local)-[\w-]{20}|eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]"
    rb"|(?i:token|secret|passw[a-z]{1,8}|cookie|authori[sz]ation|api[_-]?key)[\"'>]?\s?[=:>]\s?[\"']?[!-~]{4}"
)


def secrets_of(value: object) -> Iterator[str]:
    """Find the secrets in a world, or a part of one."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from secrets_of(getattr(value, name))
    elif is_items(value):
        for each in value:
            yield from secrets_of(each)


class Recorder:
    """Writes answers into a folder. Any thread may use it.

    Args:
        folder: it; made where it is not there.
        secrets: texts that are in no file: the tokens that are known.
    """

    def __init__(self, folder: Path, secrets: Iterable[str] = ()) -> None:
        self._folder = folder
        self._scrubber = Scrubber(secrets)
        self._written: set[Path] = set()
        self._cleaned = self._scrubber.texts
        self._lock = threading.Lock()

    def keep(self, asked: Asked, media_type: str, body: bytes, secrets: Iterable[str] = ()) -> Path | None:
        """Write the answer to a request; `secrets` are known beside those that it was made with."""
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in asked.headers.items()]
        named = [text for name, text in [*fields, *asked.query.items()] if is_secret(name)]
        for secret in (*secrets, *named):
            self._scrubber.remember(secret)
        paging = {name: text for name in PAGING if (text := asked.x_plex(name, in_body=False))}
        return self.keep_at(asked.path, counted(asked.query) | paging, media_type, body)

    def keep_at(self, path: str, query: dict[str, str], media_type: str, body: bytes) -> Path | None:
        """Write the answer to a request for this path, percent-decoded, and query.

        Returns:
            The file, `None` where a secret would be in it.
        """
        with self._lock:
            try:
                content, ending = self._content(media_type, body)
                name = scrubbed_stem(self._scrubber, path, query)
            except HiddenSecret:
                return None
            at = self._folder / (name + ending)
            if content is None or KnownSecrets(self._scrubber.texts).found_in(str(at.relative_to(self._folder))):
                return None
            self._clean_earlier()
            self._write(at, content)
            return at

    def scrub(self, text: str) -> str:
        """Return a text as it may be shown."""
        try:
            return self._scrubber.scrub(text)
        except HiddenSecret:
            return "…"

    def _content(self, media_type: str, body: bytes) -> tuple[bytes | None, str]:
        """Return what is written, `None` where that is nothing, and the file's ending."""
        ending, kind = _ending(media_type), media_type.strip().lower()
        if ending in _TEXTS or b"\0" not in body[:4096]:
            # A playlist is of type audio; and what is called a picture may be an error's text.
            text = _text("" if kind.startswith(_PICTURES) and ending not in _TEXTS else media_type, body)
            if text is None and ending in _TEXTS:  # one wrong byte is no reason to keep the secrets
                text = body.decode("latin-1")
            if text is not None:
                return self._scrubber.scrub(text).encode("utf-8", "replace"), ending
        known = KnownSecrets(self._scrubber.texts)
        has_secret = body.startswith(ARCHIVES) or _FORMS.search(body) or known.found_in(body)
        return (None if has_secret else body), ending

    def _clean_earlier(self) -> None:
        """Write again what was written before a secret in it was known as one, or remove it."""
        texts = self._scrubber.texts
        new, self._cleaned = texts - self._cleaned, texts
        if not new:
            return
        known = KnownSecrets(new)  # what was known before is in no file
        for file in [*self._written]:
            raw = file.read_bytes() if file.is_file() else b""
            if known.found_in(str(file.relative_to(self._folder))):
                file.unlink(missing_ok=True)
            elif known.found_in(raw):
                file.unlink()
                with suppress(HiddenSecret, UnicodeError):
                    self._write(file, self._scrubber.scrub(raw.decode()).encode())

    def _write(self, at: Path, content: bytes) -> None:
        private_files.make_folder(at.parent)
        private_files.write(at, content, synced=False)
        self._written.add(at)


def _text(media_type: str, body: bytes) -> str | None:
    """Read a text, by what it says of itself; `None` where it is none."""
    named = _CHARSET.search(media_type.encode("latin-1", "replace")) or _CHARSET.search(body[:200])
    order_mark = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(body[:2])
    if b"\0" in body[:2]:
        order_mark = "utf-16-be" if body[:1] == b"\0" else "utf-16-le"
    for encoding in filter(None, (order_mark, "utf-8-sig", named[1].decode() if named else None)):
        with suppress(LookupError, UnicodeError):
            return _DECLARED.sub(r"\1UTF-8", body.decode(encoding))
    return None


def _ending(media_type: str) -> str:
    kind = media_type.partition(";")[0].strip().lower()
    if kind in {"application/xml", "text/xml"}:
        return ".xml"
    return next((ending for ending, known in TYPES.items() if known.partition(";")[0] == kind), ".bin")
