"""The table of guards in tests/README.md is what the tests guard, and nothing that it names is without a test."""

from __future__ import annotations

import pytest

from tests.guards import FAMILIES, README, families, ids_in, sections, wanted

REWRITE = "`python -m tests.guards` writes the table anew; see what it changes"


def test_each_guard_is_in_the_table_with_its_tests() -> None:
    """Each id that a test names has its row, with just those tests; so has each family, with its members."""
    text = README.read_text("utf-8")
    rows = wanted(text)
    assert {name: row for name, row in rows.items() if sections(text).get(name) != row} == {}, REWRITE


def test_each_row_says_what_it_guards_and_has_a_test() -> None:
    """A requirement that the table names and no test shows is one that somebody lost."""
    rows = sections(README.read_text("utf-8"))
    assert [] == [name for name, (what, tests) in rows.items() if not what or not tests]
    assert rows.keys() >= FAMILIES.keys()


def test_each_family_has_members() -> None:
    """The places from which the members of families are read hold some."""
    assert [] == [family for family, (members, tests) in families().items() if len(members) < 5 or not tests]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("S6, S22: what ended", {"S6", "S22"}),
        ("F-SQ-1: over kills, I1 to I3, I8 and I10 hold", {"F-SQ-1", "I1", "I2", "I3", "I8", "I10"}),
        ("test_c10_not_tried_again test_f_cl_2_each", {"C10", "F-CL-2"}),
        ("a JWT (T-S25), %C3%BC", {"S25"}),
    ],
)
def test_ids_are_read_from_texts_and_names(text: str, ids: set[str]) -> None:
    """Ids stand in docstrings and in names of tests; `I1 to I3` means three."""
    assert ids == ids_in(text)
