"""Records as plain data: for `--json`, and the few facts of each that a person wants to see.

Rule: a token becomes its fingerprint. Any other secret (a Home PIN is four digits) becomes `hidden`: a fingerprint
of something short could be guessed back.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias, cast

from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.records import Account, Connection, Record, Resource, Source

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
