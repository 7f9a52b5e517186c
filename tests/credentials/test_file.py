"""Files: who can read them, which are refused, what they are called, and in which order they are written."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.credentials.conftest import OTHER_ISSUER, PLEX_TV, SECRETS, get_only_file, make_credential, posix
from ticketstub.credentials import Entry, FileStore
from ticketstub.credentials.file import PrivateFolder, get_entry_name
from ticketstub.errors import CredentialsError


@pytest.fixture
def no_umask() -> Generator[None, None, None]:
    before = os.umask(0)
    yield
    os.umask(before)


def get_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def list_attempts(store: FileStore) -> tuple[Callable[[], object], ...]:
    """Return the calls that read the file of the only credential."""
    return lambda: store.load(PLEX_TV), lambda: store.save(make_credential(), replacing=None), store.list_entries


@posix
def test_l2_nobody_else_can_read(no_umask: None, tmp_path: Path) -> None:
    """L2: even without a umask, created folders are 0700 and every file in them is 0600, including locks."""
    store = FileStore(tmp_path / "data" / "ticketstub" / "kept")
    store.save(make_credential(), replacing=None)
    with store.lock(PLEX_TV):
        made = sorted((tmp_path / "data").rglob("*"))
    assert {0o700} == {get_mode(path) for path in [tmp_path / "data", *made] if path.is_dir()}
    assert [0o600] * 3 == [get_mode(path) for path in made if path.is_file()]


@posix
def test_l2_a_umask_that_forbids_everything(tmp_path: Path) -> None:
    """The owner's permissions do not depend on the umask, so that the next run can read the file."""
    store = FileStore(tmp_path / "kept")
    store.directory.mkdir(0o700)
    before = os.umask(0o777)
    try:
        store._folder.write("x.json", b"{}")
    finally:
        os.umask(before)
    assert 0o600 == get_mode(store.directory / "x.json")


@posix
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
def test_l2_a_file_open_to_others_is_refused(files: FileStore, bits: int) -> None:
    """L2: a file that others can read or write is not used. The error says what to do, and the file is unchanged."""
    files.save(make_credential(), replacing=None)
    get_only_file(files).chmod(bits)
    for attempt in (
        lambda: files.load(PLEX_TV),
        lambda: files.save(make_credential(), replacing=None),
        files.list_entries,
    ):
        with pytest.raises(CredentialsError, match=f"by others.*chmod 600 {re.escape(str(get_only_file(files)))}"):
            attempt()
    assert bits == get_mode(get_only_file(files))


@posix
def test_l2_a_folder_open_to_others_is_not_written_to(tmp_path: Path) -> None:
    """L2: no file is created in a folder that others can write to."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(CredentialsError, match=f"others can write to .*chmod 700 {shared}"):
        FileStore(shared).save(make_credential(), replacing=None)
    assert [] == list(shared.iterdir())


@posix
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() != 0, reason="only root can become somebody else")
def test_l2_another_users_file_is_refused(files: FileStore, tmp_path: Path) -> None:
    """L2: a file or folder that belongs to another user, who could change it, is refused."""
    shown = _open_to_all(tmp_path)
    shown.chmod(0o755)
    os.chown(shown / "x", 65534, 65534)
    os.seteuid(65533)
    try:
        with pytest.raises(CredentialsError):
            PrivateFolder(shown).read("x")
        with pytest.raises(CredentialsError):
            PrivateFolder(shown).write("x", b"")
    finally:
        os.seteuid(0)


def _open_to_all(tmp_path: Path) -> Path:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    shown = tmp_path / "theirs"
    shown.mkdir()
    (shown / "x").write_bytes(b"{}")
    (shown / "x").chmod(0o644)
    return shown


@posix
def test_l2_a_link_is_not_followed(files: FileStore, tmp_path: Path) -> None:
    """L2: a credential is neither read nor written through a symbolic link."""
    files.save(make_credential(), replacing=None)
    path, target = get_only_file(files), tmp_path / "elsewhere"
    path.rename(target)
    before = target.read_bytes()
    path.symlink_to(target)
    for attempt in (
        lambda: files.load(PLEX_TV),
        lambda: files.save(make_credential(), replacing=None),
        files.list_entries,
    ):
        with pytest.raises(CredentialsError, match="is a symbolic link and was not followed"):
            attempt()
    assert (True, before) == (path.is_symlink(), target.read_bytes())
    assert files.remove(PLEX_TV)
    assert (False, before) == (path.is_symlink(), target.read_bytes())


@posix
def test_l2_a_link_in_the_lock_files_place(files: FileStore, tmp_path: Path) -> None:
    """L2: a lock is not created through a symbolic link."""
    with files.lock(PLEX_TV):
        pass
    (lock,) = files.directory.glob("*.lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "made elsewhere")
    with pytest.raises(CredentialsError, match="is a symbolic link"), files.lock(PLEX_TV):
        pass
    assert not (tmp_path / "made elsewhere").exists()


@posix
@pytest.mark.parametrize(
    "make", [lambda path: os.mkfifo(path, 0o600), lambda path: path.mkdir(0o700)], ids=["pipe", "folder"]
)
def test_other_kinds_of_files_are_refused(files: FileStore, make: Callable[[Path], None]) -> None:
    """A pipe, which would block, and a folder in the place of a file are refused at once."""
    files.save(make_credential(), replacing=None)
    path = get_only_file(files)
    path.unlink()
    make(path)
    with pytest.raises(CredentialsError, match="is not a regular file"):
        files.load(PLEX_TV)


def read_json(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_bytes())
    return found


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
    "no object": lambda _: b"[]",
    "no format": lambda data: data.replace(b'"format":1', b'"format":"x"'),
    "no issuer": lambda data: data.replace(b"https://", b"x"),
    "a number for a token": lambda _: b'{"format":1,"issuer":"https://plex.tv","token":5}',
    "a token of two lines": lambda _: b'{"format":1,"issuer":"https://plex.tv","token":"cAnArY\\n2"}',
    "no UTF-8": lambda data: data.replace(b"mira", b"mir\xff"),
    "deep": lambda _: b'{"format":1,"issuer":"https://plex.tv","more":' + b"[" * 20000 + b"]" * 20000 + b"}",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused_and_stays(files: FileStore, damage: Callable[[bytes], bytes]) -> None:
    """A damaged file is an error that names it and shows nothing of it. Only `remove` deletes it."""
    files.save(make_credential(), replacing=None)
    path = get_only_file(files)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    for attempt in (
        lambda: files.load(PLEX_TV),
        lambda: files.save(make_credential(), replacing=None),
        files.list_entries,
    ):
        with pytest.raises(CredentialsError, match=r"is damaged.*delete .* and sign in again") as caught:
            attempt()
        assert (None, None) == (caught.value.__cause__, caught.value.__context__)
        assert not any(secret in repr(caught.value) + str(caught.value) for secret in SECRETS)
    assert damaged == path.read_bytes()
    assert files.remove(PLEX_TV)
    assert files.save(make_credential(), replacing=None)


def test_a_later_form_is_refused(files: FileStore) -> None:
    """A file of a later version is not damaged: the error says to update."""
    files.save(make_credential(), replacing=None)
    get_only_file(files).write_text(json.dumps({"format": 2, "sealed": "x"}))
    with pytest.raises(CredentialsError, match=r"written by a later version of Ticketstub.*update"):
        files.load(PLEX_TV)


def test_a_huge_file_is_not_read(files: FileStore) -> None:
    """A file of more than 64 KiB is refused."""
    files.save(make_credential(), replacing=None)
    with get_only_file(files).open("ab") as file:
        file.write(b" " * 65536)
    with pytest.raises(CredentialsError, match="too large"):
        files.load(PLEX_TV)


def test_l9_a_file_in_another_ones_place_is_refused(files: FileStore) -> None:
    """L9: a credential that was copied or renamed to another issuer's place is used for neither."""
    files.save(make_credential(), replacing=None)
    path = get_only_file(files)
    path.rename(files.directory / f"{get_entry_name(Entry(OTHER_ISSUER, 'default'))}.kept")
    for attempt in (lambda: files.load(OTHER_ISSUER), lambda: files.remove(PLEX_TV) or files.list_entries()):
        with pytest.raises(CredentialsError, match="belongs to another issuer, app or profile"):
            attempt()


def test_the_form_of_a_file(files: FileStore) -> None:
    """The file is one JSON object with these names, which later versions read."""
    files.save(make_credential(), replacing=None)
    found = read_json(get_only_file(files))
    assert (1, 1, PLEX_TV, "default", "mira_quill") == tuple(
        found[name] for name in ("format", "version", "issuer", "profile", "username")
    )
    names = "token device_key client_identifier account_id created_at expires_at checked_at server_token signed_out_at"
    assert {*names.split(), "servers", "format", "version", "issuer", "app", "profile", "username"} == set(found)


def test_a_file_of_this_form_is_read(files: FileStore) -> None:
    """A file written by hand, or by a later version with more names, is read. Missing fields are unknown."""
    files.directory.mkdir(0o700)
    path = files.directory / f"{get_entry_name(Entry(PLEX_TV, 'default'))}.kept"
    path.write_text('{"format":1,"issuer":"https://plex.tv","token":"abc","version":7,"mood":"good"}', "utf-8")
    path.chmod(0o600)
    found = files.load(PLEX_TV)
    assert found
    assert found.token
    assert ("abc", PLEX_TV, "default", None, 7) == (
        *(found.token.reveal(), found.token.origin),
        *(found.profile, found.device_key, found.version),
    )


HOSTS = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,70}[a-zA-Z0-9])?", fullmatch=True) | st.sampled_from(
    ["[::1]", "con.x"]
)
ENTRIES = st.builds(
    lambda scheme, host, port, profile: Entry.create(f"{scheme}://{host}{port}", profile),
    st.sampled_from(["http", "https"]),
    HOSTS,
    st.just("") | st.integers(1, 65535).map(lambda port: f":{port}"),
    st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
)


@given(ENTRIES, ENTRIES)
def test_names_of_files(one: Entry, other: Entry) -> None:
    """A name stays in the folder and is not hidden, reserved, too long or equal to another entry's on any system."""
    name = f"{get_entry_name(one)}.writing.lock"
    assert (name, name) == (PurePosixPath("x", name).name, PureWindowsPath("x", name).name)
    assert re.fullmatch(r"http[A-Za-z0-9._-]{1,190}", name)
    assert (one == other) == (get_entry_name(one).casefold() == get_entry_name(other).casefold())


@pytest.mark.parametrize("profile", ["..", ".", "con", "a.json", ".draft-", "-rf"])
def test_odd_names_are_fine(files: FileStore, profile: str) -> None:
    """Profile names that are special to a file system or shell have no special meaning."""
    assert files.save(make_credential(profile=profile), replacing=None)
    assert files.load(PLEX_TV, profile)
    assert (Entry(PLEX_TV, profile),) == files.list_entries()
    assert get_only_file(files).parent == files.directory


def test_location_names_the_file(files: FileStore) -> None:
    """`describe_location` names the file."""
    files.save(make_credential(), replacing=None)
    assert f"in the file {get_only_file(files)}, which only you can read" == files.describe_location(PLEX_TV)


@pytest.mark.parametrize("act", ["save", "remove"])
def test_drafts_of_killed_processes_are_deleted(files: FileStore, act: str) -> None:
    """The next save or removal deletes the draft that a killed save of the same sign-in left, and no other file."""
    kept = files.save(make_credential(), replacing=None)
    draft = get_only_file(files).with_name(f".{get_only_file(files).name}.draft")
    others = {files.directory / name for name in (".another.draft", "old", f"{draft.name}.x")}
    for path in (draft, *others):
        path.write_bytes(b"")
    assert files.save(make_credential(), replacing=kept) if act == "save" else files.remove(PLEX_TV)
    assert others <= {*files.directory.iterdir()}
    assert not draft.exists()


@posix
def test_a_deleted_lock_file_locks_nothing(files: FileStore) -> None:
    """A lock on a lock file that was deleted or replaced does not count, since others would lock the new file."""
    with files.lock(PLEX_TV):
        pass
    (lock,) = files.directory.glob("*.lock")
    with lock.open("rb") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        with ThreadPoolExecutor(1) as thread:
            held = files.lock(PLEX_TV, timeout=60)
            waiting = thread.submit(held.__enter__)
            while not waiting.running():
                pass
            lock.unlink()
            waiting.result()  # it locks a new file, not the deleted one, which others would not find
        assert lock.exists()
        with pytest.raises(CredentialsError), files.lock(PLEX_TV, timeout=0):
            pass
        held.__exit__(None, None, None)


@posix
def test_l10_synced_before_it_is_renamed(files: FileStore, real_syncs: None) -> None:
    """L10: the draft is on the disk before it is renamed, and the folder before `save` returns."""
    files.save(make_credential(), replacing=None)
    calls: list[str] = []

    def note(_frame: object, event: str, function: object) -> None:
        name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", "")
        by_system = module == "posix" and name in {"write", "fsync", "replace", "rename"}
        if event == "c_call" and (by_system or name == "BufferedWriter.flush"):
            calls.append(name)

    sys.setprofile(note)
    try:
        files.save(make_credential(), replacing=files.load(PLEX_TV))
    finally:
        sys.setprofile(None)
    assert ["BufferedWriter.flush", "fsync", "replace", "fsync"] == calls
