"""Sign-ins that earlier versions kept for an issuer and a profile alone: what they are called, and whose they are.

Rule: such a sign-in belongs to the app whose remembered client identifier it carries, else to the command; never to
the first app that asks. It stays where it is, for versions that look there, until its app saves or removes it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from ticketstub.credentials import stored
from ticketstub.credentials.store import COMMAND, Credential, Entry
from ticketstub.device import file_name, holders_of

SUFFIX = ".json"
"""How files and notes without an app end. Today's end otherwise, so that an earlier version never reads them."""

_COMMANDS = re.compile(r"ticketstub(-[0-9a-f]{12})?", re.IGNORECASE)  # the command's identifiers, one for each profile


def name_of(entry: Entry) -> str:
    """Return the name of the file or note in which an earlier version kept a sign-in of this issuer and profile."""
    digest = hashlib.sha256(f"{entry.issuer}\n{entry.profile}".encode()).hexdigest()[:16]
    return f"{stored.plain(entry.issuer)[:60]}-{entry.profile}-{digest}{SUFFIX}"


def app_of(credential: Credential, devices: Path | None) -> str:
    """Return the app that a sign-in belongs to; of one whose name is not known, the name of its identifier's file.

    Args:
        credential: what an earlier version kept.
        devices: the folder of remembered identifiers; by default the user's.
    """
    holders = holders_of(credential.client_identifier, devices)
    if not holders or any(map(_COMMANDS.fullmatch, holders)):
        return COMMAND
    return min(holders)


def claimed(credential: Credential, entry: Entry, devices: Path | None) -> Credential | None:
    """Return the sign-in as one of this entry's app if it belongs to it, else `None`."""
    holders = holders_of(credential.client_identifier, devices)
    if app_of(credential, devices) == COMMAND:
        mine = entry.app == COMMAND
    else:
        mine = bool(holders & {entry.app, file_name(entry.app), file_name(entry.app, entry.profile)})
    return msgspec.structs.replace(credential, app=entry.app) if mine else None


def same(one: Credential, other: Credential) -> bool:
    """Tell whether two are the same sign-in, however often one of them was renewed."""
    return one.token == other.token or (one.device_key is not None and one.device_key == other.device_key)
