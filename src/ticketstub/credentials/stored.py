"""The form in which a credential is kept: one JSON object, the same in every store.

Rule: secrets are written and read here alone. What cannot be read is an error that names the place and what
to do, and repeats nothing of it; the reader's own exception, which might, is not even behind it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

import msgspec

from ticketstub.credentials.store import CREDENTIAL_FORMAT, Credential, Entry
from ticketstub.errors import CredentialsError
from ticketstub.tokens import Secret, Token

T = TypeVar("T")


class _FormatHeader(msgspec.Struct):
    format: int


def encode_credential(credential: Credential) -> bytes:
    """Write a credential, secrets in clear.

    Raises:
        ValueError: a text has half of a surrogate pair.
    """
    try:
        return msgspec.json.encode(credential, enc_hook=_encode_secret)
    except UnicodeError:  # it has the text in it
        pass
    raise ValueError("a text of this credential has half of a surrogate pair and cannot be kept")


def decode_credential(data: bytes | str, location: str, *, hint: str) -> Credential:
    """Read a credential; `location` names the place, `hint` says how to get rid of it.

    Raises:
        CredentialsError: it is damaged, or of a later form.
    """
    if found := _try_decode(data, Credential):
        return found
    header = _try_decode(data, _FormatHeader)
    if header and header.format > CREDENTIAL_FORMAT:
        raise CredentialsError(f"{location} was written by a later Ticketstub", hint="update Ticketstub")
    raise CredentialsError(f"{location} is damaged", hint=hint)


def decode_for_entry(entry: Entry, data: bytes | str, location: str, *, hint: str) -> Credential:
    """Read the credential of one issuer, profile and app.

    Raises:
        CredentialsError: it is damaged, of a later form, or another issuer's, profile's or app's.
    """
    found = decode_credential(data, location, hint=hint)
    if found.entry != entry:
        raise make_wrong_entry_error(location, hint)
    return found


def make_wrong_entry_error(location: str, hint: str) -> CredentialsError:
    """Make the error of a credential that is where another one should be."""
    return CredentialsError(f"{location} belongs to another issuer, app or profile; it was not used", hint=hint)


def get_entry_name(entry: Entry) -> str:
    """Return a file's name for an entry: readable, safe on every system, and no other entry's.

    The digest tells apart what the readable part, or a file system that ignores case, would not.
    """
    digest = hashlib.sha256(f"{entry.issuer}\n{entry.app}\n{entry.profile}".encode()).hexdigest()[:16]
    issuer, app = sanitize_name(entry.issuer)[:60], sanitize_name(entry.app.lower())[:30]
    return f"{issuer}-{app}-{entry.profile}-{digest}"  # begins with http: neither hidden nor a reserved name of Windows


def sanitize_name(text: str) -> str:
    """Replace what file systems might not take."""
    return re.sub(r"[^a-z0-9.]+", "-", text)


def _try_decode(data: bytes | str, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_decode_secret)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _encode_secret(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} is not kept")


def _decode_secret(kind: type, value: str) -> Secret:
    return Token.from_wire(value) if kind is Token else Secret(value)
