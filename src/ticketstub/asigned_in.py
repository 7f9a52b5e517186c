"""What the async client does for the account that is signed in.

Rule: the twin of signed_in.py, where everything is explained.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self, Unpack

from ticketstub.adriver import AsyncSender
from ticketstub.flows.steps import Living
from ticketstub.frames import hide_locals
from ticketstub.options import Options
from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.flows.kept import SignedIn
    from ticketstub.records import Account, HomeUser, Resource


@hide_locals
class AsyncSignedInAccount:
    """As `SignedInAccount`, awaited."""

    def __init__(self, sender: AsyncSender, details: Account) -> None:
        self._sender = sender
        self._details = details

    @property
    def details(self) -> Account:
        """As `SignedInAccount.details`."""
        return self._details

    @property
    def id(self) -> int | None:
        """As `SignedInAccount.id`."""
        return self._details.id

    @property
    def uuid(self) -> str | None:
        """As `SignedInAccount.uuid`."""
        return self._details.uuid

    @property
    def name(self) -> str:
        """As `SignedInAccount.name`."""
        known = self._details
        return known.username or known.title or known.email or str(known.id)

    async def can_reach(
        self, server: str, *, owned: bool | None = None, owner: int | None = None, **options: Unpack[Options]
    ) -> bool:
        """As `SignedInAccount.can_reach`."""
        from ticketstub.flows.servers import reaches
        from ticketstub.wire.resources import GetResources

        found = await self._sender.send(GetResources(), **options)
        return reaches(self._details, found, server, owned=owned, owner=owner)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


@hide_locals
class AsyncSignedInSender(AsyncSender):
    """As `SignedInSender`, awaited."""

    @property
    def signed_in(self) -> SignedIn | None:
        """As `SignedInSender.signed_in`."""
        if not isinstance(self._settings.token, Living):
            return None
        from ticketstub.flows.kept import kept_in

        kept = kept_in(self._settings)
        return kept.signed_in if kept else None

    @property
    def token(self) -> Token | None:
        """As `SignedInSender.token`."""
        held = self._settings.token
        if held is None or isinstance(held, Token):
            return held
        from ticketstub.flows.kept import token_in

        return token_in(self._settings)

    async def account(self, **options: Unpack[Options]) -> AsyncSignedInAccount:
        """As `SignedInSender.account`."""
        from ticketstub.wire.accounts import GetTokenDetails

        return AsyncSignedInAccount(self, await self.send(GetTokenDetails(), **options))

    async def ping(self, **options: Unpack[Options]) -> bool:
        """As `SignedInSender.ping`."""
        from ticketstub.wire.accounts import Ping

        return await self.send(Ping(), **options)

    async def resources(
        self,
        *,
        include_https: bool = True,
        include_relay: bool = True,
        include_ipv6: bool = True,
        **options: Unpack[Options],
    ) -> tuple[Resource, ...]:
        """As `SignedInSender.resources`."""
        from ticketstub.flows.servers import resources
        from ticketstub.wire.resources import GetResources

        call = GetResources(include_https=include_https, include_relay=include_relay, include_ipv6=include_ipv6)
        return await self.follow(partial(resources, call), **options)

    async def media_server_token(self, *, passcode: str | Secret | None = None, **options: Unpack[Options]) -> Token:
        """As `SignedInSender.media_server_token`."""
        from ticketstub.flows.home import media_server_token

        return await self.follow(partial(media_server_token, passcode), **options)

    async def switch_home_user(
        self, user: str | int | HomeUser, *, passcode: str | Secret | None = None, **options: Unpack[Options]
    ) -> Self:
        """As `SignedInSender.switch_home_user`."""
        from ticketstub.flows.home import switched

        account = await self.follow(partial(switched, user, passcode), **options)
        return self.with_options(token=account.auth_token)

    async def renew(self, **options: Unpack[Options]) -> SignedIn:
        """As `SignedInSender.renew`."""
        from ticketstub.flows.renew import renew

        return await self.follow(renew, **options)

    async def keep_alive(self, **options: Unpack[Options]) -> float:
        """As `SignedInSender.keep_alive`."""
        from ticketstub.flows.renew import keep_alive

        return await self.follow(keep_alive, **options)

    async def sign_out(self, **options: Unpack[Options]) -> None:
        """As `SignedInSender.sign_out`."""
        from ticketstub.flows.sign_out import sign_out

        await self.follow(sign_out, **options)
