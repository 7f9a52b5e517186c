"""The options of a call on the pages: context, server, headers, fetch options."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.client.conftest import DEVICE, TOKEN, reply
from tests.client.scripts import NEVER, Serve, head_of
from tests.client.transports.hostile import Server, silent
from tests.local_plex.asking import MIRA
from tests.samples.reading import sample
from tests.sdk_pages.ledger import Row, operations, operations_of, shows
from tests.sdk_pages.stage import Stage, ask, is_whole
from ticketstub import CredentialsError, CrossOriginRedirect, Device, TimedOut

MOMENT = 0.03  # seconds for a call that gets no answer
MOMENTS = (0.1, 1.0, 10.0)
"""The same where it must have been sent: a busy machine needs more of them."""


def asked_of(row: Row) -> list[str]:
    """Return the operation of a row, or all of its page's if the row is about the page."""
    return [row.operation] if row.operation else operations_of(row.page)


def of_plex_tv(row: Row) -> list[str]:
    """Return those operations that go to plex.tv."""
    return [operation for operation in asked_of(row) if operation in {"details", "sign-in"}]


@shows
def test_all_options_at_once(stage: Stage, row: Row) -> None:
    """The operation accepts all options together, and they apply to that call only."""
    wire = stage.wire("plex.tv" if of_plex_tv(row) else "Attic")
    client = stage.client(token=None, plex_tv="http://127.0.0.1:1", server="http://127.0.0.1:1")
    options: dict[str, Any] = {
        "timeout": 5.0,
        "deadline": time.monotonic() + 5,
        "retry": NEVER,
        "headers": {"X-Note": "1"},
        "device": Device(client_identifier="one", product="Other"),
        "client_identifier": "two",
        "token": MIRA,
        "base_url": wire.url,
    }
    assert is_whole(row.operation, ask(client, row.operation, **options))
    sent = stage.headers[0]
    assert ("1", "two", "Other") == (sent["x-note"], sent["x-plex-client-identifier"], sent["x-plex-product"])
    assert is_whole(row.operation, ask(stage.client(), row.operation))
    assert (None, DEVICE.client_identifier) == (
        stage.headers[1].get("x-note"),
        stage.headers[1]["x-plex-client-identifier"],
    )


@shows
def test_server_url(stage: Stage, row: Row) -> None:
    """A call goes to the URL that it names, in either form; a token goes there only if it was named with the URL."""
    client = stage.client(plex_tv="http://127.0.0.1:1")
    for operation in of_plex_tv(row):
        for end in ("", "/api/v2"):
            assert is_whole(operation, ask(client, operation, base_url=stage.wire().url + end, token=MIRA))
        assert [operations()[operation].request] * 2 == stage.lines[-2:]
    if "details" in of_plex_tv(row):
        came = len(stage.came)
        with pytest.raises(CredentialsError, match="not named together"):
            ask(client, "details", base_url=stage.wire().url)
        assert came == len(stage.came)


@shows
def test_headers(stage: Stage, row: Row) -> None:
    """Additional headers are sent with the call, besides the usual ones, and not with the next call."""
    client = stage.client()
    for operation in asked_of(row):
        assert is_whole(operation, ask(client, operation, headers={"X-Note": "once", "Accept-Language": "nl"}))
        assert is_whole(operation, ask(client, operation))
    notes = [(sent.get("x-note"), sent.get("accept-language")) for sent in stage.headers]
    assert [("once", "nl"), (None, None)] * len(asked_of(row)) == notes
    assert {DEVICE.client_identifier} == {sent["x-plex-client-identifier"] for sent in stage.headers}


@shows
def test_header_refused(stage: Stage, row: Row) -> None:
    """A header that the connection or the token sets is refused with the reason, for a call and for a client."""
    why = "token=" if row.value == "X-Plex-Token" else f"{row.value} is set by the connection"
    client = stage.client()
    for operation in asked_of(row):
        with pytest.raises(ValueError, match=why):
            ask(client, operation, headers={row.value: "1"})
    with pytest.raises(ValueError, match=why):
        stage.client(headers={row.value: "1"})
    assert [] == stage.came


@shows
def test_no_such_option(stage: Stage, row: Row) -> None:
    """An unknown option is an error that names it, and nothing is sent."""
    client = stage.client()
    for operation in asked_of(row):
        with pytest.raises(TypeError, match=f"there is no option {row.value}"):
            ask(client, operation, **{row.value: "x"})
    assert [] == stage.came


@shows
def test_redirects(stage: Stage, row: Row, serve: Serve) -> None:
    """A redirected GET is followed within its origin, but not to another one, which never gets the token."""
    other, script = serve(moved=reply(sample("account.json"))), serve(moved=reply(sample("account.json")))
    script.answers["/api/v2/user"] = [
        reply(b"", 302, Location="/moved"),
        reply(b"", 302, Location=f"{other.url}/moved"),
    ]
    client = stage.scripted(script)
    assert is_whole("details", ask(client, "details"))
    with pytest.raises(CrossOriginRedirect):
        ask(client, "details")
    with pytest.raises(TypeError):
        ask(client, "details", redirect="follow")
    assert (3, 0) == (len(script.came), other.connections)


@shows
def test_timeout(stage: Stage, row: Row) -> None:
    """Whatever a server does, a call ends at its time limit, retries included."""
    with Server(silent) as hanging:
        client = stage.client(plex_tv=hanging.url, server=hanging.url, token=TOKEN)
        for operation in asked_of(row):
            begun = time.monotonic()
            with pytest.raises(TimedOut):
                ask(client, operation, timeout=MOMENT)
            assert MOMENT * 0.9 < time.monotonic() - begun < MOMENT + 30


@shows
def test_deadline(stage: Stage, row: Row) -> None:
    """One deadline limits several calls together; after it, nothing is sent."""
    client = stage.client()
    assert is_whole("details", ask(client, "details", deadline=time.monotonic() + 60))
    for moment in MOMENTS:
        with Server(silent) as hanging:
            until = time.monotonic() + moment
            with pytest.raises(TimedOut):
                ask(client, "source", deadline=until, base_url=hanging.url, token=TOKEN)
            assert -0.05 < time.monotonic() - until < 30
            for operation in asked_of(row):
                with pytest.raises(TimedOut):
                    ask(client, operation, deadline=until)
            assert 1 == len(stage.came)
            if hanging.requests:
                return
    pytest.fail("the call was never sent")


@shows
def test_cancellation(stage: Stage, row: Row) -> None:
    """An abandoned call closes its connection: when its task is cancelled, or without tasks at its deadline."""
    for operation in asked_of(row):
        with Server(silent) as hanging:
            client = stage.client(plex_tv=hanging.url, server=hanging.url, token=TOKEN)
            if stage.facade == "async":
                client.runner.run(_cancelled(client.inner, operation, hanging))
            for moment in MOMENTS if stage.facade == "sync" else ():
                with pytest.raises(TimedOut):
                    ask(client, operation, deadline=time.monotonic() + moment)
                if hanging.requests:
                    break
            assert hanging.ended.wait(60)
            assert [operations()[operation].request] == [
                head_of(came)[0].split(" HTTP/")[0].partition("?")[0] for came in hanging.requests
            ]


def _wait_for_request(hanging: Server) -> None:
    until = time.monotonic() + 60
    while not hanging.requests:
        assert time.monotonic() < until, "the call never came"
        time.sleep(0.002)


async def _cancelled(plex: Any, operation: str, hanging: Server) -> None:
    """Cancel a call once its request has arrived."""
    task = asyncio.ensure_future(ask(plex, operation))
    await asyncio.to_thread(_wait_for_request, hanging)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - begun < 30
