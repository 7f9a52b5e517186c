# client.py is generated from this file by scripts/make_sync.py.
"""The façade: `AsyncPlex`, the media server's client that `at` gives, and `acheck`.

Rule: no logic of its own beyond naming things; what both façades must do alike is in flows/ and options.py.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    PLEX_TV,
    CallSettings,
    ClientOptions,
    OnRequest,
    OnResponse,
    OnRetry,
    Options,
    Retry,
    TokenSource,
    normalize_base_url,
    validate_headers,
    with_server,
    with_token,
)
from ticketstub.client.driver import arun
from ticketstub.client.flows.request import run_blocking
from ticketstub.client.link import DEFAULT_APP, SharedTransport
from ticketstub.client.transports import create_async_transport
from ticketstub.errors import PlexError
from ticketstub.messages import Response
from ticketstub.tokens import Secret, Token, to_secret
from ticketstub.tracebacks import drop_internal_frames, hide_locals

if TYPE_CHECKING:
    from ticketstub.client.async_pending import AsyncPendingSignIn
    from ticketstub.client.flows.check import TokenCheck
    from ticketstub.client.flows.sign_in import AskCode, OnCode, OpenBrowser
    from ticketstub.credentials import CredentialStore, StoreKind
    from ticketstub.crypto import DeviceKey
    from ticketstub.device import Device
    from ticketstub.protocol.media_server import Method


@hide_locals
class AsyncMediaServer(AsyncBaseClient):
    """One media server and the token for it; `AsyncPlex.at` makes one."""

    @property
    def url(self) -> str:
        """Its address."""
        return self._settings.get_base_url("server")

    @property
    def token(self) -> Token | None:
        """The token for it, if it is not a callable's affair."""
        return self._settings.token if isinstance(self._settings.token, Token) else None

    @property
    def authentication(self) -> AsyncSecurityCalls:
        """The media server's security calls."""
        return AsyncSecurityCalls(self)

    @property
    def claims(self) -> AsyncServerClaimCalls:
        """Whose the media server is."""
        return AsyncServerClaimCalls(self)

    async def get(self, path: str, query: Mapping[str, str] | None = None, **options: Unpack[Options]) -> Response:
        """Ask for anything else by GET; `json()` of what comes back reads it.

        Args:
            path: from its leading slash, percent-encoded where need be.
            query: names and values.
            options: how to make the call (see `Options`); `headers={"Accept": "text/xml"}` asks for XML.

        Raises:
            Refusal: a status from 400 on, by meaning.
        """
        return await self.request("GET", path, query, **options)

    async def request(
        self,
        method: Method,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        content_type: str | None = None,
        **options: Unpack[Options],
    ) -> Response:
        """Ask for anything else by any method; as `get`, with a body and its media type."""
        from ticketstub.protocol.media_server import RawRequest

        call = RawRequest(method=method, path=path, query=dict(query or {}), content=body, content_type=content_type)
        return await self.send(call, **options)


@hide_locals
class AsyncPlex(AsyncAccountClient):
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
        shared = SharedTransport(lambda: create_async_transport(transport))
        super().__init__(with_token(settings, token, trusted_url=server), shared)

    @property
    def plex_tv(self) -> str:
        """The address of plex.tv, or of the local Plex that stands for it."""
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
        """The users of the account's Plex Home, and their passcodes."""
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
        """Return the client of one media server, sharing this one's connections.

        Args:
            url: its address.
            token: the token for it, which you thereby say belongs there. Without one, none is sent.
        """
        return AsyncMediaServer(with_server(self._settings, url, token), self._shared)

    @classmethod
    async def sign_in(
        cls,
        app: str = DEFAULT_APP,
        *,
        login: str | None = None,
        password: str | Secret | None = None,
        ask_code: AskCode | None = None,
        remember_me: bool = False,
        device_key: bool = False,
        profile: str = "default",
        code: bool = False,
        forward_url: str | None = None,
        on_code: OnCode | None = None,
        open_browser: bool | OpenBrowser = True,
        max_wait: float | None = None,
        store: CredentialStore | None = None,
        storage: StoreKind = "auto",
        **client: Unpack[ClientOptions],
    ) -> Self:
        """Sign in, or take up the sign-in that is kept: the usual way to a client.

        The kept profile is used if plex.tv still takes it, and renewed if that can be; if plex.tv cannot be asked, it
        is used as it is. Else the account is signed in anew: with `login` and `password` if they are given, else in the
        browser, where the user approves this program. Whatever comes of it is kept. `signed_in` says how it went.

        Args:
            app: the program's name, as the user sees it in the browser and in the list of authorized devices. Each name
                and profile is a device of its own, with a sign-in that no other program gets; `ticketstub` is the
                command's.
            login: user name or e-mail address. A kept sign-in of another account is replaced then.
            password: the password; it is not kept.
            ask_code: asked for a verification code if Plex wants one, and once more if that is wrong.
            remember_me: whether a token that a password gave ends after 14 days (observed).
            device_key: whether to make a key for this device and live on JWTs of seven days, which it renews.
            profile: the name under which the sign-in is kept, beside others of this program.
            code: whether the user types a code of 4 characters on `plex.tv/link`, on whatever device, instead of
                opening an address here.
            forward_url: where the browser is sent after the approval.
            on_code: told of the begun sign-in (`PendingState`: `url`, `code`, `qr()`), to show it. Without it, the
                browser is opened; where that is not possible, or nothing comes back for five seconds, address, code
                and QR code are written to standard error if that is a terminal, and the wait goes on.
            open_browser: whether the browser is opened, or the function that opens an address. With `code`, only if
                there is no `on_code`.
            max_wait: after how many seconds to stop waiting; by default the PIN's own time, 15 or 30 minutes.
            store: where sign-ins are kept; by default where `storage` says.
            storage: `auto` (the keyring; else a file that only this user can read), `keyring`, `file`, `memory`.
                `signed_in.where` says which it is.
            client: as the constructor's arguments of these names.

        Raises:
            SignInFailed: `PinExpired`, `Denied`, `GaveUp`; or no browser could be opened, and there is neither a
                terminal nor `on_code`; or what is kept does not work and, with neither `on_code` nor `open_browser`, a
                new sign-in is not wanted.
            VerificationCodeRequired, WrongVerificationCode, TooManyFailures, Unauthorized: plex.tv refused the login.
            CredentialsError: the store of credentials cannot be read or written.
            ValueError: only one of `login` and `password` is given, or an address or a name is none; nothing was sent.
        """
        from ticketstub.client.flows.sign_in import SignInOptions, load_app_device, sign_in, write_to_terminal

        options = SignInOptions(
            login=login,
            password=to_secret(password),
            ask_code=ask_code,
            remember_me=remember_me,
            device_key=device_key,
            code=code,
            forward_url=forward_url,
            on_code=on_code,
            open_browser=open_browser,
            max_wait=max_wait,
            app=app,
            profile=profile,
            store=store,
            storage=storage,
            has_custom_device=client.get("device") is not None,
            show_text=write_to_terminal,
        )
        plex = cls(**client)
        try:
            device = client.get("device")
            if device is None:
                device = await arun(run_blocking(partial(load_app_device, app, profile)), plex._shared.get_transport())
            session = await plex.run_flow(partial(sign_in, options), device=device)
            return plex.with_options(token=session, device=session.device)
        except PlexError as failure:  # for a person to read: our own frames say nothing more
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
        """Begin a sign-in in the browser that this program, or another process of it, finishes later.

        For web applications: keep what `dump()` returns with the user's session, send the user's browser to `url`, and
        finish after it comes back to `forward_url`: `await AsyncPendingSignIn.load(kept, plex=plex).finish()`.

        Args:
            forward_url: where the browser is sent afterwards, to http or https (observed); Plex adds nothing to it.
            code: whether the user types a code of 4 characters instead.
            device_key: the key that the token is to be bound to; the token is a JWT then. It is not in the dump: keep
                it where secrets are kept, and pass it to `AsyncPendingSignIn.load`.
            options: how to make the call (see `Options`).

        Raises:
            RateLimited: too many PINs were made.
            ValueError: `forward_url` is no http or https address; nothing was sent.
        """
        from ticketstub.client.async_pending import AsyncPendingSignIn
        from ticketstub.client.flows.pin import create_pin

        pin = await self.run_flow(
            partial(create_pin, strong=not code, forward_url=forward_url, key=device_key), **options
        )
        return AsyncPendingSignIn(self.with_options(**options) if options else self, pin, device_key=device_key)


@hide_locals
async def acheck(token: str | Token, *, server: str | None = None, **client: Unpack[ClientOptions]) -> TokenCheck:
    """Find out about a token by asking plex.tv, over the network, and a media server if one is named.

    A token that plex.tv does not know, or of a kind that it never knows, is sent to the named server: name one only if
    the token may go there. A token that plex.tv takes goes there only if plex.tv lists it for that server.

    Args:
        token: a text as it was found somewhere, claim tokens included, or a `Token`.
        server: a media server's address.
        client: as `AsyncPlex`'s arguments of these names.

    Returns:
        What was found; an outage is no error here, but `alive` is `None` then and `unreachable` says why.

    Raises:
        ValueError: the text is no token at all (an e-mail address, a whole header); nothing was sent.
    """
    from ticketstub.client.flows.check import check_token as flow

    async with AsyncPlex(server=server, **client) as plex:
        return await plex.run_flow(partial(flow, token))
