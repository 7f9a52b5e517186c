"""Signing in at Plex, and asking for memberships: everything that this bridge asks plex.tv.

Rule: this is the only module that talks to Plex. A PIN is created by this server and its token read by this server; no
browser ever sees either. An answer that is missing is never taken for a no, and never for a yes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal, TypeAlias

import msgspec

from ticketstub import (
    Account,
    AsyncAccountHandle,
    AsyncPendingSignIn,
    AsyncPlex,
    Denied,
    Device,
    GaveUp,
    PinExpired,
    PlexError,
    Token,
    TokenExpired,
    Unauthorized,
)
from ticketstub_bridge.config import Config
from ticketstub_bridge.sealing import Sealer
from ticketstub_bridge.storage import Profile

MAX_WAIT = 4.0
"""Seconds to wait for an approval after the browser has returned; it was normally given before."""


class NotApproved(Exception):
    """The person did not approve, or the PIN expired."""


class PlexUnavailable(Exception):
    """Plex did not answer, so nothing is known."""


class Arrival(msgspec.Struct, frozen=True):
    """Somebody who approved at Plex.

    Attributes:
        profile: what Plex says about them.
        token: their Plex token, for asking again.
    """

    profile: Profile
    token: Token


CheckResult: TypeAlias = Profile | Literal["over", "unknown"]
"""What a later check found: the membership as it is now; that it is over; or that Plex could not be asked."""


class PlexGateway:
    """Plex, as this bridge uses it.

    Args:
        plex: a client without a token.
        config: the configuration; `reload` replaces it.
        sealer: seals sign-ins in progress and tokens.
    """

    def __init__(self, plex: AsyncPlex, config: Config, sealer: Sealer) -> None:
        self._plex = plex
        self._config = config
        self._sealer = sealer

    def reload(self, config: Config) -> None:
        """Use another configuration from now on."""
        self._config = config

    async def begin(self, transaction_id: str, product: str) -> tuple[str, bytes]:
        """Create a PIN; returns the page to send the browser to, and the sign-in in progress, sealed.

        Args:
            transaction_id: the transaction.
            product: what Plex names to the person as the application that asks.

        Raises:
            PlexUnavailable: Plex did not create it.
        """
        device = Device(client_identifier=self._sealer.client_identifier, product=product, platform="Web")
        forward_url = f"{self._config.url}/plex/return?transaction={transaction_id}"
        try:
            pending = await self._plex.begin_sign_in(forward_url=forward_url, device=device)
        except PlexError as error:
            raise PlexUnavailable from error
        return pending.url, self._sealer.seal(pending.dump(), f"sign-in {transaction_id}")

    async def finish(self, transaction_id: str, pending: bytes) -> Arrival:
        """Read the token of a sign-in whose browser has returned, and ask who it is.

        Raises:
            NotApproved: there is no approval.
            PlexUnavailable: Plex did not answer.
        """
        dump = self._sealer.unseal(pending, f"sign-in {transaction_id}")
        try:
            client = await AsyncPendingSignIn.load(dump, plex=self._plex).finish(max_wait=MAX_WAIT)
            account = await client.account()
            if client.token is None:
                raise PlexUnavailable
            return Arrival(await self._describe(account), client.token)
        except (GaveUp, Denied, PinExpired) as error:
            raise NotApproved from error
        except PlexError as error:
            raise PlexUnavailable from error

    async def check(self, sub: str, sealed: bytes) -> CheckResult:
        """Ask again for a person's membership, with their sealed token."""
        client = self._plex.with_options(token=self.unseal_token(sub, sealed))
        try:
            return await self._describe(await client.account())
        except (Unauthorized, TokenExpired):  # 401, 422 and 498: Plex no longer knows the token
            return "over"
        except (PlexError, PlexUnavailable):
            return "unknown"

    async def discard(self, token: Token) -> None:
        """Revoke a token that is not kept, as far as Plex can be reached."""
        with suppress(PlexError):
            await self._plex.with_options(token=token).sign_out()

    def seal_token(self, sub: str, token: Token) -> bytes:
        """Seal a person's Plex token for the database."""
        return self._sealer.seal(token.reveal(), f"plex token {sub}")

    def unseal_token(self, sub: str, sealed: bytes) -> Token:
        """Read what `seal_token` returned."""
        return Token(self._sealer.unseal(sealed, f"plex token {sub}"))

    async def _describe(self, account: AsyncAccountHandle) -> Profile:
        roles: dict[str, str] = {}
        for server in self._config.servers:
            role = await account.membership(server.machine_identifier, owner=server.owner_id)
            if role is not None:
                roles[server.slug] = role
        return _make_profile(account.details, roles)

    async def close(self) -> None:
        """Close the connections to Plex."""
        await self._plex.close()


def _make_profile(account: Account, roles: dict[str, str]) -> Profile:
    """Take what is passed on from an account. Its texts are untrusted: they are cut, and only https pictures pass."""
    if account.id is None:
        raise PlexUnavailable
    username = _clean(account.username) or _clean(account.title) or f"plex-{account.id}"
    email = _clean(account.email)
    picture = account.thumb or ""
    return Profile(
        account_id=account.id,
        username=username,
        name=_clean(account.friendly_name) or _clean(account.title) or username,
        email=email or None,
        email_verified=bool(email) and account.confirmed is True,
        picture=picture if picture.startswith("https://") and len(picture) <= 500 else None,
        roles=roles,
    )


def _clean(text: str | None) -> str:
    return "".join(letter for letter in text or "" if letter.isprintable()).strip()[:128]
