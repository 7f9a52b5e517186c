"""Writing what a media server answers into a folder that `replies` can serve, without its secrets.

Rule: a file's name says nothing that may be secret, and a text is written without tokens, passwords, e-mail addresses
and public addresses. What titles, file names and user names there are stays: look before you publish. A file appears
whole or not at all. All ours.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from ticketstub.server.replies import TYPES
from ticketstub.server.reply_names import PAGING, counted, stem, stems
from ticketstub.server.requests import Asked

SCRUBBED = "scrubbed"
# Every pattern begins where a word does and goes over a text once: an answer may be long, and is nobody's friend.
_NAMED = (
    re.compile(r'()"([\w-]+)"(\s*:\s*")((?:[^"\\]|\\.)+)'),
    re.compile(r"""()(?<![\w-])([\w-]+)(\s*=\s*["'])([^"'<]+)"""),
    re.compile(r"(<)([\w-]+)((?:\s[^<>]*)?>)([^<]+)"),
)
_IN_ADDRESSES = re.compile(r"(?<![\w-])([\w-]+)(=|%3D|%253D)([\w.-]+)", re.IGNORECASE)
_TOKENS = re.compile(r"(?<![\w-])(?:transient-[\w-]{8,}|claim-[\w-]{8,}|eyJ[\w-]{5,}\.[\w-]+\.[\w-]+)")
_EMAILS = re.compile(r"(?<![\w.+-])[\w.+-]+(?:@|%40|&#64;|\\u0040)[\w-]+(?:\.[\w-]+)+")
_SECRETS = ("token", "secret", "password", "passcode", "cookie")
_TEXTS = (".json", ".xml", ".html", ".txt", ".m3u8")


def scrubbed(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Take secrets out of a text: known ones wherever they stand, others by the names and forms they have."""
    for secret in filter(None, secrets):
        text = text.replace(secret, SCRUBBED)
    for named in _NAMED:
        text = named.sub(_without_value, text)
    text = _IN_ADDRESSES.sub(lambda found: found[1] + found[2] + (SCRUBBED if _is_secret(found[1]) else found[3]), text)
    return _EMAILS.sub("somebody@example.test", _TOKENS.sub(SCRUBBED, text))


def _is_secret(name: str) -> bool:
    return name.lower() == "pin" or any(word in name.lower() for word in _SECRETS)


def _without_value(found: re.Match[str]) -> str:
    """Write a member, an attribute or an element again, with another value where its name says that it is secret."""
    before, name, between, value = found.groups()
    quoted = f'"{name}"' if between.lstrip().startswith(":") else name
    if name == "publicAddress":
        value = "192.0.2.1"
    return before + quoted + between + (SCRUBBED if _is_secret(name) else value)


class Recorder:
    """Writes answers into a folder.

    Args:
        folder: it; made where it is not there.
        secrets: texts that are in no file: the tokens that are known.
    """

    def __init__(self, folder: Path, secrets: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._secrets = secrets

    def keep(self, asked: Asked, media_type: str, body: bytes, secrets: tuple[str, ...] = ()) -> None:
        """Write the answer to a request; `secrets` are known beside those that it was made with."""
        Recorder(self._folder, (*self._secrets, *secrets)).write(stems(asked)[0], media_type, body)

    def keep_at(self, path: str, query: dict[str, str], media_type: str, body: bytes) -> Path:
        """Write the answer to a request for this path, percent-decoded, and query; return its file."""
        paging = {name: text for name, text in query.items() if name in PAGING}
        return self.write(stem(path, counted(query) | paging), media_type, body)

    def write(self, name: str, media_type: str, body: bytes) -> Path:
        """Write a file of this name and the ending of its type, scrubbed where it is a text."""
        ending = _ending(media_type)
        if ending in _TEXTS:
            body = scrubbed(body.decode("utf-8", "replace"), self._secrets).encode()
        at = self._folder / (scrubbed(name, self._secrets) + ending)
        at.parent.mkdir(parents=True, exist_ok=True)
        unfinished = at.with_name(f".{token_hex(8)}.part")
        try:
            unfinished.write_bytes(body)
            os.replace(unfinished, at)  # noqa: PTH105  # Path.replace is this, with another name
        finally:
            with suppress(FileNotFoundError):
                unfinished.unlink()
        return at


def _ending(media_type: str) -> str:
    kind = media_type.partition(";")[0].strip().lower()
    if kind in {"application/xml", "text/xml"}:
        return ".xml"
    return next((ending for ending, known in TYPES.items() if known.partition(";")[0] == kind), ".bin")
