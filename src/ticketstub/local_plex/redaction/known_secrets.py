"""Finding and replacing known secrets in bytes, also where they are encoded.

Rule: a secret is found as it is, percent-encoded (once or more), with JSON escapes or XML references, in UTF-16, as
hexadecimal digits or as Base64, in upper or lower case, and in any nesting of these. Searching is fast. Replacing is
exact, and refuses data in which a secret is nested too deeply to be replaced.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from html import escape

ARCHIVE_SIGNATURES = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"\x28\xb5\x2f\xfd",
    b"Rar!",
)
"""The first bytes of files that cannot be searched for a text."""
_MIN_CASELESS_LENGTH = 8  # letters; a shorter secret in another case is more likely an ordinary word
_MIN_ENCODED_BYTES = 6  # bytes; the Base64 of fewer occurs in many pictures
_MAX_NESTING = 8
_NULL_BYTES = rb"\x00*"  # UTF-16 and UTF-32 have these between ASCII characters
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ESCAPES = re.compile(  # each alternative begins with a literal, for which re searches first
    rb"%(?:25)*([0-9A-Fa-f]{2})|\\\\*[ux]0{0,4}([0-9A-Fa-f]{2})(?![0-9A-Fa-f]{2})"
    rb"|&(?:amp;)*#(?:0*([0-9]{1,3})|[xX]0*([0-9A-Fa-f]{1,2}));?|\\\\*([\"/\\])|&(?:amp;)*(amp|lt|gt|quot|apos);"
)
_XML_ENTITIES = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


class HiddenSecret(Exception):
    """The data contains a known secret in a form that cannot be replaced."""


class KnownSecrets:
    """A set of secrets.

    Args:
        secrets: their texts; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._texts = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        raw = [text.encode("utf-8", "surrogatepass") for text in self._texts]
        encoded = [each for each in raw if len(each) >= _MIN_ENCODED_BYTES]
        self._exact = [each for each in raw if len(each) < _MIN_CASELESS_LENGTH]
        self._caseless = [
            *(each.lower() for each in raw if len(each) >= _MIN_CASELESS_LENGTH),
            *(each.hex().encode() for each in encoded),
        ]
        self._base64 = [text for each in encoded for text in _encode_base64_variants(each)]

    def is_found_in(self, data: str | bytes) -> bool:
        """Say whether the data contains one of the secrets."""
        if not self._texts:
            return False
        view = (data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data).replace(b"\0", b"")
        for _ in range(_MAX_NESTING):
            if self._has_match(view):
                return True
            previous, view = view, _ESCAPES.sub(_unescape, view)
            if view == previous:
                return False
        return self._has_match(view)

    def _has_match(self, view: bytes) -> bool:
        lower, compact = view.lower(), view.translate(_URL_SAFE, b" \t\r\n")
        return (
            any(each in lower for each in self._caseless)
            or any(each in view for each in self._exact)
            or any(each in compact for each in self._base64)
        )

    def replace(self, data: bytes, replacement: bytes) -> bytes:
        """Return the data with each secret replaced; in Base64, hexadecimal digits and UTF-16 the length is kept.

        Raises:
            HiddenSecret: a secret cannot be replaced.
        """
        if not self.is_found_in(data):
            return data
        # Only few of the secrets occur, and their patterns are long.
        forms = [
            form for text in self._texts if KnownSecrets((text,)).is_found_in(data) for form in _build_patterns(text)
        ]
        fillers = [filler for filler, _ in forms]
        pattern = re.compile(b"|".join(b"(%s)" % pattern for _, pattern in forms))

        def substitute(found: re.Match[bytes]) -> bytes:
            filler = fillers[(found.lastindex or 1) - 1]
            if b"\0" in found[0]:
                return re.sub(rb"[^\x00]", filler or b"x", found[0])
            return filler * len(found[0]) if filler else replacement

        replaced = pattern.sub(substitute, data)
        if self.is_found_in(replaced):
            raise HiddenSecret
        return replaced


def _unescape(match: re.Match[bytes]) -> bytes:
    percent, json, decimal, hexadecimal, literal, entity = match.groups()
    if literal or entity:
        return bytes(literal or _XML_ENTITIES[entity])
    number = int(decimal) if decimal else int(percent or json or hexadecimal, 16)
    return bytes([number]) if number < (256 if percent else 128) else chr(number).encode()


def _build_patterns(secret: str) -> list[tuple[bytes, bytes]]:
    """Return the patterns of one secret, each with its filler."""
    raw = secret.encode("utf-8", "surrogatepass")
    found = [(b"", _build_sequence_pattern(secret, caseless=len(secret) >= _MIN_CASELESS_LENGTH))]
    if len(raw) < _MIN_ENCODED_BYTES:
        return found
    base64 = [(b"A", _build_sequence_pattern(text.decode(), caseless=False)) for text in _encode_base64_variants(raw)]
    return [*found, (b"0", _build_sequence_pattern(raw.hex(), caseless=True)), *base64]


def _encode_base64_variants(raw: bytes) -> list[bytes]:
    """Return what every Base64 text with these bytes contains, for each of the three alignments."""
    texts = ((skipped, offset, b64encode(b"\0" * offset + raw)) for offset, skipped in ((0, 0), (1, 2), (2, 3)))
    return [text[unsure : (offset + len(raw)) * 8 // 6] for unsure, offset, text in texts]


def _build_sequence_pattern(text: str, *, caseless: bool) -> bytes:
    return _NULL_BYTES.join(_build_character_pattern(character, caseless=caseless) for character in text)


def _build_character_pattern(character: str, *, caseless: bool) -> bytes:
    """Return the pattern of a character as it is and in each encoding."""
    letters = dict.fromkeys((character, character.lower(), character.upper()) if caseless else (character,))
    if character in "+/":  # Base64's URL-safe alphabet
        letters["-" if character == "+" else "_"] = None
    forms: list[bytes] = []
    for letter in letters:
        encoded, units = (letter.encode(name, "surrogatepass") for name in ("utf-8", "utf-16-be"))
        forms += [
            re.escape(encoded),
            b"".join(b"%%(?:25)*(?i:%02x)" % byte for byte in encoded),
            b"".join(rb"\\+u(?i:%02x%02x)" % pair for pair in zip(units[::2], units[1::2], strict=True)),
            b"".join(rb"\\+x(?i:%02x)" % byte for byte in encoded),
            *(b"&(?:amp;)*#(?:0*%d|[xX]0*(?i:%x));?" % (point, point) for point in map(ord, letter)),
        ]
        if escape(letter) != letter:
            forms.append(b"&(?:amp;)*%s" % re.escape(escape(letter)[1:].encode()))
        if letter in '"\\/':
            forms.append(rb"\\+" + re.escape(encoded))
    return b"(?:%s)" % b"|".join(dict.fromkeys(forms))
