"""`PlexAPI` of plex-api-client 0.6.6 to 0.9.0: its constructor, and the `authentication` group.

Rule: the token goes to the media server that was named together with it. The releases' default address, a private one
in somebody's network, is therefore no default here: a call without a named address is an error, and sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeVar
from weakref import finalize

from ticketstub.client.config import Retry
from ticketstub.client.outcome import Err
from ticketstub.client.plex import Plex
from ticketstub.client.transports import create_transport
from ticketstub.compat.answers import RawResponse, UnsupportedArgument, build_missing_error
from ticketstub.compat.plex_api.models import errors
from ticketstub.compat.plex_api.models.operations import (
    GetSourceConnectionInformationResponse,
    GetTransientTokenQueryParamType,
    GetTransientTokenResponse,
    Scope,
)
from ticketstub.compat.plex_api.utils import RetryConfig, convert_retry
from ticketstub.device import Device
from ticketstub.protocol.call import Call
from ticketstub.protocol.security import (
    GetSourceConnectionInformation,
    GetTransientToken,
    TransientTokenScope,
    TransientTokenType,
)
from ticketstub.tokens import Token
from ticketstub.tracebacks import hide_locals

V = TypeVar("V")


class ServerProtocol(StrEnum):
    """How the media server is reached."""

    HTTP = "http"
    HTTPS = "https"


@hide_locals
class Authentication:
    """The page's two operations."""

    def __init__(self, plex: Plex, *, has_server: bool, owner: object) -> None:
        self._plex = plex
        self._has_server = has_server
        self._owner = owner  # kept, for its end closes the connections

    def get_transient_token(
        self,
        type_: GetTransientTokenQueryParamType | str | None = None,
        scope: Scope | str | None = None,
        *,
        type: GetTransientTokenQueryParamType | str | None = None,  # noqa: A002  # the page's name for it
    ) -> GetTransientTokenResponse:
        """Get a transient token.

        Args:
            type_: what it is for, under the releases' name.
            scope: what it reaches; required.
            type: as `type_`, under the page's name; one of the two is required.

        Raises:
            errors.GetTransientTokenResponseBody: 401 in JSON. errors.SDKError: any other refusal.
            Unreachable: no answer came.
        """
        token_type = type_ if type_ is not None else type
        if token_type is None or scope is None:
            raise TypeError("get_transient_token needs type= (or type_=) and scope=")
        found, raw = self._send(
            GetTransientToken(type=TransientTokenType(token_type), scope=TransientTokenScope(scope)),
            errors.GetTransientTokenResponseBody,
        )
        return GetTransientTokenResponse(
            content_type=raw.content_type, status_code=raw.status_code, raw_response=raw, token=found.token
        )

    def get_source_connection_information(self, source: str) -> GetSourceConnectionInformationResponse:
        """Ask how to reach a source.

        Args:
            source: `server://` or `provider://`, and its identifier; required.

        Raises:
            errors.GetSourceConnectionInformationResponseBody: 401 in JSON. errors.SDKError: any other refusal.
            Unreachable: no answer came.
        """
        found, raw = self._send(
            GetSourceConnectionInformation(source=source), errors.GetSourceConnectionInformationResponseBody
        )
        return GetSourceConnectionInformationResponse(
            content_type=raw.content_type, status_code=raw.status_code, raw_response=raw, source=found
        )

    def _send(self, call: Call[V], unauthorized: type[errors.SDKError]) -> tuple[V, RawResponse]:
        if not self._has_server:
            raise ValueError(
                "no media server was named: PlexAPI(server_url='http://host:32400', …) or PlexAPI(ip='host', …); the "
                "SDK's own default is an address of somebody else's network, and a token goes only where you said"
            )
        outcome = self._plex.attempt(call)
        if not isinstance(outcome, Err):
            return outcome.value, RawResponse(outcome.response)
        error, response = outcome.error, outcome.error.response
        if response is None:
            raise error
        media_type = RawResponse(response).content_type.partition(";")[0].strip().lower()
        error_class = unauthorized if response.status == 401 and media_type == "application/json" else errors.SDKError
        raise error_class(
            error.message, hint=error.hint, status=response.status, code=error.code, response=response
        ) from error

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> object:
            raise build_missing_error("plex_api's authentication", name)


@hide_locals
class PlexAPI:
    """The SDK's client, on `ticketstub.Plex`; nothing is sent by making one.

    Args:
        access_token: the token, or a callable that is asked before each request.
        x_plex_client_identifier: what tells this installation from all others; by default the remembered device's.
        protocol, ip, port: the media server's address; without `ip`, there is none. `http` and `32400` by default.
        server_idx: 0, for the one server that these releases know.
        server_url: the whole address instead; url_params: what stands for the names in braces in it.
        client: an httpx client, or a transport of ticketstub's.
        retry_config: when to try again (see `compat.plex_api.utils`).

    Raises:
        UnsupportedArgument: the client is one that cannot be sent with, such as a `requests.Session`.
        ValueError: an address or a token is none.
    """

    def __init__(
        self,
        access_token: str | Token | Callable[[], str] | None = None,
        x_plex_client_identifier: str | None = None,
        protocol: ServerProtocol | str | None = None,
        ip: str | None = None,
        port: str | None = None,
        server_idx: int | None = None,
        server_url: str | None = None,
        url_params: Mapping[str, str] | None = None,
        client: object | None = None,
        retry_config: RetryConfig | None = None,
    ) -> None:
        if server_idx not in (None, 0):
            raise ValueError("server_idx is 0: these releases know one server")
        server = f"{ServerProtocol(protocol or 'http')}://{ip}:{port or '32400'}" if ip else None
        if server_url:
            server = server_url
            for name, value in (url_params or {}).items():
                server = server.replace("{" + name + "}", value)
        try:
            transport = create_transport(client) if client is not None else None
        except TypeError as error:
            raise UnsupportedArgument(f"client=: {error}") from None
        self._plex = Plex(
            device=Device(client_identifier=x_plex_client_identifier) if x_plex_client_identifier else None,
            token=access_token,
            server=server,
            retry=convert_retry(retry_config) if retry_config else Retry(),
            transport=transport,
        )
        self.authentication = Authentication(self._plex, has_server=server is not None, owner=self)
        finalize(self, self._plex.close)  # these releases have no way to close, so their programs do not

    def close(self) -> None:
        """Close the connections (our addition)."""
        self._plex.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<plex_api.PlexAPI on {self._plex!r}>"

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> object:
            raise build_missing_error("plex_api.PlexAPI", name)
