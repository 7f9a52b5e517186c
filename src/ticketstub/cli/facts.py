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
    from ticketstub.client.flows.check import TokenCheck
    from ticketstub.models import Account, AuthorizedDevice, Connection, HomeUser, Model, Resource, Source

_FILE_LOCATION = re.compile("in the file (.*), which only you can read", re.DOTALL)

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"


def to_json(value: object, key: str = "") -> JsonValue:
    """Turn a record, or anything in one, into what JSON has; names are the library's.

    Each kind of value has one form: a time is ISO 8601 in UTC, whether it came as a `datetime` or, under a key that
    ends in `_at`, as seconds since 1970; a token is its fingerprint, another secret `hidden`, a path its text, and what
    is not known null.
    """
    if isinstance(value, list | tuple):
        return [to_json(member, key) for member in cast("Sequence[object]", value)]
    if isinstance(value, Mapping):
        return _mapping_to_json(cast("Mapping[str, object]", value))
    if value is None or isinstance(value, str | int | float | datetime | Path | Secret):
        return _scalar_to_json(value, key)
    return _fields_to_json(value)


def _scalar_to_json(value: str | float | datetime | Path | Secret | None, key: str) -> JsonValue:
    if isinstance(value, int | float) and not isinstance(value, bool) and key.endswith("_at"):
        value = _parse_timestamp(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Secret):
        return str(value) if isinstance(value, Token) else "hidden"
    return str(value) if isinstance(value, Path) else value


def _mapping_to_json(values: Mapping[str, object]) -> dict[str, JsonValue]:
    """Turn named values into plain data; where something is kept becomes a word and, for a file, its path."""
    members = {name: to_json(member, name) for name, member in values.items()}
    if isinstance(location := members.get("kept"), str):
        file = _FILE_LOCATION.fullmatch(location)
        other_location = "memory" if location.startswith("in memory") else "elsewhere"
        members["kept"] = "file" if file else "keyring" if "keyring" in location else other_location
        members["path"] = file[1] if file else None
    return members


def _fields_to_json(record: object) -> dict[str, JsonValue]:
    names: tuple[str, ...] = getattr(record, "__struct_fields__", ())
    return {name: to_json(getattr(record, name), name) for name in names}


def _parse_timestamp(seconds: float) -> datetime | None:
    """Return the moment that epoch seconds mean, if a calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def record_to_json(record: Model) -> JsonValue:
    """Turn a record into plain data and add what of it could not be read."""
    return {**_fields_to_json(record), "problems": [*record.problems]}


def format_token(token: Token | None) -> str | None:
    """Tell two tokens apart without telling either: `#1a2b3c (transient)`."""
    return f"{token} ({token.kind})" if token else None


def format_time(time: datetime | None) -> str | None:
    """Write a moment in this computer's time: `2026-11-24 17:30`."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M") if time else None


def format_timestamp(seconds: float | None) -> str | None:
    """Write epoch seconds in this computer's time."""
    return None if seconds is None else format_time(_parse_timestamp(seconds))


def format_account(account: Account) -> list[tuple[str, str | None]]:
    """List what a person wants to know of an account."""
    subscription = account.subscription
    role = "administrator" if account.home_admin else "guest" if account.guest else "member"
    return [
        ("name", account.friendly_name or account.title),
        ("e-mail", account.email),
        ("id", str(account.id) if account.id is not None else None),
        ("uuid", account.uuid),
        ("country", account.country),
        (
            "subscription",
            (subscription.plan or subscription.status or "active") if subscription and subscription.active else "none",
        ),
        ("home", f"{role}{', managed' if account.restricted else ''}" if account.home else None),
        ("token", format_token(account.auth_token)),
        ("not understood", ", ".join(account.problems)),
    ]


def format_source(source: Source) -> list[tuple[str, str | None]]:
    """List what a person wants to know of a source."""
    return [
        ("identifier", source.client_identifier),
        ("token", format_token(source.access_token)),
        *(("address", address) for address in format_addresses(source.connections)),
        ("not understood", ", ".join(source.problems)),
    ]


def format_addresses(connections: tuple[Connection, ...]) -> list[str]:
    """List addresses with what sets them apart: `http://192.0.2.1:32400 (local)`."""
    texts: list[str] = []
    for connection in connections:
        marks = [name for name, is_one in (("local", connection.local), ("relay", connection.relay)) if is_one]
        texts.append((connection.uri or connection.address or "?") + (f" ({', '.join(marks)})" if marks else ""))
    return texts


def format_resource_row(resource: Resource) -> tuple[str, ...]:
    """List a resource's cells: name, owned or shared, product and version, token, addresses."""
    return (
        resource.name or "(no name)",
        "owned" if resource.owned else f"shared by {resource.source_title or 'somebody'}",
        " ".join(text for text in (resource.product, resource.product_version) if text),
        str(resource.access_token) if resource.access_token else "none",
        "\n".join(format_addresses(resource.connections)),
    )


def format_server_row(server: Resource) -> tuple[str, ...]:
    """List a media server's cells: name, owned or shared, version, token, identifier, addresses."""
    name, access, _, token, addresses = format_resource_row(server)
    return name, access, server.product_version or "", token, server.client_identifier or "", addresses


def format_device_name(device: AuthorizedDevice) -> str:
    """Name a device: `Workshop PC (Plex Web)`."""
    name = device.name or device.device or "a device without a name"
    return f"{name} ({device.product})" if device.product and device.product != name else name


def format_device_row(device: AuthorizedDevice, *, is_this: bool) -> tuple[str, ...]:
    """List a device's cells: id, name, product and version, platform, when it was seen last, token."""
    token = str(device.token) if device.token else "none"
    return (
        str(device.id) if device.id is not None else "",
        (device.name or "(no name)") + (" (this one)" if is_this else ""),
        " ".join(text for text in (device.product, device.product_version) if text),
        device.platform or "",
        format_timestamp(device.last_seen_at) or "",
        token,
    )


def format_home_user_row(user: HomeUser) -> tuple[str, ...]:
    """List a Home user's cells: id, name, role, passcode or not, e-mail address."""
    role = "administrator" if user.admin else "guest" if user.guest else "managed" if user.restricted else "member"
    return (
        str(user.id) if user.id is not None else "",
        user.title or user.username or "(no name)",
        role,
        "yes" if user.protected else "no",
        user.email or "",
    )


def check_to_json(result: TokenCheck) -> JsonValue:
    """Turn what was found out about a token into plain data, under the names that the other commands have."""
    names = {"kind": "token_kind", "whose": "account", "until": "expires_at"}
    return {names.get(name, name): value for name, value in _fields_to_json(result).items()}


def format_check(result: TokenCheck) -> list[tuple[str, str | None]]:
    """List what a person wants to know of a token that was checked."""
    account, device = result.account, result.device
    return [
        ("because", result.reason),
        ("account", (account.username or account.title or account.email) if account else None),
        ("account id", str(account.id) if account and account.id is not None else None),
        ("device", format_device_name(device) if device else None),
        ("until", format_time(result.expires_at)),
        ("asked", ", ".join(result.checked_with) or "nobody"),
        ("no answer", result.unreachable),
    ]
