"""`PlexAPI` of plex-api-client 0.6.6 to 0.9.0, whose package is `plex_api`: the Python reference page.

    from ticketstub.compat import plex_api
    from ticketstub.compat.plex_api.models import errors, operations

Rule: the token goes to the media server that was named together with it. The releases default to a private address in
some network; here a call without a named address raises `ValueError` and sends nothing. `with` and `close()` are
additions of Ticketstub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar
from weakref import finalize

from ticketstub.client.config import Err, Retry, create_transport
from ticketstub.client.plex import Plex
from ticketstub.compat import UnsupportedArgument, reject_missing_name
from ticketstub.compat.plex_api import models, utils
from ticketstub.compat.plex_api.models import errors
from ticketstub.compat.plex_api.models.operations import (
    GetSourceConnectionInformationResponse,
    GetTransientTokenQueryParamType,
    GetTransientTokenResponse,
    RawResponse,
    Scope,
)
from ticketstub.compat.plex_api.utils import RetryConfig, convert_retry
from ticketstub.device import Device
from ticketstub.protocol.call import Call
from ticketstub.protocol.media_server import (
    GetSourceConnectionInformation,
    GetTransientToken,
)
from ticketstub.tokens import Token, hide_locals

__all__ = ["Authentication", "PlexAPI", "ServerProtocol", "models", "utils"]

V = TypeVar("V")


class ServerProtocol(StrEnum):
    """The protocol of the media server's address."""

    HTTP = "http"
    HTTPS = "https"


@hide_locals
class Authentication:
    """The two operations of the page."""

    def __init__(self, plex: Plex, *, has_server: bool, owner: object) -> None:
        self._plex = plex
        self._has_server = has_server
        self._owner = owner  # keeps the PlexAPI alive, whose end closes the connections

    def get_transient_token(
        self,
        type_: GetTransientTokenQueryParamType | str | None = None,
        scope: Scope | str | None = None,
        *,
        type: GetTransientTokenQueryParamType | str | None = None,  # noqa: A002  # its name on the page
    ) -> GetTransientTokenResponse:
        """Get a transient token.

        Args:
            type_: What it is for, under the name in the releases.
            scope: What it gives access to; required.
            type: The same as `type_`, under the name on the page; one of the two is required.

        Raises:
            errors.GetTransientTokenResponseBody: Plex answered 401 in JSON.
            errors.SDKError: Plex refused it otherwise.
            Unreachable: There was no response.
        """
        token_type = type_ if type_ is not None else type
        if token_type is None or scope is None:
            raise TypeError("get_transient_token needs type= (or type_=) and scope=")
        found, raw = self._send(
            GetTransientToken(type=GetTransientTokenQueryParamType(token_type), scope=Scope(scope)),
            errors.GetTransientTokenResponseBody,
        )
        return GetTransientTokenResponse(
            content_type=raw.content_type, status_code=raw.status_code, raw_response=raw, token=found.token
        )

    def get_source_connection_information(self, source: str) -> GetSourceConnectionInformationResponse:
        """Get the connections of a source.

        Args:
            source: `server://` or `provider://` and the identifier; required.

        Raises:
            errors.GetSourceConnectionInformationResponseBody: Plex answered 401 in JSON.
            errors.SDKError: Plex refused it otherwise.
            Unreachable: There was no response.
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
                "no media server is named: PlexAPI(server_url='http://host:32400', …) or PlexAPI(ip='host', …); the "
                "SDK's own default is an address in another network, and a token goes only to a server that you name"
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

    if not TYPE_CHECKING:  # type checkers report unknown names themselves

        def __getattr__(self, name: str) -> NoReturn:
            reject_missing_name("plex_api's authentication", name)


@hide_locals
class PlexAPI(AbstractContextManager["PlexAPI"]):
    """The client of the SDK, based on `ticketstub.Plex`. The constructor sends nothing.

    Args:
        access_token: The token, or a callable that returns it and is called before each request.
        x_plex_client_identifier: The identifier of this installation; by default the stored one.
        protocol: The protocol of the media server's address; `http` by default.
        ip: The host of the media server's address. Without it and `server_url` no media server is named.
        port: The port of the media server's address; `32400` by default.
        server_idx: 0, the only server of these releases.
        server_url: The whole address of the media server, instead of `protocol`, `ip` and `port`.
        url_params: The values for the names in braces in `server_url`.
        client: An httpx client or a transport of Ticketstub.
        retry_config: When to retry (see `compat.plex_api.utils`).

    Raises:
        UnsupportedArgument: The client cannot be used, such as a `requests.Session`.
        ValueError: An address or token is invalid.
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
            raise ValueError("server_idx must be 0: these releases have one server")
        server = server_url or (f"{ServerProtocol(protocol or 'http')}://{ip}:{port or '32400'}" if ip else "")
        for name, value in (url_params or {}).items():
            server = server.replace("{" + name + "}", value)
        try:
            transport = create_transport(client) if client is not None else None
        except TypeError as error:
            raise UnsupportedArgument(f"client=: {error}") from None
        self._plex = Plex(
            device=Device(client_identifier=x_plex_client_identifier) if x_plex_client_identifier else None,
            token=access_token,
            server=server or None,
            retry=convert_retry(retry_config) if retry_config else Retry(),
            transport=transport,
        )
        self.authentication = Authentication(self._plex, has_server=bool(server), owner=self)
        finalize(self, self._plex.close)  # these releases have no close(), so programs do not call it

    def close(self) -> None:
        """Close the connections (an addition of Ticketstub)."""
        self._plex.close()

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<plex_api.PlexAPI on {self._plex!r}>"

    if not TYPE_CHECKING:  # type checkers report unknown names themselves

        def __getattr__(self, name: str) -> NoReturn:
            reject_missing_name("plex_api.PlexAPI", name)


__getattr__ = partial(reject_missing_name, __name__)
