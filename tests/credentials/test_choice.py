"""Which store a program gets, and that it says where a sign-in is kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoRing

from tests.credentials.conftest import PLEX_TV, Ring, environment, signed_in, the_file
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
    """Set the keyring of this computer; the keyring library looks for none then."""
    return partial(monkeypatch.setattr, "keyring.core._keyring_backend")


def test_a_keyring_is_taken(choose: Choose, tmp_path: Path) -> None:
    """With a keyring nothing is written before something is saved, and then no secret into a file."""
    choose(Ring())
    store = default_store(directory=tmp_path / "kept")
    assert isinstance(store, KeyringStore)
    assert [] == list(tmp_path.iterdir())
    assert store.save(signed_in(), replacing=None)
    assert {"keyring"} == {path.name for path in (tmp_path / "kept").iterdir()}


def test_l2_a_private_file_without_a_keyring(choose: Choose, tmp_path: Path) -> None:
    """L2: without a keyring it is a file that only this user can read, and `where` names it; nobody is asked."""
    choose(NoRing())
    store = default_store(directory=tmp_path / "kept")
    assert isinstance(store, FileStore)
    assert [] == list(tmp_path.iterdir())
    assert store.save(signed_in(), replacing=None)
    file = the_file(store)
    assert 0o600 == file.stat().st_mode & 0o777 or sys.platform == "win32"
    assert f"in the file {file}, which only you can read" == store.describe_location(PLEX_TV)


def test_l2_memory_with_a_warning_where_no_file_can_be_written(choose: Choose, tmp_path: Path) -> None:
    """L2: where there is neither a keyring nor a place for files, a warning names the place, and `where` says so."""
    choose(NoRing())
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(PlexWarning, match="kept in memory only.*file/kept cannot be written"):
        store = default_store(directory=tmp_path / "file" / "kept")
    assert isinstance(store, MemoryStore)
    assert store.describe_location(PLEX_TV).startswith("in memory only")


def test_the_default_folder(choose: Choose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without a keyring keeps its sign-in in its user's data folder, and asks nobody."""
    choose(NoRing())
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    store = default_store()
    with store.lock(PLEX_TV):
        assert store.save(signed_in(), replacing=None)
    (kept,) = tmp_path.rglob("*.kept")
    assert f"in the file {kept}, which only you can read" == store.describe_location(PLEX_TV)


def test_files_in_use_are_used_again(choose: Choose, tmp_path: Path) -> None:
    """Where files are already, they are used, also where a keyring has turned up since."""
    FileStore(tmp_path).save(signed_in(), replacing=None)
    for ring in (NoRing(), Ring()):
        choose(ring)
        store = default_store(directory=tmp_path)
        assert isinstance(store, FileStore)
        assert store.load(PLEX_TV)


def test_a_keyring_in_use_comes_first(choose: Choose, tmp_path: Path) -> None:
    """Where both hold something, the keyring is taken; but what is looked for is taken where it is."""
    choose(Ring())
    FileStore(tmp_path).save(signed_in(app="Photo Frame"), replacing=None)
    default_store("keyring", tmp_path).save(signed_in(), replacing=None)
    assert isinstance(default_store(directory=tmp_path), KeyringStore)
    kinds = {"Photo Frame": FileStore, "ticketstub": KeyringStore, "Admin Tool": KeyringStore}
    for app, kind in kinds.items():
        wanted = Entry(PLEX_TV, "default", app)
        assert isinstance(default_store(directory=tmp_path, entry=wanted), kind)


def test_a_named_storage_is_taken(choose: Choose, tmp_path: Path) -> None:
    """A store that is named is taken, whatever there is; a named keyring that is none is an error."""
    choose(NoRing())
    kinds = {"file": FileStore, "keyring": KeyringStore, "memory": MemoryStore}
    for storage, kind in kinds.items():
        assert isinstance(default_store(storage, tmp_path), kind)  # type: ignore[arg-type]  # it is a text here
    with pytest.raises(CredentialsError, match="no keyring"):
        default_store("keyring", tmp_path).load(PLEX_TV)


def test_an_unknown_storage_is_a_mistake() -> None:
    """A storage that does not exist is a ValueError that names those that do."""
    with pytest.raises(ValueError, match='"keyring", "file" or "memory"'):
        default_store("disk")  # type: ignore[arg-type]  # the mistake itself


@pytest.mark.long
def test_importing_is_cheap() -> None:
    """The package loads no keyring, no folders and no keys; neither do files in a named folder."""
    program = (
        "import sys, ticketstub.credentials as c\n"
        "from ticketstub.credentials import FileStore, MemoryStore\n"
        "FileStore('x'); MemoryStore(); c.default_store('memory')\n"
        "print({'keyring', 'platformdirs', 'cryptography', 'joserfc', 'asyncio', 'logging'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "set()\n" == done.stdout


def test_the_packages_names() -> None:
    """All public names can be had."""
    import ticketstub.credentials as package

    assert sorted(package.__all__, key=str.casefold) == sorted(
        (name for name in package.__all__ if hasattr(package, name)), key=str.casefold
    )
