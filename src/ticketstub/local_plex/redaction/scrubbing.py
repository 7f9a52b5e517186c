"""Takes secrets out of texts: JSON, XML and HTML by their structure, everything else by value and by form.

Rule: what has a secret's name is replaced, with all that stands below it, and remembered: from then on it is replaced
wherever it stands, in any encoding. Secrets that have a form of their own (JWTs, claim, transient and local tokens,
passwords in addresses) are replaced anywhere. E-mail addresses, public addresses and the digits of plex.direct names
are replaced by others, always the same for the same, so that what belongs together still does.
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

from ticketstub.local_plex.content.reply_names import stem
from ticketstub.local_plex.redaction.known_secrets import KnownSecrets
from ticketstub.protocol.plain import is_items, is_members

SCRUBBED = "scrubbed"
_DEEPEST = 6
_REMEMBERED_FROM = 8  # letters; a shorter secret is replaced where it has its name
_WORDS_TO = 16
_SECRET = re.compile(
    "token|secret|passw|passphrase|passcode|cookie|authori[sz]ation|apikey|jwt|credential|privatekey|signature"
).search
_SECRET_ALONE = frozenset({"pin", "pass", "pwd", "auth", "sid", "sessionid", "claim", "nonce"})
_NAMES, _VALUES = frozenset({"id", "name", "key", "type", "title"}), frozenset({"value", "default", "content", "text"})

# Every pattern begins where a word does, and goes over a text once: an answer may be long, and is nobody's friend.
_WORD = r"(?<![\w-])(?P<name>[\w-]++)"
_BETWEEN = r"""(?P<between>\\*+["']?\s*+(?:[=:]|%(?:25)*(?:3D|3A)|\bis\b)\s*+)"""
_QUOTED = re.compile(
    _WORD + _BETWEEN + r"""(?P<quote>\\*+["'])(?P<value>.{0,4096}?)(?P<end>(?P=quote)|\Z)""", re.IGNORECASE | re.DOTALL
)
_BARE = re.compile(
    _WORD + _BETWEEN + r"""(?P<quote>(?:Bearer|Basic|Token)\s++)?(?P<value>[^\s"'\\&<>,;#%()\[\]{}]++)(?P<end>)""",
    re.IGNORECASE,
)
_FIELDS = re.compile(
    r"""(?<![\w-])(?P<name>(?:set-|proxy-)?(?:cookie|authorization))(?P<between>\s*+:\s*+)(?P<quote>)"""
    r"""(?P<value>[^\r\n"'<>]++)(?P<end>)""",
    re.IGNORECASE,
)
_FORMS = re.compile(
    r"(?<![\w-])(?:(?:transient|claim|local(?=-[\w-]*\d))-[\w-]{8,}+|eyJ[\w-]{5,}+\.[\w-]++\.[\w-]*+)"
    r"|(?<=://)[^/?#\s@\"'<>]{0,256}:[^/?#\s@\"'<>]{0,256}(?=@)"
)
_TOKEN = re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{20}(?![\w-])", re.ASCII)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+", re.ASCII)
_PLEX_DIRECT = re.compile(r"(?<![\w-])([0-9A-Fa-f-]{2,45})\.([0-9a-f]{32})(?=\.plex\.direct)", re.IGNORECASE)
_DIGITS = re.compile(r"(?<![\w])([0-9a-f]{32})(?=\.plex\.direct)", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?![\w:])", re.ASCII)
_ENCODED = re.compile(r"(?<![\w.~:/@+!$*()%-])(?:[\w.~:/@+!$*()-]*+%[0-9A-Fa-f]{2})++[\w.~:/@+!$*()-]*+")
_ESCAPE = re.compile(r"\\+[ux]([0-9A-Fa-f]{4}|(?<=x)[0-9A-Fa-f]{2})")
_BASE64 = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{16,}+={0,2}+(?![\w=])")

_MARKUP = re.compile(
    r"<!--(?P<comment>.*?)-->|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<(?P<other>[?!][^>]*+)>"
    r"""|</(?P<closed>[^\s<>/]++)[^<>]*+>|<(?P<tag>[^\s<>/"'=?!]++)(?P<attributes>(?>"[^"]*+"|'[^']*+'|[^<>"'])*+)>""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""(?P<before>[^\s=<>/"']++)(?P<equals>\s*+=\s*+)(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>[^\s"'<>=]++))"""
)


def is_secret(name: str) -> bool:
    """Tell whether what has this name is a secret."""
    plain = re.sub(r"[^a-z0-9]", "", name.rpartition(":")[2].lower())
    return plain in _SECRET_ALONE or _SECRET(plain) is not None


class Scrubber:
    """Takes secrets out, and remembers what it took out. Any thread may use it.

    Args:
        secrets: texts that are known.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = {secret for secret in secrets if secret}
        self._others: dict[str, str] = {}
        self._counts = Counter[str]()
        self._lock = threading.RLock()

    def remember(self, secret: str) -> None:
        """Take a text for a secret wherever it stands from now on."""
        cases = {secret.lower(), secret.title(), secret.upper()}
        is_word = secret.isalpha() and len(secret) < _WORDS_TO and secret in cases
        is_number = not any(letter.isalpha() for letter in secret.lower().replace("e", ""))
        is_known = secret in {SCRUBBED, *self._others.values()}
        if len(secret) >= _REMEMBERED_FROM and not (is_word or is_number or is_known):
            self._secrets.add(secret)

    @property
    def texts(self) -> frozenset[str]:
        """What must be in nothing that is kept."""
        return frozenset((*self._secrets, *self._others))

    def scrub(self, text: str, name: str = "") -> str:
        """Return a text without its secrets; JSON stays JSON, and XML stays XML.

        Args:
            text: that.
            name: of the parameter or header field whose value it is.

        Raises:
            HiddenSecret: one of them is encoded in a way in which it cannot be replaced.
        """
        with self._lock:
            text = self._value(name, text, below=False, depth=0)
            for original, other in self._others.items():
                text = text.replace(original, other)
            # What is known by now, and stands there as it is or encoded.
            found = KnownSecrets(self.texts).replace(text.encode("utf-8", "surrogatepass"), SCRUBBED.encode())
            return found.decode("utf-8", "surrogatepass")

    def _value(self, name: str, text: str, *, below: bool, depth: int) -> str:
        """Scrub the text of a member, an attribute, an element, or what is within one."""
        if below or is_secret(name) or (name.lower() == "code" and len(text) >= 20):
            return self._secret(text)
        if name == "publicAddress" and text:
            return self._address(text, always=True)
        if depth >= _DEEPEST:
            return self._plain(text, name)
        begun = text.lstrip("\ufeff \t\r\n")[:1]
        if begun in {"{", "[", '"'}:
            with suppress(ValueError, RecursionError):
                return write_json(self._document(json.loads(text.lstrip("\ufeff")), depth + 1))
        is_markup = begun == "<" or "<![CDATA[" in text
        return self._markup(text, depth + 1) if is_markup else self._decoded(self._plain(text, name), depth + 1)

    def _secret(self, text: str) -> str:
        if not text or text.lower() in {"0", "1", "true", "false"}:
            return text
        self.remember(text)
        return SCRUBBED

    def _document(self, value: object, depth: int, name: str = "", *, below: bool = False) -> object:
        """Scrub parsed JSON."""
        below = below or is_secret(name)
        if is_members(value):
            telling = _is_telling(value)
            return {
                self._value("", each, below=False, depth=depth): self._document(
                    content, depth, each, below=below or (telling and each.lower() in _VALUES)
                )
                for each, content in value.items()
            }
        if is_items(value):
            return [self._document(each, depth, name, below=below) for each in value]
        if isinstance(value, str):
            return self._value(name, value, below=below, depth=depth)
        if isinstance(value, int | float) and not isinstance(value, bool) and below:
            return 0
        return value

    def _markup(self, text: str, depth: int) -> str:
        """Scrub XML or HTML, token by token; nothing else of it changes."""
        done: list[str] = []
        open_elements: list[tuple[str, bool]] = []
        as_text, at = partial(escape, quote=False), 0

        def content(piece: str, write: Callable[[str], str], read: Callable[[str], str] = unescape) -> str:
            name, below = open_elements[-1] if open_elements else ("", False)
            if not piece.strip():
                return piece
            plain = read(piece)
            found = self._value(name, plain, below=below, depth=depth)
            return piece if found == plain else write(found)

        for found in _MARKUP.finditer(text):
            done.append(content(text[at : found.start()], as_text))
            at = found.end()
            if found["comment"] is not None:
                scrubbed = content(found["comment"], lambda plain: plain.replace("--", "- -").removesuffix("-"), str)
                done.append(f"<!--{scrubbed}-->")
            elif found["cdata"] is not None:
                scrubbed = content(found["cdata"], lambda plain: plain.replace("]]>", "]]]]><![CDATA[>"), str)
                done.append(f"<![CDATA[{scrubbed}]]>")
            elif found["other"] is not None:
                done.append(f"<{self._decoded(self._plain(found['other'], ''), depth)}>")
            elif found["closed"] is not None:
                done.append(found[0])
                names = [name for name, _ in open_elements]
                if found["closed"] in names:
                    del open_elements[len(names) - 1 - names[::-1].index(found["closed"]) :]
            else:
                below = is_secret(found["tag"]) or (bool(open_elements) and open_elements[-1][1])
                done.append(f"<{found['tag']}{self._attributes(found['attributes'], depth, below=below)}>")
                if not found["attributes"].rstrip().endswith("/"):
                    open_elements.append((found["tag"], below))
        done.append(content(text[at:], as_text))
        return "".join(done)

    def _attributes(self, text: str, depth: int, *, below: bool) -> str:
        pairs = {found["before"]: unescape(found[0]) for found in _ATTRIBUTE.finditer(text)}
        telling = _is_telling({name: pair.partition("=")[2].strip("\"' ") for name, pair in pairs.items()})

        def scrubbed(found: re.Match[str]) -> str:
            quoted = next(kind for kind in ("double", "single", "bare") if found[kind] is not None)
            name, plain = found["before"], unescape(found[quoted])
            is_below = below or (telling and name.lower() in _VALUES)
            value = self._value(name, plain, below=is_below, depth=depth)
            mark = {"double": '"', "single": "'"}.get(quoted, "")
            return found[0] if value == plain else f"{name}{found['equals']}{mark}{escape(value)}{mark}"

        return _ATTRIBUTE.sub(scrubbed, text)

    def _decoded(self, text: str, depth: int) -> str:
        """Scrub what is encoded within a text: percent, XML references, JSON escapes, Base64."""
        if depth >= _DEEPEST:
            return text
        if "%" in text:
            text = _ENCODED.sub(lambda found: self._again(found[0], unquote, lambda s: quote(s, safe=""), depth), text)
        if "&" in text and unescape(text) != text:
            text = self._again(text, unescape, escape, depth)
        if "\\" in text:
            text = self._again(
                text,
                _without_escapes,
                lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
                depth,
            )
        return _BASE64.sub(lambda found: self._again(found[0], _from_base64, lambda _: SCRUBBED, depth), text)

    def _again(self, text: str, read: Callable[[str], str], write: Callable[[str], str], depth: int) -> str:
        plain = read(text)
        if plain == text:
            return text
        found = self._value("", plain, below=False, depth=depth)
        return text if found == plain else write(found)

    def _plain(self, text: str, name: str) -> str:
        """Scrub a text by what stands beside telling names in it, and by form."""
        for pattern in (_FIELDS, _QUOTED, _BARE):
            text = pattern.sub(self._pair, text)
        text = _FORMS.sub(self._form, text)
        if is_secret(text):
            text = _TOKEN.sub(self._form, text)
        text = _EMAIL.sub(lambda found: self._other("email", found[0]), text)
        text = _PLEX_DIRECT.sub(self._plex_direct, text)
        text = _DIGITS.sub(lambda found: self._other("digits", found[1].lower()), text)
        for pattern in () if "version" in name.lower() else (_IPV4, _IPV6):
            text = pattern.sub(lambda found: self._address(found[0]), text)
        return text

    def _pair(self, found: re.Match[str]) -> str:
        if not found["value"] or not is_secret(found["name"]) or found["value"] == SCRUBBED:
            return found[0]
        self.remember(found["value"])
        return found["name"] + found["between"] + (found["quote"] or "") + SCRUBBED + found["end"]

    def _form(self, found: re.Match[str]) -> str:
        self.remember(found[0])
        return SCRUBBED

    def _plex_direct(self, found: re.Match[str]) -> str:
        dashed, digits = found[1], found[2].lower()
        host = dashed.replace("-", "." if dashed.count("-") == 3 and dashed.replace("-", "").isdigit() else ":")
        other = self._address(host)
        return f"{other.replace('.', '-').replace(':', '-')}.{self._other('digits', digits)}"

    def _address(self, text: str, *, always: bool = False) -> str:
        """Return a documentation address in place of a public one."""
        try:
            address = ip_address(text)
        except ValueError:
            return SCRUBBED if always else text
        return self._other(f"v{address.version}", text) if always or address.is_global else text

    def _other(self, kind: str, original: str) -> str:
        """Return what stands in the place of something, the same each time."""
        if original not in self._others and original not in self._others.values():
            self._counts[kind] += 1
            self._others[original] = _OTHERS[kind](self._counts[kind])
        return self._others.get(original, original)


def scrubbed_stem(scrubber: Scrubber, path: str, query: Mapping[str, str]) -> str:
    """Name the file that answers a request, without its secrets; raises `HiddenSecret`."""
    pieces = [scrubber.scrub(piece).replace("/", "%2F") for piece in path.split("/")]
    kept = {scrubber.scrub(name): scrubber.scrub(text, name) for name, text in query.items()}
    return stem("/".join(pieces), kept)


def _documentation(number: int) -> str:
    """Return an IPv4 address of those that are for documentation; beyond their number they repeat."""
    nets = ("192.0.2.0", "198.51.100.0", "203.0.113.0")
    return str(IPv4Address(nets[(number - 1) // 254 % 3]) + (number - 1) % 254 + 1)


_OTHERS: dict[str, Callable[[int], str]] = {
    "email": lambda number: f"somebody-{number}@example.test" if number > 1 else "somebody@example.test",
    "digits": "{:032x}".format,
    "v4": _documentation,
    "v6": "2001:db8::{:x}".format,
}


def _is_telling(members: Mapping[str, object]) -> bool:
    """Tell whether a member says that another one is a secret: `{"id": "PlexOnlineToken", "value": …}`."""
    return any(
        name.lower() in _NAMES and isinstance(text, str) and re.fullmatch(r"[\w.:-]+", text) and is_secret(text)
        for name, text in members.items()
    )


def write_json(document: object) -> str:
    """Write a document without spaces, with whatever characters its texts have."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which only an escape can write
        return json.dumps(document, separators=(",", ":"))
    return text


def _without_escapes(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def _from_base64(text: str) -> str:
    """Read Base64, if it is that and holds a text."""
    packed = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        plain = b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
    except ValueError:
        return text
    return plain if plain.isprintable() else text
