"""What the single values of a world may be.

Rule: each check takes what TOML or Python gave, and returns the value as the world keeps it or raises `InvalidValue`
with a reason that completes the sentence "`account[0].email` …". A reason never repeats the value: it may be a secret.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from ticketstub.local_plex.world.verification_codes import normalize_secret
from ticketstub.tokens import Secret, Token


class InvalidValue(ValueError):
    """A value that a world cannot have here; the message is the reason."""


def parse_text(raw: object) -> str:
    """One line of up to 255 characters."""
    if not isinstance(raw, str):
        raise InvalidValue(f"must be text, not {_describe_type(raw)}")
    if not raw.strip() or len(raw) > 255 or not raw.isprintable():
        raise InvalidValue("must be one line of 1 to 255 printable characters")
    return raw


def parse_bool(raw: object) -> bool:
    """True or false."""
    if not isinstance(raw, bool):
        raise InvalidValue(f"must be true or false, not {_describe_type(raw)}")
    return raw


def parse_integer(lowest: int, highest: int, raw: object) -> int:
    """A whole number in a range."""
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise InvalidValue(f"must be a whole number, not {_describe_type(raw)}")
    if not lowest <= raw <= highest:
        raise InvalidValue(f"must be {lowest} to {highest}")
    return raw


def parse_choice(values: tuple[str | int, ...], raw: object) -> str | int:
    """One of a few words or numbers."""
    if not isinstance(raw, str | int) or isinstance(raw, bool) or raw not in values:
        allowed = (f'"{value}"' if isinstance(value, str) else f"{value}" for value in values)
        raise InvalidValue("must be " + " or ".join(allowed))
    return raw


def _match_pattern(pattern: str, reason: str, raw: object) -> str:
    if not re.fullmatch(pattern, parse_text(raw)):
        raise InvalidValue(reason)
    return str(raw)


def parse_email(raw: object) -> str:
    """An e-mail address, as far as a local Plex cares."""
    name, at, domain = parse_text(raw).partition("@")
    if not at or "@" in domain:
        raise InvalidValue("must contain one @")
    if not name or not domain or any(character.isspace() for character in name + domain):
        raise InvalidValue("must have something before and after the @, and no spaces")
    return name + at + domain


def parse_token(raw: object) -> Token:
    """An account's or a server's token."""
    if not is_token_shaped(parse_text(raw)):
        raise InvalidValue("must be exactly 20 characters of A-Z a-z 0-9 _ and -")
    return Token.from_wire(str(raw))


def parse_password(raw: object) -> Secret:
    """A password of up to 1024 bytes."""
    if not isinstance(raw, str):
        raise InvalidValue(f"must be text, not {_describe_type(raw)}: put it in quotes")
    try:
        length = len(raw.encode())
    except UnicodeEncodeError:
        raise InvalidValue("must be text that UTF-8 can write") from None
    if not 1 <= length <= MAX_PASSWORD_BYTES:
        raise InvalidValue(f"must have 1 to {MAX_PASSWORD_BYTES} bytes")
    return Secret(raw)


def parse_password_hash(raw: object) -> str:
    """An argon2id hash that is not too costly to verify."""
    if fault := find_hash_fault(parse_text(raw)):
        raise InvalidValue(fault)
    return str(raw)


def parse_verification_secret(raw: object) -> Secret:
    """The secret of an authenticator application, in base 32; spaces, small letters and missing padding are allowed."""
    value = parse_text(raw)
    try:
        letters = normalize_secret(value)
    except ValueError:
        raise InvalidValue("must be base 32: letters A to Z and digits 2 to 7, none missing") from None
    if len(letters) < 16:
        raise InvalidValue("must have at least 16 characters")
    return Secret(letters)


def parse_url(raw: object) -> str:
    """An http or https address."""
    value = parse_text(raw)
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise InvalidValue("must be an address that can be read") from None
    if not good or "@" in parts.netloc or "\\" in value or " " in value:
        raise InvalidValue("must be http:// or https:// with a host, and without a user name")
    return value


def parse_ip_address(raw: object) -> str:
    """An IP address."""
    value = parse_text(raw)
    try:
        return str(ip_address(value))
    except ValueError:
        raise InvalidValue("must be an IP address; an address with a name is a uri") from None


def parse_passcode(raw: object) -> Secret:
    """A Home user's passcode."""
    if isinstance(raw, int):
        raise InvalidValue("must be text, not a number: put it in quotes")
    return Secret(_match_pattern("[0-9]{4}", "must be exactly four digits 0 to 9", raw))


def parse_base_url(raw: object) -> str:
    """The address of a media server."""
    url = parse_url(raw).rstrip("/")
    if url.count("/") != 2 or "?" in url or "#" in url:
        raise InvalidValue("must be an address without a path, as http://host:32400")
    return url


def parse_foreign_token(raw: object) -> Token:
    """The token of a server that is none of ours: any text that can stand in a header."""
    value = parse_text(raw)
    try:
        return Token(value)
    except ValueError:
        raise InvalidValue("is no token") from None


parse_machine_identifier = partial(_match_pattern, r"[0-9a-f]{40}", "must be exactly 40 characters of 0-9 and a-f")
parse_uuid = partial(_match_pattern, r"[0-9a-f]{16}", "must be exactly 16 characters of 0-9 and a-f")
parse_version = partial(
    _match_pattern, r"\d{1,5}(\.\d{1,5}){2,3}(-[0-9a-z]{1,20})?", 'must be a version like "1.42.2.10156"'
)
parse_country = partial(_match_pattern, r"[A-Z]{2}", "must be two capital letters")
parse_source = partial(
    _match_pattern, r"(server|provider)://[!-~]+", "must begin with server:// or provider:// and go on without spaces"
)
parse_port = partial(parse_integer, 1, 65535)


_TYPE_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}


def _describe_type(raw: object) -> str:
    return _TYPE_NAMES.get(type(raw), f"a {type(raw).__name__}")


MAX_HOME_SIZE = 15
"""How many a Home holds at most (observed: `maxHomeSize`)."""


def normalize_login(login: str) -> str:
    """Return the form by which user names and e-mail addresses are compared: NFKC, case folded, no outer spaces."""
    folded = unicodedata.normalize("NFKC", login).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


MAX_PASSWORD_BYTES = 1024
"""Bytes of the longest password that is accepted."""


_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{16,128})"
)


def find_hash_fault(stored: str) -> str | None:
    """Say why a hash is not verified, or return `None`: one that is too costly could stop the whole machine."""
    match = _PHC.fullmatch(stored)
    if match is None:
        return "must be an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)"
    memory, rounds, lanes = (int(number) for number in match.groups()[:3])
    if memory > 256 * 1024 or rounds > 20 or lanes > 4:
        return "costs too much: at most m=262144 (256 MiB), t=20, p=4"
    if memory < 8 * lanes or not rounds or not lanes:
        return "has parameters that argon2 does not allow"
    return None


_match_token = re.compile(r"[A-Za-z0-9_-]{20}").fullmatch


def is_token_shaped(text: str) -> bool:
    """Tell whether a text can be an account's or a server's token: 20 characters of A-Z a-z 0-9 _ and -."""
    return _match_token(text) is not None
