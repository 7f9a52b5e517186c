"""How a client is created, and what each of its calls sends."""

from __future__ import annotations

import asyncio
import inspect

from tests.client.conftest import DEVICE
from tests.local_plex.asking import MIRA
from tests.sdk_pages.ledger import Row, operations, operations_of, shows
from tests.sdk_pages.stage import Stage, ask, is_whole
from ticketstub import AsyncPlex, Device, Plex


@shows
def test_token(stage: Stage, row: Row) -> None:
    """A client sends its token with each call except the sign-in."""
    client, asked = stage.client(token=MIRA), operations_of(row.page)
    for operation in asked:
        ask(client, operation)
    sent = dict(zip(stage.lines, (fields.get("x-plex-token") for fields in stage.headers), strict=True))
    assert {operations()[key].request: None if key == "sign-in" else MIRA for key in asked} == sent


@shows
def test_without_token(stage: Stage, row: Row) -> None:
    """A client without a token can sign in, and the account's token works for further calls."""
    client = stage.client(token=None)
    account = ask(client, "sign-in")
    assert ["x-plex-token" in fields for fields in stage.headers] == [False]
    assert is_whole("details", ask(client.with_options(token=account.auth_token), "details"))


@shows
def test_identifier(stage: Stage, row: Row) -> None:
    """A client sends its client identifier, whatever text it is, with each call."""
    client, asked = stage.client(device=Device(client_identifier=row.value)), operations_of(row.page)
    for operation in asked:
        assert is_whole(operation, ask(client, operation))
    assert [row.value] * len(asked) == [fields["x-plex-client-identifier"] for fields in stage.headers]


@shows
def test_identifier_alone(stage: Stage, row: Row) -> None:
    """A client with only an identifier can sign in."""
    client = stage.client(token=None, device=Device(client_identifier=row.value))
    assert is_whole("sign-in", ask(client, "sign-in"))
    identity = {name: value for name, value in stage.headers[0].items() if name.startswith("x-plex-")}
    assert {"x-plex-client-identifier": row.value} == identity


@shows
def test_constructor_sends_nothing(stage: Stage, row: Row) -> None:
    """Creating a client, a derived one or a media server's opens no connection; the first call opens one."""
    client = stage.client()
    client.with_options(timeout=3.0)
    client.at(stage.wire("Attic").url, token=MIRA)
    assert [0, 0] == [wire.connections for wire in stage.wires.values()]
    assert is_whole("details", ask(client, "details"))
    assert [1, 0] == [wire.connections for wire in stage.wires.values()]


@shows
def test_group(stage: Stage, row: Row) -> None:
    """The page's operations are in the group `authentication`; the media server's are also in its own client."""
    client = stage.client()
    attic = client.at(stage.wire("Attic").url, token=MIRA)
    for operation in operations_of(row.page):
        assert is_whole(operation, ask(client, operation))
    for operation in ("transient", "source"):
        assert is_whole(operation, ask(attic, operation))


@shows
def test_one_request(stage: Stage, row: Row) -> None:
    """Calling a method sends exactly one request."""
    client = stage.client()
    for number, operation in enumerate(operations_of(row.page), 1):
        ask(client, operation)
        assert number == len(stage.came)


@shows
def test_awaited(stage: Stage, row: Row) -> None:
    """Both façades have the page's operations under the same names; only the async ones are awaited."""
    kind = Plex if stage.facade == "sync" else AsyncPlex
    client = kind(plex_tv=stage.wire().url, server=stage.wire("Attic").url, token=MIRA, device=DEVICE)

    async def whole(operation: str) -> bool:
        found = ask(client, operation)
        assert inspect.isawaitable(found) == (stage.facade == "async")
        return is_whole(operation, await found if inspect.isawaitable(found) else found)

    async def all_of_them() -> list[bool]:
        found = [await whole(operation) for operation in operations_of(row.page)]
        closing = client.close()
        if inspect.isawaitable(closing):
            await closing
        return found

    assert all(asyncio.run(all_of_them()))


@shows
def test_accept(stage: Stage, row: Row) -> None:
    """Each call asks for JSON, and reads XML if the reply is XML."""
    client = stage.client()
    for operation in operations_of(row.page):
        ask(client, operation)
        assert is_whole(operation, ask(client, operation, headers={"Accept": "application/xml"}))
    assert ["application/json", "application/xml"] * 2 == [fields["accept"] for fields in stage.headers]


@shows
def test_identifier_with_each_call(stage: Stage, row: Row) -> None:
    """Each call sends the client identifier, also where the page's SDK does not."""
    client = stage.client()
    for operation in operations_of(row.page):
        assert is_whole(operation, ask(client, operation))
    assert {DEVICE.client_identifier} == {fields["x-plex-client-identifier"] for fields in stage.headers}
