"""The public face as type checkers see it. It is never run: mypy and pyright read it, and a wrong type fails them.

Rule: everything that a user gets has a type of the library, never `Any`.
"""

from __future__ import annotations

from typing import assert_type

import aiohttp
import httpx
import httpx2

from ticketstub import (
    Account,
    AsyncMediaServer,
    AsyncPlex,
    Connection,
    Device,
    Err,
    MediaServer,
    Ok,
    Plex,
    PlexError,
    Request,
    Resource,
    Response,
    Retry,
    Secret,
    Token,
    Unauthorized,
    acheck,
    check,
)
from ticketstub.calls import (
    GetResources,
    GetTokenDetails,
    Identity,
    ServerInformation,
    Source,
    TransientToken,
    TransientTokenScope,
    TransientTokenType,
)


def sync(device: Device) -> None:
    """The sync façade."""
    plex = Plex(device=device, token="t", server="http://host:32400", retry=Retry(attempts=1), headers={"X-A": "1"})
    with plex as same:
        assert_type(same, Plex)
    assert_type(plex.authentication.get_token_details(), Account)
    assert_type(plex.authentication.post_users_sign_in_data(login="a", password="b"), Account)
    assert_type(plex.authentication.post_users_sign_in_data(login="a", password=Secret("b"), remember_me=True), Account)
    assert_type(plex.authentication.get_transient_token(), TransientToken)
    assert_type(plex.authentication.get_transient_token(type="delegation", scope="all"), TransientToken)
    kind, scope = TransientTokenType.DELEGATION, TransientTokenScope.ALL
    assert_type(plex.authentication.get_transient_token(type=kind, scope=scope), TransientToken)
    assert_type(plex.authentication.get_source_connection_information(source="server://x"), Source)
    assert_type(plex.ping(timeout=1.0, deadline=2.0, client_identifier="Postman", base_url="http://host"), bool)
    assert_type(plex.resources(include_relay=False), tuple[Resource, ...])
    assert_type(plex.identity(), Identity)
    assert_type(plex.server_information(), ServerInformation)
    assert_type(plex.with_options(token=Token("x")), Plex)
    assert_type(plex.send(GetTokenDetails()), Account)
    assert_type(plex.send(GetResources()), tuple[Resource, ...])
    assert_type(plex.close(), None)


def media_server(attic: MediaServer) -> None:
    """A media server's client."""
    assert_type(Plex().at("http://host", token=lambda: "t"), MediaServer)
    assert_type(attic.url, str)
    assert_type(attic.token, Token | None)
    assert_type(attic.get("/library/sections", {"a": "b"}), Response)
    assert_type(attic.request("PUT", "/x", body=b"", content_type="text/plain", timeout=1.0), Response)
    assert_type(attic.get("/x").json(), object)
    assert_type(attic.get("/x").headers, dict[str, str])
    assert_type(attic.authentication.get_transient_token(), TransientToken)
    assert_type(attic.identity(), Identity)


def one_client(plex: Plex) -> None:
    """A client with a server has that server's methods too."""
    assert_type(plex.get("/library/sections"), Response)
    assert_type(plex.request("PUT", "/x"), Response)


class Sending:
    """A program's own transport."""

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """Answer by itself."""
        return Response(200, {}, b"")

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def close(self) -> None:
        """Close."""


def transports(client: httpx.Client, client2: httpx2.Client) -> None:
    """What `Plex` accepts as a transport."""
    for transport in (client, client2, Sending()):
        Plex(transport=transport)
        Plex.sign_in("My App", transport=transport)
        check("t", transport=transport)


async def async_transports(
    client: httpx.AsyncClient, client2: httpx2.AsyncClient, session: aiohttp.ClientSession
) -> None:
    """What `AsyncPlex` accepts as a transport."""
    for transport in (client, client2, session):
        AsyncPlex(transport=transport)
        await AsyncPlex.sign_in("My App", transport=transport)
        await acheck("t", transport=transport)


def outcomes(plex: Plex) -> str | None:
    """With `match`, the value, error and response of an outcome have their own types."""
    match plex.attempt(GetTokenDetails()):
        case Ok(account, response):
            assert_type(account, Account)
            assert_type(response, Response)
            return account.username
        case Err(error, maybe):
            assert_type(error, PlexError)
            assert_type(maybe, Response | None)
            return error.hint


def records(account: Account, resource: Resource, error: Unauthorized) -> None:
    """The fields of records and errors."""
    assert_type(account.id, int | None)
    assert_type(account.auth_token, Token | None)
    assert_type(account.entitlements, tuple[str, ...])
    assert_type(account.problems, tuple[str, ...])
    assert_type(resource.connections, tuple[Connection, ...])
    assert_type(resource.is_media_server, bool)
    assert_type(error.status, int | None)
    assert_type(error.retry_after, float | None)
    assert_type(error.message, str)


async def awaited(device: Device) -> None:
    """The async façade."""

    async def source() -> str:
        return "t"

    plex = AsyncPlex(device=device, token=source, on_request=hook)
    async with plex as same:
        assert_type(same, AsyncPlex)
    assert_type(await plex.authentication.get_token_details(), Account)
    assert_type(await plex.authentication.post_users_sign_in_data(login="a", password="b"), Account)
    assert_type(await plex.authentication.get_transient_token(), TransientToken)
    assert_type(await plex.authentication.get_source_connection_information(source="server://x"), Source)
    assert_type(await plex.ping(), bool)
    assert_type(await plex.resources(), tuple[Resource, ...])
    assert_type(await plex.identity(), Identity)
    assert_type(await plex.server_information(), ServerInformation)
    assert_type(plex.with_options(timeout=1.0), AsyncPlex)
    assert_type(await plex.send(GetTokenDetails()), Account)
    assert_type(await plex.attempt(GetTokenDetails()), Ok[Account] | Err)
    attic = plex.at("http://host", token=Token("x"))
    assert_type(attic, AsyncMediaServer)
    assert_type(await attic.get("/x"), Response)


def hook(request: Request) -> None:
    """A hook sees the request as data."""
    assert_type(request.path, str)


def mistakes(plex: Plex) -> None:
    """Each line is an error that a type checker must report."""
    plex.ping(timout=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no such option
    plex.ping(timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no number
    plex.authentication.get_transient_token(type="other")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no such type
    plex.authentication.get_source_connection_information("server://x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # by name only
    plex.at("http://host").request("BREW", "/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no such method
    Plex(transport="http")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no transport
    Plex(transport=httpx.AsyncClient())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # AsyncPlex's
    AsyncPlex(transport=httpx.Client())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # Plex's
    AsyncPlex(transport=Sending())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # Plex's
    plex.at("http://host").ping()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # plex.tv's alone
