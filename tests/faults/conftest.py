"""Folders with a world, and the programs that inject faults."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import Require
from tests.local_plex.whole import HASH

ANA, BEN = "ana-0123456789abcdef", "ben-0123456789abcdef"
WORLD = f"""
[[account]]
username = "ana"
email = "ana@example.test"
password_hash = "{HASH}"
token = "{ANA}"

[[account]]
username = "ben"
email = "ben@example.test"
password_hash = "{HASH}"
token = "{BEN}"

[[account]]
username = "eva"
email = "eva@example.test"
password_hash = "{HASH}"

[[media_server]]
name = "Attic"
owner = "ana"
"""
APPROVERS = tuple(f"approver-{number:02}-01234567" for number in range(32))
"""Tokens of accounts that approve PINs: what a kill interrupted counts as a wrong code of theirs."""

PEOPLE = "".join(
    f'[[account]]\nusername = "approver{number}"\nemail = "approver{number}@example.test"\ntoken = "{token}"\n'
    for number, token in enumerate(APPROVERS)
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all of them on systems without signals and /proc."""
    if sys.platform != "linux":
        for item in items:
            if "faults" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="these faults are Linux's"))


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder with a world that has cheap hashes."""
    (tmp_path / "world.toml").write_text(PEOPLE + WORLD, "utf-8")
    return tmp_path


@pytest.fixture(name="tracer", scope="session")
def _tracer(require: Require) -> str:
    """The path of strace."""
    return require("strace", "apt-get install strace")
