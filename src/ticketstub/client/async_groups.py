# groups.py is generated from this file by scripts/make_sync.py.
"""Groups of calls that clients offer: the two `authentication` groups, PINs, device keys, Home, devices, claims.

Rule: a group names calls and nothing else; what happens to a call is the sender's affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Unpack

from ticketstub.client.async_account import AsyncBaseClient
from ticketstub.client.config import Options
from ticketstub.tokens import Secret, Token, to_secret
from ticketstub.tracebacks import hide_locals

if TYPE_CHECKING:
    from ticketstub.crypto import Jwk, PublishedKeys
    from ticketstub.models import Account, AuthorizedDevice, Home, HomeUser, Pin, Source, TransientToken
    from ticketstub.protocol.claim import ClaimStatus
    from ticketstub.protocol.media_server import TransientTokenScope, TransientTokenType


@hide_locals
class _CallGroup:
    """Some calls of one sender."""

    def __init__(self, client: AsyncBaseClient) -> None:
        self._client = client


@hide_locals
class AsyncSecurityCalls(_CallGroup):
    """The `authentication` group of a media server."""

    async def get_transient_token(
        self,
        *,
        type: TransientTokenType | Literal["delegation"] = "delegation",  # noqa: A002  # Plex's own name
        scope: TransientTokenScope | Literal["all"] = "all",
        **options: Unpack[Options],
    ) -> TransientToken:
        """Get a token with the caller's rights that lives for at most 48 hours (documented).

        Args:
            type: what it is for; `delegation` is the only one.
            scope: what it reaches; `all` is the only one.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized, Forbidden, BadRequest: the media server refused.
            ValueError: an unknown type or scope; nothing was sent.
        """
        from ticketstub.protocol.media_server import GetTransientToken, TransientTokenScope, TransientTokenType

        call = GetTransientToken(type=TransientTokenType(type), scope=TransientTokenScope(scope))
        return await self._client.send(call, **options)

    async def get_source_connection_information(
        self, *, source: str, refresh: bool = False, **options: Unpack[Options]
    ) -> Source:
        """Ask how to reach a source that the media server knows, and get a transient token for it (documented).

        Needs the owner's token or a transient token made from it, and Plex Media Server 1.15.4 or newer.

        Args:
            source: `server://` and a machine identifier, or `provider://` and a provider's identifier.
            refresh: whether the server asks anew instead of answering from memory.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized, Forbidden, BadRequest: the media server refused.
            NotFound: it does not know the source, or is too old (assumed).
            ValueError: the source has no such prefix; nothing was sent.
        """
        from ticketstub.protocol.media_server import GetSourceConnectionInformation

        return await self._client.send(GetSourceConnectionInformation(source=source, refresh=refresh), **options)


@hide_locals
class AsyncAuthenticationCalls(AsyncSecurityCalls):
    """The `authentication` group of `AsyncPlex`: the media server's two calls, and plex.tv's two."""

    async def get_token_details(self, **options: Unpack[Options]) -> Account:
        """Ask plex.tv whose token this is (documented).

        Returns:
            The account; its `auth_token` echoes the token that was asked about.

        Raises:
            Unauthorized: the token is unknown or revoked. TokenExpired: it was a JWT and has run out.
            CredentialsError: the client has no token; nothing was sent.
        """
        from ticketstub.protocol.account import GetTokenDetails

        return await self._client.send(GetTokenDetails(), **options)

    async def post_users_sign_in_data(
        self,
        *,
        login: str,
        password: str | Secret,
        verification_code: str | Secret | None = None,
        remember_me: bool = False,
        **options: Unpack[Options],
    ) -> Account:
        """Sign in with login and password (documented). The client itself stays as it is.

        Args:
            login: user name or e-mail address.
            password: the password.
            verification_code: six digits, where the account asks for them; each works once.
            remember_me: whether the token ends after 14 days (observed).
            options: how to make the call (see `Options`). Whatever `retry` says, it is repeated only where nothing
                had been sent.

        Returns:
            The account; its `auth_token` is the new token: `plex.with_options(token=account.auth_token)`.

        Raises:
            VerificationCodeRequired, WrongVerificationCode, TooManyFailures, Unauthorized: plex.tv refused.
        """
        from ticketstub.protocol.account import PostUsersSignInData

        call = PostUsersSignInData.from_text(login, password, verification_code, remember_me=remember_me)
        return await self._client.send(call, **options)


@hide_locals
class AsyncPinCalls(_CallGroup):
    """The `pins` group of `AsyncPlex`: the calls behind a sign-in by browser or link code, one by one.

    `AsyncPlex.sign_in` and `begin_sign_in` do all of it; these are for programs that want each step in their own hands.
    """

    async def create(self, *, strong: bool = False, jwk: Jwk | None = None, **options: Unpack[Options]) -> Pin:
        """Make a PIN (documented). No token is sent.

        Args:
            strong: 25 characters to be opened in a browser, good for 30 minutes, instead of 4 to be typed, for 15.
            jwk: the public device key that the token is to be bound to; the token is a JWT then.
            options: how to make the call (see `Options`).
        """
        from ticketstub.protocol.pin import CreatePin

        return await self._client.send(CreatePin(strong=strong, jwk=jwk), **options)

    async def get(self, pin_id: int, *, device_jwt: Secret | None = None, **options: Unpack[Options]) -> Pin:
        """Ask how a PIN stands (documented): its `auth_token` is there once somebody approved it.

        Args:
            pin_id: the PIN's id.
            device_jwt: what `DeviceKey.sign` made, for a PIN that was made with a key.
            options: how to make the call (see `Options`).

        Raises:
            PinNotFound: it is over, unknown, or another client's.
        """
        from ticketstub.protocol.pin import GetPin

        return await self._client.send(GetPin(id=pin_id, device_jwt=device_jwt), **options)

    async def link(self, code: str | Secret, **options: Unpack[Options]) -> None:
        """Approve a PIN for the client's own account (observed): what Plex's link page does.

        Raises:
            PinNotFound: the code is unknown, over, or was approved already.
        """
        from ticketstub.protocol.pin import LinkPin

        await self._client.send(LinkPin(code=to_secret(code)), **options)


@hide_locals
class AsyncAuthKeyCalls(_CallGroup):
    """The `auth_keys` group of `AsyncPlex`: device keys and Plex's JWTs, call by call."""

    async def register(self, jwk: Jwk, **options: Unpack[Options]) -> None:
        """Register a device key with the device's token (documented). The first JWT for it ends that token.

        Raises:
            Refusal: the key is registered already, here or by another device (422).
        """
        from ticketstub.protocol.device_key import RegisterKey

        await self._client.send(RegisterKey(jwk=jwk), **options)

    async def get_nonce(self, **options: Unpack[Options]) -> str:
        """Get a nonce to sign; it lives for five minutes and is good once (documented)."""
        from ticketstub.protocol.device_key import GetNonce

        return await self._client.send(GetNonce(), **options)

    async def exchange(self, jwt: Secret, **options: Unpack[Options]) -> Token:
        """Exchange what `DeviceKey.sign` made for Plex's JWT, which lives for seven days (documented).

        Raises:
            Refusal: the device JWT was not taken (422): its key, nonce or client identifier does not fit.
        """
        from ticketstub.protocol.device_key import ExchangeDeviceJwt

        return await self._client.send(ExchangeDeviceJwt(jwt=jwt), **options)

    async def get_published_keys(self, **options: Unpack[Options]) -> PublishedKeys:
        """Get the keys that Plex signs with (documented)."""
        from ticketstub.crypto import PublishedKeys
        from ticketstub.protocol.device_key import GetPublishedKeys

        return PublishedKeys(keys=await self._client.send(GetPublishedKeys(), **options))


@hide_locals
class AsyncHomeCalls(_CallGroup):
    """The `home` group of `AsyncPlex`: the users of a Plex Home, and their passcodes."""

    async def get(self, **options: Unpack[Options]) -> Home:
        """Ask about the Home itself, without its users (observed)."""
        from ticketstub.protocol.home import GetHome

        return await self._client.send(GetHome(), **options)

    async def list_users(self, **options: Unpack[Options]) -> tuple[HomeUser, ...]:
        """List the users of the Home (observed)."""
        from ticketstub.protocol.home import GetHomeUsers

        return await self._client.send(GetHomeUsers(), **options)

    async def switch_user(
        self, user: HomeUser | str, *, passcode: str | Secret | None = None, **options: Unpack[Options]
    ) -> Account:
        """Get another user's account and token (observed). The client itself stays as it is.

        Args:
            user: one of `users()`, or its uuid.
            passcode: the user's four digits, where it is protected.
            options: how to make the call (see `Options`).

        Raises:
            PasscodeRequired: the user is protected, and the passcode is missing or wrong.
            ValueError: the user has no uuid; nothing was sent.
        """
        from ticketstub.protocol.home import SwitchHomeUser

        uuid = user if isinstance(user, str) else user.uuid
        if not uuid:
            raise ValueError("this user has no uuid")
        return await self._client.send(SwitchHomeUser(uuid=uuid, passcode=to_secret(passcode)), **options)

    async def set_passcode(
        self,
        user_id: int,
        passcode: str | Secret,
        *,
        current: str | Secret | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Set or change one's own passcode (observed).

        Args:
            user_id: one's own numeric id.
            passcode: four digits.
            current: the passcode so far, where there is one.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized: `current` is missing or wrong.
            ValueError: the passcode is not four digits; nothing was sent.
        """
        from ticketstub.protocol.home import SetPasscode

        call = SetPasscode(id=user_id, passcode=parse_passcode(passcode), current=to_secret(current))
        await self._client.send(call, **options)

    async def remove_passcode(self, user_id: int, *, current: str | Secret, **options: Unpack[Options]) -> None:
        """Remove one's own passcode (observed); as `set_passcode`."""
        from ticketstub.protocol.home import SetPasscode

        await self._client.send(SetPasscode(id=user_id, passcode=Secret(""), current=to_secret(current)), **options)

    async def set_managed_passcode(self, user_id: int, passcode: str | Secret, **options: Unpack[Options]) -> None:
        """Set a managed user's passcode, as the Home's administrator (observed).

        Raises:
            Forbidden: the caller is no administrator. ValueError: as `set_passcode`.
        """
        from ticketstub.protocol.home import SetManagedPasscode

        await self._client.send(SetManagedPasscode(id=user_id, passcode=parse_passcode(passcode)), **options)

    async def remove_managed_passcode(self, user_id: int, **options: Unpack[Options]) -> None:
        """Remove a managed user's passcode, as the Home's administrator (observed)."""
        from ticketstub.protocol.home import SetManagedPasscode

        await self._client.send(SetManagedPasscode(id=user_id, remove=True), **options)


@hide_locals
class AsyncDeviceCalls(_CallGroup):
    """The `devices` group of `AsyncPlex`: the account's authorized devices."""

    async def list(self, **options: Unpack[Options]) -> tuple[AuthorizedDevice, ...]:
        """List the devices that may act for the account (observed). Plex tells each one's token here."""
        from ticketstub.protocol.resource import GetDevices

        return await self._client.send(GetDevices(), **options)

    async def remove(self, device_id: int, **options: Unpack[Options]) -> None:
        """Remove a device, which ends its tokens (observed).

        Args:
            device_id: its `id`, not its client identifier.
            options: how to make the call (see `Options`).

        Raises:
            NotFound: the account has no such device.
        """
        from ticketstub.protocol.resource import RemoveDevice

        await self._client.send(RemoveDevice(id=device_id), **options)


@hide_locals
class AsyncClaimCalls(_CallGroup):
    """The `claims` group of `AsyncPlex`: adding a media server to the account."""

    async def create_token(self, **options: Unpack[Options]) -> Token:
        """Get a claim token; it lives for four minutes and signs nobody in (observed)."""
        from ticketstub.protocol.claim import GetClaimToken

        return await self._client.send(GetClaimToken(), **options)

    async def exchange(self, claim_token: Secret, **options: Unpack[Options]) -> Account:
        """Exchange a claim token for a server's own token, as that server: its machine identifier asks (observed).

        Args:
            claim_token: what `token()` gave the account.
            options: how to make the call (see `Options`): `client_identifier=` is the machine identifier.
        """
        from ticketstub.protocol.claim import ExchangeClaim

        return await self._client.send(ExchangeClaim(token=claim_token), **options)


@hide_locals
class AsyncServerClaimCalls(_CallGroup):
    """The `claims` group of a media server: whose it is."""

    async def get_state(self, **options: Unpack[Options]) -> ClaimStatus:
        """Ask how the server stands with plex.tv; its owner only (observed)."""
        from ticketstub.protocol.claim import GetClaimStatus

        return await self._client.send(GetClaimStatus(), **options)

    async def claim(self, claim_token: Secret, **options: Unpack[Options]) -> ClaimStatus:
        """Make an unclaimed server one's own (observed). It takes that only from its own machine or network.

        Args:
            claim_token: what `plex.claims.token()` gave.
            options: how to make the call (see `Options`).
        """
        from ticketstub.protocol.claim import ClaimServer

        return await self._client.send(ClaimServer(token=claim_token), **options)

    async def unclaim(self, **options: Unpack[Options]) -> ClaimStatus:
        """Take the server out of its owner's account (observed)."""
        from ticketstub.protocol.claim import UnclaimServer

        return await self._client.send(UnclaimServer(), **options)


def parse_passcode(value: str | Secret) -> Secret:
    """Take a passcode; raises `ValueError` for what is not four digits."""
    passcode = to_secret(value)
    digits = passcode.reveal()
    if len(digits) != 4 or not (digits.isascii() and digits.isdigit()):
        raise ValueError("a passcode is four digits")
    return passcode
