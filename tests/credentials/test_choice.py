"""Which store a program gets, and that nothing is written before somebody agreed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoRing

from tests.credentials.conftest import PLEX_TV, Ring, environment, signed_in
from ticketstub.credentials import FileCredentials, KeyringCredentials, MemoryCredentials, default_credentials
from ticketstub.errors import CredentialsError

Choose = Callable[[KeyringBackend], None]


@pytest.fixture
def choose() -> Generator[Choose, None, None]:
    """Set the keyring of this computer, by the keyring library's own means."""
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


class Asked:
    """A user who is asked, and answers always the same."""

    def __init__(self, *, answer: bool) -> None:
        self.answer = answer
        self.questions: list[str] = []

    def __call__(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer


def test_a_keyring_is_taken_unasked(choose: Choose, tmp_path: Path) -> None:
    """With a keyring nobody is asked, and nothing is written before something is saved."""
    choose(Ring())
    user = Asked(answer=True)
    store = default_credentials(user, directory=tmp_path / "kept")
    assert isinstance(store, KeyringCredentials)
    assert ([], []) == (user.questions, list(tmp_path.iterdir()))
    assert store.save(signed_in(), replacing=None)
    assert {"keyring"} == {path.name for path in (tmp_path / "kept").iterdir()}


def test_l2_a_file_only_after_a_yes(choose: Choose, tmp_path: Path) -> None:
    """L2: without a keyring the user is asked, in words that say where; only then is it files."""
    choose(NoRing())
    user = Asked(answer=True)
    store = default_credentials(user, directory=tmp_path / "kept")
    assert isinstance(store, FileCredentials)
    assert [str(tmp_path / "kept")] == [question.split(" in ")[-1].rstrip("?") for question in user.questions]
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("user", [Asked(answer=False), None])
def test_l2_memory_after_a_no_or_when_nobody_can_be_asked(choose: Choose, user: Asked | None, tmp_path: Path) -> None:
    """L2: without a yes nothing is ever written, and `where` says so."""
    choose(NoRing())
    store = default_credentials(user, directory=tmp_path / "kept")
    assert store.save(signed_in(), replacing=None)
    with store.lock(PLEX_TV):
        assert [] == list(tmp_path.iterdir())
    assert isinstance(store, MemoryCredentials)
    assert store.where(PLEX_TV).startswith("in memory only")


def test_l2_nothing_is_written_anywhere(tmp_path: Path) -> None:
    """L2: a program without keyring and consent, with default folders, leaves its home as it was."""
    program = (
        "from ticketstub.credentials import Credential, default_credentials\n"
        "store = default_credentials()\n"
        "with store.lock('https://plex.tv'):\n"
        "    assert store.save(Credential(issuer='https://plex.tv'), replacing=None)\n"
        "print(store.where('https://plex.tv'))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-B", "-c", program],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert ("", "in memory only: forgotten when the program ends\n") == (done.stderr, done.stdout)
    assert [] == list(tmp_path.iterdir())


def test_who_agreed_before_is_not_asked_again(choose: Choose, tmp_path: Path) -> None:
    """Where files are already, they are used, also where a keyring has turned up since."""
    FileCredentials(tmp_path).save(signed_in(), replacing=None)
    user = Asked(answer=False)
    for ring in (NoRing(), Ring()):
        choose(ring)
        store = default_credentials(user, directory=tmp_path)
        assert isinstance(store, FileCredentials)
        assert store.load(PLEX_TV)
    assert [] == user.questions


def test_a_keyring_in_use_comes_first(choose: Choose, tmp_path: Path) -> None:
    """Where both hold something, the keyring is taken."""
    choose(Ring())
    FileCredentials(tmp_path).save(signed_in(), replacing=None)
    default_credentials(storage="keyring", directory=tmp_path).save(signed_in(username="x"), replacing=None)
    assert isinstance(default_credentials(directory=tmp_path), KeyringCredentials)


def test_a_named_storage_is_taken(choose: Choose, tmp_path: Path) -> None:
    """A store that is named is taken, whatever there is, and nobody is asked."""
    choose(NoRing())
    user = Asked(answer=False)
    kinds = {"file": FileCredentials, "keyring": KeyringCredentials, "memory": MemoryCredentials}
    for storage, kind in kinds.items():
        assert isinstance(default_credentials(user, storage, tmp_path), kind)  # type: ignore[arg-type]  # it is a text here
    with pytest.raises(CredentialsError, match="no keyring"):
        default_credentials(storage="keyring", directory=tmp_path).load(PLEX_TV)
    assert [] == user.questions


def test_an_unknown_storage_is_a_mistake() -> None:
    """A storage that does not exist is a ValueError that names those that do."""
    with pytest.raises(ValueError, match='"keyring", "file" or "memory"'):
        default_credentials(storage="disk")  # type: ignore[arg-type]  # the mistake itself


def test_importing_is_cheap() -> None:
    """The package loads no keyring, no folders and no keys; neither do files in a named folder."""
    program = (
        "import sys, ticketstub.credentials as c\n"
        "from ticketstub.credentials import FileCredentials, MemoryCredentials\n"
        "FileCredentials('x'); MemoryCredentials(); c.default_credentials(storage='memory')\n"
        "print({'keyring', 'platformdirs', 'cryptography', 'joserfc', 'asyncio', 'logging'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
    assert "set()\n" == done.stdout


def test_the_packages_names() -> None:
    """All public names can be had, and an unknown one is an AttributeError."""
    import ticketstub.credentials as package

    assert sorted(package.__all__, key=str.casefold) == sorted(
        (name for name in package.__all__ if hasattr(package, name)), key=str.casefold
    )
    with pytest.raises(AttributeError, match="no attribute 'Keychain'"):
        package.Keychain  # noqa: B018  # the mistake itself
