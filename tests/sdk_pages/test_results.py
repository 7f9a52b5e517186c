"""What the operations return, and what happens if the result is missing."""

from __future__ import annotations

import pytest

from tests.client.conftest import reply
from tests.client.scripts import Serve, start
from tests.local_plex.asking import MIRA
from tests.sdk_pages.ledger import Row, operations, shows
from tests.sdk_pages.stage import Stage, ask, is_whole
from ticketstub import Account, CredentialsError, MalformedReply, Token, Unauthorized
from ticketstub.calls import Source, TransientToken

KINDS = {"transient": TransientToken, "source": Source, "details": Account, "sign-in": Account}
NOTHING = {
    "an empty body": reply(b""),
    "no content": reply(b"", 204),
    "null": reply(b"null"),
    "an empty object": reply(b"{}"),
    "an empty container": reply(b'{"MediaContainer":{"size":0}}'),
    "an empty XML container": reply(b'<MediaContainer size="0"/>'),
    "only nulls": reply(b'{"authToken":null,"id":null,"token":null,"Device":null}'),
    "a web page": reply(b"<!DOCTYPE html><html></html>"),
}


@shows
def test_result(stage: Stage, row: Row) -> None:
    """The result is a model with the contents of the page's response object."""
    client = stage.client()
    found = ask(client, row.operation)
    assert (KINDS[row.operation], True) == (type(found), is_whole(row.operation, found))
    if row.operation == "source":
        assert ("Attic (mira_quill)", 2) == (found.name, len(found.connections))
    if row.operation == "details":
        assert Token(MIRA) == found.auth_token
    if row.operation == "sign-in":
        assert Token(MIRA) != found.auth_token
        with pytest.raises(CredentialsError, match="needs a token"):
            ask(client.with_options(token=None), "details")
        assert Token(MIRA) == ask(client, "details").auth_token


@shows
def test_absence(stage: Stage, row: Row, serve: Serve) -> None:
    """A successful response without the result is an error with that response, never None."""
    script = start(serve, operations()[row.operation].request.partition(" ")[2], *NOTHING.values())
    client = stage.scripted(script)
    for number, said in enumerate(NOTHING.values(), 1):
        with pytest.raises(MalformedReply) as caught:
            ask(client, row.operation)
        response = caught.value.response
        assert response
        assert said.endswith(b"\r\n\r\n" + response.body)
        assert (caught.value.status, number) == (response.status, len(script.came))


@shows
def test_error_or_value(stage: Stage, row: Row) -> None:
    """A call returns its value or raises; there is no error value that could be left unchecked."""
    assert is_whole("details", ask(stage.client(), "details"))
    with pytest.raises(Unauthorized):
        ask(stage.client(token="Xk3mPz_9Q-vT7rLb2NfX"), "details")
