"""`PlexAuth` for requests: `session.auth = PlexAuth(plex)`, or `requests.get(url, auth=PlexAuth(plex))`.

Rule: requests copies the headers of a request to the redirected one and removes only `Authorization`. So the client's
headers are removed as soon as there is a response, before it is read as a redirect. A redirect within the first origin
that is refused is sent again with the token; any other redirect never gets it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ticketstub.adapters.base import (
    TOKEN_HEADER,
    RepeatLimit,
    create_base_class,
    find_origin,
    read_url,
    require_base,
    require_sync_client,
)
from ticketstub.client.flows.authorization import REFUSED_STATUSES, Authorization, RefusedRequest, authorize

if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from requests.auth import AuthBase

    from ticketstub import MediaServer, Plex
    from ticketstub.client.account import BaseClient
    from ticketstub.tokens import Token
else:
    AuthBase = create_base_class(("requests.auth", "AuthBase"))


class PlexAuth(AuthBase):
    """Adds the client's device headers and token to requests for the client's own addresses, and to no others.

    After a 401 or 498 the token is renewed once, as the client itself does, and the request is sent again, unless its
    body is a stream or a file. A request that has an `X-Plex-Token` header is left alone.

    Args:
        plex: a `Plex` or `MediaServer`.

    Raises:
        ImportError: requests is not installed.
        TypeError: it is another object, for example an `AsyncPlex`.
    """

    def __init__(self, plex: Plex | MediaServer) -> None:
        require_base(AuthBase, "requests")
        self._plex = require_sync_client(plex, "requests")

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Add the headers to a request; requests calls this when it prepares one."""
        if TOKEN_HEADER not in r.headers:
            authorization = self._plex.run_flow(partial(authorize, _read_url(r), None))
            if authorization:
                _Exchange(self._plex, r, authorization)
        return r


class _Exchange:
    """One request with its redirects. It changes the request, and gets each response before requests reads it."""

    def __init__(self, plex: BaseClient, request: PreparedRequest, authorization: Authorization) -> None:
        self._plex = plex
        self._request = request
        self._origin = find_origin(_read_url(request))
        self._limit = RepeatLimit()
        self._is_elsewhere = False
        self._token: Token | None = authorization.token
        added = authorization.build_headers()
        self._replaced = {name: request.headers.get(name) for name in added}
        _add_headers(request, authorization)
        request.register_hook("response", self.read_response)

    def read_response(self, response: Response, **send_options: Any) -> Response:  # noqa: ANN401  # requests' own
        """Remove the client's headers from the request; if the token was refused, send it again with another."""
        token, self._token = self._token, None  # the first response only: a redirected request has none
        for request in (self._request, response.request):  # requests follows a redirect with a copy of either
            self._restore(request)
        self._is_elsewhere = self._is_elsewhere or find_origin(_read_url(response.request)) != self._origin
        try:
            while self._can_repeat(response):
                refused = RefusedRequest(response.status_code, token)
                authorization = self._limit.allows(refused) and self._plex.run_flow(
                    partial(authorize, _read_url(response.request), refused)
                )
                if not authorization:
                    break
                response, token = self._repeat(response, authorization, send_options), authorization.token
        except BaseException:  # requests would keep the connection open
            response.close()
            raise
        return response

    def _can_repeat(self, response: Response) -> bool:
        is_refused = response.status_code in REFUSED_STATUSES and not self._is_elsewhere
        return is_refused and isinstance(response.request.body, str | bytes | None)

    def _repeat(self, refusal: Response, authorization: Authorization, send_options: dict[str, Any]) -> Response:
        _ = refusal.content  # read, so that the connection can be used again
        refusal.close()
        request = refusal.request.copy()
        _add_headers(request, authorization)
        response = refusal.connection.send(request, **send_options)
        self._restore(request)
        response.history.append(refusal)
        response.request = request
        return response

    def _restore(self, request: PreparedRequest) -> None:
        for name, value in self._replaced.items():
            request.headers.pop(name, None)
            if value is not None:
                request.headers[name] = value


def _read_url(request: PreparedRequest) -> str:
    url = request.url or ""
    parts = urlsplit(url)
    return read_url(url, parts.scheme, parts.hostname, parts.port)


def _add_headers(request: PreparedRequest, authorization: Authorization) -> None:
    for name, value in authorization.build_headers().items():
        request.headers[name] = encode_value(value)


def encode_value(value: str) -> str | bytes:
    """Return the value of a header as the client sends it, in UTF-8, which http.client does not use for text."""
    return value if value.isascii() else value.encode()
