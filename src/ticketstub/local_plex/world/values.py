"""What the single values of a world may be.

Rule: each check takes what TOML or Python gave, and returns the value as the world keeps it or raises `Unfit` with a
reason that completes the sentence "`account[0].email` …". A reason never repeats the value: it may be a secret.
"""

from __future__ import annotations

import re
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from ticketstub.local_plex.domain.passwords import LONGEST, hash_fault
from ticketstub.local_plex.domain.verification_codes import normalize_secret
from ticketstub.local_plex.storage.seal import Keys
from ticketstub.tokens import Secret, Token


class Unfit(ValueError):
    """A value that a world cannot have here; the message is the reason."""


def text(raw: object) -> str:
    """One line of up to 255 characters."""
    if not isinstance(raw, str):
        raise Unfit(f"must be text, not {_kind(raw)}")
    if not raw.strip() or len(raw) > 255 or not raw.isprintable():
        raise Unfit("must be one line of 1 to 255 printable characters")
    return raw


def flag(raw: object) -> bool:
    """True or false."""
    if not isinstance(raw, bool):
        raise Unfit(f"must be true or false, not {_kind(raw)}")
    return raw


def whole(lowest: int, highest: int, raw: object) -> int:
    """A whole number in a range."""
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise Unfit(f"must be a whole number, not {_kind(raw)}")
    if not lowest <= raw <= highest:
        raise Unfit(f"must be {lowest} to {highest}")
    return raw


def one_of(values: tuple[str | int, ...], raw: object) -> str | int:
    """One of a few words or numbers."""
    if not isinstance(raw, str | int) or isinstance(raw, bool) or raw not in values:
        allowed = (f'"{value}"' if isinstance(value, str) else f"{value}" for value in values)
        raise Unfit("must be " + " or ".join(allowed))
    return raw


def _shaped(pattern: str, reason: str, raw: object) -> str:
    if not re.fullmatch(pattern, text(raw)):
        raise Unfit(reason)
    return str(raw)


def email(raw: object) -> str:
    """An e-mail address, as far as a local Plex cares."""
    name, at, domain = text(raw).partition("@")
    if not at or "@" in domain:
        raise Unfit("must contain one @")
    if not name or not domain or any(character.isspace() for character in name + domain):
        raise Unfit("must have something before and after the @, and no spaces")
    return name + at + domain


def token(raw: object) -> Token:
    """An account's or a server's token."""
    if not Keys.well_formed(text(raw)):
        raise Unfit("must be exactly 20 characters of A-Z a-z 0-9 _ and -")
    return Token.received(str(raw))


def password(raw: object) -> Secret:
    """A password of up to 1024 bytes."""
    if not isinstance(raw, str):
        raise Unfit(f"must be text, not {_kind(raw)}: put it in quotes")
    try:
        length = len(raw.encode())
    except UnicodeEncodeError:
        raise Unfit("must be text that UTF-8 can write") from None
    if not 1 <= length <= LONGEST:
        raise Unfit(f"must have 1 to {LONGEST} bytes")
    return Secret(raw)


def password_hash(raw: object) -> str:
    """An argon2id hash that is not too costly to verify."""
    if fault := hash_fault(text(raw)):
        raise Unfit(fault)
    return str(raw)


def verification_secret(raw: object) -> Secret:
    """The secret of an authenticator application, in base 32; spaces, small letters and missing padding are allowed."""
    given = text(raw)
    try:
        letters = normalize_secret(given)
    except ValueError:
        raise Unfit("must be base 32: letters A to Z and digits 2 to 7, none missing") from None
    if len(letters) < 16:
        raise Unfit("must have at least 16 characters")
    return Secret(letters)


def address(raw: object) -> str:
    """An http or https address."""
    given = text(raw)
    try:
        parts = urlsplit(given)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise Unfit("must be an address that can be read") from None
    if not good or "@" in parts.netloc or "\\" in given or " " in given:
        raise Unfit("must be http:// or https:// with a host, and without a user name")
    return given


def host(raw: object) -> str:
    """An IP address."""
    given = text(raw)
    try:
        return str(ip_address(given))
    except ValueError:
        raise Unfit("must be an IP address; an address with a name is a uri") from None


def passcode(raw: object) -> Secret:
    """A Home user's passcode."""
    if isinstance(raw, int):
        raise Unfit("must be text, not a number: put it in quotes")
    return Secret(_shaped("[0-9]{4}", "must be exactly four digits 0 to 9", raw))


def base(raw: object) -> str:
    """The address of a media server."""
    given = address(raw).rstrip("/")
    if given.count("/") != 2 or "?" in given or "#" in given:
        raise Unfit("must be an address without a path, as http://host:32400")
    return given


def any_token(raw: object) -> Token:
    """The token of a server that is none of ours: any text that can stand in a header."""
    given = text(raw)
    try:
        return Token(given)
    except ValueError:
        raise Unfit("is no token") from None


machine_identifier = partial(_shaped, r"[0-9a-f]{40}", "must be exactly 40 characters of 0-9 and a-f")
uuid = partial(_shaped, r"[0-9a-f]{16}", "must be exactly 16 characters of 0-9 and a-f")
version = partial(_shaped, r"\d{1,5}(\.\d{1,5}){2,3}(-[0-9a-z]{1,20})?", 'must be a version like "1.42.2.10156"')
country = partial(_shaped, r"[A-Z]{2}", "must be two capital letters")
source = partial(
    _shaped, r"(server|provider)://[!-~]+", "must begin with server:// or provider:// and go on without spaces"
)
port = partial(whole, 1, 65535)


_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}


def _kind(raw: object) -> str:
    return _KINDS.get(type(raw), f"a {type(raw).__name__}")
