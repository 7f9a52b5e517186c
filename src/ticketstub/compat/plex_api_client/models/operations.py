"""Requests and results of the four operations, under the names of 0.36.3.

Rule: a request is one of these classes or a mapping with the same names (or the wire's); an unknown name is a
`TypeError`, not ignored. Whatever identifies the client in a request replaces the constructor's for that call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeVar, cast

import msgspec

from ticketstub.compat.answers import RawResponse
from ticketstub.compat.not_covered import missing
from ticketstub.compat.plex_api_client.models.components import Accepts, BoolInt, ConnectionInfo, UserPlexAccount
from ticketstub.compat.plex_api_client.models.components import UserPlexAccountSubscription as PastSubscription
from ticketstub.compat.shapes import Shape
from ticketstub.device import HEADERS
from ticketstub.records import Record, Source
from ticketstub.token import Token

Q = TypeVar("Q")

IDENTITY = {
    **{field: HEADERS[field] for field in ("client_identifier", "product", "version", "platform", "platform_version")},
    **{field: HEADERS[field] for field in ("device", "model", "device_name")},
    "device_vendor": HEADERS["vendor"],
    "marketplace": "X-Plex-Marketplace",
}
"""Each name that identifies the client, and the header it is sent as."""

_WIRE_NAMES = {
    **{header: name for name, header in IDENTITY.items()},
    "type": "media_type",
    "requestBody": "request_body",
    "rememberMe": "remember_me",
    "verificationCode": "verification_code",
}


class QueryParamType(StrEnum):
    """What a transient token is for; `delegation` is the only one (documented)."""

    DELEGATION = "delegation"


class Scope(StrEnum):
    """What a transient token reaches; `all` is the only one (documented)."""

    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who asks, for one call."""

    accepts: Accepts | str | None = None
    client_identifier: str | None = None
    product: str | None = None
    version: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    device: str | None = None
    model: str | None = None
    device_vendor: str | None = None
    device_name: str | None = None
    marketplace: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateTransientTokenRequest(Identity):
    """What kind of token; both are required."""

    media_type: QueryParamType | str
    scope: Scope | str


@dataclass(frozen=True, kw_only=True)
class GetSourceConnectionInformationRequest(Identity):
    """Which source, with its prefix, and whether the server asks anew."""

    source: str
    refresh: BoolInt | int | None = None


@dataclass(frozen=True, kw_only=True)
class GetTokenDetailsRequest(Identity):
    """Nothing but who asks."""


@dataclass(frozen=True, kw_only=True)
class PostUsersSignInDataRequestBody:
    """What a sign-in needs; its secrets are left out of `repr`."""

    login: str
    password: str = field(repr=False)
    remember_me: bool | None = None
    verification_code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class PostUsersSignInDataRequest(Identity):
    """Who signs in."""

    request_body: PostUsersSignInDataRequestBody | Mapping[str, object] | None = None


def request_of(kind: type[Q], given: object) -> Q:
    """Take a request, or make one of a mapping.

    Raises:
        TypeError: a name is missing or unknown.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(f"a request is a {kind.__name__} or a mapping, not {type(given).__name__}")
    members = cast("Mapping[str, object]", given)
    return kind(**{_WIRE_NAMES.get(name, name): value for name, value in members.items()})


class TransientContainer(Record, frozen=True, kw_only=True):
    """The whole container that a transient token comes in."""

    identifier: str | None = None
    offset: int | None = None
    size: int | None = None
    total_size: int | None = None
    token: Token | None = None


class SourceContainer(Record, frozen=True, kw_only=True):
    """The whole container that a source comes in."""

    identifier: str | None = None
    offset: int | None = None
    size: int | None = None
    total_size: int | None = None
    device: Source | None = msgspec.field(name="Device", default=None)


class _MediaContainer(Shape):
    identifier: str | None
    offset: int | None
    size: int | None
    total_size: int | None


class CreateTransientTokenMediaContainer(_MediaContainer):
    """The container with the token, which is text here, as in the release."""

    token: str | None


class GetSourceConnectionInformationMediaContainer(_MediaContainer):
    """The container with the source, which the release calls its device."""

    inner: ClassVar[dict[str, type[Shape]]] = {"device": ConnectionInfo}

    device: ConnectionInfo | None


@dataclass(frozen=True)
class CreateTransientTokenResponseBody:
    """What holds the container."""

    media_container: CreateTransientTokenMediaContainer | None = None


@dataclass(frozen=True)
class GetSourceConnectionInformationResponseBody:
    """What holds the container."""

    media_container: GetSourceConnectionInformationMediaContainer | None = None


class PostUsersSignInDataUserPlexAccount(UserPlexAccount):
    """An account after a sign-in, with what it used to pay for."""

    past_subscriptions: list[PastSubscription]
    trials: list[PastSubscription]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What every result has."""

    raw_response: RawResponse

    @property
    def content_type(self) -> str:
        """The answer's media type."""
        return self.raw_response.content_type

    @property
    def status_code(self) -> int:
        """The answer's status."""
        return self.raw_response.status_code


@dataclass(frozen=True, kw_only=True)
class CreateTransientTokenResponse(Answered):
    """The result: `res.object.media_container.token`."""

    object: CreateTransientTokenResponseBody | None = None


@dataclass(frozen=True, kw_only=True)
class GetSourceConnectionInformationResponse(Answered):
    """The result: `res.object.media_container.device`."""

    object: GetSourceConnectionInformationResponseBody | None = None


@dataclass(frozen=True, kw_only=True)
class GetTokenDetailsResponse(Answered):
    """The result: `res.user_plex_account`."""

    user_plex_account: UserPlexAccount | None = None


@dataclass(frozen=True, kw_only=True)
class PostUsersSignInDataResponse(Answered):
    """The result: `res.user_plex_account`, whose `auth_token` is the new token."""

    user_plex_account: PostUsersSignInDataUserPlexAccount | None = None


def __getattr__(name: str) -> object:
    raise missing(__name__, name)
