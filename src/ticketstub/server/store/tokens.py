"""Giving out tokens: the statements that several operations share.

Rule: each runs inside a transaction of the writer. A device is one row for each account and client identifier; a new
token notes it anew.
"""

from __future__ import annotations

import msgspec

from ticketstub.server.store.base import DeviceRow, TokenKind
from ticketstub.server.store.database import Statements

_NOTE_DEVICE = """
    INSERT INTO device (account_id, client_identifier, product, version, platform, platform_version, device, name,
        model, vendor, provides, screen_resolution, address, created_at, last_seen_at)
    SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14
    FROM account WHERE id = ?1 AND disabled_at IS NULL
    ON CONFLICT (account_id, client_identifier) DO UPDATE SET product = excluded.product, version = excluded.version,
        platform = excluded.platform, platform_version = excluded.platform_version, device = excluded.device,
        name = excluded.name, model = excluded.model, vendor = excluded.vendor, provides = excluded.provides,
        screen_resolution = excluded.screen_resolution, address = excluded.address, last_seen_at = excluded.last_seen_at
    RETURNING id
"""
_KEEP = """
    INSERT INTO token (digest, sealed, kind, account_id, device_id, machine_identifier, created_at, expires_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
"""
_SWITCHED = "INSERT INTO home_switch (digest, account_id, by_account_id) VALUES (?1, ?2, ?3)"
_IS_ALIVE = """
    SELECT 1 FROM token WHERE digest = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
    UNION ALL SELECT 1 FROM session WHERE digest = ?1 AND expires_at > ?2
"""


def note_device(transaction: Statements, account_id: int, device: DeviceRow, now: int) -> int | None:
    """Note an account's device and return its id; `None`, with nothing written, for an account that is off."""
    noted = transaction.one(_NOTE_DEVICE, account_id, *msgspec.structs.astuple(device), now)
    return noted[0] if noted else None


def is_alive(transaction: Statements, digest: bytes | None, now: int) -> bool:
    """Tell whether the token or session that asks is alive still: it may have ended since it was looked at.

    `None` is for what nobody's token asked for.
    """
    return digest is None or transaction.one(_IS_ALIVE, digest, now) is not None


def keep_token(
    transaction: Statements,
    *,
    digest: bytes,
    sealed: bytes,
    kind: TokenKind,
    account_id: int,
    device_id: int | None = None,
    machine_identifier: str | None = None,
    now: int,
    expires_at: int | None = None,
    by: int | None = None,
) -> None:
    """Keep a new token. `by` is who had switched to the account."""
    facts = (kind, account_id, device_id, machine_identifier, now, expires_at)
    transaction.run(_KEEP, digest, sealed, *facts)
    if by is not None:
        transaction.run(_SWITCHED, digest, account_id, by)
