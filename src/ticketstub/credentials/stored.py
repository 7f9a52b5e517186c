"""The form in which a credential is kept: one JSON object, the same in every store.

Rule: secrets are written and read here alone. What cannot be read is an error that names the place and what
to do, and repeats nothing of it; the reader's own exception, which might, is not even behind it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

import msgspec

from ticketstub.credentials.store import FORMAT, Credential, Entry
from ticketstub.errors import CredentialsError
from ticketstub.tokens import Secret, Token

T = TypeVar("T")


class _Head(msgspec.Struct):
    format: int


def written(credential: Credential) -> bytes:
    """Write a credential, secrets in clear.

    Raises:
        ValueError: a text has half of a surrogate pair.
    """
    try:
        return msgspec.json.encode(credential, enc_hook=_revealed)
    except UnicodeError:  # it has the text in it
        pass
    raise ValueError("a text of this credential has half of a surrogate pair and cannot be kept")


def read(data: bytes | str, at: str, *, hint: str) -> Credential:
    """Read a credential; `at` names the place, `hint` says how to get rid of it.

    Raises:
        CredentialsError: it is damaged, or of a later form.
    """
    if found := _decoded(data, Credential):
        return found
    head = _decoded(data, _Head)
    if head and head.format > FORMAT:
        raise CredentialsError(f"{at} was written by a later Ticketstub", hint="update Ticketstub")
    raise CredentialsError(f"{at} is damaged", hint=hint)


def read_of(entry: Entry, data: bytes | str, at: str, *, hint: str) -> Credential:
    """Read the credential of one issuer, profile and app.

    Raises:
        CredentialsError: it is damaged, of a later form, or another issuer's, profile's or app's.
    """
    found = read(data, at, hint=hint)
    if found.entry != entry:
        raise of_another(at, hint)
    return found


def of_another(at: str, hint: str) -> CredentialsError:
    """Make the error of a credential that is where another one should be."""
    return CredentialsError(f"{at} belongs to another issuer, app or profile; it was not used", hint=hint)


def name_of(entry: Entry) -> str:
    """Return a file's name for an entry: readable, safe on every system, and no other entry's.

    The digest tells apart what the readable part, or a file system that ignores case, would not.
    """
    digest = hashlib.sha256(f"{entry.issuer}\n{entry.app}\n{entry.profile}".encode()).hexdigest()[:16]
    issuer, app = plain(entry.issuer)[:60], plain(entry.app.lower())[:30]
    return f"{issuer}-{app}-{entry.profile}-{digest}"  # begins with http: neither hidden nor a reserved name of Windows


def plain(text: str) -> str:
    """Replace what file systems might not take."""
    return re.sub(r"[^a-z0-9.]+", "-", text)


def _decoded(data: bytes | str, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_hidden)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _revealed(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} is not kept")


def _hidden(kind: type, value: str) -> Secret:
    return Token.received(value) if kind is Token else Secret(value)
