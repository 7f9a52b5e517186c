"""The bridge's key, what is sealed under it, and the digests by which secrets are found.

Rule: the key is a file of its own that only its owner can read. It is never in the database, which holds nothing but
sealed values and digests. Sealed values are bound to their purpose and row, so that none can be moved to another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyFileError(Exception):
    """bridge.key is missing, damaged, readable by others, or not the key of this database."""


def make_secret() -> str:
    """Return 256 random bits as URL-safe text: a client secret, a cookie, a code or a token."""
    return secrets.token_urlsafe(32)


def make_identifier() -> str:
    """Return 128 random bits as URL-safe text: an identifier that nobody can guess, but not a secret."""
    return secrets.token_urlsafe(16)


def digest(secret: str) -> str:
    """Return the digest under which a random secret is stored and found. It has 256 bits, so SHA-256 suffices."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create_key_file(path: Path) -> None:
    """Create bridge.key with a new key.

    Raises:
        FileExistsError: it exists; a new key would make the database useless.
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_key_file(path: Path) -> bytes:
    """Return the key of bridge.key.

    Raises:
        KeyFileError: it is missing, damaged, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(1024)
    except FileNotFoundError:
        raise KeyFileError(
            f"{path} does not exist: restore it from your backup. `ticketstub bridge init` creates one for a new bridge"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(f"{path} can be read or written by others: chmod 600 {path}")
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise KeyFileError(f"{path} is damaged: it is not a key of 32 bytes in base 64. Restore it from your backup")
    return key


class Sealer:
    """Seals values under the bridge's key, and derives further keys from it.

    Args:
        key: the 32 bytes of bridge.key.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(self._derive("seal"))
        self._form_key = self._derive("forms")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _derive(self, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, None, b"ticketstub-bridge " + purpose.encode()).derive(self._key)

    @property
    def fingerprint(self) -> str:
        """What the database remembers of the key, to notice that it was changed."""
        return self._derive("fingerprint").hex()

    @property
    def client_identifier(self) -> str:
        """The client identifier of this bridge at Plex; it stays the same as long as the key."""
        return "ticketstub-bridge-" + self._derive("client identifier").hex()[:24]

    def seal(self, text: str, context: str) -> bytes:
        """Encrypt a text.

        Args:
            text: the text.
            context: what it is and whose; the same is needed to read it.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), context.encode())

    def unseal(self, sealed: bytes, context: str) -> str:
        """Decrypt what `seal` returned.

        Raises:
            KeyFileError: it was sealed under another key, for another context, or is damaged.
        """
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise KeyFileError(
                "a value in the database cannot be read: bridge.key is not the key that it was written with"
            ) from None
        return plain.decode()

    def make_form_token(self, browser: str, purpose: str) -> str:
        """Return the token that a form of this browser carries, which no other site can know.

        Args:
            browser: the secret of the browser's cookie.
            purpose: what the form does.
        """
        return hmac.new(self._form_key, f"{purpose}\0{browser}".encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, token: str, browser: str, purpose: str) -> bool:
        """Return whether a form's token was made for this browser and purpose."""
        return hmac.compare_digest(token.encode(), self.make_form_token(browser, purpose).encode())
