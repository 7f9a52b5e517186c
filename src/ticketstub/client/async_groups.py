# groups.py is generated from this file by scripts/make_sync.py.
"""The groups of calls that clients offer: the two `authentication` groups, PINs, device keys, Home, devices, claims.

Rule: a group names calls and nothing else; its client sends them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Unpack

from ticketstub.client.async_account import AsyncBaseClient
from ticketstub.client.config import Options
from ticketstub.tokens import Secret, Token, hide_locals, to_secret

if TYPE_CHECKING:
    from ticketstub.crypto import Jwk, PublishedKeys
    from ticketstub.models import Account, AuthorizedDevice, Home, HomeUser, Pin, Source, TransientToken
    from ticketstub.protocol.claim import ClaimStatus
    from ticketstub.protocol.media_server import TransientTokenScope, TransientTokenType


@hide_locals
class _CallGroup:
    """Some calls of one client."""

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
        """Get a token with the caller's rights that expires after at most 48 hours (documented).

        Args:
            type: the purpose of the token; `delegation` is the only one.
            scope: what the token may do; `all` is the only one.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized, Forbidden, BadRequest: the media server refused.
            ValueError: the type or scope is unknown; nothing was sent.
        """
        from ticketstub.protocol.media_server import GetTransientToken, TransientTokenScope, TransientTokenType

        return await self._client.send(
            GetTransientToken(type=TransientTokenType(type), scope=TransientTokenScope(scope)), **options
        )

    async def get_source_connection_information(
        self, *, source: str, refresh: bool = False, **options: Unpack[Options]
    ) -> Source:
        """Get the addresses of a source that the media server knows, and a transient token for it (documented).

        This needs the owner's token or a transient token made from it, and Plex Media Server 1.15.4 or newer.

        Args:
            source: `server://` and a machine identifier, or `provider://` and a provider's identifier.
            refresh: whether the server fetches the information again instead of using its cache.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized, Forbidden, BadRequest: the media server refused.
            NotFound: the media server does not know the source, or is too old (assumed).
            ValueError: the source has neither prefix; nothing was sent.
        """
        from ticketstub.protocol.media_server import GetSourceConnectionInformation

        return await self._client.send(GetSourceConnectionInformation(source=source, refresh=refresh), **options)


@hide_locals
class AsyncAuthenticationCalls(AsyncSecurityCalls):
    """The `authentication` group of `AsyncPlex`: the media server's two calls, and plex.tv's two."""

    async def get_token_details(self, **options: Unpack[Options]) -> Account:
        """Get the account that the token belongs to (documented).

        Returns:
            The account; its `auth_token` is the token that was sent.

        Raises:
            Unauthorized: the token is unknown or revoked. TokenExpired: the token is a JWT that has expired.
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
        """Sign in with user name and password (documented). The client itself does not change.

        Args:
            login: user name or e-mail address.
            password: the password.
            verification_code: six digits, if the account requires them; each code works once.
            remember_me: whether the token expires after 14 days (observed).
            options: how to make the call (see `Options`). Whatever `retry` says, the call is repeated only if nothing
                was sent.

        Returns:
            The account; its `auth_token` is the new token: `plex.with_options(token=account.auth_token)`.

        Raises:
            VerificationCodeRequired, WrongVerificationCode, TooManyFailures, Unauthorized: plex.tv refused.
        """
        from ticketstub.protocol.account import PostUsersSignInData

        return await self._client.send(
            PostUsersSignInData.from_text(login, password, verification_code, remember_me=remember_me), **options
        )


@hide_locals
class AsyncPinCalls(_CallGroup):
    """The `pins` group of `AsyncPlex`: the calls behind a sign-in by browser or link code, one by one.

    `AsyncPlex.sign_in` and `begin_sign_in` make these calls for you; use them if your program controls each step.
    """

    async def create(self, *, strong: bool = False, jwk: Jwk | None = None, **options: Unpack[Options]) -> Pin:
        """Create a PIN (documented). No token is sent.

        Args:
            strong: whether the code has 25 characters, is opened in a browser and is valid for 30 minutes, instead of 4
                characters that are typed within 15 minutes.
            jwk: the public device key that the token is bound to; the token is then a JWT.
            options: how to make the call (see `Options`).
        """
        from ticketstub.protocol.pin import CreatePin

        return await self._client.send(CreatePin(strong=strong, jwk=jwk), **options)

    async def get(self, pin_id: int, *, device_jwt: Secret | None = None, **options: Unpack[Options]) -> Pin:
        """Get a PIN (documented). It has an `auth_token` once it was approved.

        Args:
            pin_id: the PIN's id.
            device_jwt: what `DeviceKey.sign` returned, for a PIN that was created with a key.
            options: how to make the call (see `Options`).

        Raises:
            PinNotFound: the PIN has expired, is unknown, or belongs to another client.
        """
        from ticketstub.protocol.pin import GetPin

        return await self._client.send(GetPin(id=pin_id, device_jwt=device_jwt), **options)

    async def link(self, code: str | Secret, **options: Unpack[Options]) -> None:
        """Approve a PIN for the client's own account, as Plex's link page does (observed).

        Raises:
            PinNotFound: the code is unknown, has expired, or was already approved.
        """
        from ticketstub.protocol.pin import LinkPin

        await self._client.send(LinkPin(code=to_secret(code)), **options)


@hide_locals
class AsyncAuthKeyCalls(_CallGroup):
    """The `auth_keys` group of `AsyncPlex`: device keys and Plex's JWTs, call by call."""

    async def register(self, jwk: Jwk, **options: Unpack[Options]) -> None:
        """Register a device key with the device's token (documented). The first JWT for the key revokes that token.

        Raises:
            Refusal: the key is already registered, by this device or another (422).
        """
        from ticketstub.protocol.device_key import RegisterKey

        await self._client.send(RegisterKey(jwk=jwk), **options)

    async def get_nonce(self, **options: Unpack[Options]) -> str:
        """Get a nonce to sign; it is valid for five minutes and works once (documented)."""
        from ticketstub.protocol.device_key import GetNonce

        return await self._client.send(GetNonce(), **options)

    async def exchange(self, jwt: Secret, **options: Unpack[Options]) -> Token:
        """Exchange what `DeviceKey.sign` returned for Plex's JWT, which is valid for seven days (documented).

        Raises:
            Refusal: the device JWT was refused (422): its key, nonce or client identifier is wrong.
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
        """Get the Home itself, without its users (observed)."""
        from ticketstub.protocol.home import GetHome

        return await self._client.send(GetHome(), **options)

    async def list_users(self, **options: Unpack[Options]) -> tuple[HomeUser, ...]:
        """List the users of the Home (observed)."""
        from ticketstub.protocol.home import GetHomeUsers

        return await self._client.send(GetHomeUsers(), **options)

    async def find_user(self, query: str | int, **options: Unpack[Options]) -> HomeUser:
        """Return the user with this uuid, id, user name, e-mail address, title or friendly name, ignoring case.

        Raises:
            SignInFailed: the Home has no such user, or several.
        """
        from ticketstub.client.flows.home import find_home_user

        return find_home_user(await self.list_users(**options), query)

    async def switch_user(
        self, user: HomeUser | str, *, passcode: str | Secret | None = None, **options: Unpack[Options]
    ) -> Account:
        """Get another user's account and token (observed). The client itself does not change.

        Args:
            user: one of `list_users()`, or their uuid.
            passcode: the user's passcode, if they are protected by one.
            options: how to make the call (see `Options`).

        Raises:
            PasscodeRequired: the passcode is missing or wrong.
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
        """Set or change your own passcode (observed).

        Args:
            user_id: your own numeric id.
            passcode: four digits.
            current: the current passcode, if there is one.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized: `current` is missing or wrong.
            ValueError: the passcode is not four digits; nothing was sent.
        """
        from ticketstub.protocol.home import SetPasscode

        await self._client.send(
            SetPasscode(id=user_id, passcode=parse_passcode(passcode), current=to_secret(current)), **options
        )

    async def remove_passcode(self, user_id: int, *, current: str | Secret, **options: Unpack[Options]) -> None:
        """Remove your own passcode (observed); see `set_passcode`."""
        from ticketstub.protocol.home import SetPasscode

        await self._client.send(SetPasscode(id=user_id, passcode=Secret(""), current=to_secret(current)), **options)

    async def set_managed_passcode(self, user_id: int, passcode: str | Secret, **options: Unpack[Options]) -> None:
        """Set a managed user's passcode, as the Home's administrator (observed).

        Raises:
            Forbidden: the caller is not the administrator.
            ValueError: the passcode is not four digits; nothing was sent.
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
        """List the devices that may act for the account, each with its token (observed)."""
        from ticketstub.protocol.resource import GetDevices

        return await self._client.send(GetDevices(), **options)

    async def remove(self, device_id: int, **options: Unpack[Options]) -> None:
        """Remove a device, which revokes its tokens (observed).

        Args:
            device_id: the device's `id`, not its client identifier.
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
        """Get a claim token, which is valid for four minutes and cannot be used to sign in (observed)."""
        from ticketstub.protocol.claim import GetClaimToken

        return await self._client.send(GetClaimToken(), **options)

    async def exchange(self, claim_token: Secret, **options: Unpack[Options]) -> Account:
        """Exchange a claim token for a server's own token, acting as that server (observed).

        Args:
            claim_token: what `create_token()` returned to the account.
            options: how to make the call (see `Options`); `client_identifier=` is the server's machine identifier.
        """
        from ticketstub.protocol.claim import ExchangeClaim

        return await self._client.send(ExchangeClaim(token=claim_token), **options)


@hide_locals
class AsyncServerClaimCalls(_CallGroup):
    """The `claims` group of a media server: reading and changing its owner."""

    async def get_state(self, **options: Unpack[Options]) -> ClaimStatus:
        """Get the server's sign-in state at plex.tv; only its owner may (observed)."""
        from ticketstub.protocol.claim import GetClaimStatus

        return await self._client.send(GetClaimStatus(), **options)

    async def claim(self, claim_token: Secret, **options: Unpack[Options]) -> ClaimStatus:
        """Add an unclaimed server to your account (observed). It accepts this only from its own machine or network.

        Args:
            claim_token: what `plex.claims.create_token()` returned.
            options: how to make the call (see `Options`).
        """
        from ticketstub.protocol.claim import ClaimServer

        return await self._client.send(ClaimServer(token=claim_token), **options)

    async def unclaim(self, **options: Unpack[Options]) -> ClaimStatus:
        """Remove the server from its owner's account (observed)."""
        from ticketstub.protocol.claim import UnclaimServer

        return await self._client.send(UnclaimServer(), **options)


def parse_passcode(value: str | Secret) -> Secret:
    """Return a passcode as a secret; raises `ValueError` if it is not four digits."""
    passcode = to_secret(value)
    if not re.fullmatch("[0-9]{4}", passcode.reveal()):
        raise ValueError("a passcode is four digits")
    return passcode
