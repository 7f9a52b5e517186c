"""Tables of rows in one test: all are tried, and those that fail are named."""

from __future__ import annotations

import inspect
import itertools

import pytest

from tests.tables import every, paired


def test_each_row_that_fails_is_named() -> None:
    """All rows run, also behind one that fails; each failure has its row's name and its own traceback."""
    came: list[int] = []

    @every("number", {"one": 1, "two": 2, "three": 3})
    def test(number: int) -> None:
        came.append(number)
        assert number == 2, f"{number} is wrong"

    with pytest.raises(ExceptionGroup) as caught:
        test()
    assert [1, 2, 3] == came
    assert "2 of 3 rows failed: ['one', 'three']" in str(caught.value)
    first, second = caught.value.exceptions
    assert (["row: one"], ["row: three"]) == (first.__notes__, second.__notes__)
    assert "1 is wrong" in str(first)


def test_tables_are_combined() -> None:
    """Of several tables every combination is tried; fixtures stay what they are."""
    came: list[tuple[str, int, str]] = []

    @every("word", ["a", "b"])
    @every(("number", "double"), {"one": (1, 2), "two": (2, 4)})
    def test(word: str, number: int, double: int, fixture: str) -> None:
        assert double == 2 * number
        came.append((word, number, fixture))

    assert ["fixture"] == list(inspect.signature(test).parameters)
    test(fixture="x")
    assert [(word, number, "x") for word, number in itertools.product("ab", [1, 2])] == came


async def test_rows_of_what_is_awaited() -> None:
    """A test that is awaited is awaited for each row."""

    @every("number", range(3))
    async def test(number: int) -> None:
        assert number != 1

    with pytest.raises(ExceptionGroup, match=r"1 of 3 rows failed: \['1'\]"):
        await test()


def test_no_rows_are_no_test() -> None:
    """A table that has become empty is noticed."""

    @every("row", [])
    def test(row: object) -> None: ...

    with pytest.raises(AssertionError, match="there are no rows"):
        test()


def test_pairs() -> None:
    """Every combination is there; the short run has each value once, and not more than it must."""
    cases = paired("abc", [1, 2])
    assert {case.values for case in cases} == set(itertools.product("abc", [1, 2]))
    assert {("a", 1), ("b", 2), ("c", 1)} == {case.values for case in cases if not case.marks}
