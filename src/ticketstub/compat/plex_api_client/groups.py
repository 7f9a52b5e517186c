"""The groups `general` and `authentication` of 0.36.3, each operation with its `_async` twin.

Rule: every operation takes `request=` and the same four options; one line each, for asked.py says what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar, Unpack

from ticketstub.compat.not_covered import missing
from ticketstub.compat.plex_api_client import asked
from ticketstub.compat.plex_api_client.asked import Asked
from ticketstub.compat.plex_api_client.models import operations
from ticketstub.compat.retries import RetryConfig
from ticketstub.frames import hide_locals

V = TypeVar("V")
R = TypeVar("R")


class CallOptions(TypedDict, total=False):
    """What every operation takes.

    retries: when to try again. server_url: where this call goes instead; the constructor's token goes there with it,
    for the program names both. timeout_ms: milliseconds for the call in all. http_headers: further headers.
    """

    retries: RetryConfig | None
    server_url: str | None
    timeout_ms: int | None
    http_headers: Mapping[str, str] | None


class Sends(Protocol):
    """What a group needs of its client."""

    def sent(self, one: Asked[V, R], options: CallOptions) -> R:
        """Make a call and return the SDK's result."""
        ...

    async def sent_async(self, one: Asked[V, R], options: CallOptions) -> R:
        """As `sent`, awaited."""
        ...


class Group:
    """Operations of one client."""

    def __init__(self, sdk: Sends) -> None:
        self._sdk = sdk

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> object:
            raise missing(f"plex_api_client's {type(self).__name__.lower()}", name)


@hide_locals
class General(Group):
    """The media server's two operations."""

    def create_transient_token(
        self, *, request: object, **options: Unpack[CallOptions]
    ) -> operations.CreateTransientTokenResponse:
        """Get a transient token; `request` is a `CreateTransientTokenRequest` or a mapping."""
        return self._sdk.sent(asked.transient_token(request), options)

    async def create_transient_token_async(
        self, *, request: object, **options: Unpack[CallOptions]
    ) -> operations.CreateTransientTokenResponse:
        """As `create_transient_token`, awaited."""
        return await self._sdk.sent_async(asked.transient_token(request), options)

    # The name in 0.33, whose request has `type` for `media_type`.
    get_transient_token = create_transient_token
    get_transient_token_async = create_transient_token_async

    def get_source_connection_information(
        self, *, request: object, **options: Unpack[CallOptions]
    ) -> operations.GetSourceConnectionInformationResponse:
        """Ask how to reach a source; `request` is a `GetSourceConnectionInformationRequest` or a mapping."""
        return self._sdk.sent(asked.source(request), options)

    async def get_source_connection_information_async(
        self, *, request: object, **options: Unpack[CallOptions]
    ) -> operations.GetSourceConnectionInformationResponse:
        """As `get_source_connection_information`, awaited."""
        return await self._sdk.sent_async(asked.source(request), options)


@hide_locals
class Authentication(Group):
    """plex.tv's two operations."""

    def get_token_details(
        self, *, request: object, **options: Unpack[CallOptions]
    ) -> operations.GetTokenDetailsResponse:
        """Ask whose token this is; `request` is a `GetTokenDetailsRequest` or a mapping, empty as a rule."""
        return self._sdk.sent(asked.token_details(request), options)

    async def get_token_details_async(
        self, *, request: object, **options: Unpack[CallOptions]
    ) -> operations.GetTokenDetailsResponse:
        """As `get_token_details`, awaited."""
        return await self._sdk.sent_async(asked.token_details(request), options)

    def post_users_sign_in_data(
        self, *, request: object, **options: Unpack[CallOptions]
    ) -> operations.PostUsersSignInDataResponse:
        """Sign in; `request` is a `PostUsersSignInDataRequest` or a mapping with `request_body`."""
        return self._sdk.sent(asked.sign_in(request), options)

    async def post_users_sign_in_data_async(
        self, *, request: object, **options: Unpack[CallOptions]
    ) -> operations.PostUsersSignInDataResponse:
        """As `post_users_sign_in_data`, awaited."""
        return await self._sdk.sent_async(asked.sign_in(request), options)
