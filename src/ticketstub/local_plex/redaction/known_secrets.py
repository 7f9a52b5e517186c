"""Finds known secrets in bytes, also where they are encoded.

Rule: a secret counts as found when it stands there as it is, percent-encoded (once or more), with JSON escapes or XML
references, in UTF-16, in hexadecimal digits or in Base64, in capital or small letters, or in any nesting of these.
Looking is fast; replacing is exact, and refuses what is nested too deeply to be replaced.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from html import escape

ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"\x28\xb5\x2f\xfd", b"Rar!")
"""How files begin in which a text cannot be looked for."""
_CASELESS_FROM = 8  # letters; a shorter secret in other letters is more likely an ordinary word
_ENCODED_FROM = 6  # bytes; the Base64 of fewer stands in many pictures
_DEEPEST = 8
_NEXT = rb"\x00*"  # UTF-16 and UTF-32 have these between ASCII characters
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ESCAPES = re.compile(  # each alternative begins with a literal, which re looks for first
    rb"%(?:25)*([0-9A-Fa-f]{2})|\\\\*[ux]0{0,4}([0-9A-Fa-f]{2})(?![0-9A-Fa-f]{2})"
    rb"|&(?:amp;)*#(?:0*([0-9]{1,3})|[xX]0*([0-9A-Fa-f]{1,2}));?|\\\\*([\"/\\])|&(?:amp;)*(amp|lt|gt|quot|apos);"
)
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


class HiddenSecret(Exception):
    """A known secret stands in the data in a form that cannot be replaced."""


class KnownSecrets:
    """A set of secrets.

    Args:
        secrets: their texts; empty ones are left out.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._texts = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        raw = [text.encode("utf-8", "surrogatepass") for text in self._texts]
        encoded = [each for each in raw if len(each) >= _ENCODED_FROM]
        self._exact = [each for each in raw if len(each) < _CASELESS_FROM]
        self._caseless = [each.lower() for each in raw if len(each) >= _CASELESS_FROM]
        self._caseless += [each.hex().encode() for each in encoded]
        self._base64 = [text for each in encoded for text in _base64(each)]

    def found_in(self, data: str | bytes) -> bool:
        """Tell whether one of them is in there."""
        if not self._texts:
            return False
        view = (data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data).replace(b"\0", b"")
        for _ in range(_DEEPEST):
            if self._seen(view):
                return True
            before, view = view, _ESCAPES.sub(_unescaped, view)
            if view == before:
                return False
        return self._seen(view)

    def _seen(self, view: bytes) -> bool:
        lower, packed = view.lower(), view.translate(_URL_SAFE, b" \t\r\n")
        return (
            any(each in lower for each in self._caseless)
            or any(each in view for each in self._exact)
            or any(each in packed for each in self._base64)
        )

    def replace(self, data: bytes, by: bytes) -> bytes:
        """Return the data with `by` in place of each; what is Base64, hexadecimal or UTF-16 keeps its length.

        Raises:
            HiddenSecret: one of them cannot be replaced.
        """
        if not self.found_in(data):
            return data
        # Few of many are in there, and their patterns are long.
        forms = [form for text in self._texts if KnownSecrets((text,)).found_in(data) for form in _forms(text)]
        fillers = [filler for filler, _ in forms]
        pattern = re.compile(b"|".join(b"(%s)" % pattern for _, pattern in forms))

        def without(found: re.Match[bytes]) -> bytes:
            filler = fillers[(found.lastindex or 1) - 1]
            if b"\0" in found[0]:
                return re.sub(rb"[^\x00]", filler or b"x", found[0])
            return filler * len(found[0]) if filler else by

        replaced = pattern.sub(without, data)
        if self.found_in(replaced):
            raise HiddenSecret
        return replaced


def _unescaped(found: re.Match[bytes]) -> bytes:
    percent, json, decimal, hexadecimal, itself, named = found.groups()
    if itself or named:
        return bytes(itself or _NAMED[named])
    number = int(decimal) if decimal else int(percent or json or hexadecimal, 16)
    return bytes([number]) if number < (256 if percent else 128) else chr(number).encode()


def _forms(secret: str) -> list[tuple[bytes, bytes]]:
    """Write the patterns of one secret, each with its filler."""
    raw = secret.encode("utf-8", "surrogatepass")
    found = [(b"", _sequence(secret, caseless=len(secret) >= _CASELESS_FROM))]
    if len(raw) >= _ENCODED_FROM:
        found.append((b"0", _sequence(raw.hex(), caseless=True)))
        found += [(b"A", _sequence(text.decode(), caseless=False)) for text in _base64(raw)]
    return found


def _base64(raw: bytes) -> list[bytes]:
    """Return what is the same in every Base64 text that has these bytes in it, for each of the three alignments."""
    texts = ((unsure, offset, b64encode(b"\0" * offset + raw)) for offset, unsure in ((0, 0), (1, 2), (2, 3)))
    return [text[unsure : (offset + len(raw)) * 8 // 6] for unsure, offset, text in texts]


def _sequence(text: str, *, caseless: bool) -> bytes:
    return _NEXT.join(_any_form(character, caseless=caseless) for character in text)


def _any_form(character: str, *, caseless: bool) -> bytes:
    """Write the pattern of a character as it is and in each encoding."""
    letters = dict.fromkeys((character, character.lower(), character.upper()) if caseless else (character,))
    if character in "+/":  # in the other alphabet of Base64
        letters["-" if character == "+" else "_"] = None
    forms: list[bytes] = []
    for letter in letters:
        encoded, units = (letter.encode(name, "surrogatepass") for name in ("utf-8", "utf-16-be"))
        forms += [re.escape(encoded), b"".join(b"%%(?:25)*%s" % _digits(f"{byte:02x}") for byte in encoded)]
        forms.append(b"".join(rb"\\+u%s" % _digits(units[at : at + 2].hex()) for at in range(0, len(units), 2)))
        forms.append(b"".join(rb"\\+x%s" % _digits(f"{byte:02x}") for byte in encoded))
        for point in map(ord, letter):
            forms.append(b"&(?:amp;)*#(?:0*%d|[xX]0*%s);?" % (point, _digits(f"{point:x}")))
        if escape(letter) != letter:
            forms.append(b"&(?:amp;)*%s" % re.escape(escape(letter)[1:].encode()))
        if letter in '"\\/':
            forms.append(rb"\\+" + re.escape(encoded))
    return b"(?:%s)" % b"|".join(dict.fromkeys(forms))


def _digits(text: str) -> bytes:
    """Write hexadecimal digits in capital or small letters."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in text).encode()
