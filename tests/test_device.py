"""The device: the headers that it is sent as, and how this installation's identifier is stored."""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ticketstub.device import Device
from ticketstub.errors import PlexWarning


def test_headers() -> None:
    """Each field is sent as its header; absent fields are not sent."""
    device = Device(
        client_identifier="demo-client-7c1f",
        product="Demo App",
        version="1.2.0",
        device="Linux",
        device_name="Workshop PC",
        platform="Linux",
        platform_version="6.1",
        model="x86_64",
        vendor="ACME",
        provides="controller",
    )
    assert {
        "X-Plex-Client-Identifier": "demo-client-7c1f",
        "X-Plex-Product": "Demo App",
        "X-Plex-Version": "1.2.0",
        "X-Plex-Device": "Linux",
        "X-Plex-Device-Name": "Workshop PC",
        "X-Plex-Platform": "Linux",
        "X-Plex-Platform-Version": "6.1",
        "X-Plex-Model": "x86_64",
        "X-Plex-Device-Vendor": "ACME",
        "X-Plex-Provides": "controller",
    } == device.to_headers()
    assert {"X-Plex-Client-Identifier": "Postman"} == Device(client_identifier="Postman").to_headers()


@pytest.mark.parametrize("text", ["", "a\r\nX-Evil: 1", "a\n", "\x00", "a\x7f"])
def test_invalid_field(text: str) -> None:
    """A field that cannot be sent in a header is a ValueError that names the field."""
    with pytest.raises(ValueError, match="client_identifier"):
        Device(client_identifier=text)
    with pytest.raises(ValueError, match="model"):
        Device(client_identifier="x", model=text)


def test_identifier_is_stored(tmp_path: Path) -> None:
    """Each program's identifier is created once and stored in a file of a private folder."""
    first = Device.load_or_create("my-app", version="1.0", directory=tmp_path / "devices")
    again = Device.load_or_create("my-app", version="2.0", directory=tmp_path / "devices")
    other = Device.load_or_create("other", directory=tmp_path / "devices")
    assert first.client_identifier == again.client_identifier != other.client_identifier
    assert ("my-app", "2.0", 36) == (again.product, again.version, len(again.client_identifier))
    assert ["my-app.txt", "other.txt"] == sorted(path.name for path in (tmp_path / "devices").iterdir())
    if sys.platform != "win32":
        assert 0o700 == (tmp_path / "devices").stat().st_mode & 0o777


def test_concurrent_threads(tmp_path: Path) -> None:
    """Threads that create the identifier at the same time all get the same one."""
    with ThreadPoolExecutor(8) as pool:
        found = set(
            pool.map(lambda _: Device.load_or_create("my-app", directory=tmp_path).client_identifier, range(16))
        )
    assert (1, ["my-app.txt"]) == (len(found), [path.name for path in tmp_path.iterdir()])


def _load_identifier(directory: Path) -> str:
    return Device.load_or_create("my-app", directory=directory).client_identifier


@pytest.mark.long
def test_concurrent_processes(tmp_path: Path) -> None:
    """Processes that create the identifier at the same time all get the same one."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = set(pool.map(_load_identifier, [tmp_path] * 4))
    assert 1 == len(found)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "a\nb", "a b", "a\\b"])
def test_invalid_name(name: str, tmp_path: Path) -> None:
    """A name that could leave the folder is a ValueError."""
    with pytest.raises(ValueError, match="a device's name"):
        Device.load_or_create(name, directory=tmp_path)


def test_damaged_file(tmp_path: Path) -> None:
    """A file without an identifier is an OSError that says what to do; it does not create a phantom device."""
    (tmp_path / "my-app.txt").write_text("\n", "utf-8")
    with pytest.raises(OSError, match="delete it"):
        Device.load_or_create("my-app", directory=tmp_path)


def test_unwritable_folder(tmp_path: Path) -> None:
    """If the identifier cannot be stored, an OSError is raised."""
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(OSError, match="file"):
        Device.load_or_create("my-app", directory=tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX systems do")
def test_an_identifier_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning says why nothing could be written, and names no file `None`; no half-written file stays."""
    import resource

    monkeypatch.setattr("ticketstub.device._TEMPORARY_IDENTIFIERS", {})  # it is said once in a process
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.warns(PlexWarning, match="is new in each run: File too large$"):
            Device.load_or_use_temporary("full", directory=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [] == list(tmp_path.iterdir())
