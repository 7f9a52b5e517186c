"""The instance's secret: where it is stored, and what is derived from it."""

from __future__ import annotations

import hmac
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketstub.local_plex.domain.media_servers import TransientTokens, _match_transient_token
from ticketstub.local_plex.storage.seal import TOKEN_PURPOSE, VERIFICATION_PURPOSE, InstanceKeys, InstanceKeysError
from ticketstub.local_plex.world.values import is_token_shaped

CANARY = "cAnArY-7f3kQ2vTz8Lm1"


def test_digest_is_hmac_sha256():
    """A token is looked up by HMAC-SHA256 (RFC 2104) with a key other than the secret."""
    keys = InstanceKeys(b"s" * 32)
    key = hmac.digest(b"s" * 32, b"digest 1", "sha256")
    assert hmac.digest(key, CANARY.encode(), "sha256") == keys.digest(CANARY)


def test_each_instance_has_its_own():
    """Two instances share no digest and no seal."""
    one, other = InstanceKeys.create_ephemeral(), InstanceKeys.create_ephemeral()
    assert one.digest(CANARY) != other.digest(CANARY)
    assert one.id != other.id
    with pytest.raises(InstanceKeysError):
        other.unseal(one.seal(CANARY))


@given(st.text(st.characters(codec="utf-8")))
def test_sealing_round_trips(text):
    """Sealed text opens for the same purpose, and looks different each time."""
    keys = InstanceKeys(b"s" * 32)
    assert text == keys.unseal(keys.seal(text, VERIFICATION_PURPOSE), VERIFICATION_PURPOSE)
    assert keys.seal(text) != keys.seal(text)


@given(st.integers(0, 51), st.integers(1, 255))
def test_a_changed_seal_is_refused(position, change):
    """No byte of sealed text can be changed, except its key id."""
    keys = InstanceKeys(b"s" * 32)
    sealed = bytearray(keys.seal(CANARY))
    sealed[position] ^= change
    if position < 4:
        assert CANARY == keys.unseal(bytes(sealed))
    else:
        with pytest.raises(InstanceKeysError) as caught:
            keys.unseal(bytes(sealed))
        assert CANARY not in str(caught.value)


def test_a_seal_has_one_purpose():
    """A sealed token does not open as a verification secret, and too short data is refused in the same way."""
    keys = InstanceKeys(b"s" * 32)
    with pytest.raises(InstanceKeysError):
        keys.unseal(keys.seal(CANARY, TOKEN_PURPOSE), VERIFICATION_PURPOSE)
    with pytest.raises(InstanceKeysError):
        keys.unseal(b"")


def test_new_tokens_have_plex_shape():
    """Tokens are 20 characters of their alphabet, transient ones `transient-` and a UUID; each is new."""
    made = {InstanceKeys.generate_token() for _ in range(200)}
    assert 200 == len(made)
    assert all(is_token_shaped(token) for token in made)
    transient_token = TransientTokens(InstanceKeys(b"s" * 32), 1).issue(b"", expires_at=1, now=0)
    assert _match_transient_token(transient_token.reveal())


@pytest.mark.parametrize(
    "token", ["", CANARY[:-1], CANARY + "x", CANARY + "\n", CANARY[:-1] + "é", CANARY[:-1] + " ", "a" * 10_000]
)
def test_only_exact_shapes_are_well_formed(token):
    """S17: no other length and no other character is looked up."""
    assert not is_token_shaped(token)
    assert not _match_transient_token(f"transient-{token}")


def test_a_file_keeps_them(tmp_path):
    """The second start has the keys of the first, from a file of 32 bytes that only its owner can read."""
    database = tmp_path / "plex.db"
    first = InstanceKeys.load_or_create(database)
    assert first.digest(CANARY) == InstanceKeys.load_or_create(database).digest(CANARY)
    assert 32 == len((tmp_path / "plex.db.key").read_bytes())
    if os.name == "posix":
        assert 0o600 == (tmp_path / "plex.db.key").stat().st_mode & 0o777


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_a_file_for_all_to_read_is_refused(tmp_path):
    """A key file that the group or others can read is refused with advice."""
    InstanceKeys.load_or_create(tmp_path / "plex.db")
    (tmp_path / "plex.db.key").chmod(0o640)
    with pytest.raises(InstanceKeysError, match="chmod 600"):
        InstanceKeys.load_or_create(tmp_path / "plex.db")


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_is_refused(tmp_path):
    """A link in place of the key file is followed neither for reading nor for writing."""
    (tmp_path / "plex.db.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InstanceKeysError, match="is a symbolic link"):
        InstanceKeys.load_or_create(tmp_path / "plex.db")
    assert not (tmp_path / "elsewhere").exists()


def test_a_damaged_file_is_refused(tmp_path):
    """A key file of the wrong length is reported as damaged."""
    (tmp_path / "plex.db.key").write_bytes(b"short")
    (tmp_path / "plex.db.key").chmod(0o600)
    with pytest.raises(InstanceKeysError, match="damaged"):
        InstanceKeys.load_or_create(tmp_path / "plex.db")


def test_a_lost_file_is_not_replaced(tmp_path):
    """For a database without its keys no new ones are created, because they would make all its tokens invalid."""
    (tmp_path / "plex.db").write_bytes(b"something")
    with pytest.raises(InstanceKeysError, match="is missing"):
        InstanceKeys.load_or_create(tmp_path / "plex.db")
    assert not (tmp_path / "plex.db.key").exists()


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    """A key file that cannot be created is reported with its path."""
    with pytest.raises(InstanceKeysError, match="nowhere"):
        InstanceKeys.load_or_create(tmp_path / "nowhere" / "plex.db")
