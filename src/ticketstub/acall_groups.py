"""More groups of calls that the async clients offer.

Rule: the twin of call_groups.py, where everything is explained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ticketstub.adriver import AsyncSender
from ticketstub.call_groups import as_passcode, as_secret
from ticketstub.frames import hide_locals
from ticketstub.options import Options
from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.keys import Jwk, PublishedKeys
    from ticketstub.records import Account, AuthorizedDevice, Home, HomeUser, Pin
    from ticketstub.wire.claims import ClaimedServer


@hide_locals
class AsyncPins:
    """As `Pins`, awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def create(self, *, strong: bool = False, jwk: Jwk | None = None, **options: Unpack[Options]) -> Pin:
        """As `Pins.create`."""
        from ticketstub.wire.pins import CreatePin

        return await self._sender.send(CreatePin(strong=strong, jwk=jwk), **options)

    async def get(self, pin_id: int, *, device_jwt: Secret | None = None, **options: Unpack[Options]) -> Pin:
        """As `Pins.get`."""
        from ticketstub.wire.pins import GetPin

        return await self._sender.send(GetPin(id=pin_id, device_jwt=device_jwt), **options)

    async def link(self, code: str | Secret, **options: Unpack[Options]) -> None:
        """As `Pins.link`."""
        from ticketstub.wire.pins import LinkPin

        await self._sender.send(LinkPin(code=code if isinstance(code, Secret) else Secret(code)), **options)


@hide_locals
class AsyncAuthKeys:
    """As `AuthKeys`, awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def register(self, jwk: Jwk, **options: Unpack[Options]) -> None:
        """As `AuthKeys.register`."""
        from ticketstub.wire.auth_keys import RegisterKey

        await self._sender.send(RegisterKey(jwk=jwk), **options)

    async def nonce(self, **options: Unpack[Options]) -> str:
        """As `AuthKeys.nonce`."""
        from ticketstub.wire.auth_keys import GetNonce

        return await self._sender.send(GetNonce(), **options)

    async def exchange(self, jwt: Secret, **options: Unpack[Options]) -> Token:
        """As `AuthKeys.exchange`."""
        from ticketstub.wire.auth_keys import ExchangeDeviceJwt

        return await self._sender.send(ExchangeDeviceJwt(jwt=jwt), **options)

    async def published(self, **options: Unpack[Options]) -> PublishedKeys:
        """As `AuthKeys.published`."""
        from ticketstub.keys import PublishedKeys
        from ticketstub.wire.auth_keys import GetPublishedKeys

        return PublishedKeys(keys=await self._sender.send(GetPublishedKeys(), **options))


@hide_locals
class AsyncHomeCalls:
    """As `HomeCalls`, awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def details(self, **options: Unpack[Options]) -> Home:
        """As `HomeCalls.details`."""
        from ticketstub.wire.home import GetHome

        return await self._sender.send(GetHome(), **options)

    async def users(self, **options: Unpack[Options]) -> tuple[HomeUser, ...]:
        """As `HomeCalls.users`."""
        from ticketstub.wire.home import GetHomeUsers

        return await self._sender.send(GetHomeUsers(), **options)

    async def switch(
        self, user: HomeUser | str, *, passcode: str | Secret | None = None, **options: Unpack[Options]
    ) -> Account:
        """As `HomeCalls.switch`."""
        from ticketstub.wire.home import SwitchHomeUser

        uuid = user if isinstance(user, str) else user.uuid
        if not uuid:
            raise ValueError("this user has no uuid")
        return await self._sender.send(SwitchHomeUser(uuid=uuid, passcode=as_secret(passcode)), **options)

    async def set_passcode(
        self,
        user_id: int,
        passcode: str | Secret,
        *,
        current: str | Secret | None = None,
        **options: Unpack[Options],
    ) -> None:
        """As `HomeCalls.set_passcode`."""
        from ticketstub.wire.home import SetPasscode

        call = SetPasscode(id=user_id, passcode=as_passcode(passcode), current=as_secret(current))
        await self._sender.send(call, **options)

    async def remove_passcode(self, user_id: int, *, current: str | Secret, **options: Unpack[Options]) -> None:
        """As `HomeCalls.remove_passcode`."""
        from ticketstub.wire.home import SetPasscode

        await self._sender.send(SetPasscode(id=user_id, passcode=Secret(""), current=as_secret(current)), **options)

    async def set_managed_passcode(self, user_id: int, passcode: str | Secret, **options: Unpack[Options]) -> None:
        """As `HomeCalls.set_managed_passcode`."""
        from ticketstub.wire.home import SetManagedPasscode

        await self._sender.send(SetManagedPasscode(id=user_id, passcode=as_passcode(passcode)), **options)

    async def remove_managed_passcode(self, user_id: int, **options: Unpack[Options]) -> None:
        """As `HomeCalls.remove_managed_passcode`."""
        from ticketstub.wire.home import SetManagedPasscode

        await self._sender.send(SetManagedPasscode(id=user_id, remove=True), **options)


@hide_locals
class AsyncDevices:
    """As `Devices`, awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def list(self, **options: Unpack[Options]) -> tuple[AuthorizedDevice, ...]:
        """As `Devices.list`."""
        from ticketstub.wire.devices import GetDevices

        return await self._sender.send(GetDevices(), **options)

    async def remove(self, device_id: int, **options: Unpack[Options]) -> None:
        """As `Devices.remove`."""
        from ticketstub.wire.devices import RemoveDevice

        await self._sender.send(RemoveDevice(id=device_id), **options)


@hide_locals
class AsyncClaims:
    """As `Claims`, awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def token(self, **options: Unpack[Options]) -> Token:
        """As `Claims.token`."""
        from ticketstub.wire.claims import GetClaimToken

        return await self._sender.send(GetClaimToken(), **options)

    async def exchange(self, claim_token: Secret, **options: Unpack[Options]) -> Account:
        """As `Claims.exchange`."""
        from ticketstub.wire.claims import ExchangeClaim

        return await self._sender.send(ExchangeClaim(token=claim_token), **options)


@hide_locals
class AsyncServerClaims:
    """As `ServerClaims`, awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def state(self, **options: Unpack[Options]) -> ClaimedServer:
        """As `ServerClaims.state`."""
        from ticketstub.wire.claims import GetClaimedServer

        return await self._sender.send(GetClaimedServer(), **options)

    async def claim(self, claim_token: Secret, **options: Unpack[Options]) -> ClaimedServer:
        """As `ServerClaims.claim`."""
        from ticketstub.wire.claims import ClaimServer

        return await self._sender.send(ClaimServer(token=claim_token), **options)

    async def end(self, **options: Unpack[Options]) -> ClaimedServer:
        """As `ServerClaims.end`."""
        from ticketstub.wire.claims import UnclaimServer

        return await self._sender.send(UnclaimServer(), **options)
