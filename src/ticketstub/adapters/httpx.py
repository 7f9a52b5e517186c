"""`PlexAuth` for httpx and httpx2: `httpx.Client(auth=PlexAuth(plex))`, `httpx.AsyncClient(auth=PlexAuth(async_plex))`.

Rule: httpx copies the headers of a request to the redirected one and removes only `Authorization`. So the client's
headers are no entries of the request's headers, only of what is sent: a copy does not contain them. A redirect within
the first origin that is refused is sent again with the token; any other redirect never gets it. Both libraries are
imported where they are installed, because an auth must be an instance of each library's own class.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ticketstub.adapters.base import (
    TOKEN_HEADER,
    RepeatLimit,
    create_base_class,
    find_origin,
    read_url,
    require_async_client,
    require_base,
    require_client,
    require_sync_client,
)
from ticketstub.client.flows.authorization import REFUSED_STATUSES, Authorization, RefusedRequest, authorize

if TYPE_CHECKING:
    import httpx
    import httpx2

    from ticketstub import AsyncMediaServer, AsyncPlex, MediaServer, Plex

    class _LibraryAuth(httpx.Auth, httpx2.Auth):  # type: ignore[misc]  # the flows of each take its own requests
        pass

else:
    _LibraryAuth = create_base_class(("httpx", "Auth"), ("httpx2", "Auth"))


class PlexAuth(_LibraryAuth):
    """Adds the client's device headers and token to requests for the client's own addresses, and to no others.

    After a 401 or 498 the token is renewed once, as the client itself does, and the request is sent again, unless its
    body is a stream. A request that has an `X-Plex-Token` header is left alone.

    Args:
        plex: a `Plex` or `MediaServer` for a `Client`, an `AsyncPlex` or `AsyncMediaServer` for an `AsyncClient`.

    Raises:
        ImportError: neither httpx nor httpx2 is installed.
        TypeError: it is no such client; or, when a request is sent, one of the other kind.
    """

    def __init__(self, plex: Plex | MediaServer | AsyncPlex | AsyncMediaServer) -> None:
        require_base(_LibraryAuth, "httpx", "httpx2")
        self._plex = require_client(plex)

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:  # noqa: ANN401  # either library's request
        """Send the request of a `Client`; httpx calls this."""
        plex, limit = require_sync_client(self._plex, "the Client of httpx"), RepeatLimit()
        authorization = plex.run_flow(partial(authorize, _read_request(request), None))
        response = yield _add_headers(request, authorization)
        while authorization and (refused := _find_refusal(request, response, authorization)) and limit.allows(refused):
            request = response.request
            if authorization := plex.run_flow(partial(authorize, _read_request(request), refused)):
                response = yield _add_headers(request, authorization)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401  # as above
        """Send the request of an `AsyncClient`; httpx calls this."""
        plex, limit = require_async_client(self._plex, "the AsyncClient of httpx"), RepeatLimit()
        authorization = await plex.run_flow(partial(authorize, _read_request(request), None))
        response = yield _add_headers(request, authorization)
        while authorization and (refused := _find_refusal(request, response, authorization)) and limit.allows(refused):
            request = response.request
            if authorization := await plex.run_flow(partial(authorize, _read_request(request), refused)):
                response = yield _add_headers(request, authorization)


def _read_request(request: httpx2.Request) -> str:
    """Return the URL of a request that may get a token; empty for one that has a token of its own."""
    if TOKEN_HEADER in request.headers:
        return ""
    url = request.url
    return read_url(str(url), url.scheme, url.raw_host.decode("ascii", "replace"), url.port)


def _add_headers(request: httpx2.Request, authorization: Authorization | None) -> httpx2.Request:
    """Add headers to a request so that they are sent, but not copied to a redirected one."""
    if authorization:
        sent_headers = _create_headers_class(_get_library(request).Headers)(request.headers)
        sent_headers.authorization = authorization
        request.headers = sent_headers
    return request


def _find_refusal(
    request: httpx2.Request, response: httpx2.Response, authorization: Authorization
) -> RefusedRequest | None:
    """Return the refusal after which a request is sent again; `None` if there is none, or it must not be repeated."""
    status, last = response.status_code, response.request
    if status not in REFUSED_STATUSES or not isinstance(last.stream, _get_library(request).ByteStream):
        return None
    if last is request:
        return RefusedRequest(status, authorization.token)
    origins = {find_origin(_read_request(hop)) for hop in (*(each.request for each in response.history), last)}
    return RefusedRequest(status, None) if origins == {find_origin(str(request.url))} else None


def _get_library(request: httpx2.Request) -> Any:  # noqa: ANN401  # a module
    kinds = [base.__module__.partition(".")[0] for base in type(request).__mro__]
    return import_module("httpx2" if "httpx2" in kinds else "httpx")


@cache
def _create_headers_class(library_headers: Any) -> Any:  # noqa: ANN401  # the library's class, and one derived from it
    class SentHeaders(library_headers):  # type: ignore[misc]  # that class
        """Headers of which some are only sent: neither a copy nor a look-up contains them."""

        authorization: Authorization

        @property
        def raw(self) -> list[tuple[bytes, bytes]]:
            """What is sent: the request's fields, and instead of those of the same name the client's."""
            added = self.authorization.build_headers().items()
            names = {name.lower().encode() for name, _ in added}
            kept: list[tuple[bytes, bytes]] = [field for field in super().raw if field[0].lower() not in names]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            return [*kept, *((name.encode(), value.encode()) for name, value in added)]

    return SentHeaders
