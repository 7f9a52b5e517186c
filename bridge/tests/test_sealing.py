"""bridge.key, and what is sealed under it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge_tests.bridges import KEY, BridgeUnderTest
from ticketstub_bridge.control import open_socket
from ticketstub_bridge.core import Bridge
from ticketstub_bridge.sealing import KeyFileError, Sealer, create_key_file, make_secret, read_key_file
from ticketstub_bridge.storage import StoreError


def test_a_key_file_is_private(tmp_path: Path) -> None:
    """A new key file has mode 0600 and a key of its own, and is never replaced."""
    path = tmp_path / "bridge.key"
    create_key_file(path)
    assert 0o600 == path.stat().st_mode & 0o777
    assert 32 == len(read_key_file(path))
    with pytest.raises(FileExistsError):
        create_key_file(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A key file that others can read or write is refused, with what to do."""
    path = tmp_path / "bridge.key"
    create_key_file(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_key_file(path)


def test_a_lost_or_damaged_key_is_refused(tmp_path: Path) -> None:
    """A missing key says that it must be restored; a damaged one says that it is damaged."""
    path = tmp_path / "bridge.key"
    with pytest.raises(KeyFileError, match="restore it from your backup"):
        read_key_file(path)
    path.touch(0o600)
    for content in ("", "short", "é" * 50, "A" * 100):
        path.write_text(content, "utf-8")
        with pytest.raises(KeyFileError, match="damaged"):
            read_key_file(path)


def test_a_changed_key_is_refused_at_the_start(tested: BridgeUnderTest) -> None:
    """A bridge with another key than its database's does not start, and says so by name."""
    config, plex = tested.bridge.config, tested.local_plex.async_client(signed_in=False)
    with pytest.raises(StoreError, match=r"bridge\.key is not the key of this database"):
        Bridge(config, KEY[::-1], tested.database, plex, tested._send_logout)


def test_a_sealed_value_belongs_to_its_key_and_place() -> None:
    """A sealed value is read under the same key and context only, and not if a bit changed."""
    sealer = Sealer(KEY)
    sealed = sealer.seal("secret", "person 1")
    assert "secret" == sealer.unseal(sealed, "person 1")
    assert sealed != sealer.seal("secret", "person 1")
    for other, content, context in (
        (sealer, sealed, "person 2"),
        (Sealer(KEY[::-1]), sealed, "person 1"),
        (sealer, sealed[:-1] + bytes([sealed[-1] ^ 1]), "person 1"),
        (sealer, b"", "person 1"),
    ):
        with pytest.raises(KeyFileError):
            other.unseal(content, context)


def test_form_tokens() -> None:
    """A form's token belongs to one browser, one purpose and one key; nothing shows the key."""
    sealer, browser = Sealer(KEY), make_secret()
    token = sealer.make_form_token(browser, "consent")
    assert sealer.is_form_token(token, browser, "consent")
    assert not sealer.is_form_token(token, browser, "sign-in")
    assert not sealer.is_form_token(token, make_secret(), "consent")
    assert not sealer.is_form_token("é", browser, "consent")
    assert not Sealer(KEY[::-1]).is_form_token(token, browser, "consent")
    assert KEY.hex() not in repr(sealer) + sealer.fingerprint + sealer.client_identifier


def test_the_socket_is_for_its_owner_from_the_beginning(tmp_path: Path) -> None:
    """Nobody else can open the administrator's socket, whatever the umask is, and at no moment."""
    before = os.umask(0)
    try:
        with open_socket(tmp_path / "bridge.sock"):
            assert 0o600 == (tmp_path / "bridge.sock").stat().st_mode & 0o777
        assert 0 == os.umask(0)
    finally:
        os.umask(before)
