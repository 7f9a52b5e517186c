"""The operations, and each sentence of the pages about them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.local_plex.asking import MIRA, TOM_ON_ATTIC
from tests.sdk_pages.ledger import Row, operations, shows
from tests.sdk_pages.stage import SOURCE, Local, Stage, ask, is_whole
from ticketstub import Forbidden, NotFound, Unauthorized

HOURS_48 = 48 * 3600


@shows
def test_operation(stage: Stage, row: Row) -> None:
    """The operation exists, sends its request, and returns its result."""
    assert is_whole(row.operation, ask(stage.client(), row.operation))
    assert [operations()[row.operation].request] == stage.lines


@shows
def test_rights_of_a_transient_token(stage: Stage, row: Row) -> None:
    """A transient token has the rights of the token that requested it: all for the owner, fewer for a shared user."""
    attic = stage.wire("Attic").url
    for token, admitted in ((MIRA, True), (TOM_ON_ATTIC, False)):
        transient = ask(stage.client().at(attic, token=token), "transient").token
        for held in (token, transient):
            client = stage.client().at(attic, token=held)
            assert "Attic" == client.server_information().friendly_name
            if admitted:
                assert is_whole("source", ask(client, "source"))
            else:
                with pytest.raises(Forbidden):
                    ask(client, "source")


@shows
def test_transient_token_ends_after_48_hours(stage: Stage, row: Row) -> None:
    """A transient token works for 48 hours, and not a second longer."""
    client = stage.client()
    handed_on = client.at(stage.wire("Attic").url, token=ask(client, "transient").token)
    stage.local.clock.now += HOURS_48 - 1
    assert is_whole("source", ask(handed_on, "source"))
    stage.local.clock.now += 1
    with pytest.raises(Unauthorized):
        ask(handed_on, "source")


@shows
def test_transient_token_ends_with_a_restart(
    stage: Stage, row: Row, restarted: Callable[[str], tuple[Local, str]]
) -> None:
    """After a restart a transient token is invalid, and the token that it was made from still works."""
    stage.local, transient = restarted(stage.mode)
    client = stage.client()
    with pytest.raises(Unauthorized):
        ask(client.at(stage.wire("Attic").url, token=transient), "source")
    assert is_whole("source", ask(client, "source"))


@shows
def test_sources_are_told_to_the_owner(stage: Stage, row: Row) -> None:
    """Only the owner's token and a transient token made from it can read sources."""
    plex, attic = stage.client(), stage.wire("Attic").url
    owner, guest = (plex.at(attic, token=token) for token in (MIRA, TOM_ON_ATTIC))
    assert is_whole("source", ask(owner, "source"))
    assert is_whole("source", ask(plex.at(attic, token=ask(owner, "transient").token), "source"))
    for client in (guest, plex.at(attic, token=ask(guest, "transient").token)):
        with pytest.raises(Forbidden):
            ask(client, "source")


@shows
def test_too_old_for_sources(stage: Stage, row: Row) -> None:
    """A media server of version 1.15.3 does not know the path (its 404 is assumed)."""
    with pytest.raises(NotFound) as caught:
        ask(stage.client().at(stage.wire("Old").url, token=MIRA), "source")
    assert (404, [operations()["source"].request]) == (caught.value.status, stage.lines)


@shows
def test_source_needs_its_prefix(stage: Stage, row: Row) -> None:
    """Sources with either prefix are found; a source without one is refused before anything is sent."""
    client = stage.client()
    for source in (SOURCE, "server://client-identifier", "provider://provider-identifier"):
        assert is_whole("source", ask(client, "source", source=source))
    asked = len(stage.came)
    for source in ("client-identifier", "server:client-identifier", "server://", "http://client-identifier"):
        with pytest.raises(ValueError, match="a source starts with"):
            ask(client, "source", source=source)
    assert asked == len(stage.came)


@shows
def test_asked_on_plex_tv(stage: Stage, row: Row) -> None:
    """The call goes to plex.tv, although the client also has a media server."""
    ask(stage.client(), row.operation)
    assert [1, 0] == [len(stage.wire(name).requests) for name in ("plex.tv", "Attic")]


@shows
def test_no_token_is_sent(stage: Stage, row: Row) -> None:
    """A client that has a token signs in without sending it."""
    assert is_whole("sign-in", ask(stage.client(token=MIRA), "sign-in"))
    assert MIRA.encode() not in stage.came[0]
