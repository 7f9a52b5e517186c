"""python-plexapi on a client of ours: `account(plex)` and `server(plex, "Attic")` return its own objects, ready to use.

Rule: python-plexapi and its settings are not changed. Its objects get a session of requests that adds the client's
token, renews it, and sends the client's device headers. A token that python-plexapi got by itself, such as that of
another Home user or of another server, is left as it is, but never follows a redirect to another origin. All of plex.tv
is the client's plex.tv, so that with a local Plex nothing reaches the real one.
"""

from __future__ import annotations

import re
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from ticketstub.adapters.base import TOKEN_HEADER, create_base_class, find_origin
from ticketstub.adapters.requests import PlexAuth, encode_value
from ticketstub.client.flows.authorization import authorize, get_device_headers
from ticketstub.dns import parse_plex_direct
from ticketstub.errors import CredentialsError
from ticketstub.messages import get_origin, split_url
from ticketstub.tokens import Token, hide_locals

if TYPE_CHECKING:
    from plexapi.myplex import MyPlexAccount
    from plexapi.server import PlexServer
    from requests import PreparedRequest, Request, Response, Session
    from requests.adapters import HTTPAdapter
    from urllib3.connectionpool import HTTPConnectionPool

    from ticketstub import MediaServer, Plex
    from ticketstub.models import Resource
else:
    Session = create_base_class(("requests", "Session"))
    HTTPAdapter = create_base_class(("requests.adapters", "HTTPAdapter"))

_PLEX_TV = re.compile(r"https://(?:[a-z]+\.)*plex\.tv(?=[/?#]|$)")

VARIABLES = {
    "PLEXAPI_HEADER_IDENTIFIER": "X-Plex-Client-Identifier",
    "PLEXAPI_HEADER_PRODUCT": "X-Plex-Product",
    "PLEXAPI_HEADER_VERSION": "X-Plex-Version",
    "PLEXAPI_HEADER_DEVICE": "X-Plex-Device",
    "PLEXAPI_HEADER_DEVICE_NAME": "X-Plex-Device-Name",
    "PLEXAPI_HEADER_PLATFORM": "X-Plex-Platform",
    "PLEXAPI_HEADER_PLATFORM_VERSION": "X-Plex-Platform-Version",
    "PLEXAPI_HEADER_PROVIDES": "X-Plex-Provides",
}
"""The environment variables that python-plexapi reads its device headers from (documented)."""


@hide_locals
def account(plex: Plex) -> MyPlexAccount:
    """Return python-plexapi's `MyPlexAccount` for the account that a client is signed in to.

    Args:
        plex: the client. It must stay open as long as the account is used.

    Raises:
        ImportError: python-plexapi is not installed.
        CredentialsError: the client has no token; nothing was sent.
        plexapi.exceptions.PlexApiException: plex.tv refused the request.
    """
    _require_plexapi()
    from plexapi.myplex import MyPlexAccount

    session = PlexApiSession(plex, plex, plex.plex_tv)
    found = MyPlexAccount(token=session.get_token().reveal(), session=session)  # type: ignore[no-untyped-call]
    session.add_known_token(cast("str | None", found.authToken))  # pyright: ignore[reportUnknownMemberType]
    return found


@hide_locals
def server(
    plex: Plex, server: str | Resource, *, allow_http: bool = False, max_wait: float = 6.5, timeout: float | None = None
) -> PlexServer:
    """Find a media server's best address as `Plex.connect` does, and return python-plexapi's `PlexServer` for it.

    Args:
        plex: the client that is signed in. It must stay open as long as the server is used.
        server: the server's name, its machine identifier, or one of `plex.resources()`.
        allow_http: whether unencrypted connections to private addresses are allowed.
        max_wait: seconds for finding the address.
        timeout: seconds for each later request; by default python-plexapi's own.

    Raises:
        ImportError: python-plexapi is not installed.
        ServerNotFound, ServerUnreachable, PlexError: as for `Plex.connect`.
        plexapi.exceptions.PlexApiException: the server refused the request.
    """
    _require_plexapi()
    from plexapi.server import PlexServer

    found = plex.connect(server, allow_http=allow_http, max_wait=max_wait)
    session = PlexApiSession(plex, found, found.url)
    return PlexServer(found.url, session.get_token().reveal(), session, timeout)  # type: ignore[no-untyped-call]


@hide_locals
def build_variables(server: MediaServer) -> dict[str, str]:
    """Return the environment variables by which python-plexapi in another process uses a server. One is the token.

    Args:
        server: the server, as `Plex.connect` returns it.
    """
    headers = server.run_flow(get_device_headers)
    found = {name: headers[header] for name, header in VARIABLES.items() if header in headers}
    token = server.token
    return found | {
        "PLEXAPI_AUTH_SERVER_BASEURL": server.url,
        "PLEXAPI_AUTH_SERVER_TOKEN": token.reveal() if token else "",
    }


@hide_locals
class PlexApiSession(Session):
    """The session that python-plexapi's objects send their requests with.

    Args:
        plex: the client for plex.tv.
        client: the client whose token is added: the same, or that of a media server.
        home: the address that the token is for.
    """

    def __init__(self, plex: Plex, client: Plex | MediaServer, home: str) -> None:
        super().__init__()
        self._client = client
        self._home = get_origin(home)
        self._plex_tv = plex.plex_tv
        device_headers = client.run_flow(get_device_headers)
        self._device_headers = {name: encode_value(value) for name, value in device_headers.items()}
        self._known_tokens: set[Token] = set()
        self.auth = PlexAuth(client)
        self.mount("https://", PlexDirectAdapter())

    def get_token(self) -> Token:
        """Return the client's current token.

        Raises:
            CredentialsError: it has none.
        """
        authorization = self._client.run_flow(partial(authorize, self._home, None))
        if authorization is None or authorization.token is None:
            raise CredentialsError("this client has no token", hint="sign in, or pass token=")
        self._known_tokens.add(authorization.token)
        return authorization.token

    def add_known_token(self, text: str | None) -> None:
        """Note a text as the client's token, which is replaced by the current one in requests."""
        if text:
            self._known_tokens.add(Token.from_wire(text))

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Direct a request to the client's plex.tv, and leave the token to the client if it is the client's."""
        url = str(request.url)
        if get_origin(self._plex_tv) != "https://plex.tv":
            url = _PLEX_TV.sub(lambda _: self._plex_tv, url, count=1)
        headers = {**(request.headers or {}), **self._device_headers}
        given_token = Token.from_wire(str(headers.get(TOKEN_HEADER) or ""))
        if given_token and given_token not in self._known_tokens:
            self.get_token()  # it may be one that was renewed meanwhile
        if given_token in self._known_tokens:
            if find_origin(url) == self._home:
                del headers[TOKEN_HEADER]  # `PlexAuth` adds it
            elif _PLEX_TV.match(url):  # python-plexapi sends it to plex.tv's other hosts, too
                headers[TOKEN_HEADER] = self.get_token().reveal()
        request.url, request.headers = url, headers
        return super().prepare_request(request)

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """Remove the token from a request that follows a redirect to another origin."""
        super().rebuild_auth(prepared_request, response)
        if find_origin(prepared_request.url or "") != find_origin(response.request.url or ""):
            prepared_request.headers.pop(TOKEN_HEADER, None)


@hide_locals
class PlexDirectAdapter(HTTPAdapter):
    """Connects to the address in a name below plex.direct without looking the name up.

    Many routers remove private addresses from the answers to a look-up. The certificate is checked against the name.
    """

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:  # noqa: ANN401  # as requests has it
        """Send a request with the name as its host."""
        if _find_address(request) is None:
            return super().send(request, *args, **options)
        request.headers["Host"] = split_url(request.url or "")[0].host_header
        try:
            return super().send(request, *args, **options)
        finally:
            del request.headers["Host"]  # a redirect elsewhere would have it, too

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: bool | str,
        proxies: dict[str, str] | None = None,
        cert: str | tuple[str, str] | None = None,
    ) -> HTTPConnectionPool:
        """Return the connections to the address in the name; those of a proxy, which looks it up, are as always."""
        from requests.utils import select_proxy

        address = _find_address(request)
        if address is None or select_proxy(request.url or "", proxies):
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        host_parameters, pool_options = self.build_connection_pool_key_attributes(request, verify, cert)
        name = {"server_hostname": host_parameters["host"], "assert_hostname": host_parameters["host"]}
        host_parameters["host"] = address
        return self.poolmanager.connection_from_host(**host_parameters, pool_kwargs=pool_options | name)


def _find_address(request: PreparedRequest) -> str | None:
    url = request.url or ""
    return parse_plex_direct(split_url(url)[0].host) if find_origin(url) else None


def _require_plexapi() -> None:
    if find_spec("plexapi") is None:
        raise ImportError("this adapter needs plexapi, which is not installed: pip install plexapi", name="plexapi")
