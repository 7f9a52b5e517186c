"""The stores, a keyring that is a dictionary, and a credential full of canaries."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from ticketstub.credentials import Credential, CredentialStore, FileStore, KeyringStore, MemoryStore
from ticketstub.tokens import Secret, Token

ROOT = Path(__file__).parents[2]
PLEX_TV = "https://plex.tv"
OTHER_ISSUER = "http://127.0.0.1:8190"
JWT = f"eyJraWQiOiJ4In0.{'eyJpc3MiOiJ4In0' * 30}.c2ln-cAnArY-jwt0"
SERVER = "cAnArY-srv-Lm19Qw_z1"
KEY = '{"kid":"demo-key-1","d":"cAnArY-key0-' + "k" * 150 + '"}'
SECRETS = (JWT, SERVER, KEY, "cAnArY")

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes, links, forks and signals")


class FakeKeyring(KeyringBackend):
    """A keyring that is a dictionary."""

    priority = 5.0  # pyright: ignore[reportAssignmentType]  # keyring has a property of the class there
    viable = False  # pyright: ignore[reportAssignmentType]  # as above; not offered to other tests' programs

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.lock = threading.Lock()

    def get_password(self, service: str, username: str) -> str | None:
        with self.lock:
            return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        with self.lock:
            self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        with self.lock:
            if self.entries.pop((service, username), None) is None:
                raise PasswordDeleteError("No such password!")


STORES: dict[str, Callable[[Path], CredentialStore]] = {
    "memory": lambda _folder: MemoryStore(),
    "file": lambda folder: FileStore(folder / "kept"),
    "keyring": lambda folder: KeyringStore(FakeKeyring(), directory=folder / "notes"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CredentialStore:
    return STORES[request.param](tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "kept")


def make_credential(
    issuer: str = PLEX_TV, profile: str = "default", app: str = "ticketstub", **fields: Any
) -> Credential:
    """Create a credential with all fields set."""
    defaults: dict[str, Any] = {
        "token": Token.from_wire(JWT),
        "device_key": Secret(KEY),
        "client_identifier": "7c1f2e9a-demo-client",
        "account_id": 10500123,
        "username": "mira_quill",
        "created_at": 1793675700.25,
        "expires_at": 1794280500.0,
        "checked_at": 1793675701.0,
        "server_token": Token.from_wire(SERVER),
        "signed_out_at": None,
    }
    return Credential(issuer=issuer, profile=profile, app=app, **(defaults | fields))


def get_only_file(store: FileStore) -> Path:
    """Return the file of the only credential."""
    (path,) = store.directory.glob("*.kept")
    return path


def make_environment(folder: Path, **more: str) -> dict[str, str]:
    """Return environment variables for a program without a keyring, with all its folders in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "PYTHON_KEYRING"))}
    folders = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA"), str(folder))
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    return kept | folders | {"PYTHONPATH": paths, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"} | more
