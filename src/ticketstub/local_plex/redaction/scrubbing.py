"""Removing secrets from texts: from JSON, XML and HTML by structure, from everything else by value and form.

Rule: a value under a secret's name is replaced, with everything nested below it, and remembered: from then on it is
replaced wherever it occurs, in any encoding. Secrets with a recognisable form (JWTs, claim, transient and local tokens,
passwords in URLs) are replaced anywhere. E-mail addresses, public IP addresses and the digits of plex.direct names get
substitutes, always the same one for the same original, so that related values stay related.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from html import escape, unescape
from ipaddress import IPv4Address, ip_address
from urllib.parse import quote, unquote

from ticketstub.local_plex.redaction.known_secrets import KnownSecrets
from ticketstub.messages import is_array, is_object

SCRUBBED = "scrubbed"
_MAX_DEPTH = 6
_MIN_REMEMBERED_LENGTH = 8  # letters; a shorter secret is replaced only under its name
_MAX_WORD_LENGTH = 16
_search_secret_name = re.compile(
    "token|secret|passw|passphrase|passcode|cookie|authori[sz]ation|apikey|jwt|credential|privatekey|signature"
).search
_EXACT_SECRET_NAMES = frozenset({"pin", "pass", "pwd", "auth", "sid", "sessionid", "claim", "nonce"})
_LABEL_KEYS, _VALUE_KEYS = (
    frozenset({"id", "name", "key", "type", "title"}),
    frozenset({"value", "default", "content", "text"}),
)

# Every pattern begins at the start of a word and takes linear time: a response may be long and hostile.
_NAME_PATTERN = r"(?<![\w-])(?P<name>[\w-]++)"
_SEPARATOR_PATTERN = r"""(?P<between>\\*+["']?\s*+(?:[=:]|%(?:25)*(?:3D|3A)|\bis\b)\s*+)"""
_QUOTED_PAIR = re.compile(
    _NAME_PATTERN + _SEPARATOR_PATTERN + r"""(?P<quote>\\*+["'])(?P<value>.{0,4096}?)(?P<end>(?P=quote)|\Z)""",
    re.IGNORECASE | re.DOTALL,
)
_BARE_PAIR = re.compile(
    _NAME_PATTERN
    + _SEPARATOR_PATTERN
    + r"""(?P<quote>(?:Bearer|Basic|Token)\s++)?(?P<value>[^\s"'\\&<>,;#%()\[\]{}]++)(?P<end>)""",
    re.IGNORECASE,
)
_HEADER_FIELD = re.compile(
    r"""(?<![\w-])(?P<name>(?:set-|proxy-)?(?:cookie|authorization))(?P<between>\s*+:\s*+)(?P<quote>)"""
    r"""(?P<value>[^\r\n"'<>]++)(?P<end>)""",
    re.IGNORECASE,
)
_SECRET_FORM = re.compile(
    r"(?<![\w-])(?:(?:transient|claim|local(?=-[\w-]*\d))-[\w-]{8,}+|eyJ[\w-]{5,}+\.[\w-]++\.[\w-]*+)"
    r"|(?<=://)[^/?#\s@\"'<>]{0,256}:[^/?#\s@\"'<>]{0,256}(?=@)"
)
_TOKEN = re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{20}(?![\w-])", re.ASCII)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+", re.ASCII)
_PLEX_DIRECT = re.compile(r"(?<![\w-])([0-9A-Fa-f-]{2,45})\.([0-9a-f]{32})(?=\.plex\.direct)", re.IGNORECASE)
_PLEX_DIRECT_DIGITS = re.compile(r"(?<![\w])([0-9a-f]{32})(?=\.plex\.direct)", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:])", re.ASCII)
_PERCENT_ENCODED = re.compile(r"(?<![\w.~:/@+!$*()%-])(?:[\w.~:/@+!$*()-]*+%[0-9A-Fa-f]{2})++[\w.~:/@+!$*()-]*+")
_JSON_ESCAPE = re.compile(r"\\+[ux]([0-9A-Fa-f]{4}|(?<=x)[0-9A-Fa-f]{2})")
_BASE64 = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{16,}+={0,2}+(?![\w=])")

_MARKUP = re.compile(
    r"<!--(?P<comment>.*?)-->|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<(?P<other>[?!][^>]*+)>"
    r"""|</(?P<closed>[^\s<>/]++)[^<>]*+>|<(?P<tag>[^\s<>/"'=?!]++)(?P<attributes>(?>"[^"]*+"|'[^']*+'|[^<>"'])*+)>""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""(?P<before>[^\s=<>/"']++)(?P<equals>\s*+=\s*+)(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>[^\s"'<>=]++))"""
)


def is_secret_name(name: str) -> bool:
    """Say whether a value with this name is a secret."""
    plain = re.sub(r"[^a-z0-9]", "", name.rpartition(":")[2].lower())
    return plain in _EXACT_SECRET_NAMES or _search_secret_name(plain) is not None


class Scrubber:
    """Removes secrets, and remembers what it removed. Any thread may use it.

    Args:
        secrets: the secrets known from the start.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = {secret for secret in secrets if secret}
        self._substitutes: dict[str, str] = {}
        self._counts = Counter[str]()
        self._lock = threading.RLock()

    def remember(self, secret: str) -> None:
        """Treat a text as a secret from now on, unless it is too short or an ordinary word or number."""
        cases = {secret.lower(), secret.title(), secret.upper()}
        is_word = secret.isalpha() and len(secret) < _MAX_WORD_LENGTH and secret in cases
        is_number = not any(letter.isalpha() for letter in secret.lower().replace("e", ""))
        is_known = secret in {SCRUBBED, *self._substitutes.values()}
        if len(secret) >= _MIN_REMEMBERED_LENGTH and not (is_word or is_number or is_known):
            self._secrets.add(secret)

    @property
    def known_texts(self) -> frozenset[str]:
        """The texts that nothing scrubbed may contain."""
        return frozenset((*self._secrets, *self._substitutes))

    def scrub(self, text: str, name: str = "") -> str:
        """Return a text without its secrets; JSON stays JSON, and XML stays XML.

        Args:
            text: the text.
            name: the name of the parameter or header field with this value.

        Raises:
            HiddenSecret: a secret is encoded in a way in which it cannot be replaced.
        """
        with self._lock:
            text = self._scrub_value(name, text, inside_secret=False, depth=0)
            for original, other in self._substitutes.items():
                text = text.replace(original, other)
            # Everything known by now, also where it is encoded.
            found = KnownSecrets(self.known_texts).replace(text.encode("utf-8", "surrogatepass"), SCRUBBED.encode())
            return found.decode("utf-8", "surrogatepass")

    def _scrub_value(self, name: str, text: str, *, inside_secret: bool, depth: int) -> str:
        """Scrub the text of a member, an attribute, an element, or a text inside one."""
        if inside_secret or is_secret_name(name) or (name.lower() == "code" and len(text) >= 20):
            self.remember(text)
            return text if text.lower() in {"", "0", "1", "true", "false"} else SCRUBBED
        if name == "publicAddress" and text:
            return self._replace_address(text, always=True)
        if depth >= _MAX_DEPTH:
            return self._scrub_plain(text, name)
        first = text.lstrip("\ufeff \t\r\n")[:1]
        if first in {"{", "[", '"'}:
            with suppress(ValueError, RecursionError):
                return write_json(self._scrub_document(json.loads(text.lstrip("\ufeff")), depth + 1))
        if first == "<" or "<![CDATA[" in text:
            return self._scrub_markup(text, depth + 1)
        return self._scrub_encoded(self._scrub_plain(text, name), depth + 1)

    def _scrub_document(self, value: object, depth: int, name: str = "", *, inside_secret: bool = False) -> object:
        """Scrub parsed JSON."""
        inside_secret = inside_secret or is_secret_name(name)
        if is_object(value):
            has_label = _has_secret_label(value)
            return {
                self._scrub_value("", each, inside_secret=False, depth=depth): self._scrub_document(
                    content, depth, each, inside_secret=inside_secret or (has_label and each.lower() in _VALUE_KEYS)
                )
                for each, content in value.items()
            }
        if is_array(value):
            return [self._scrub_document(each, depth, name, inside_secret=inside_secret) for each in value]
        if isinstance(value, str):
            return self._scrub_value(name, value, inside_secret=inside_secret, depth=depth)
        if isinstance(value, int | float) and not isinstance(value, bool) and inside_secret:
            return 0
        return value

    def _scrub_markup(self, text: str, depth: int) -> str:
        """Scrub XML or HTML token by token, and leave everything else unchanged."""
        parts: list[str] = []
        open_elements: list[tuple[str, bool]] = []
        escape_text, position = partial(escape, quote=False), 0

        def scrub_content(piece: str, write: Callable[[str], str], read: Callable[[str], str] = unescape) -> str:
            name, inside_secret = open_elements[-1] if open_elements else ("", False)
            if not piece.strip():
                return piece
            plain = read(piece)
            result = self._scrub_value(name, plain, inside_secret=inside_secret, depth=depth)
            return piece if result == plain else write(result)

        for found in _MARKUP.finditer(text):
            parts.append(scrub_content(text[position : found.start()], escape_text))
            position = found.end()
            if found["comment"] is not None:
                parts += [
                    "<!--",
                    scrub_content(found["comment"], lambda plain: plain.replace("--", "- -").removesuffix("-"), str),
                    "-->",
                ]
            elif found["cdata"] is not None:
                parts += [
                    "<![CDATA[",
                    scrub_content(found["cdata"], lambda plain: plain.replace("]]>", "]]]]><![CDATA[>"), str),
                    "]]>",
                ]
            elif found["other"] is not None:
                parts.append(f"<{self._scrub_encoded(self._scrub_plain(found['other'], ''), depth)}>")
            elif found["closed"] is not None:
                parts.append(found[0])
                names = [name for name, _ in open_elements]
                if found["closed"] in names:
                    del open_elements[len(names) - 1 - names[::-1].index(found["closed"]) :]
            else:
                below = is_secret_name(found["tag"]) or (bool(open_elements) and open_elements[-1][1])
                parts.append(
                    f"<{found['tag']}{self._scrub_attributes(found['attributes'], depth, inside_secret=below)}>"
                )
                if not found["attributes"].rstrip().endswith("/"):
                    open_elements.append((found["tag"], below))
        parts.append(scrub_content(text[position:], escape_text))
        return "".join(parts)

    def _scrub_attributes(self, text: str, depth: int, *, inside_secret: bool) -> str:
        pairs = {found["before"]: unescape(found[0]) for found in _ATTRIBUTE.finditer(text)}
        has_label = _has_secret_label({name: pair.partition("=")[2].strip("\"' ") for name, pair in pairs.items()})

        def scrub_attribute(found: re.Match[str]) -> str:
            quoted = next(kind for kind in ("double", "single", "bare") if found[kind] is not None)
            name, plain = found["before"], unescape(found[quoted])
            is_below = inside_secret or (has_label and name.lower() in _VALUE_KEYS)
            value = self._scrub_value(name, plain, inside_secret=is_below, depth=depth)
            mark = {"double": '"', "single": "'"}.get(quoted, "")
            return found[0] if value == plain else f"{name}{found['equals']}{mark}{escape(value)}{mark}"

        return _ATTRIBUTE.sub(scrub_attribute, text)

    def _scrub_encoded(self, text: str, depth: int) -> str:
        """Scrub the encoded parts of a text: percent-encoding, XML references, JSON escapes, Base64."""
        if depth >= _MAX_DEPTH:
            return text
        text = _PERCENT_ENCODED.sub(
            lambda found: self._scrub_recoded(found[0], unquote, lambda s: quote(s, safe=""), depth), text
        )
        text = self._scrub_recoded(text, unescape, escape, depth)
        text = self._scrub_recoded(
            text,
            lambda s: _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), s),
            lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
            depth,
        )
        return _BASE64.sub(lambda found: self._scrub_recoded(found[0], _decode_base64, lambda _: SCRUBBED, depth), text)

    def _scrub_recoded(self, text: str, decode: Callable[[str], str], encode: Callable[[str], str], depth: int) -> str:
        plain = decode(text)
        if plain == text:
            return text
        result = self._scrub_value("", plain, inside_secret=False, depth=depth)
        return text if result == plain else encode(result)

    def _scrub_plain(self, text: str, name: str) -> str:
        """Scrub a text by the names of secrets in it, and by form."""
        is_version = "version" in name.lower()
        steps: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
            (_HEADER_FIELD, self._replace_pair),
            (_QUOTED_PAIR, self._replace_pair),
            (_BARE_PAIR, self._replace_pair),
            (_SECRET_FORM, self._replace_match),
            (_TOKEN, self._replace_match),
            (_EMAIL, lambda found: self._substitute("email", found[0])),
            (_PLEX_DIRECT, self._replace_plex_direct),
            (_PLEX_DIRECT_DIGITS, lambda found: self._substitute("digits", found[1].lower())),
            (_IPV4, lambda found: found[0] if is_version else self._replace_address(found[0])),
            (_IPV6, lambda found: found[0] if is_version else self._replace_address(found[0])),
        ]
        for pattern, replace in steps:
            if pattern is not _TOKEN or is_secret_name(text):  # a token has no form of its own
                text = pattern.sub(replace, text)
        return text

    def _replace_pair(self, found: re.Match[str]) -> str:
        if not found["value"] or not is_secret_name(found["name"]) or found["value"] == SCRUBBED:
            return found[0]
        self.remember(found["value"])
        return found["name"] + found["between"] + (found["quote"] or "") + SCRUBBED + found["end"]

    def _replace_match(self, found: re.Match[str]) -> str:
        self.remember(found[0])
        return SCRUBBED

    def _replace_plex_direct(self, found: re.Match[str]) -> str:
        dashed, digits = found[1], found[2].lower()
        host = dashed.replace("-", "." if dashed.count("-") == 3 and dashed.replace("-", "").isdigit() else ":")
        other = self._replace_address(host)
        return f"{other.replace('.', '-').replace(':', '-')}.{self._substitute('digits', digits)}"

    def _replace_address(self, text: str, *, always: bool = False) -> str:
        """Return a public address's substitute: an address that is reserved for documentation."""
        try:
            address = ip_address(text)
        except ValueError:
            return SCRUBBED if always else text
        return self._substitute(f"v{address.version}", text) if always or address.is_global else text

    def _substitute(self, kind: str, original: str) -> str:
        """Return the substitute of a value, the same one each time."""
        if original not in self._substitutes and original not in self._substitutes.values():
            self._counts[kind] += 1
            self._substitutes[original] = _SUBSTITUTE_BUILDERS[kind](self._counts[kind])
        return self._substitutes.get(original, original)


def _build_documentation_address(number: int) -> str:
    """Return one of the IPv4 addresses that are reserved for documentation; after the last they repeat."""
    nets = ("192.0.2.0", "198.51.100.0", "203.0.113.0")
    return str(IPv4Address(nets[(number - 1) // 254 % 3]) + (number - 1) % 254 + 1)


_SUBSTITUTE_BUILDERS: dict[str, Callable[[int], str]] = {
    "email": lambda number: f"somebody-{number}@example.test" if number > 1 else "somebody@example.test",
    "digits": "{:032x}".format,
    "v4": _build_documentation_address,
    "v6": "2001:db8::{:x}".format,
}


def _has_secret_label(members: Mapping[str, object]) -> bool:
    """Say whether one member names another one as a secret: `{"id": "PlexOnlineToken", "value": …}`."""
    return any(
        name.lower() in _LABEL_KEYS
        and isinstance(text, str)
        and re.fullmatch(r"[\w.:-]+", text)
        and is_secret_name(text)
        for name, text in members.items()
    )


def write_json(document: object) -> str:
    """Return compact JSON; characters are escaped only if they cannot be encoded."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can express
        return json.dumps(document, separators=(",", ":"))
    return text


def _decode_base64(text: str) -> str:
    """Return the text in Base64, or the argument if it has none."""
    packed = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        plain = b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
    except ValueError:
        return text
    return plain if plain.isprintable() else text
