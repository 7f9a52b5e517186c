"""The sync façade: `Plex`, and the media server's client that `at` gives.

Rule: no logic of its own beyond naming things; what both façades must do alike is in flows/ and options.py. Its
twin is aclient.py: same names, same signatures, same requests (tests hold them together).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack

from ticketstub.driver import Sender
from ticketstub.groups import Authentication, SecurityCalls
from ticketstub.link import Link
from ticketstub.options import (
    PLEX_TV,
    Hooks,
    OnRequest,
    OnResponse,
    OnRetry,
    Options,
    Retry,
    Settings,
    TokenSource,
    allowed,
    based,
    placed,
    with_token,
)
from ticketstub.token import Token
from ticketstub.transports import transport_for
from ticketstub.wire.http import Response

if TYPE_CHECKING:
    from ticketstub.call_groups import AuthKeys, Claims, Devices, HomeCalls, Pins, ServerClaims
    from ticketstub.device import Device
    from ticketstub.records import Resource
    from ticketstub.wire.media_server import Verb


class MediaServer(Sender):
    """One media server and the token for it; `Plex.at` makes one."""

    @property
    def url(self) -> str:
        """Its address."""
        return self._settings.base("server")

    @property
    def token(self) -> Token | None:
        """The token for it, if it is not a callable's affair."""
        return self._settings.token if isinstance(self._settings.token, Token) else None

    @property
    def authentication(self) -> SecurityCalls:
        """The media server's security calls."""
        return SecurityCalls(self)

    @property
    def claims(self) -> ServerClaims:
        """Whose the media server is."""
        from ticketstub.call_groups import ServerClaims

        return ServerClaims(self)

    def get(self, path: str, query: Mapping[str, str] | None = None, **options: Unpack[Options]) -> Response:
        """Ask for anything else by GET: `attic.get("/library/sections").json()`.

        Args:
            path: from its leading slash, percent-encoded where need be.
            query: names and values.
            options: how to make the call (see `Options`); `headers={"Accept": "text/xml"}` asks for XML.

        Raises:
            Refusal: a status from 400 on, by meaning.
        """
        return self.request("GET", path, query, **options)

    def request(
        self,
        method: Verb,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        content_type: str | None = None,
        **options: Unpack[Options],
    ) -> Response:
        """Ask for anything else by any method; as `get`, with a body and its media type."""
        from ticketstub.wire.media_server import RawRequest

        call = RawRequest(verb=method, at=path, query=dict(query or {}), content=body, content_type=content_type)
        return self.send(call, **options)


class Plex(Sender):
    """Plex, from a program's point of view: plex.tv and, where one is named, a media server.

    Args:
        device: who asks; by default this installation's own, remembered from its first request on.
        token: the account's token: a text, a `Token`, or a callable that is asked before each request.
        server: the media server's address. Naming it with a token vouches that the token belongs there.
        plex_tv: plex.tv's address, or a local Plex's.
        timeout: seconds for a call in all. connect_timeout: seconds of them for reaching the other side.
        retry: when to try again. headers: sent with every request.
        transport: your own httpx client or transport instead of ours.
        on_request, on_response, on_retry: plain functions, told of each request; of each response, with its seconds;
            and of each failure that is tried again, with the seconds until then.

    Raises:
        ValueError: an address or a token is none; nothing is ever sent by a constructor.
    """

    def __init__(
        self,
        *,
        device: Device | None = None,
        token: str | Token | TokenSource | None = None,
        server: str | None = None,
        plex_tv: str = PLEX_TV,
        timeout: float = 15.0,
        connect_timeout: float = 5.0,
        retry: Retry = Retry(),  # noqa: B008  # frozen
        headers: Mapping[str, str] | None = None,
        transport: object | None = None,
        on_request: OnRequest | None = None,
        on_response: OnResponse | None = None,
        on_retry: OnRetry | None = None,
    ) -> None:
        settings = Settings(
            device=device,
            server=based(server) if server else None,
            plex_tv=based(plex_tv),
            timeout=timeout,
            connect_timeout=connect_timeout,
            retry=retry,
            headers=allowed(headers or {}),
            hooks=Hooks(on_request=on_request, on_response=on_response, on_retry=on_retry),
        )
        super().__init__(with_token(settings, token, beside=server), Link(lambda: transport_for(transport)))

    @property
    def authentication(self) -> Authentication:
        """The four operations of Plex's Authentication reference pages."""
        return Authentication(self)

    @property
    def pins(self) -> Pins:
        """The calls behind a sign-in by browser or link code, one by one."""
        from ticketstub.call_groups import Pins

        return Pins(self)

    @property
    def auth_keys(self) -> AuthKeys:
        """Device keys and Plex's JWTs, call by call."""
        from ticketstub.call_groups import AuthKeys

        return AuthKeys(self)

    @property
    def home(self) -> HomeCalls:
        """The users of the account's Plex Home, and their passcodes."""
        from ticketstub.call_groups import HomeCalls

        return HomeCalls(self)

    @property
    def devices(self) -> Devices:
        """The account's authorized devices."""
        from ticketstub.call_groups import Devices

        return Devices(self)

    @property
    def claims(self) -> Claims:
        """Adding a media server to the account."""
        from ticketstub.call_groups import Claims

        return Claims(self)

    def at(self, url: str, *, token: str | Token | TokenSource | None = None) -> MediaServer:
        """Return the client of one media server, sharing this one's connections.

        Args:
            url: its address.
            token: the token for it, which you thereby say belongs there. Without one, none is sent.
        """
        return MediaServer(placed(self._settings, url, token), self._link)

    def ping(self, **options: Unpack[Options]) -> bool:
        """Keep the token alive; true, or an error (observed)."""
        from ticketstub.wire.accounts import Ping

        return self.send(Ping(), **options)

    def resources(
        self,
        *,
        include_https: bool = True,
        include_relay: bool = True,
        include_ipv6: bool = True,
        **options: Unpack[Options],
    ) -> tuple[Resource, ...]:
        """List the account's media servers and players, each with its addresses and its own token (documented).

        Args:
            include_https: whether addresses are given as https ones of plex.direct.
            include_relay: whether Plex's relays are among them.
            include_ipv6: whether IPv6 addresses are.
            options: how to make the call (see `Options`).
        """
        from ticketstub.wire.resources import GetResources

        call = GetResources(include_https=include_https, include_relay=include_relay, include_ipv6=include_ipv6)
        return self.send(call, **options)
