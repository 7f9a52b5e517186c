# plex.py is generated from this file by scripts/make_sync.py.
"""The façade: `AsyncPlex`, the client of a media server, a sign-in that waits for approval, and `acheck`.

Rule: no logic beyond naming things. What both façades have in common is in flows/ and config.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Self, Unpack

from ticketstub.client.async_account import AsyncAccountClient, AsyncBaseClient
from ticketstub.client.async_groups import (
    AsyncAuthenticationCalls,
    AsyncAuthKeyCalls,
    AsyncClaimCalls,
    AsyncDeviceCalls,
    AsyncHomeCalls,
    AsyncPinCalls,
    AsyncSecurityCalls,
    AsyncServerClaimCalls,
)
from ticketstub.client.config import (
    DEFAULT_APP,
    PLEX_TV,
    AsyncClientOptions,
    CallSettings,
    OnRequest,
    OnResponse,
    OnRetry,
    Options,
    Retry,
    SharedTransport,
    TokenSource,
    create_async_transport,
    normalize_base_url,
    validate_headers,
    with_server,
    with_token,
)
from ticketstub.client.flows.request import Flow, FlowContext
from ticketstub.client.sign_ins import (
    Browser,
    LinkCode,
    Password,
    PendingPin,
    PendingState,
    load_pending_pin,
    refuse_replaced_keywords,
)
from ticketstub.client.transports.base import AsyncTransportLike
from ticketstub.errors import PlexError
from ticketstub.tokens import Token, drop_internal_frames, hide_locals

if TYPE_CHECKING:  # these load stores, keys and their libraries, which a client with a token does not need
    from ticketstub.client.flows.check import TokenCheck
    from ticketstub.client.flows.session import StoredSession
    from ticketstub.credentials import CredentialStore, StoreKind
    from ticketstub.crypto import DeviceKey
    from ticketstub.device import Device
    from ticketstub.models import Resource
    from ticketstub.routes import AddressReport, ServerRoute


@hide_locals
class AsyncMediaServer(AsyncBaseClient):
    """The client of one media server, with the token for it; `AsyncPlex.connect` and `AsyncPlex.at` create it."""

    @property
    def url(self) -> str:
        """The server's base URL."""
        return self._settings.get_base_url("server")

    @property
    def how(self) -> ServerRoute | None:
        """How `connect` reached the server; `None` if you named its URL."""
        return self._settings.route

    @property
    def name(self) -> str | None:
        """The server's name; `None` if you named its URL."""
        return self._settings.route.name if self._settings.route else None

    @property
    def machine_identifier(self) -> str | None:
        """The server's machine identifier; `None` if you named its URL."""
        return self._settings.route.machine_identifier if self._settings.route else None

    @property
    def authentication(self) -> AsyncSecurityCalls:
        """The server's security calls."""
        return AsyncSecurityCalls(self)

    @property
    def claims(self) -> AsyncServerClaimCalls:
        """Which account owns the server: reading and changing it."""
        return AsyncServerClaimCalls(self)


@hide_locals
class AsyncPlex(AsyncAccountClient):
    """A client of plex.tv and, if you name one, of a media server.

    Args:
        device: the device that sends the requests; by default this installation's own, created at the first request.
        token: the account's token: text, a `Token`, or a callable that is called before each request.
        server: the media server's URL. If you also pass a token, the token is sent there, too.
        plex_tv: the URL of plex.tv or of a local Plex.
        timeout: seconds for a whole call.
        connect_timeout: how many of these seconds the name lookup, TCP and TLS may take together.
        retry: when to try again.
        headers: headers sent with every request.
        transport: your own HTTP client or transport, used instead of the built-in one.
        on_request: a plain function that is called with each request.
        on_response: a plain function that is called with each request, its response, and the seconds that it took.
        on_retry: a plain function that is called with each failure that will be retried, and the seconds until then.

    Raises:
        ValueError: a URL, token or header is invalid. The constructor sends nothing.
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
        transport: AsyncTransportLike | None = None,
        on_request: OnRequest | None = None,
        on_response: OnResponse | None = None,
        on_retry: OnRetry | None = None,
    ) -> None:
        settings = CallSettings(
            device=device,
            server=normalize_base_url(server) if server else None,
            plex_tv=normalize_base_url(plex_tv),
            timeout=timeout,
            connect_timeout=connect_timeout,
            retry=retry,
            headers=validate_headers(headers or {}),
            on_request=on_request,
            on_response=on_response,
            on_retry=on_retry,
        )
        super().__init__(
            with_token(settings, token, trusted_url=server), SharedTransport(lambda: create_async_transport(transport))
        )

    @property
    def plex_tv(self) -> str:
        """The URL of plex.tv, or of the local Plex used in its place."""
        return self._settings.get_base_url("plex.tv")

    @property
    def authentication(self) -> AsyncAuthenticationCalls:
        """The four operations of Plex's Authentication reference pages."""
        return AsyncAuthenticationCalls(self)

    @property
    def pins(self) -> AsyncPinCalls:
        """The calls behind a sign-in by browser or link code, one by one."""
        return AsyncPinCalls(self)

    @property
    def auth_keys(self) -> AsyncAuthKeyCalls:
        """Device keys and Plex's JWTs, call by call."""
        return AsyncAuthKeyCalls(self)

    @property
    def home(self) -> AsyncHomeCalls:
        """The users of the account's Plex Home and their passcodes."""
        return AsyncHomeCalls(self)

    @property
    def devices(self) -> AsyncDeviceCalls:
        """The account's authorized devices."""
        return AsyncDeviceCalls(self)

    @property
    def claims(self) -> AsyncClaimCalls:
        """Adding a media server to the account."""
        return AsyncClaimCalls(self)

    def at(self, url: str, *, token: str | Token | TokenSource | None = None) -> AsyncMediaServer:
        """Return the client of one media server; it shares this client's connections.

        Args:
            url: the server's URL.
            token: the token to send to the server. Without it, no token is sent.
        """
        return AsyncMediaServer(with_server(self._settings, url, token), self._shared)

    async def connect(
        self,
        server: str | Resource,
        *,
        allow_http: bool = False,
        max_wait: float = 6.5,
        on_better: Callable[[AsyncMediaServer], None] | None = None,
        **options: Unpack[Options],
    ) -> AsyncMediaServer:
        """Find the best address of a media server, and return a client with the account's token for it.

        The address that worked last time on this network is tried first, then local addresses, remote ones, and Plex's
        relays last. No token is sent before an address has proved to be this server. A name below plex.direct needs no
        lookup. `how` of the result says which address was chosen, and why.

        Args:
            server: the server's name, its machine identifier, or one of `resources()`.
            allow_http: whether unencrypted connections to private addresses are allowed. They do not prove which server
                answers. Servers that require https never get one, and addresses of this computer need no permission.
            max_wait: seconds for the whole search.
            on_better: a plain function. If a better address than the returned one answers within 15 seconds, it is
                called with a client for that address, perhaps in another thread.
            options: how to make the calls (see `Options`).

        Raises:
            ServerNotFound: the account has no such server, or it is no longer shared; `AmbiguousServer` if there are
                several.
            ServerUnreachable: no address answered as this server in time; `addresses` has a report for each.
            CredentialsError: plex.tv lists no token for the server, or the client has no token.
            Unauthorized: the server refused the token, or plex.tv the account's.
        """
        from ticketstub.client.flows.candidates import ConnectOptions
        from ticketstub.client.flows.connect import connect

        def offer(settings: CallSettings) -> None:
            if on_better is not None:
                on_better(AsyncMediaServer(settings, self._shared))

        flow = partial(connect, ConnectOptions(server, allow_http, max_wait, offer if on_better else None))
        return AsyncMediaServer(await self.run_flow(flow, **options), self._shared)

    async def reachability(
        self, server: str | Resource, *, allow_http: bool = False, max_wait: float = 6.5, **options: Unpack[Options]
    ) -> tuple[AddressReport, ...]:
        """Try every address of a media server, and return a report for each, the best first.

        Args:
            server: the server's name, its machine identifier, or one of `resources()`.
            allow_http: as for `connect`.
            max_wait: seconds for all addresses together.
            options: how to make the calls (see `Options`).

        Raises:
            ServerNotFound: the account has no such server; `AmbiguousServer` if there are several.
        """
        from ticketstub.client.flows.candidates import ConnectOptions
        from ticketstub.client.flows.reachability import measure_addresses

        return await self.run_flow(partial(measure_addresses, ConnectOptions(server, allow_http, max_wait)), **options)

    @classmethod
    async def sign_in(
        cls,
        app: str = DEFAULT_APP,
        *,
        method: Browser | LinkCode | Password = Browser(),  # noqa: B008  # frozen
        device_key: bool = False,
        profile: str = "default",
        force: bool = False,
        max_wait: float | None = None,
        store: CredentialStore | StoreKind | None = None,
        **client: Unpack[AsyncClientOptions],
    ) -> Self:
        """Return a signed-in client: reuse the stored sign-in if it works, else sign in anew and store the result.

        The stored sign-in is used if plex.tv accepts it, renewed if possible, and used as it is if plex.tv cannot be
        reached. `sign_in_state` tells how the client was signed in.

        Args:
            app: the program's name, as the user sees it in the browser and in the list of authorized devices. Each
                combination of app and profile has its own device and its own sign-in. `ticketstub` is the command.
            method: how to sign in if no stored sign-in works: `Browser`, `LinkCode` or `Password`.
            device_key: whether to create a key for this device and use JWTs, which expire after seven days and are
                renewed with it.
            profile: the name under which the sign-in is stored, if the program has several.
            force: whether to sign in anew even if the stored sign-in works.
            max_wait: seconds to wait for the approval; by default the PIN's lifetime, 15 or 30 minutes.
            store: a store, or `auto` (the keyring, else a file that only this user can read; the default), `keyring`,
                `file` or `memory`.
            client: arguments of the constructor.

        Raises:
            SignInFailed: the user did not approve (`PinExpired`, `Denied`, `GaveUp`), or there is no way to ask them.
            VerificationCodeRequired, WrongVerificationCode, TooManyFailures, Unauthorized: plex.tv refused the login.
            CredentialsError: the store cannot be read or written.
            ValueError: a URL or a name is invalid; nothing was sent.
        """
        from ticketstub.client.flows.sign_in import SignInOptions, sign_in, write_to_terminal

        refuse_replaced_keywords(client)
        options = SignInOptions(
            method=method,
            device_key=device_key,
            force=force,
            max_wait=max_wait,
            app=app,
            profile=profile,
            store=store,
            has_custom_device=client.get("device") is not None,
            show_text=write_to_terminal,
        )
        return await cls._open(partial(sign_in, options), app, profile, client)

    @classmethod
    async def load(
        cls,
        app: str = DEFAULT_APP,
        *,
        profile: str = "default",
        store: CredentialStore | StoreKind | None = None,
        **client: Unpack[AsyncClientOptions],
    ) -> Self:
        """Return a client with the stored sign-in, without asking plex.tv whether it still works.

        Args:
            app: the program's name, as for `sign_in`.
            profile: the name under which the sign-in is stored.
            store: where it is stored, as for `sign_in`.
            client: arguments of the constructor.

        Raises:
            NotSignedIn: no sign-in is stored for this app and profile.
            CredentialsError: the store cannot be read.
            ValueError: a URL or a name is invalid.
        """
        from ticketstub.client.flows.sign_in import load_session

        return await cls._open(partial(load_session, app, profile, store), app, profile, client)

    @classmethod
    async def _open(
        cls,
        flow: Callable[[FlowContext], Flow[StoredSession]],
        app: str,
        profile: str,
        client: AsyncClientOptions,
    ) -> Self:
        """Create a client with the sign-in that a flow returns."""
        from ticketstub.client.flows.sign_in import load_app_device

        plex = cls(**client)
        plex._shared.create_device = partial(load_app_device, app, profile)
        try:
            session = await plex.run_flow(flow)
            return plex.with_options(token=session, device=session.device)
        except PlexError as failure:  # internal frames would tell the reader nothing
            await plex.close()
            raise drop_internal_frames(failure) from failure.__cause__
        except BaseException:
            await plex.close()
            raise

    async def begin_sign_in(
        self,
        *,
        forward_url: str | None = None,
        code: bool = False,
        device_key: DeviceKey | None = None,
        **options: Unpack[Options],
    ) -> AsyncPendingSignIn:
        """Begin a sign-in that this program, or another process of it, finishes later.

        For web applications: store what `dump()` returns in the user's session, send the browser to `url`, and finish
        when it comes back to `forward_url`: `await AsyncPendingSignIn.load(text, plex=plex).finish()`.

        Args:
            forward_url: where Plex sends the browser afterwards: an http or https URL (observed). Plex adds nothing to
                it.
            code: whether the user types a code of 4 characters instead of approving in the browser.
            device_key: the key that the token is bound to; the token is then a JWT. The dump does not contain it: keep
                it where you keep secrets, and pass it to `AsyncPendingSignIn.load`.
            options: how to make the call (see `Options`).

        Raises:
            RateLimited: too many PINs were created.
            ValueError: `forward_url` is not an http or https URL; nothing was sent.
        """
        from ticketstub.client.flows.pin import create_pin

        pin = await self.run_flow(
            partial(create_pin, strong=not code, forward_url=forward_url, key=device_key), **options
        )
        return AsyncPendingSignIn(self.with_options(**options) if options else self, pin, device_key=device_key)


@hide_locals
class AsyncPendingSignIn(PendingState):
    """A sign-in that waits for the user's approval; `AsyncPlex.begin_sign_in` creates it."""

    def __init__(self, plex: AsyncPlex, pin: PendingPin, *, device_key: DeviceKey | None = None) -> None:
        super().__init__(pin)
        self._plex = plex
        self._key = device_key
        self._session: StoredSession | None = None

    @classmethod
    def load(cls, data: str | bytes, *, plex: AsyncPlex | None = None, device_key: DeviceKey | None = None) -> Self:
        """Load a sign-in that `dump` wrote, here or in another process.

        Args:
            data: what `dump` returned.
            plex: the client whose connections and options are used; by default `AsyncPlex()`. The client identifier is
                taken from the dump.
            device_key: the key that the sign-in was begun with, if any.

        Raises:
            ValueError: the data is damaged, or has another version, plex.tv or device key; nothing was sent.
        """
        client = plex or AsyncPlex()
        return cls(client, load_pending_pin(data, client.plex_tv, device_key), device_key=device_key)

    async def is_done(self) -> bool:
        """Ask Plex once whether the user has approved, without waiting; if so, `finish` needs no further request.

        Plex may return the token only once: if this returns true, call `finish` on this same object.

        Raises:
            PinExpired, Denied: the sign-in is over. After any other error of the call, ask again later.
        """
        from ticketstub.client.flows.pin import poll_once

        self._session = self._session or await self._plex.run_flow(partial(poll_once, self._pin, self._key))
        return self._session is not None

    async def finish(
        self,
        *,
        max_wait: float | None = None,
        store: CredentialStore | StoreKind | None = None,
        app: str | None = None,
        profile: str = "default",
    ) -> AsyncPlex:
        """Wait for the approval and return a client that is signed in; Plex is asked once a second.

        An outage does not end the wait: neither a 429 or 5xx, nor a lost connection, nor an unreadable reply.

        Args:
            max_wait: seconds to wait; by default the PIN's lifetime.
            store: where to store the sign-in, as for `AsyncPlex.sign_in`; by default it is not stored.
            app: the program to store it for; by default the product of the sign-in's device.
            profile: the name to store it under.

        Raises:
            PinExpired, Denied, GaveUp: there was no approval.
            Unauthorized, BadRequest, Refusal: Plex refused the request itself.
        """
        from ticketstub.client.flows.pin import wait_for_approval
        from ticketstub.client.flows.session import save_session

        if self._session is None:
            self._session = await self._plex.run_flow(
                partial(wait_for_approval, self._pin, self._key, max_wait=max_wait)
            )
        session = self._session
        if store is not None:
            session = await self._plex.run_flow(
                partial(save_session, session, store, app, profile, previous_status="none")
            )
        return self._plex.with_options(token=session, device=session.device)


@hide_locals
async def acheck(token: str | Token, *, server: str | None = None, **client: Unpack[AsyncClientOptions]) -> TokenCheck:
    """Find out what a token is by asking plex.tv and, if you name one, a media server.

    A token that plex.tv does not know is sent to the named server: name one only if the token may go there. A token
    that plex.tv accepts is sent there only if plex.tv lists it for that server.

    Args:
        token: a token of any kind as text, claim tokens included, or a `Token`.
        server: a media server's URL.
        client: arguments of `AsyncPlex`.

    Returns:
        What was found. An outage is not an error; `alive` is then `None`, and `unreachable` says why.

    Raises:
        ValueError: the text cannot be a token (an e-mail address, a whole header); nothing was sent.
    """
    from ticketstub.client.flows.check import check_token

    async with AsyncPlex(server=server, **client) as plex:
        return await plex.run_flow(partial(check_token, token))
