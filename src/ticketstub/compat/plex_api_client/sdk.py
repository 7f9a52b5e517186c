"""`PlexAPI` of plex-api-client 0.36.3: its constructor, and how its options become ours.

Rule: one client holds a sync and an async one; `with` closes the former, `async with` the latter, as in the release.
The token goes to plex.tv, to the media server named in the constructor, and to the `server_url` of a call. The
release's default address, a placeholder, is no default here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import finalize

from ticketstub.aclient import AsyncPlex
from ticketstub.client import Plex
from ticketstub.compat.arguments import async_client as async_transport
from ticketstub.compat.arguments import filled, sync_client, text_of
from ticketstub.compat.not_covered import NotCovered, missing
from ticketstub.compat.plex_api_client.asked import Asked
from ticketstub.compat.plex_api_client.groups import Authentication, CallOptions, General
from ticketstub.compat.plex_api_client.models.components import Accepts
from ticketstub.compat.plex_api_client.models.operations import IDENTITY, Identity
from ticketstub.compat.retries import RetryConfig, retry_of
from ticketstub.device import Device
from ticketstub.frames import hide_locals
from ticketstub.options import Options, Retry
from ticketstub.token import Token

V = TypeVar("V")
R = TypeVar("R")

_NO_ADDRESS = (
    "no media server was named: PlexAPI(server_url='http://host:32400', …), or server_url= of the call; the SDK's own "
    "default is a placeholder, and a token goes only where you said"
)
_NO_LOGGER = (
    "debug_logger= is not covered; logging.getLogger('ticketstub') has one line a call at DEBUG, "
    "and ticketstub.Plex(on_request=…, on_response=…) sees requests and responses"
)


@hide_locals
class PlexAPI:
    """The SDK's client, on `ticketstub.Plex` and `ticketstub.AsyncPlex`; nothing is sent by making one.

    Args:
        token: the token, or a callable that is asked before each request.
        accepts: no effect; JSON is asked for, and either is read.
        client_identifier: what tells this installation from all others; by default the remembered device's.
        product, version, platform, platform_version, device, model, device_vendor, device_name, marketplace: who asks.
        server_url: the media server's address; url_params: what stands for the names in braces in it.
        server_idx: which of the release's three forms is meant instead, by the arguments it is made of: 0,
            `ip_description`, `identifier` and `port` (plex.direct); 1, `protocol`, `host` and `port`; 2,
            `full_server_url`. Without it, the one whose arguments are given.
        client, async_client: your own HTTP clients, of those that `ticketstub.Plex` and `AsyncPlex` take.
        retry_config: when to try again (see `compat.retries`). timeout_ms: milliseconds for a call in all.
        debug_logger: not covered.

    Raises:
        NotCovered: `debug_logger`, or a client that cannot be sent with.
        ValueError: an address or a token is none.
    """

    def __init__(
        self,
        token: str | Token | Callable[[], str | None] | None = None,
        accepts: Accepts | str | None = None,  # noqa: ARG002  # taken so that snippets run; see above
        client_identifier: str | None = None,
        product: str | None = None,
        version: str | None = None,
        platform: str | None = None,
        platform_version: str | None = None,
        device: str | None = None,
        model: str | None = None,
        device_vendor: str | None = None,
        device_name: str | None = None,
        marketplace: str | None = None,
        identifier: str | None = None,
        ip_description: str | None = None,
        port: str | None = None,
        host: str | None = None,
        protocol: str | None = None,
        full_server_url: str | None = None,
        server_idx: int | None = None,
        url_params: Mapping[str, str] | None = None,
        server_url: str | None = None,
        client: object | None = None,
        async_client: object | None = None,
        retry_config: RetryConfig | None = None,
        timeout_ms: int | None = None,
        debug_logger: object | None = None,
    ) -> None:
        if debug_logger is not None:
            raise NotCovered(_NO_LOGGER)
        given = {
            "product": product,
            "version": version,
            "platform": platform,
            "platform_version": platform_version,
            "device": device,
            "model": model,
            "device_vendor": device_vendor,
            "device_name": device_name,
            "marketplace": marketplace,
        }
        forms = (
            f"https://{ip_description}.{identifier}.plex.direct:{port or '32400'}"
            if ip_description and identifier
            else None,
            f"{text_of(protocol or 'http')}://{host}:{port or '32400'}" if host else None,
            _whole(full_server_url) if full_server_url else None,
        )
        server = filled(server_url, url_params) if server_url else _chosen(forms, server_idx)
        shared: dict[str, Any] = {  # the same arguments for both façades
            "device": Device(client_identifier=client_identifier) if client_identifier else None,
            "token": token,
            "server": server,
            "headers": {IDENTITY[name]: value for name, value in given.items() if value is not None},
            "retry": retry_of(retry_config) if retry_config else Retry(),
            "timeout": timeout_ms / 1000 if timeout_ms is not None else 15.0,
        }
        self._token = token
        self._named = server is not None
        self._plex = Plex(**shared, transport=sync_client(client))
        self._async_plex = AsyncPlex(**shared, transport=async_transport(async_client))
        finalize(self, self._plex.close)  # as the release does
        self.general = General(self)
        self.authentication = Authentication(self)

    def sent(self, one: Asked[V, R], options: CallOptions) -> R:
        """Make a call and return the SDK's result."""
        return one.result(self._plex.attempt(one.call, **self._options(one, options)))

    async def sent_async(self, one: Asked[V, R], options: CallOptions) -> R:
        """As `sent`, awaited."""
        return one.result(await self._async_plex.attempt(one.call, **self._options(one, options)))

    def _options(self, one: Asked[V, R], given: CallOptions) -> Options:
        if unknown := given.keys() - CallOptions.__annotations__.keys():
            raise TypeError(f"there is no option {', '.join(sorted(unknown))}")
        options: Options = {"headers": {**_headers(one.request), **(given.get("http_headers") or {})}}
        if one.request.client_identifier:
            options["client_identifier"] = one.request.client_identifier
        if "retries" in given:
            options["retry"] = retry_of(given["retries"])
        if (milliseconds := given.get("timeout_ms")) is not None:
            options["timeout"] = milliseconds / 1000
        if address := given.get("server_url"):
            options |= {"base_url": address, "token": self._token}
        elif one.call.base == "server" and not self._named:
            raise ValueError(_NO_ADDRESS)
        return options

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._plex.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._async_plex.close()

    def __repr__(self) -> str:
        return f"<plex_api_client.PlexAPI on {self._plex!r}>"

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> object:
            raise missing("plex_api_client.PlexAPI", name)


def _whole(address: str) -> str:
    return address if "://" in address else f"https://{address}"


def _chosen(forms: tuple[str | None, ...], index: int | None) -> str | None:
    """Choose the form of address that is meant."""
    if index is None:
        return next((form for form in forms if form), None)
    if not 0 <= index < len(forms):
        raise ValueError("server_idx is 0, 1 or 2")
    return forms[index]


def _headers(request: Identity) -> dict[str, str]:
    """List what a request says of the client, but its identifier, which has an option of its own."""
    named = ((header, getattr(request, name)) for name, header in IDENTITY.items() if name != "client_identifier")
    return {header: value for header, value in named if value is not None}
