"""The checks of claims that every JWT shares.

Rule: a claim of a wrong type is a wrong claim. Times are whole seconds since 1970 (ours: RFC 7519 allows fractions,
nobody sends them); that a JWT's time is over is looked at last, by `not_expired`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ticketstub.keys.jwt import JwtRefused
from ticketstub.keys.strict import is_list

_LATEST = 253_402_300_799  # the last second of the year 9999, so that each time makes a date


@dataclass(frozen=True, slots=True)
class Times:
    """When a JWT was signed and when it ends; `None` where it does not say."""

    issued_at: int | None
    expires_at: int | None


def times(claims: Mapping[str, object], *, now: float, leeway: float, longest: int | None = None) -> Times:
    """Read `iat`, `exp` and `nbf`, and refuse what is none, of the future, or lasts longer than `longest` seconds.

    Raises:
        JwtRefused: `lifetime` or `not_yet`.
    """
    issued_at, expires_at, not_before = (_moment(claims, name) for name in ("iat", "exp", "nbf"))
    if any(moment is not None and moment > now + leeway for moment in (issued_at, not_before)):
        raise JwtRefused("not_yet")
    if expires_at is not None:
        if issued_at is not None and expires_at <= issued_at:
            raise JwtRefused("lifetime")
        if longest is not None and expires_at - (now + leeway if issued_at is None else issued_at) > longest:
            raise JwtRefused("lifetime")
    return Times(issued_at, expires_at)


def both_times(claims: Mapping[str, object], *, now: float, leeway: float) -> tuple[int, int]:
    """Read `iat` and `exp` of a JWT that must have both.

    Raises:
        JwtRefused: see `times`; `lifetime` where one is missing.
    """
    found = times(claims, now=now, leeway=leeway)
    if found.issued_at is None or found.expires_at is None:
        raise JwtRefused("lifetime")
    return found.issued_at, found.expires_at


def not_expired(expires_at: int | None, *, now: float, leeway: float = 0) -> None:
    """Refuse a JWT whose time is over; the last of all checks."""
    if expires_at is not None and now >= expires_at + leeway:
        raise JwtRefused("expired")


def audience(claims: Mapping[str, object]) -> tuple[str, ...]:
    """Read `aud`, one text or a list of them.

    Raises:
        JwtRefused: it is missing, empty or something else.
    """
    found = claims.get("aud")
    if isinstance(found, str) and found:
        return (found,)
    names = tuple(name for name in found if isinstance(name, str)) if is_list(found) else ()
    if not is_list(found) or not names or len(names) != len(found):
        raise JwtRefused("audience")
    return names


def _moment(claims: Mapping[str, object], name: str) -> int | None:
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LATEST:
        raise JwtRefused("lifetime")
    return value
