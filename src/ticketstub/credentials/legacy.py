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
from ticketstub.credentials.store import COMMAND_APP, Credential, Entry
from ticketstub.device import build_file_name, find_device_names

SUFFIX = ".json"
"""How files and notes without an app end. Today's end otherwise, so that an earlier version never reads them."""

_COMMAND_DEVICE = re.compile(
    r"ticketstub(-[0-9a-f]{12})?", re.IGNORECASE
)  # the command's identifiers, one for each profile


def get_legacy_name(entry: Entry) -> str:
    """Return the name of the file or note in which an earlier version kept a sign-in of this issuer and profile."""
    digest = hashlib.sha256(f"{entry.issuer}\n{entry.profile}".encode()).hexdigest()[:16]
    return f"{stored.sanitize_name(entry.issuer)[:60]}-{entry.profile}-{digest}{SUFFIX}"


def find_app(credential: Credential, device_directory: Path | None) -> str:
    """Return the app that a sign-in belongs to; of one whose name is not known, the name of its identifier's file.

    Args:
        credential: what an earlier version kept.
        device_directory: the folder of remembered identifiers; by default the user's.
    """
    holders = find_device_names(credential.client_identifier, device_directory)
    if not holders or any(map(_COMMAND_DEVICE.fullmatch, holders)):
        return COMMAND_APP
    return min(holders)


def match_entry(credential: Credential, entry: Entry, device_directory: Path | None) -> Credential | None:
    """Return the sign-in as one of this entry's app if it belongs to it, else `None`."""
    holders = find_device_names(credential.client_identifier, device_directory)
    if find_app(credential, device_directory) == COMMAND_APP:
        is_match = entry.app == COMMAND_APP
    else:
        is_match = bool(holders & {entry.app, build_file_name(entry.app), build_file_name(entry.app, entry.profile)})
    return msgspec.structs.replace(credential, app=entry.app) if is_match else None


def is_same_sign_in(one: Credential, other: Credential) -> bool:
    """Tell whether two are the same sign-in, however often one of them was renewed."""
    return one.token == other.token or (one.device_key is not None and one.device_key == other.device_key)
