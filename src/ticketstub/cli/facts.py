"""Records as plain data: for `--json`, and the few facts of each that a person wants to see.

Rule: a token becomes its fingerprint. Any other secret (a Home PIN is four digits) becomes `hidden`: a fingerprint
of something short could be guessed back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, cast

from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.flows.check import Checked
    from ticketstub.records import Account, AuthorizedDevice, Connection, HomeUser, Record, Resource, Source

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"


def plain(value: object) -> Plain:
    """Turn a record, or anything in one, into what JSON has; names are the library's."""
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, Secret):
        return "hidden"
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, tuple):
        return [plain(member) for member in cast("tuple[object, ...]", value)]
    return _fields(value)


def _fields(record: object) -> dict[str, Plain]:
    names: tuple[str, ...] = getattr(record, "__struct_fields__", ())
    return {name: plain(getattr(record, name)) for name in names}


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
    try:
        return None if seconds is None else moment(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def of_account(account: Account) -> list[tuple[str, str | None]]:
    """List what a person wants to know of an account."""
    paid = account.subscription
    return [
        ("name", account.friendly_name or account.title),
        ("e-mail", account.email),
        ("id", str(account.id) if account.id is not None else None),
        ("uuid", account.uuid),
        ("country", account.country),
        ("subscription", (paid.plan or paid.status or "active") if paid and paid.active else "none"),
        ("home", _home(account)),
        ("token", token_text(account.auth_token)),
        ("not understood", ", ".join(account.problems)),
    ]


def _home(account: Account) -> str | None:
    if not account.home:
        return None
    role = "administrator" if account.home_admin else "guest" if account.guest else "member"
    return f"{role}, managed" if account.restricted else role


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
    return [(one.uri or one.address or "?") + _nature(one) for one in connections]


def _nature(connection: Connection) -> str:
    marks = [name for name in ("local", "relay") if getattr(connection, name)]
    return f" ({', '.join(marks)})" if marks else ""


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
    """List a media server's cells: name, owned or shared, version, token, addresses."""
    name, access, _, token, where = of_resource(server)
    return name, access, server.product_version or "", token, where


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
