"""What an operation of the SDK becomes: one of our calls, who asks, and how its value is shown.

Rule: role of a translator only; no network here, and nothing that differs between sync and async.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ticketstub.compat.answers import RawResponse
from ticketstub.compat.arguments import text_of
from ticketstub.compat.plex_api_client.models import errors, operations
from ticketstub.compat.plex_api_client.models.components import UserPlexAccount
from ticketstub.outcome import Err, Outcome
from ticketstub.records import Account, Source, TransientToken
from ticketstub.wire.accounts import GetTokenDetails, PostUsersSignInData
from ticketstub.wire.call import Call, one
from ticketstub.wire.http import Response
from ticketstub.wire.security import (
    GetSourceConnectionInformation,
    GetTransientToken,
    TransientTokenScope,
    TransientTokenType,
)

V = TypeVar("V")
R = TypeVar("R")


@dataclass(frozen=True)
class Asked(Generic[V, R]):
    """One operation: the call, the request it was made of, how its value is shown."""

    call: Call[V]
    request: operations.Identity
    shown: Callable[[V, Response], R]

    def result(self, outcome: Outcome[V]) -> R:
        """Return the SDK's result, or raise its error."""
        if isinstance(outcome, Err):
            errors.raise_for(outcome.error, typed=self.call.base == "plex.tv")
        return self.shown(outcome.value, outcome.response)


def transient_token(given: object) -> Asked[TransientToken, operations.CreateTransientTokenResponse]:
    """Read the request of create_transient_token."""
    request = operations.request_of(operations.CreateTransientTokenRequest, given)
    kind, scope = TransientTokenType(text_of(request.media_type)), TransientTokenScope(text_of(request.scope))
    return Asked(GetTransientToken(type=kind, scope=scope), request, _transient_token)


def _transient_token(_value: TransientToken, response: Response) -> operations.CreateTransientTokenResponse:
    whole = one(operations.TransientContainer, response, ("token",))
    body = operations.CreateTransientTokenResponseBody(operations.CreateTransientTokenMediaContainer(whole))
    return operations.CreateTransientTokenResponse(raw_response=RawResponse(response), object=body)


def source(given: object) -> Asked[Source, operations.GetSourceConnectionInformationResponse]:
    """Read the request of get_source_connection_information."""
    request = operations.request_of(operations.GetSourceConnectionInformationRequest, given)
    return Asked(GetSourceConnectionInformation(source=request.source, refresh=bool(request.refresh)), request, _source)


def _source(_value: Source, response: Response) -> operations.GetSourceConnectionInformationResponse:
    whole = one(operations.SourceContainer, response, ("device",))
    container = operations.GetSourceConnectionInformationMediaContainer(whole)
    body = operations.GetSourceConnectionInformationResponseBody(container)
    return operations.GetSourceConnectionInformationResponse(raw_response=RawResponse(response), object=body)


def token_details(given: object) -> Asked[Account, operations.GetTokenDetailsResponse]:
    """Read the request of get_token_details."""
    return Asked(GetTokenDetails(), operations.request_of(operations.GetTokenDetailsRequest, given), _token_details)


def _token_details(value: Account, response: Response) -> operations.GetTokenDetailsResponse:
    return operations.GetTokenDetailsResponse(
        raw_response=RawResponse(response), user_plex_account=UserPlexAccount(value)
    )


def sign_in(given: object) -> Asked[Account, operations.PostUsersSignInDataResponse]:
    """Read the request of post_users_sign_in_data."""
    request = operations.request_of(operations.PostUsersSignInDataRequest, given)
    form = operations.request_of(operations.PostUsersSignInDataRequestBody, request.request_body or {})
    call = PostUsersSignInData.of(form.login, form.password, form.verification_code, remember_me=bool(form.remember_me))
    return Asked(call, request, _sign_in)


def _sign_in(value: Account, response: Response) -> operations.PostUsersSignInDataResponse:
    account = operations.PostUsersSignInDataUserPlexAccount(value)
    return operations.PostUsersSignInDataResponse(raw_response=RawResponse(response), user_plex_account=account)
