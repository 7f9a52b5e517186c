"""Records as plain data: for `--json`, and the few facts of each that a person wants to see.

Rule: a token becomes its fingerprint. Any other secret (a Home PIN is four digits) becomes `hidden`: a fingerprint
of something short could be guessed back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.client.flows.check import Checked
    from ticketstub.models import Account, AuthorizedDevice, Connection, HomeUser, Record, Resource, Source

_IN_FILE = re.compile("in the file (.*), which only you can read", re.DOTALL)

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"


def plain(value: object, key: str = "") -> Plain:
    """Turn a record, or anything in one, into what JSON has; names are the library's.

    Each kind of value has one form: a time is ISO 8601 in UTC, whether it came as a `datetime` or, under a key that
    ends in `_at`, as seconds since 1970; a token is its fingerprint, another secret `hidden`, a path its text, and what
    is not known null.
    """
    if isinstance(value, list | tuple):
        return [plain(member, key) for member in cast("Sequence[object]", value)]
    if isinstance(value, Mapping):
        return _members(cast("Mapping[str, object]", value))
    if value is None or isinstance(value, str | int | float | datetime | Path | Secret):
        return _single(value, key)
    return _fields(value)


def _single(value: str | float | datetime | Path | Secret | None, key: str) -> Plain:
    if isinstance(value, int | float) and not isinstance(value, bool) and key.endswith("_at"):
        value = _moment(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Secret):
        return str(value) if isinstance(value, Token) else "hidden"
    return str(value) if isinstance(value, Path) else value


def _members(values: Mapping[str, object]) -> dict[str, Plain]:
    """Turn named values into plain data; where something is kept becomes a word and, for a file, its path."""
    found = {name: plain(member, name) for name, member in values.items()}
    if isinstance(where := found.get("kept"), str):
        file = _IN_FILE.fullmatch(where)
        elsewhere = "memory" if where.startswith("in memory") else "elsewhere"
        found["kept"] = "file" if file else "keyring" if "keyring" in where else elsewhere
        found["path"] = file[1] if file else None
    return found


def _fields(record: object) -> dict[str, Plain]:
    names: tuple[str, ...] = getattr(record, "__struct_fields__", ())
    return {name: plain(getattr(record, name), name) for name in names}


def _moment(seconds: float) -> datetime | None:
    """Return the moment that epoch seconds mean, if a calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def with_problems(record: Record) -> Plain:
    """Turn a record into plain data and add what of it could not be read."""
    return {**_fields(record), "problems": [*record.problems]}


def token_text(token: Token | None) -> str | None:
    """Tell two tokens apart without telling either: `#1a2b3c (transient)`."""
    return f"{token} ({token.kind})" if token else None


def moment(when: datetime | None) -> str | None:
    """Write a moment in this computer's time: `2026-11-24 17:30`."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M") if when else None


def since_1970(seconds: float | None) -> str | None:
    """Write epoch seconds in this computer's time."""
    return None if seconds is None else moment(_moment(seconds))


def of_account(account: Account) -> list[tuple[str, str | None]]:
    """List what a person wants to know of an account."""
    paid = account.subscription
    role = "administrator" if account.home_admin else "guest" if account.guest else "member"
    return [
        ("name", account.friendly_name or account.title),
        ("e-mail", account.email),
        ("id", str(account.id) if account.id is not None else None),
        ("uuid", account.uuid),
        ("country", account.country),
        ("subscription", (paid.plan or paid.status or "active") if paid and paid.active else "none"),
        ("home", f"{role}{', managed' if account.restricted else ''}" if account.home else None),
        ("token", token_text(account.auth_token)),
        ("not understood", ", ".join(account.problems)),
    ]


def of_source(source: Source) -> list[tuple[str, str | None]]:
    """List what a person wants to know of a source."""
    return [
        ("identifier", source.client_identifier),
        ("token", token_text(source.access_token)),
        *(("address", address) for address in addresses(source.connections)),
        ("not understood", ", ".join(source.problems)),
    ]


def addresses(connections: tuple[Connection, ...]) -> list[str]:
    """List addresses with what sets them apart: `http://192.0.2.1:32400 (local)`."""
    texts: list[str] = []
    for one in connections:
        marks = [name for name, is_one in (("local", one.local), ("relay", one.relay)) if is_one]
        texts.append((one.uri or one.address or "?") + (f" ({', '.join(marks)})" if marks else ""))
    return texts


def of_resource(resource: Resource) -> tuple[str, ...]:
    """List a resource's cells: name, owned or shared, product and version, token, addresses."""
    return (
        resource.name or "(no name)",
        "owned" if resource.owned else f"shared by {resource.source_title or 'somebody'}",
        " ".join(text for text in (resource.product, resource.product_version) if text),
        str(resource.access_token) if resource.access_token else "none",
        "\n".join(addresses(resource.connections)),
    )


def of_server(server: Resource) -> tuple[str, ...]:
    """List a media server's cells: name, owned or shared, version, token, identifier, addresses."""
    name, access, _, token, where = of_resource(server)
    return name, access, server.product_version or "", token, server.client_identifier or "", where


def device_name(device: AuthorizedDevice) -> str:
    """Name a device: `Workshop PC (Plex Web)`."""
    name = device.name or device.device or "a device without a name"
    return f"{name} ({device.product})" if device.product and device.product != name else name


def of_device(device: AuthorizedDevice, *, this: bool) -> tuple[str, ...]:
    """List a device's cells: id, name, product and version, platform, when it was seen last, token."""
    token = str(device.token) if device.token else "none"
    return (
        str(device.id) if device.id is not None else "",
        (device.name or "(no name)") + (" (this one)" if this else ""),
        " ".join(text for text in (device.product, device.product_version) if text),
        device.platform or "",
        since_1970(device.last_seen_at) or "",
        token,
    )


def of_home_user(user: HomeUser) -> tuple[str, ...]:
    """List a Home user's cells: id, name, role, passcode or not, e-mail address."""
    role = "administrator" if user.admin else "guest" if user.guest else "managed" if user.restricted else "member"
    return (
        str(user.id) if user.id is not None else "",
        user.title or user.username or "(no name)",
        role,
        "yes" if user.protected else "no",
        user.email or "",
    )


def of_checked_json(found: Checked) -> Plain:
    """Turn what was found out about a token into plain data, under the names that the other commands have."""
    names = {"kind": "token_kind", "whose": "account", "until": "expires_at"}
    return {names.get(name, name): value for name, value in _fields(found).items()}


def of_checked(found: Checked) -> list[tuple[str, str | None]]:
    """List what a person wants to know of a token that was checked."""
    whose, device = found.whose, found.device
    return [
        ("because", found.reason),
        ("account", (whose.username or whose.title or whose.email) if whose else None),
        ("account id", str(whose.id) if whose and whose.id is not None else None),
        ("device", device_name(device) if device else None),
        ("until", moment(found.until)),
        ("asked", ", ".join(found.asked) or "nobody"),
        ("no answer", found.unreachable),
    ]
