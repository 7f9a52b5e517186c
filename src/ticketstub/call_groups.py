"""More groups of calls that the sync clients offer: PINs, device keys, Home, devices, claims.

Rule: as groups.py. Its twin is acall_groups.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ticketstub.driver import Sender
from ticketstub.frames import hide_locals
from ticketstub.options import Options
from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.keys import Jwk, PublishedKeys
    from ticketstub.records import Account, AuthorizedDevice, Home, HomeUser, Pin
    from ticketstub.wire.claims import ClaimedServer


@hide_locals
class Pins:
    """The `pins` group of `Plex`: the calls behind a sign-in by browser or link code, one by one.

    `Plex.sign_in` and `begin_sign_in` do all of it; these are for programs that want each step in their own hands.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def create(self, *, strong: bool = False, jwk: Jwk | None = None, **options: Unpack[Options]) -> Pin:
        """Make a PIN (documented). No token is sent.

        Args:
            strong: 25 characters to be opened in a browser, good for 30 minutes, instead of 4 to be typed, for 15.
            jwk: the public device key that the token is to be bound to; the token is a JWT then.
            options: how to make the call (see `Options`).
        """
        from ticketstub.wire.pins import CreatePin

        return self._sender.send(CreatePin(strong=strong, jwk=jwk), **options)

    def get(self, pin_id: int, *, device_jwt: Secret | None = None, **options: Unpack[Options]) -> Pin:
        """Ask how a PIN stands (documented): its `auth_token` is there once somebody approved it.

        Args:
            pin_id: the PIN's id.
            device_jwt: what `DeviceKey.sign` made, for a PIN that was made with a key.
            options: how to make the call (see `Options`).

        Raises:
            PinNotFound: it is over, unknown, or another client's.
        """
        from ticketstub.wire.pins import GetPin

        return self._sender.send(GetPin(id=pin_id, device_jwt=device_jwt), **options)

    def link(self, code: str | Secret, **options: Unpack[Options]) -> None:
        """Approve a PIN for the client's own account (observed): what Plex's link page does.

        Raises:
            PinNotFound: the code is unknown, over, or was approved already.
        """
        from ticketstub.wire.pins import LinkPin

        self._sender.send(LinkPin(code=code if isinstance(code, Secret) else Secret(code)), **options)


@hide_locals
class AuthKeys:
    """The `auth_keys` group of `Plex`: device keys and Plex's JWTs, call by call."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def register(self, jwk: Jwk, **options: Unpack[Options]) -> None:
        """Register a device key with the device's token (documented). The first JWT for it ends that token.

        Raises:
            Refusal: the key is registered already, here or by another device (422).
        """
        from ticketstub.wire.auth_keys import RegisterKey

        self._sender.send(RegisterKey(jwk=jwk), **options)

    def nonce(self, **options: Unpack[Options]) -> str:
        """Get a nonce to sign; it lives for five minutes and is good once (documented)."""
        from ticketstub.wire.auth_keys import GetNonce

        return self._sender.send(GetNonce(), **options)

    def exchange(self, jwt: Secret, **options: Unpack[Options]) -> Token:
        """Exchange what `DeviceKey.sign` made for Plex's JWT, which lives for seven days (documented).

        Raises:
            Refusal: the device JWT was not taken (422): its key, nonce or client identifier does not fit.
        """
        from ticketstub.wire.auth_keys import ExchangeDeviceJwt

        return self._sender.send(ExchangeDeviceJwt(jwt=jwt), **options)

    def published(self, **options: Unpack[Options]) -> PublishedKeys:
        """Get the keys that Plex signs with (documented)."""
        from ticketstub.keys import PublishedKeys
        from ticketstub.wire.auth_keys import GetPublishedKeys

        return PublishedKeys(keys=self._sender.send(GetPublishedKeys(), **options))


@hide_locals
class HomeCalls:
    """The `home` group of `Plex`: the users of a Plex Home, and their passcodes."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def details(self, **options: Unpack[Options]) -> Home:
        """Ask about the Home itself, without its users (observed)."""
        from ticketstub.wire.home import GetHome

        return self._sender.send(GetHome(), **options)

    def users(self, **options: Unpack[Options]) -> tuple[HomeUser, ...]:
        """List the users of the Home (observed)."""
        from ticketstub.wire.home import GetHomeUsers

        return self._sender.send(GetHomeUsers(), **options)

    def switch(
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
        from ticketstub.wire.home import SwitchHomeUser

        uuid = user if isinstance(user, str) else user.uuid
        if not uuid:
            raise ValueError("this user has no uuid")
        return self._sender.send(SwitchHomeUser(uuid=uuid, passcode=as_secret(passcode)), **options)

    def set_passcode(
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
        from ticketstub.wire.home import SetPasscode

        call = SetPasscode(id=user_id, passcode=as_passcode(passcode), current=as_secret(current))
        self._sender.send(call, **options)

    def remove_passcode(self, user_id: int, *, current: str | Secret, **options: Unpack[Options]) -> None:
        """Remove one's own passcode (observed); as `set_passcode`."""
        from ticketstub.wire.home import SetPasscode

        self._sender.send(SetPasscode(id=user_id, passcode=Secret(""), current=as_secret(current)), **options)

    def set_managed_passcode(self, user_id: int, passcode: str | Secret, **options: Unpack[Options]) -> None:
        """Set a managed user's passcode, as the Home's administrator (observed).

        Raises:
            Forbidden: the caller is no administrator. ValueError: as `set_passcode`.
        """
        from ticketstub.wire.home import SetManagedPasscode

        self._sender.send(SetManagedPasscode(id=user_id, passcode=as_passcode(passcode)), **options)

    def remove_managed_passcode(self, user_id: int, **options: Unpack[Options]) -> None:
        """Remove a managed user's passcode, as the Home's administrator (observed)."""
        from ticketstub.wire.home import SetManagedPasscode

        self._sender.send(SetManagedPasscode(id=user_id, remove=True), **options)


@hide_locals
class Devices:
    """The `devices` group of `Plex`: the account's authorized devices."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def list(self, **options: Unpack[Options]) -> tuple[AuthorizedDevice, ...]:
        """List the devices that may act for the account (observed). Plex tells each one's token here."""
        from ticketstub.wire.devices import GetDevices

        return self._sender.send(GetDevices(), **options)

    def remove(self, device_id: int, **options: Unpack[Options]) -> None:
        """Remove a device, which ends its tokens (observed).

        Args:
            device_id: its `id`, not its client identifier.
            options: how to make the call (see `Options`).

        Raises:
            NotFound: the account has no such device.
        """
        from ticketstub.wire.devices import RemoveDevice

        self._sender.send(RemoveDevice(id=device_id), **options)


@hide_locals
class Claims:
    """The `claims` group of `Plex`: adding a media server to the account."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def token(self, **options: Unpack[Options]) -> Token:
        """Get a claim token; it lives for four minutes and signs nobody in (observed)."""
        from ticketstub.wire.claims import GetClaimToken

        return self._sender.send(GetClaimToken(), **options)

    def exchange(self, claim_token: Secret, **options: Unpack[Options]) -> Account:
        """Exchange a claim token for a server's own token, as that server: its machine identifier asks (observed).

        Args:
            claim_token: what `token()` gave the account.
            options: how to make the call (see `Options`): `client_identifier=` is the machine identifier.
        """
        from ticketstub.wire.claims import ExchangeClaim

        return self._sender.send(ExchangeClaim(token=claim_token), **options)


@hide_locals
class ServerClaims:
    """The `claims` group of a media server: whose it is."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def state(self, **options: Unpack[Options]) -> ClaimedServer:
        """Ask how the server stands with plex.tv; its owner only (observed)."""
        from ticketstub.wire.claims import GetClaimedServer

        return self._sender.send(GetClaimedServer(), **options)

    def claim(self, claim_token: Secret, **options: Unpack[Options]) -> ClaimedServer:
        """Make an unclaimed server one's own (observed). It takes that only from its own machine or network.

        Args:
            claim_token: what `plex.claims.token()` gave.
            options: how to make the call (see `Options`).
        """
        from ticketstub.wire.claims import ClaimServer

        return self._sender.send(ClaimServer(token=claim_token), **options)

    def end(self, **options: Unpack[Options]) -> ClaimedServer:
        """Take the server out of its owner's account (observed)."""
        from ticketstub.wire.claims import UnclaimServer

        return self._sender.send(UnclaimServer(), **options)


def as_secret(text: str | Secret | None) -> Secret | None:
    """Take a plain text for the secret that it is."""
    return Secret(text) if isinstance(text, str) else text


def as_passcode(given: str | Secret) -> Secret:
    """Take a passcode; raises `ValueError` for what is not four digits."""
    passcode = given if isinstance(given, Secret) else Secret(given)
    digits = passcode.reveal()
    if len(digits) != 4 or not (digits.isascii() and digits.isdigit()):
        raise ValueError("a passcode is four digits")
    return passcode
