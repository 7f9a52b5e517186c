"""The pages' examples, written with this library."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk_pages.ledger import Row, operations, shows
from tests.sdk_pages.stage import Stage, ask, call, is_whole
from ticketstub import Err, Ok, PlexError, Unauthorized


@shows
def test_example(stage: Stage, row: Row) -> None:
    """The example, with the page's own value if it has one: one call, whose result is used directly."""
    given = {"source": row.value} if row.value else {}
    with stage.client() as plex:
        assert is_whole(row.operation, ask(plex, row.operation, **given))
    assert [operations()[row.operation].request] == stage.lines


@shows
def test_standalone(stage: Stage, row: Row) -> None:
    """The standalone function's example: a call as a value, and an outcome for `match` instead of an exception."""
    plex, value = stage.client(), call(row.operation, row.value) if row.value else call(row.operation)
    match plex.attempt(value):
        case Ok(found, response):
            assert (True, True) == (is_whole(row.operation, found), 200 <= response.status < 300)
        case other:
            pytest.fail(f"{other!r}")
    assert [operations()[row.operation].request] == stage.lines


@shows
def test_not_ok(stage: Stage, row: Row) -> None:
    """A failed outcome has the error that the method would raise, with its response, and the error can be raised."""
    plex = stage.client(token="Xk3mPz_9Q-vT7rLb2NfX")
    with pytest.raises(Unauthorized) as caught:
        _value(plex.attempt(call("details")))
    with pytest.raises(Unauthorized) as raised:
        ask(plex, "details")
    assert _facts(raised.value) == _facts(caught.value)


def _value(outcome: Any) -> object:
    match outcome:
        case Ok(value):
            return value
        case Err(error, response):
            assert response is error.response
            raise error
        case other:
            raise AssertionError(other)


def _facts(error: PlexError) -> tuple[object, ...]:
    assert error.response
    return type(error), error.status, error.code, error.message, error.response.body
