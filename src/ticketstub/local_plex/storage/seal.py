"""The instance's secret and what is derived from it.

Rule: one secret of 32 bytes an instance, kept apart from the database; every use has its own key derived from it by a
label. Tokens are looked up by `digest`, and what must be shown again is sealed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ticketstub import private_files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN_PURPOSE = b"token"
VERIFICATION_PURPOSE = b"verification"

_SECRET_BYTES = 32
_NONCE_BYTES = 12
_match_transient_token = re.compile(r"transient-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_MAX_FILE_BYTES = 4096


class InstanceKeysError(Exception):
    """The key file cannot be used, or something was sealed under another key; the message says which and why."""


class InstanceKeys:
    """The keys of one instance of the local Plex.

    Args:
        secret: 32 random bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _SECRET_BYTES:
            raise InstanceKeysError(f"an instance's secret has {_SECRET_BYTES} bytes, not {len(secret)}")
        digest_key, self._seal_key, name = (
            hmac.digest(secret, label, "sha256") for label in (b"digest 1", b"seal 1", b"name 1")
        )
        self._inner, self._outer = (
            hashlib.sha256(bytes(byte ^ pad for byte in digest_key.ljust(64, b"\0"))) for pad in (0x36, 0x5C)
        )
        self.id = name[:4].hex()
        """Names the secret without telling it; kept with what was made under it."""

    @classmethod
    def create_ephemeral(cls) -> InstanceKeys:
        """Make keys for a database in memory: nothing is kept."""
        return cls(secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def load_or_create(cls, database: str | Path, *, is_reset: bool = False) -> InstanceKeys:
        """Take the keys of a database from the file beside it (`<database>.key`), or make it with a new database.

        Args:
            database: its file, which this process alone uses.
            is_reset: whether nothing of the database is kept, so that a missing key file is no loss.

        Raises:
            InstanceKeysError: the file is missing although the database exists, can be read by others, is a link, is
                damaged.
        """
        path = Path(f"{database}.key")
        try:
            return cls(_read_key_file(path))
        except FileNotFoundError:
            if not is_reset and Path(database).exists() and Path(database).stat().st_size:
                raise InstanceKeysError(
                    f"{path} is missing: without it the tokens in {database} cannot be read"
                ) from None
        except OSError as error:
            raise InstanceKeysError(f"{path} cannot be read: {error.strerror}") from None
        secret = secrets.token_bytes(_SECRET_BYTES)
        try:
            private_files.write(path, secret)
        except OSError as error:
            raise InstanceKeysError(f"{path} cannot be made: {error.strerror}") from None
        return cls(secret)

    def digest(self, token: str) -> bytes:
        """Return what a token is looked up by: HMAC-SHA256 under a key of this instance."""
        # RFC 2104 from two states that hold the key already: every request pays this, and it is a third of hmac.digest.
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(token.encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.digest()

    def seal(self, text: str, purpose: bytes = TOKEN_PURPOSE) -> bytes:
        """Encrypt a text so that only this instance, and only for the same purpose, can read and trust it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return bytes.fromhex(self.id) + nonce + self._cipher.encrypt(nonce, text.encode(), purpose)

    def unseal(self, sealed: bytes, purpose: bytes = TOKEN_PURPOSE) -> str:
        """Return the text that was sealed.

        Raises:
            InstanceKeysError: it was sealed under another key or for another purpose, or was changed.
        """
        from cryptography.exceptions import InvalidTag  # as in _cipher

        nonce, text = sealed[4 : 4 + _NONCE_BYTES], sealed[4 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, text, purpose).decode()
        except (InvalidTag, ValueError):
            raise InstanceKeysError("this was sealed under another key, for another purpose, or was changed") from None

    @cached_property
    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # only who seals pays for it

        return AESGCM(self._seal_key)

    @staticmethod
    def generate_token() -> str:
        """Make an account's or a server's token: 20 characters of A-Z a-z 0-9 _ and - (observed), 120 random bits."""
        return secrets.token_urlsafe(15)

    @staticmethod
    def generate_transient_token() -> str:
        """Make a transient token: `transient-` and a lower-case UUID (documented)."""
        return f"transient-{uuid.uuid4()}"

    @staticmethod
    def is_transient_token_shaped(token: str) -> bool:
        """Tell whether a text can be a transient token, by exact shape."""
        return _match_transient_token(token) is not None


def _read_key_file(path: Path) -> bytes:
    try:
        secret = private_files.read(path, _MAX_FILE_BYTES)
    except private_files.UnsafePermissionsError as error:
        raise InstanceKeysError(f"{path} {error}: run chmod 600 on it, or remove it and the database") from None
    except private_files.UnsafeFileError as error:
        raise InstanceKeysError(f"{path} {error}") from None
    if len(secret) != _SECRET_BYTES:
        raise InstanceKeysError(f"{path} is damaged: it holds {len(secret)} bytes where {_SECRET_BYTES} belong")
    return secret
