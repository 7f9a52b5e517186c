"""Ticketstub for Plex: sign in to Plex, and a local Plex to build and test against.

    from ticketstub import Plex

    plex = Plex()
    account = plex.authentication.post_users_sign_in_data(login="mira_quill", password=password)
    mine = plex.with_options(token=account.auth_token)

Rule: importing this loads nothing else; each name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketstub.aclient import AsyncMediaServer, AsyncPlex
    from ticketstub.client import MediaServer, Plex
    from ticketstub.device import Device
    from ticketstub.errors import (
        CredentialsError,
        CrossOriginRedirect,
        MalformedReply,
        PlexError,
        RedirectRefused,
        TimedOut,
        Unreachable,
    )
    from ticketstub.options import Options, Retry
    from ticketstub.outcome import Err, Ok
    from ticketstub.records import (
        Account,
        Connection,
        Identity,
        Resource,
        ServerInformation,
        Source,
        TransientToken,
    )
    from ticketstub.refusals import (
        BadRequest,
        ClientIdentifierMissing,
        Conflict,
        Forbidden,
        NotFound,
        PasscodeRequired,
        PinNotFound,
        RateLimited,
        Refusal,
        ServerError,
        TokenExpired,
        TooManyFailures,
        Unauthorized,
        VerificationCodeRequired,
        WrongVerificationCode,
    )
    from ticketstub.token import Secret, Token
    from ticketstub.wire.accounts import GetTokenDetails, Ping, PostUsersSignInData
    from ticketstub.wire.http import Request, Response
    from ticketstub.wire.media_server import GetIdentity, GetServerInformation, RawRequest
    from ticketstub.wire.resources import GetResources
    from ticketstub.wire.security import (
        GetSourceConnectionInformation,
        GetTransientToken,
        TransientTokenScope,
        TransientTokenType,
    )

__version__: str

_HOMES = {
    "aclient": ("AsyncMediaServer", "AsyncPlex"),
    "client": ("MediaServer", "Plex"),
    "device": ("Device",),
    "errors": (
        "CredentialsError",
        "CrossOriginRedirect",
        "MalformedReply",
        "PlexError",
        "RedirectRefused",
        "TimedOut",
        "Unreachable",
    ),
    "options": ("Options", "Retry"),
    "outcome": ("Err", "Ok"),
    "records": (
        "Account",
        "Connection",
        "Identity",
        "Resource",
        "ServerInformation",
        "Source",
        "TransientToken",
    ),
    "refusals": (
        "BadRequest",
        "ClientIdentifierMissing",
        "Conflict",
        "Forbidden",
        "NotFound",
        "PasscodeRequired",
        "PinNotFound",
        "RateLimited",
        "Refusal",
        "ServerError",
        "TokenExpired",
        "TooManyFailures",
        "Unauthorized",
        "VerificationCodeRequired",
        "WrongVerificationCode",
    ),
    "token": ("Secret", "Token"),
    "wire.accounts": ("GetTokenDetails", "Ping", "PostUsersSignInData"),
    "wire.http": ("Request", "Response"),
    "wire.media_server": ("GetIdentity", "GetServerInformation", "RawRequest"),
    "wire.resources": ("GetResources",),
    "wire.security": (
        "GetSourceConnectionInformation",
        "GetTransientToken",
        "TransientTokenScope",
        "TransientTokenType",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Account",
    "AsyncMediaServer",
    "AsyncPlex",
    "BadRequest",
    "ClientIdentifierMissing",
    "Conflict",
    "Connection",
    "CredentialsError",
    "CrossOriginRedirect",
    "Device",
    "Err",
    "Forbidden",
    "GetIdentity",
    "GetResources",
    "GetServerInformation",
    "GetSourceConnectionInformation",
    "GetTokenDetails",
    "GetTransientToken",
    "Identity",
    "MalformedReply",
    "MediaServer",
    "NotFound",
    "Ok",
    "Options",
    "PasscodeRequired",
    "PinNotFound",
    "Ping",
    "Plex",
    "PlexError",
    "PostUsersSignInData",
    "RateLimited",
    "RawRequest",
    "RedirectRefused",
    "Refusal",
    "Request",
    "Resource",
    "Response",
    "Retry",
    "Secret",
    "ServerError",
    "ServerInformation",
    "Source",
    "TimedOut",
    "Token",
    "TokenExpired",
    "TooManyFailures",
    "TransientToken",
    "TransientTokenScope",
    "TransientTokenType",
    "Unauthorized",
    "Unreachable",
    "VerificationCodeRequired",
    "WrongVerificationCode",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        found: object = import_module("importlib.metadata").version("ticketstub")
    elif home := _HOME_OF.get(name):
        found = getattr(import_module(f"ticketstub.{home}"), name)
    else:
        raise AttributeError(f"module 'ticketstub' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
