"""Groups of calls that the async clients offer.

Rule: the twin of groups.py, where everything is explained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Unpack

from ticketstub.adriver import AsyncSender
from ticketstub.frames import hide_locals
from ticketstub.options import Options
from ticketstub.token import Secret

if TYPE_CHECKING:
    from ticketstub.records import Account, Source, TransientToken
    from ticketstub.wire.security import TransientTokenScope, TransientTokenType


@hide_locals
class AsyncSecurityCalls:
    """As `SecurityCalls`, awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get_transient_token(
        self,
        *,
        type: TransientTokenType | Literal["delegation"] = "delegation",  # noqa: A002  # Plex's own name
        scope: TransientTokenScope | Literal["all"] = "all",
        **options: Unpack[Options],
    ) -> TransientToken:
        """As `SecurityCalls.get_transient_token`."""
        from ticketstub.wire.security import GetTransientToken, TransientTokenScope, TransientTokenType

        call = GetTransientToken(type=TransientTokenType(type), scope=TransientTokenScope(scope))
        return await self._sender.send(call, **options)

    async def get_source_connection_information(
        self, *, source: str, refresh: bool = False, **options: Unpack[Options]
    ) -> Source:
        """As `SecurityCalls.get_source_connection_information`."""
        from ticketstub.wire.security import GetSourceConnectionInformation

        return await self._sender.send(GetSourceConnectionInformation(source=source, refresh=refresh), **options)


@hide_locals
class AsyncAuthentication(AsyncSecurityCalls):
    """As `Authentication`, awaited."""

    async def get_token_details(self, **options: Unpack[Options]) -> Account:
        """As `Authentication.get_token_details`."""
        from ticketstub.wire.accounts import GetTokenDetails

        return await self._sender.send(GetTokenDetails(), **options)

    async def post_users_sign_in_data(
        self,
        *,
        login: str,
        password: str | Secret,
        verification_code: str | Secret | None = None,
        remember_me: bool = False,
        **options: Unpack[Options],
    ) -> Account:
        """As `Authentication.post_users_sign_in_data`."""
        from ticketstub.wire.accounts import PostUsersSignInData

        call = PostUsersSignInData.of(login, password, verification_code, remember_me=remember_me)
        return await self._sender.send(call, **options)
