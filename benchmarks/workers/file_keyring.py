"""A keyring that keeps its passwords in a file, for processes that are measured: `file_keyring.FileKeyring`."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.errors import PasswordDeleteError

FILE = Path(os.environ.get("HOME", ".")) / "keyring.json"


def read() -> dict[str, str]:
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}


class FileKeyring(KeyringBackend):
    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805  # a property of the class
        return 5

    def get_password(self, service: str, username: str) -> str | None:
        return read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        FILE.write_text(json.dumps(read() | {f"{service} {username}": password}), "utf-8")

    def delete_password(self, service: str, username: str) -> None:
        passwords = read()
        if passwords.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError
        FILE.write_text(json.dumps(passwords), "utf-8")
