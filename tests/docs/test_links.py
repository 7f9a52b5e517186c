"""The pages hang together: whatever one refers to exists."""

from __future__ import annotations

from pathlib import Path

from tests.docs.pages import PAGES, ROOT, Page, page, pages
from tests.tables import every


@every("one", pages())
def test_links_within_the_repository_resolve(one: Page) -> None:
    """A relative link names a file, and behind a number sign a heading of that page."""
    broken: list[str] = []
    for link in one.links():
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (one.path.parent / name).resolve() if name else one.path
        if not target.exists() or (anchor and anchor not in page(target.relative_to(ROOT).as_posix()).anchors()):
            broken.append(link)
    assert [] == broken


def test_every_page_can_be_reached_from_the_index() -> None:
    """Links lead from the index to each page of docs/, over at most two others."""
    reached = {ROOT / "docs" / "index.md"}
    for _ in range(3):
        reached |= {target for path in reached & set(PAGES) for target in _linked(path)}
    assert set() == set(PAGES) - reached - {ROOT / "README.md"}


def _linked(path: Path) -> set[Path]:
    links = page(path.relative_to(ROOT).as_posix()).links()
    return {(path.parent / link.partition("#")[0]).resolve() for link in links if "://" not in link}
