"""The store that a program gets by default, and where it says that a sign-in is stored."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as FailKeyring

from tests.credentials.conftest import PLEX_TV, FakeKeyring, get_only_file, make_credential, make_environment
from ticketstub.credentials import (
    Entry,
    FileStore,
    KeyringStore,
    MemoryStore,
    default_store,
)
from ticketstub.errors import CredentialsError, PlexWarning

Choose = Callable[[KeyringBackend], None]


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Set the keyring of this computer; the keyring library then looks for none."""
    return partial(monkeypatch.setattr, "keyring.core._keyring_backend")


def test_a_keyring_is_used(choose: Choose, tmp_path: Path) -> None:
    """With a keyring, nothing is written before something is saved, and then no secret is written to a file."""
    choose(FakeKeyring())
    store = default_store(directory=tmp_path / "kept")
    assert isinstance(store, KeyringStore)
    assert [] == list(tmp_path.iterdir())
    assert store.save(make_credential(), replacing=None)
    assert {"keyring"} == {path.name for path in (tmp_path / "kept").iterdir()}


def test_l2_a_private_file_without_a_keyring(choose: Choose, tmp_path: Path) -> None:
    """L2: without a keyring the store is a file that only this user can read, and no question is asked."""
    choose(FailKeyring())
    store = default_store(directory=tmp_path / "kept")
    assert isinstance(store, FileStore)
    assert [] == list(tmp_path.iterdir())
    assert store.save(make_credential(), replacing=None)
    file = get_only_file(store)
    assert 0o600 == file.stat().st_mode & 0o777 or sys.platform == "win32"
    assert f"in the file {file}, which only you can read" == store.describe_location(PLEX_TV)


def test_l2_memory_with_a_warning_where_no_file_can_be_written(choose: Choose, tmp_path: Path) -> None:
    """L2: without a keyring and a writable folder, a warning names the folder and the store is memory."""
    choose(FailKeyring())
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(PlexWarning, match="kept in memory only.*file/kept cannot be written"):
        store = default_store(directory=tmp_path / "file" / "kept")
    assert isinstance(store, MemoryStore)
    assert store.describe_location(PLEX_TV).startswith("in memory only")


def test_the_default_folder(choose: Choose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a keyring, a program stores its sign-in in the user's data folder."""
    choose(FailKeyring())
    for name, value in make_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    store = default_store()
    with store.lock(PLEX_TV):
        assert store.save(make_credential(), replacing=None)
    (kept,) = tmp_path.rglob("*.kept")
    assert f"in the file {kept}, which only you can read" == store.describe_location(PLEX_TV)


def test_files_in_use_are_used_again(choose: Choose, tmp_path: Path) -> None:
    """Existing files are used again, even if a keyring has become available."""
    FileStore(tmp_path).save(make_credential(), replacing=None)
    for ring in (FailKeyring(), FakeKeyring()):
        choose(ring)
        store = default_store(directory=tmp_path)
        assert isinstance(store, FileStore)
        assert store.load(PLEX_TV)


def test_a_keyring_in_use_comes_first(choose: Choose, tmp_path: Path) -> None:
    """If both have entries, the keyring is used, unless the requested entry is in the files."""
    choose(FakeKeyring())
    FileStore(tmp_path).save(make_credential(app="Photo Frame"), replacing=None)
    default_store("keyring", tmp_path).save(make_credential(), replacing=None)
    assert isinstance(default_store(directory=tmp_path), KeyringStore)
    kinds = {"Photo Frame": FileStore, "ticketstub": KeyringStore, "Admin Tool": KeyringStore}
    for app, kind in kinds.items():
        wanted = Entry(PLEX_TV, "default", app)
        assert isinstance(default_store(directory=tmp_path, entry=wanted), kind)


def test_a_named_storage_is_used(choose: Choose, tmp_path: Path) -> None:
    """A named store is used whatever else exists. Without a keyring, naming it is an error."""
    choose(FailKeyring())
    kinds = {"file": FileStore, "keyring": KeyringStore, "memory": MemoryStore}
    for storage, kind in kinds.items():
        assert isinstance(default_store(storage, tmp_path), kind)  # type: ignore[arg-type]  # it is a text here
    with pytest.raises(CredentialsError, match="no keyring"):
        default_store("keyring", tmp_path).load(PLEX_TV)


def test_an_unknown_storage_is_refused() -> None:
    """An unknown storage is a ValueError that names the known ones."""
    with pytest.raises(ValueError, match='"keyring", "file" or "memory"'):
        default_store("disk")  # type: ignore[arg-type]  # the mistake itself


@pytest.mark.long
def test_importing_is_cheap() -> None:
    """Importing the package, or using files in a given folder, loads no keyring, platformdirs or cryptography."""
    program = (
        "import sys, ticketstub.credentials as c\n"
        "from ticketstub.credentials import FileStore, MemoryStore\n"
        "FileStore('x'); MemoryStore(); c.default_store('memory')\n"
        "print({'keyring', 'platformdirs', 'cryptography', 'joserfc', 'asyncio', 'logging'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "set()\n" == done.stdout


def test_public_names() -> None:
    """All public names exist."""
    import ticketstub.credentials as package

    assert sorted(package.__all__, key=str.casefold) == sorted(
        (name for name in package.__all__ if hasattr(package, name)), key=str.casefold
    )
