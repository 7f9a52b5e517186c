"""The architecture's page is true: its rules, the files that the two data paths pass, and what an hour's reading is."""

from __future__ import annotations

import ast
import re
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from tests.docs.pages import ROOT, page
from tests.test_architecture import GROUND, MAY_IMPORT, SOURCE
from ticketstub import Browser, Device, MemoryStore, Plex
from ticketstub.testing import LocalPlexController

ARCHITECTURE = "docs/explanation/architecture.md"
DEVICE = Device(client_identifier="6d1f0c7de2a84536", product="Reader")


@contextmanager
def recorded(files: set[str]) -> Generator[None]:
    """Note each file of the package in which this thread enters a function."""

    def enter(frame: FrameType, event: str, _argument: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(SOURCE)) and frame.f_code.co_name != "<module>":
            files.add(path.removeprefix(f"{SOURCE}/"))

    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        yield
    finally:
        sys.setprofile(before)


def listed(heading: str) -> set[str]:
    """Read the files of the table below a heading."""
    cells = page(ARCHITECTURE).table(heading).column("file")
    return {name for cell in cells for name in cell.split(", ")}


def in_the_client(files: set[str]) -> set[str]:
    """Leave out what the local Plex of the test does on this thread, and the public names' own look-up."""
    return {name for name in files if not name.startswith(("local_plex/", "testing/")) and name != "__init__.py"}


def test_the_rules_are_those_of_the_tests() -> None:
    """Each part has its row, and the row says what it may import."""
    table = page(ARCHITECTURE).table("Who may import what")
    rows = dict(zip(table.column("part"), table.column("may import"), strict=True))
    ground = next(part for part in rows if part.startswith("messages"))
    assert GROUND == set(ground.split(", "))
    for part, allowed in MAY_IMPORT.items():
        if part not in GROUND:
            names = [name for name in rows[part].split(", ") if name not in {"the ground", "nothing"}]
            assert allowed == set(names) | (GROUND if "the ground" in rows[part] else set()), part


def test_a_token_check_passes_the_files_of_the_page(local_plex: LocalPlexController) -> None:
    """On an open connection a check enters just the files that the page names, at most 12."""
    files: set[str] = set()
    token = local_plex.account("mira_quill").create_token()
    with Plex(device=DEVICE, plex_tv=local_plex.url, token=token) as plex:
        plex.authentication.get_token_details()
        with recorded(files):
            plex.authentication.get_token_details()
    assert listed("How a token check travels") == in_the_client(files)
    assert len(in_the_client(files)) <= 12


def test_a_browser_sign_in_passes_the_files_of_the_page(local_plex: LocalPlexController) -> None:
    """A sign-in of a new app enters just the files that the page names, at most 20."""
    files: set[str] = set()
    approving: Callable[[str], None] = lambda code: local_plex.approve(code, "mira_quill")  # noqa: E731

    def approve(pending: object) -> None:
        helper = threading.Thread(target=approving, args=(getattr(pending, "code"),))  # noqa: B009
        helper.start()
        helper.join()

    def sign_in() -> Plex:
        return Plex.sign_in(
            "Reader",
            method=Browser(show=approve, open=False),
            store=MemoryStore(),
            plex_tv=local_plex.url,
            device=DEVICE,
        )

    sign_in().close()
    with recorded(files):
        plex = sign_in()
    plex.close()
    assert listed("How a browser sign-in travels") == in_the_client(files)
    assert len(in_the_client(files)) <= 20


def test_an_hours_reading_has_at_most_two_thousand_lines() -> None:
    """The files of the list, and of a file whose class is named that class alone."""
    text = (ROOT / ARCHITECTURE).read_text("utf-8").partition("## An hour's reading")[2].partition("\nThen follow")[0]
    lines = 0
    for item in re.split(r"^\d\. ", text, flags=re.MULTILINE)[1:]:
        names = re.findall(r"`([\w/]+\.(?:py|md))`", item.partition(":")[0] if "class" not in item else item)
        for name in names[:1] if "class" in item else names:
            path = ROOT / name if name.endswith(".md") else SOURCE / name
            found = re.search(r"class `(\w+)`", item)
            lines += (
                class_lines(path.read_text("utf-8"), found[1]) if found else len(path.read_text("utf-8").splitlines())
            )
    lines += len((ROOT / ARCHITECTURE).read_text("utf-8").splitlines())
    assert 1000 < lines <= 2000


def class_lines(source: str, name: str) -> int:
    """Count the lines of a class."""
    node = next(each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and each.name == name)
    return (node.end_lineno or 0) - node.lineno + 1
