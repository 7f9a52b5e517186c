"""Many rows, one test: each row is tried, and what fails is told by the names of its rows, each with its traceback.

Rule: for rows that need nothing of their own. Where each needs fresh fixtures, or takes long, it is a case of its own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import pytest

Test = Callable[..., Any]


def every(names: str | tuple[str, ...], rows: Mapping[Any, Any] | Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test for every row, as `parametrize` does, but as one case: `@every("body", BODIES)`.

    A mapping's keys are the names of its rows, and its values the arguments; other rows are named by what they are.
    The fixtures are made once for all rows. Above another, every combination is tried.
    """
    wanted = (names,) if isinstance(names, str) else names

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        left = [parameter for name, parameter in signature.parameters.items() if name not in wanted]

        def cases() -> Iterator[tuple[str, dict[str, Any]]]:
            named = rows.items() if isinstance(rows, Mapping) else ((f"{row!s:.80}", row) for row in rows)
            for name, row in named:
                yield str(name), dict(zip(wanted, (row,) if isinstance(names, str) else row, strict=True))

        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            failed = Failures()
            for name, row in cases():
                with failed.of(name):
                    test(**row, **fixtures)
            failed.tell()

        @functools.wraps(test)
        async def run_async(**fixtures: Any) -> None:
            failed = Failures()
            for name, row in cases():
                with failed.of(name):
                    await test(**row, **fixtures)
            failed.tell()

        chosen: Any = run_async if inspect.iscoroutinefunction(test) else run
        chosen.__signature__ = signature.replace(parameters=left)
        return chosen

    return decorate


def paired(*dimensions: Iterable[Any]) -> list[Any]:
    """Return every combination for `parametrize`; `make test` runs so many that each value is in one of them."""
    values = [list(dimension) for dimension in dimensions]
    longest = max(map(len, values))
    short = {tuple(number % len(each) for each in values) for number in range(longest)}
    return [
        pytest.param(
            *(each[at] for each, at in zip(values, places, strict=True)),
            marks=() if places in short else pytest.mark.long,
        )
        for places in product(*(range(len(each)) for each in values))
    ]


def first_of(rows: Iterable[Any]) -> list[Any]:
    """Return every row for `parametrize`; `make test` runs the first alone, for the others differ from it in little."""
    return [pytest.param(row, marks=pytest.mark.long if number else ()) for number, row in enumerate(rows)]


class Failures:
    """What failed of the rows of a test, by their names."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._errors: list[Exception] = []
        self._count = 0
        self._row = ""

    def of(self, name: str) -> Failures:
        """Keep what fails within `with`, under the name of the row, and go on behind it."""
        self._row = name
        return self

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, Exception):
            return False
        error.add_note(f"row: {self._row}")
        self._names.append(self._row)
        self._errors.append(error)
        return True

    def tell(self) -> None:
        """Fail the test if any row did. A test without rows fails, too: it would show nothing."""
        assert self._count, "there are no rows"
        if self._errors:
            raise ExceptionGroup(f"{len(self._errors)} of {self._count} rows failed: {self._names}", self._errors)
