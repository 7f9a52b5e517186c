"""This installation as Plex knows it: a device of the account, told apart by its client identifier.

Rule: an identifier is made once and kept; a program that makes a new one each time fills its user's list of devices
(and mailbox) with phantoms. Any text is a legal identifier (documented).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import warnings
from pathlib import Path

import msgspec

from ticketstub.errors import PlexWarning

_HEADER_VALUE = re.compile(r"[^\x00-\x1f\x7f]+")

_TEMPORARY_IDENTIFIERS: dict[str, str] = {}
"""The identifiers that could not be remembered, by the program's name."""

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
"""Each field of a `Device` and the header (or query or form parameter) it is sent as (documented)."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking: sent with every request, shown in the account's list of authorized devices.

    Args:
        client_identifier: what tells this installation from all others; any text, a UUID by custom.
        product: the program's name.
        version: the program's version.
        device: what it runs on (`Linux`, `Roku 3`); the SDKs call it the device's nickname.
        device_name: this one's own name (`Workshop PC`).
        platform: the platform (`Linux`).
        platform_version: its version.
        model: the device's model.
        vendor: the device's maker.
        provides: a comma list of roles (`controller`).

    Raises:
        ValueError: a field is empty or holds a control character, which no header can carry.
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
                raise ValueError(f"a device's {field} is text without control characters, and not empty")

    @classmethod
    def load_or_create(cls, name: str, *, version: str | None = None, directory: Path | None = None) -> Device:
        """Return this installation's device for a program, making its identifier the first time and keeping it.

        Args:
            name: the program's name: letters, digits, dots, hyphens and underscores, at most 64; also its product.
            version: the program's version.
            directory: where it is kept; by default the user's data directory for Ticketstub.

        Raises:
            ValueError: the name is none of that kind.
            OSError: the identifier can neither be read nor kept.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise ValueError("a device's name is letters, digits, dots, hyphens and underscores, 64 at most")
        return cls.for_this_computer(
            _load_or_create_identifier(directory or _get_data_directory(), name), name, version
        )

    @classmethod
    def load_or_use_temporary(cls, name: str, *, version: str | None = None, directory: Path | None = None) -> Device:
        """Return what `load_or_create` does, or a device for as long as this process runs, with a `PlexWarning`.

        A home folder that is missing or cannot be written costs the identifier and nothing else.

        Raises:
            ValueError: the name is none of that kind.
        """
        try:
            return cls.load_or_create(name, version=version, directory=directory)
        except (OSError, RuntimeError) as error:  # RuntimeError: no home folder is known
            if name not in _TEMPORARY_IDENTIFIERS:
                import uuid

                _TEMPORARY_IDENTIFIERS[name] = str(uuid.uuid4())
                reason = (
                    f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else error
                )
                warnings.warn(
                    "this installation's identifier can neither be read nor kept, and is a new one each time: "
                    f"{reason}",
                    PlexWarning,
                    stacklevel=2,
                )
            return cls.for_this_computer(_TEMPORARY_IDENTIFIERS[name], name, version)

    @classmethod
    def for_this_computer(cls, client_identifier: str, product: str, version: str | None = None) -> Device:
        """Return a device with this identifier, on this system and under this computer's name; nothing is kept.

        Raises:
            ValueError: the identifier or the product is none.
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
        """List the headers it is sent as."""
        values = ((header, getattr(self, field)) for field, header in DEVICE_HEADERS.items())
        return {header: value for header, value in values if value is not None}


def build_file_name(app: str, profile: str = "default") -> str:
    """Return the name under which a program's identifier is remembered for a profile."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", app).strip(".-_")
    if name != app or len(name) > 40 or profile != "default":
        from hashlib import sha256

        digest = sha256(f"{app}\n{profile}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
        name = f"{name[:40] or 'app'}-{digest}"
    return name


def find_device_names(identifier: str | None, directory: Path | None = None) -> frozenset[str]:
    """Return the names under which this client identifier is remembered; what cannot be read holds none.

    Args:
        identifier: the client identifier.
        directory: where identifiers are kept; by default the user's data directory for Ticketstub.
    """
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for path in (directory or _get_data_directory()).glob("*.txt"):
            with contextlib.suppress(OSError, ValueError):
                if _read_identifier(path) == identifier:
                    found.add(path.stem)
    return frozenset(found)


def _get_data_directory() -> Path:
    import platformdirs  # only where no directory was given

    found = Path(platformdirs.user_data_dir("ticketstub", appauthor=False))
    if not found.is_absolute():  # there is no HOME, and the system knows of none
        raise OSError("no home folder is known: set HOME")
    return found / "devices"


def _load_or_create_identifier(directory: Path, name: str) -> str:
    """Read the identifier, or make one; of several processes that make one at once, all return the first's."""
    path = directory / f"{name}.txt"
    try:
        return _read_identifier(path)
    except FileNotFoundError:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    import uuid

    draft = directory / f".{name}.{uuid.uuid4().hex}"
    draft.write_text(f"{uuid.uuid4()}\n", "utf-8")
    try:
        os.link(draft, path)  # fails where the file exists, so that the first one wins
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return _read_identifier(path)


def _read_identifier(path: Path) -> str:
    found = path.read_text("utf-8").strip()
    if not _HEADER_VALUE.fullmatch(found):
        raise OSError(f"{path} holds no client identifier: delete it, and a new one is made")
    return found
