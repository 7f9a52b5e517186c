"""The parameters of each operation: which are required, and what they can be."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.client.scripts import head_of
from tests.sdk_pages.ledger import Row, shows
from tests.sdk_pages.stage import LOGIN, PASSWORD, Stage, ask, is_whole
from ticketstub.calls import TransientTokenScope, TransientTokenType

LEGAL = {
    "type": (TransientTokenType, TransientTokenType.DELEGATION, "delegation"),
    "scope": (TransientTokenScope, TransientTokenScope.ALL, "all"),
}


def query(stage: Stage) -> dict[str, str]:
    """Return the query of the last request."""
    line = head_of(stage.came[-1])[0]
    return {name: values[0] for name, values in parse_qs(urlsplit(line.split(" ")[1]).query).items()}


@shows
def test_type_and_scope(stage: Stage, row: Row) -> None:
    """Both arguments are always sent, also if they are omitted."""
    _, member, text = LEGAL[row.name]
    client = stage.client()
    for given in ({row.name: member}, {}):
        assert "transient" == client.authentication.get_transient_token(**given).token.kind
        assert (text, {"type": "delegation", "scope": "all"}) == (query(stage)[row.name], query(stage))


@shows
def test_only_value(stage: Stage, row: Row) -> None:
    """The enumeration has one member, which equals its text; anything else is refused before it is sent."""
    name = row.name.removesuffix("-value")
    kind, member, text = LEGAL[name]
    assert [member] == list(kind)
    client = stage.client()
    for given in (member, text):
        assert "transient" == client.authentication.get_transient_token(**{name: given}).token.kind
        assert text == query(stage)[name]
    for wrong in (text.upper(), "", "playback", None):
        with pytest.raises(ValueError, match="is not a valid"):
            client.authentication.get_transient_token(**{name: wrong})
    assert 2 == len(stage.came)


@shows
def test_source(stage: Stage, row: Row) -> None:
    """The page's own source is sent as it is written; without one, nothing is sent."""
    client = stage.client()
    found = ask(client, "source", source=row.value)
    assert row.value.partition("://")[2] == found.client_identifier
    assert {"source": row.value, "refresh": "0"} == query(stage)
    with pytest.raises(TypeError, match="source"):
        client.authentication.get_source_connection_information()
    assert 1 == len(stage.came)


@shows
def test_no_arguments(stage: Stage, row: Row) -> None:
    """The operation needs no arguments; an unknown one is an error, and nothing is sent."""
    client = stage.client()
    assert is_whole("details", client.authentication.get_token_details())
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [(("now",), {}), ((), {"account": 1})]
    for positional, named in wrong:
        with pytest.raises(TypeError):
            client.authentication.get_token_details(*positional, **named)
    assert 1 == len(stage.came)


@shows
def test_sign_in_arguments(stage: Stage, row: Row) -> None:
    """Login and password are enough; without either, or with positional arguments, nothing is sent."""
    client = stage.client(token=None)
    assert is_whole("sign-in", client.authentication.post_users_sign_in_data(login=LOGIN, password=PASSWORD))
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((), {"login": LOGIN}),
        ((), {"password": PASSWORD}),
        ((LOGIN, PASSWORD), {}),
    ]
    for positional, named in wrong:
        with pytest.raises(TypeError):
            client.authentication.post_users_sign_in_data(*positional, **named)
    assert 1 == len(stage.came)
