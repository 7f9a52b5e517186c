"""The mutants: what can be changed, that each is found again, and that each chosen one is still a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT, read
from tests.mutants.runner import PACKAGE
from tests.mutants.sites import Mutant, Site, all_sites, applied, choose, find, probed, sites_of

SOURCE = '''
LIMIT = 3


class Door:
    """It opens."""

    def opens(self, age: int, *, free: bool = False) -> str:
        if age >= 18 and not self.closed:
            self.note(loud=True)
            return f"in at {age == 1}"
        raise ValueError("no")
'''


def written(folder: Path, text: str = SOURCE, name: str = "door.py") -> list[Site]:
    """Write a file, and return what can be changed in it."""
    path = folder / name
    path.write_text(text, "utf-8")
    return sites_of(path, folder)


def test_what_can_be_changed(tmp_path: Path) -> None:
    """Within functions: each operator, constant, result and statement; not defaults, docstrings and texts."""
    found = [(site.mutant.kind, site.mutant.before, site.mutant.after) for site in written(tmp_path)]
    assert [
        ("and/or", "age >= 18 and (not self.closed)", "age >= 18 or not self.closed"),
        ("comparison", "age >= 18", "age > 18"),
        ("number", "18", "19"),
        ("not", "not self.closed", "self.closed"),
        ("statement", "self.note(loud=True)", "pass"),
        ("boolean", "True", "False"),
        ("return", "return f'in at {age == 1}'", "return None"),
        ("statement", "raise ValueError('no')", "pass"),
    ] == found


def test_a_change_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    """Only the text of the node is replaced, also behind letters of several bytes."""
    sites = written(tmp_path, "def f(a):\n    return 'é', a  <  1  # so\n")
    assert "def f(a):\n    return 'é', (a <= 1)  # so\n" == applied(
        next(site for site in sites if site.mutant.kind == "comparison")
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("door.py", SOURCE.replace("LIMIT = 3", "LIMIT = 3\nMORE = 4")),
        ("gate.py", SOURCE),
        ("door.py", SOURCE.replace("Door", "Gate")),
        ("door.py", SOURCE.replace("opens", "admit")),
    ],
    ids=["another line", "another file", "another class", "another name"],
)
def test_it_is_found_again(tmp_path: Path, name: str, text: str) -> None:
    """A mutant is found where its function has moved or is called otherwise."""
    mutants = [site.mutant for site in written(tmp_path)]
    found = [find(mutant, written(tmp_path, text, name)) for mutant in mutants]
    assert [mutant.before for mutant in mutants] == [site and site.mutant.before for site in found]


def test_it_is_gone(tmp_path: Path) -> None:
    """A mutant whose text is no more, or could be in two places, is gone."""
    mutant = next(site.mutant for site in written(tmp_path) if site.mutant.kind == "comparison")
    assert find(mutant, written(tmp_path, SOURCE.replace("age >= 18", "age > 17"))) is None
    twice = SOURCE.replace("opens", "admit") + SOURCE.replace("opens", "let")
    assert find(mutant, written(tmp_path, twice)) is None


def test_each_place_can_say_that_it_is_reached(tmp_path: Path) -> None:
    """In the probed text each site's statement is preceded by its number, and the program is the same."""
    sites = written(tmp_path, "def f(a):\n    if a > 1:\n        return 5\n    return 2\n")
    said: list[int] = []
    names = {"reached": said.append}
    exec(probed(sites[0].path, dict(enumerate(sites)), "reached"), names)  # noqa: S102  # the text of this very test
    assert 5 == names["f"](3)
    assert [0, 1, 2, 3] == said
    assert ["comparison", "number", "return", "number"] == [sites[number].mutant.kind for number in said]


@pytest.mark.long
def test_the_chosen_mutants() -> None:
    """They are of every package and kind, and those that are still there can be made."""
    mutants, sites = read(), all_sites(ROOT / PACKAGE)
    found = [(mutant, site) for mutant in mutants if (site := find(mutant, sites))]
    assert 150 == len({mutant.name for mutant in mutants})
    assert 7 == len({mutant.kind for mutant in mutants})
    for mutant, site in found:
        compile(applied(site), mutant.file, "exec")


def test_choosing_is_repeatable() -> None:
    """The same seed chooses the same mutants."""
    sites = all_sites(ROOT / PACKAGE / "crypto")
    first: list[Mutant] = choose(sites, 30, 5)
    assert first == choose(sites, 30, 5)
    assert first != choose(sites, 30, 6)
