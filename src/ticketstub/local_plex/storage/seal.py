"""The keys of an instance: digests to look tokens up, and encryption ("sealing") for secrets that must be shown again.

Rule: an instance has one secret of 32 bytes, stored apart from the database. Each use derives its own key from it with
a label.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
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


class InstanceKeysError(Exception):
    """The key file cannot be used, or data was sealed with another key. The message says which and why."""


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
        """Identifies the secret without revealing it. All sealed data begins with it."""

    @classmethod
    def create_ephemeral(cls) -> InstanceKeys:
        """Create random keys, for a database in memory."""
        return cls(secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def load_or_create(cls, database: str | Path, *, is_reset: bool = False) -> InstanceKeys:
        """Load the keys of a database from `<database>.key`, or create that file for a new database.

        Args:
            database: the database's file, which only this process uses.
            is_reset: whether the database is about to be replaced, so that a missing key file is no loss.

        Raises:
            InstanceKeysError: the file is missing although the database exists, or it is readable by other users, a
                link, or damaged.
        """
        path = Path(f"{database}.key")
        try:
            secret = private_files.read(path, 4096)
            if len(secret) != _SECRET_BYTES:
                raise InstanceKeysError(f"{path} is damaged: it has {len(secret)} bytes instead of {_SECRET_BYTES}")
            return cls(secret)
        except private_files.UnsafePermissionsError as error:
            raise InstanceKeysError(f"{path} {error}: run chmod 600 on it, or delete it and the database") from None
        except private_files.UnsafeFileError as error:
            raise InstanceKeysError(f"{path} {error}") from None
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
            raise InstanceKeysError(f"{path} cannot be created: {error.strerror}") from None
        return cls(secret)

    def digest(self, token: str) -> bytes:
        """Return the digest that a token is looked up by: HMAC-SHA256 with a key of this instance."""
        # RFC 2104, from two states that contain the key: every request needs it, and hmac.digest takes three times as
        # long.
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(token.encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.digest()

    def seal(self, text: str, purpose: bytes = TOKEN_PURPOSE) -> bytes:
        """Encrypt and authenticate a text for this instance and this purpose."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return bytes.fromhex(self.id) + nonce + self._cipher.encrypt(nonce, text.encode(), purpose)

    def unseal(self, sealed: bytes, purpose: bytes = TOKEN_PURPOSE) -> str:
        """Return the text that was sealed.

        Raises:
            InstanceKeysError: it was sealed with another key or for another purpose, or it was changed.
        """
        from cryptography.exceptions import InvalidTag  # as in _cipher

        nonce, text = sealed[4 : 4 + _NONCE_BYTES], sealed[4 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, text, purpose).decode()
        except (InvalidTag, ValueError):
            raise InstanceKeysError("this was sealed with another key or for another purpose, or was changed") from None

    @cached_property
    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # loaded only when something is sealed

        return AESGCM(self._seal_key)

    @staticmethod
    def generate_token() -> str:
        """Generate an account's or server's token: 20 characters of A-Z a-z 0-9 _ and - (observed), 120 random bits."""
        return secrets.token_urlsafe(15)
