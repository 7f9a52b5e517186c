"""Formatting models: as plain data for `--json`, and as the few fields that a person wants to see.

Rule: a token becomes its fingerprint. Any other secret (a passcode has four digits) becomes `hidden`, because a short
secret could be guessed from its fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub import TokenCheck
    from ticketstub.credentials import Credential
    from ticketstub.models import Account, AuthorizedDevice, Connection, HomeUser, Model, Resource, Source

_FILE_LOCATION = re.compile("in the file (.*), which only you can read", re.DOTALL)

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"


def to_json(value: object, key: str = "") -> JsonValue:
    """Convert a model, or anything in one, to plain data, under the library's names.

    A time becomes ISO 8601 in UTC, whether it is a `datetime` or, under a key that ends in `_at`, seconds since 1970. A
    token becomes its fingerprint, any other secret `hidden`, and a path its text.
    """
    match value:
        case list() | tuple():
            return [to_json(member, key) for member in cast("Sequence[object]", value)]
        case Mapping():
            return {name: to_json(member, name) for name, member in cast("Mapping[str, object]", value).items()}
        case int() | float() if key.endswith("_at") and not isinstance(value, bool):
            return to_json(_parse_timestamp(value))
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case Secret() | Path():
            return "hidden" if isinstance(value, Secret) and not isinstance(value, Token) else str(value)
        case _:
            return value if value is None or isinstance(value, str | int | float) else _fields_to_json(value)


def location_to_json(location: str) -> dict[str, str | None]:
    """Convert where a sign-in is stored: to `kept` (`file`, `keyring` or `memory`), and the `path` of a file."""
    if file := _FILE_LOCATION.fullmatch(location):
        return {"kept": "file", "path": file[1]}
    return {"kept": "keyring" if "keyring" in location else "memory", "path": None}


def _fields_to_json(record: object) -> dict[str, JsonValue]:
    names: tuple[str, ...] = getattr(record, "__struct_fields__", ())
    return {name: to_json(getattr(record, name), name) for name in names}


def _parse_timestamp(seconds: float) -> datetime | None:
    """Convert epoch seconds; `None` if they are outside the calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def model_to_json(model: Model) -> dict[str, JsonValue]:
    """Convert a model, and add the problems that the reader found in it."""
    return {**_fields_to_json(model), "problems": [*model.problems]}


def format_token(token: Token | None) -> str | None:
    """Format a token as its fingerprint and kind: `#1a2b3c (transient)`."""
    return f"{token} ({token.kind})" if token else None


def format_time(time: datetime | float | None) -> str | None:
    """Format a time, or epoch seconds, in this computer's time zone: `2026-11-24 17:30`."""
    moment = _parse_timestamp(time) if isinstance(time, int | float) else time
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else None


def format_expiry(credential: Credential, now: float) -> str:
    """Format when a stored sign-in expires, and whether it is renewed; `now` is in epoch seconds."""
    if credential.expires_at is None:
        return "unknown: it is valid until it is ended at Plex"
    expired = credential.expires_at <= now
    renewal = f", and renewed {'on the next use' if expired else 'before that'}" if credential.device_key else ""
    return f"{format_time(credential.expires_at)}{': expired' if expired else ''}{renewal}"


def format_account(account: Account) -> list[tuple[str, str | None]]:
    """Return the fields of an account."""
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
        ("not readable", ", ".join(account.problems)),
    ]


def format_source(source: Source) -> list[tuple[str, str | None]]:
    """Return the fields of a source."""
    return [
        ("identifier", source.client_identifier),
        ("token", format_token(source.access_token)),
        *(("address", address) for address in format_addresses(source.connections)),
        ("not readable", ", ".join(source.problems)),
    ]


def format_addresses(connections: tuple[Connection, ...]) -> list[str]:
    """Return addresses, marked as local or relay: `http://192.0.2.1:32400 (local)`."""
    return [
        f"{each.uri or each.address or '?'}{' (local)' if each.local else ''}{' (relay)' if each.relay else ''}"
        for each in connections
    ]


def format_resource_row(resource: Resource) -> tuple[str, ...]:
    """Return the cells of a resource: name, owned or shared, product and version, token, addresses."""
    return (
        resource.name or "(no name)",
        "owned" if resource.owned else f"shared by {resource.source_title or 'somebody'}",
        " ".join(text for text in (resource.product, resource.product_version) if text),
        str(resource.access_token) if resource.access_token else "none",
        "\n".join(format_addresses(resource.connections)),
    )


def format_device_name(device: AuthorizedDevice) -> str:
    """Return the name and product of a device: `Workshop PC (Plex Web)`."""
    name = device.name or device.device or "(no name)"
    return f"{name} ({device.product})" if device.product and device.product != name else name


def format_device_row(device: AuthorizedDevice, *, is_this: bool) -> tuple[str, ...]:
    """Return the cells of a device: id, name, product and version, platform, when it was last seen, token."""
    return (
        str(device.id) if device.id is not None else "",
        (device.name or "(no name)") + (" (this one)" if is_this else ""),
        " ".join(text for text in (device.product, device.product_version) if text),
        device.platform or "",
        format_time(device.last_seen_at) or "",
        str(device.token) if device.token else "none",
    )


def format_home_user_row(user: HomeUser) -> tuple[str, ...]:
    """Return the cells of a Home user: id, name, role, whether there is a passcode, e-mail address."""
    role = "administrator" if user.admin else "guest" if user.guest else "managed" if user.restricted else "member"
    return (
        str(user.id) if user.id is not None else "",
        user.title or user.username or "(no name)",
        role,
        "yes" if user.protected else "no",
        user.email or "",
    )


def check_to_json(result: TokenCheck) -> JsonValue:
    """Convert the result of a check, under the names that the other commands use."""
    names = {"kind": "token_kind", "checked_with": "asked", "accepted_by_server": "on_server"}
    return {names.get(name, name): value for name, value in _fields_to_json(result).items()}


def format_check(result: TokenCheck) -> list[tuple[str, str | None]]:
    """Return the fields of a token that was checked."""
    account, device = result.account, result.device
    return [
        ("reason", result.reason),
        ("account", (account.username or account.title or account.email) if account else None),
        ("account id", str(account.id) if account and account.id is not None else None),
        ("device", format_device_name(device) if device else None),
        ("expires", format_time(result.expires_at)),
        ("checked with", ", ".join(result.checked_with) or "nothing"),
        ("no answer", result.unreachable),
    ]
