"""This installation as Plex knows it: a device of the account, recognized by its client identifier.

Rule: an identifier is created once and stored. A program that creates a new one in each run fills its user's list of
devices with duplicates, and their mailbox with notices of new devices. Any text is a valid identifier (documented).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import warnings
from typing import TYPE_CHECKING

import msgspec

from ticketstub.errors import PlexWarning

if TYPE_CHECKING:
    from pathlib import Path

_HEADER_VALUE = re.compile(r"[^\x00-\x1f\x7f]+")

_TEMPORARY_IDENTIFIERS: dict[str, str] = {}
"""The identifiers that could not be stored, by device name."""

DEVICE_HEADERS = {
    "client_identifier": "X-Plex-Client-Identifier",
    "product": "X-Plex-Product",
    "version": "X-Plex-Version",
    "device": "X-Plex-Device",
    "device_name": "X-Plex-Device-Name",
    "platform": "X-Plex-Platform",
    "platform_version": "X-Plex-Platform-Version",
    "model": "X-Plex-Model",
    "vendor": "X-Plex-Device-Vendor",
    "provides": "X-Plex-Provides",
}
"""Each field of a `Device`, and the header, query or form parameter that it is sent as (documented)."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """The client, as described with every request and shown in the account's list of authorized devices.

    Args:
        client_identifier: The identifier of this installation; any text, usually a UUID.
        product: The program's name.
        version: The program's version.
        device: The kind of device (`Linux`, `Roku 3`). The SDKs call it the device's nickname.
        device_name: The name of this device (`Workshop PC`).
        platform: The platform (`Linux`).
        platform_version: The version of the platform.
        model: The device's model.
        vendor: The device's manufacturer.
        provides: The roles of the device, separated by commas (`controller`).

    Raises:
        ValueError: A field is empty or contains a control character, which cannot be sent in a header.
    """

    client_identifier: str
    product: str | None = None
    version: str | None = None
    device: str | None = None
    device_name: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    model: str | None = None
    vendor: str | None = None
    provides: str | None = None

    def __post_init__(self) -> None:
        for field in DEVICE_HEADERS:
            value = getattr(self, field)
            if value is not None and not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"a device's {field} must be text without control characters, and not empty")

    @classmethod
    def load_or_create(cls, name: str, *, version: str | None = None, directory: Path | None = None) -> Device:
        """Return this installation's device for a program. Its identifier is created and stored the first time.

        Args:
            name: The program's name, which is also the product: up to 64 letters, digits, dots, hyphens and
                underscores, the first a letter or digit.
            version: The program's version.
            directory: The folder to store it in; by default `devices` in the user's data directory for Ticketstub.

        Raises:
            ValueError: The name is invalid.
            OSError: The identifier can be neither read nor stored.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise ValueError(
                "a device's name must have 1 to 64 letters, digits, '.', '-' and '_', and start with a letter or digit"
            )
        return cls.for_this_computer(_load_or_create_identifier(directory, name), name, version)

    @classmethod
    def load_or_use_temporary(cls, name: str, *, version: str | None = None, directory: Path | None = None) -> Device:
        """Return the device of `load_or_create`, or a temporary one if the identifier cannot be read or stored.

        The temporary identifier lasts until the process ends, and a `PlexWarning` says so. A program thus works without
        a writable home folder.

        Raises:
            ValueError: The name is invalid.
        """
        try:
            return cls.load_or_create(name, version=version, directory=directory)
        except (OSError, RuntimeError) as error:  # RuntimeError: the home folder is unknown
            if name not in _TEMPORARY_IDENTIFIERS:
                import uuid

                _TEMPORARY_IDENTIFIERS[name] = str(uuid.uuid4())
                reason = str(error)
                if isinstance(error, OSError) and error.strerror:  # a write that fails names no file
                    reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
                warnings.warn(
                    f"this installation's identifier can be neither read nor stored, and is new in each run: {reason}",
                    PlexWarning,
                    stacklevel=2,
                )
            return cls.for_this_computer(_TEMPORARY_IDENTIFIERS[name], name, version)

    @classmethod
    def for_this_computer(cls, client_identifier: str, product: str, version: str | None = None) -> Device:
        """Return a device with this identifier, this computer's name and its platform. Nothing is stored.

        Raises:
            ValueError: The identifier or the product is empty or contains a control character.
        """
        platform = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        return cls(
            client_identifier=client_identifier,
            product=product,
            version=version,
            device=platform,
            device_name=socket.gethostname() or None,
            platform=platform,
        )

    def to_headers(self) -> dict[str, str]:
        """Return the headers that it is sent as."""
        return {
            header: value for field, header in DEVICE_HEADERS.items() if (value := getattr(self, field)) is not None
        }


def build_file_name(app: str, profile: str = "default") -> str:
    """Return the device name under which an app's identifier is stored for a profile."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", app).strip(".-_")
    if name != app or len(name) > 40 or profile != "default":
        from hashlib import sha256

        digest = sha256(f"{app}\n{profile}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
        name = f"{name[:40] or 'app'}-{digest}"
    return name


def find_device_names(identifier: str | None, directory: Path | None = None) -> frozenset[str]:
    """Return the device names under which this client identifier is stored; unreadable files are ignored.

    Args:
        identifier: The client identifier.
        directory: The folder of the identifiers; by default `devices` in the user's data directory for Ticketstub.
    """
    names: set[str] = set()
    with contextlib.suppress(OSError):
        for path in (directory or get_data_directory("devices")).glob("*.txt"):
            with contextlib.suppress(OSError, ValueError):
                if _read_identifier(path) == identifier:
                    names.add(path.stem)
    return frozenset(names)


def get_data_directory(name: str) -> Path:
    """Return a folder in the user's data directory for Ticketstub.

    Raises:
        OSError: The user's home folder is unknown.
    """
    import platformdirs  # only if no directory is given

    found = platformdirs.user_data_path("ticketstub", appauthor=False)
    if not found.is_absolute():  # otherwise it would be in the current folder
        raise OSError("the home folder is unknown: set HOME")
    return found / name


def _load_or_create_identifier(directory: Path | None, name: str) -> str:
    """Read the identifier or create it. If several processes create it at once, all return the first one."""
    path = (directory or get_data_directory("devices")) / f"{name}.txt"
    try:
        return _read_identifier(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    import uuid

    draft = path.with_name(f".{name}.{uuid.uuid4().hex}")
    try:
        draft.write_text(f"{uuid.uuid4()}\n", "utf-8")
        try:
            os.link(draft, path)  # fails if the file exists, so that the first one wins
        except FileExistsError:
            pass
        except OSError:  # the file system has no hard links
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return _read_identifier(path)


def _read_identifier(path: Path) -> str:
    identifier = path.read_text("utf-8").strip()
    if not _HEADER_VALUE.fullmatch(identifier):
        raise OSError(f"{path} contains no client identifier: delete it to get a new one")
    return identifier
