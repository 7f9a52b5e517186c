"""The values that a world can contain: one check for each kind.

Rule: a check takes what TOML or Python gave. It returns the value as the world stores it, or raises `InvalidValue` with
a reason that completes the sentence "`account[0].email` …". A reason never repeats the value, which may be a secret.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

from ticketstub.local_plex.world.verification_codes import normalize_secret
from ticketstub.tokens import Secret, Token

T = TypeVar("T")

MAX_HOME_SIZE = 15
"""The largest number of members of a Home (observed: `maxHomeSize`)."""

MAX_PASSWORD_BYTES = 1024
"""The largest length of a password, in bytes."""

_PHC = r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{16,128})"
_TOKEN = re.compile("[A-Za-z0-9_-]{20}")


class InvalidValue(ValueError):
    """A value that a world cannot contain at this place. The message is the reason."""


def normalize_login(login: str) -> str:
    """Return the form in which user names and e-mail addresses are compared: NFKC, case-folded, stripped."""
    folded = unicodedata.normalize("NFKC", login).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


def is_token_shaped(text: str) -> bool:
    """Return whether a text has the form of an account's or server's token: 20 characters of A-Z a-z 0-9 _ and -."""
    return _TOKEN.fullmatch(text) is not None


def find_hash_fault(stored: str) -> str | None:
    """Return why a password hash is not accepted, or `None`. Verifying a very costly one could stop the machine."""
    match = re.fullmatch(_PHC, stored)
    if match is None:
        return "must be an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)"
    memory, rounds, lanes = (int(number) for number in match.groups()[:3])
    if memory > 256 * 1024 or rounds > 20 or lanes > 4:
        return "costs too much: at most m=262144 (256 MiB), t=20, p=4"
    is_allowed = memory >= 8 * lanes and rounds and lanes
    return None if is_allowed else "has parameters that argon2 does not allow"


def parse_text(raw: object) -> str:
    """One line of up to 255 characters."""
    text = _require_type(raw, str, "text")
    _require(
        text.strip() and len(text) <= 255 and text.isprintable(), "must be one line of 1 to 255 printable characters"
    )
    return text


def parse_bool(raw: object) -> bool:
    """True or false."""
    return _require_type(raw, bool, "true or false")


def parse_integer(lowest: int, highest: int, raw: object) -> int:
    """A whole number in a range."""
    number = _require_type(raw, int, "a whole number")
    _require(lowest <= number <= highest, f"must be {lowest} to {highest}")
    return number


def parse_seconds(raw: object) -> float:
    """A number of seconds, from 0 to an hour."""
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= 3600:
        raise InvalidValue("must be a number of seconds from 0 to 3600")
    return float(raw)


def parse_choice(values: tuple[str | int, ...], raw: object) -> str | int:
    """One of a few words or numbers."""
    if not isinstance(raw, str | int) or isinstance(raw, bool) or raw not in values:
        allowed = (f'"{value}"' if isinstance(value, str) else f"{value}" for value in values)
        raise InvalidValue("must be " + " or ".join(allowed))
    return raw


def _match_pattern(pattern: str | re.Pattern[str], reason: str, raw: object) -> str:
    text = parse_text(raw)
    _require(re.fullmatch(pattern, text), reason)
    return text


def parse_email(raw: object) -> str:
    """An e-mail address: text with one @, something before and after it, and no spaces."""
    address = parse_text(raw)
    _require(address.count("@") == 1, "must contain one @")
    _require(re.fullmatch(r"[^@\s]+@[^@\s]+", address), "must have something before and after the @, and no spaces")
    return address


def parse_token(raw: object) -> Token:
    """An account's or a server's token."""
    return Token.from_wire(_match_pattern(_TOKEN, "must be exactly 20 characters of A-Z a-z 0-9 _ and -", raw))


def parse_password(raw: object) -> Secret:
    """A password of up to 1024 bytes."""
    password = _require_type(raw, str, "text", ": put it in quotes")
    encoded = _convert(str.encode, password, "must be text that UTF-8 can encode")
    _require(1 <= len(encoded) <= MAX_PASSWORD_BYTES, f"must have 1 to {MAX_PASSWORD_BYTES} bytes")
    return Secret(password)


def parse_password_hash(raw: object) -> str:
    """An argon2id hash that is not too costly to verify."""
    text = parse_text(raw)
    if fault := find_hash_fault(text):
        raise InvalidValue(fault)
    return text


def parse_verification_secret(raw: object) -> Secret:
    """The secret of an authenticator app, in base 32; spaces, lower-case letters and missing padding are allowed."""
    letters = _convert(
        normalize_secret, parse_text(raw), "must be base 32: letters A to Z and digits 2 to 7, none missing"
    )
    _require(len(letters) >= 16, "must have at least 16 characters")
    return Secret(letters)


def parse_url(raw: object) -> str:
    """An http or https URL."""
    value = parse_text(raw)
    try:
        parts = urlsplit(value)
        is_complete = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise InvalidValue("must be a valid URL") from None
    _require(
        is_complete and "@" not in parts.netloc and "\\" not in value and " " not in value,
        "must be http:// or https:// with a host, and without a user name",
    )
    return value


def parse_ip_address(raw: object) -> str:
    """An IP address."""
    return str(_convert(ip_address, parse_text(raw), "must be an IP address; for a host name, use uri"))


def parse_passcode(raw: object) -> Secret:
    """A Home user's passcode."""
    _require(not isinstance(raw, int), "must be text, not a number: put it in quotes")
    return Secret(_match_pattern("[0-9]{4}", "must be exactly four digits 0 to 9", raw))


def parse_base_url(raw: object) -> str:
    """The base URL of a media server."""
    url = parse_url(raw).rstrip("/")
    _require(
        url.count("/") == 2 and "?" not in url and "#" not in url,
        "must be a URL without a path, such as http://host:32400",
    )
    return url


def parse_foreign_token(raw: object) -> Token:
    """The token of a real server: any text that can be sent in a header."""
    return _convert(Token, parse_text(raw), "is not a token")


parse_machine_identifier = partial(_match_pattern, r"[0-9a-f]{40}", "must be exactly 40 characters of 0-9 and a-f")
parse_uuid = partial(_match_pattern, r"[0-9a-f]{16}", "must be exactly 16 characters of 0-9 and a-f")
parse_version = partial(
    _match_pattern, r"\d{1,5}(\.\d{1,5}){2,3}(-[0-9a-z]{1,20})?", 'must be a version like "1.42.2.10156"'
)
parse_country = partial(_match_pattern, r"[A-Z]{2}", "must be two capital letters")
parse_source = partial(
    _match_pattern, r"(server|provider)://[!-~]+", "must begin with server:// or provider:// and contain no spaces"
)
parse_port = partial(parse_integer, 1, 65535)


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise InvalidValue(reason)


def _convert(function: Callable[[str], T], text: str, reason: str) -> T:
    try:
        return function(text)
    except ValueError:
        raise InvalidValue(reason) from None


def _require_type(raw: object, kind: type[T], name: str, advice: str = "") -> T:
    if not isinstance(raw, kind) or (kind is int and isinstance(raw, bool)):
        raise InvalidValue(f"must be {name}, not {_TYPE_NAMES.get(type(raw), f'a {type(raw).__name__}')}{advice}")
    return raw


_TYPE_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}
