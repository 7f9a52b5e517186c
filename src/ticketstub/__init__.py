"""Ticketstub for Plex: sign in to Plex, and a local Plex to build and test against.

    from ticketstub import Plex

    plex = Plex.sign_in("My App")

Rule: importing this loads nothing else; each name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketstub.client.account import AccountHandle
    from ticketstub.client.async_account import AsyncAccountHandle
    from ticketstub.client.async_pending import AsyncPendingSignIn
    from ticketstub.client.async_plex import AsyncMediaServer, AsyncPlex, acheck
    from ticketstub.client.config import ClientOptions, Options, Retry
    from ticketstub.client.flows.check import TokenCheck
    from ticketstub.client.flows.pin import PendingState
    from ticketstub.client.flows.session import SignInState
    from ticketstub.client.outcome import Err, Ok
    from ticketstub.client.pending import PendingSignIn
    from ticketstub.client.plex import MediaServer, Plex, check
    from ticketstub.credentials import (
        Credential,
        CredentialStore,
        FileStore,
        KeyringStore,
        MemoryStore,
        default_store,
    )
    from ticketstub.crypto import DeviceKey, Jwk, PublishedKeys
    from ticketstub.device import Device
    from ticketstub.errors import (
        CredentialsError,
        CrossOriginRedirect,
        Denied,
        GaveUp,
        MalformedReply,
        PinExpired,
        PlexError,
        RedirectRefused,
        SignInFailed,
        TimedOut,
        Unreachable,
    )
    from ticketstub.messages import Request, Response
    from ticketstub.models import (
        Account,
        AuthorizedDevice,
        Connection,
        Home,
        HomeUser,
        Identity,
        Pin,
        Resource,
        ServerInformation,
        Source,
        TransientToken,
        User,
    )
    from ticketstub.protocol.account import GetTokenDetails, Ping, PostUsersSignInData, SignOut
    from ticketstub.protocol.claim import (
        ClaimServer,
        ClaimStatus,
        ExchangeClaim,
        GetClaimStatus,
        GetClaimToken,
        UnclaimServer,
    )
    from ticketstub.protocol.device import GetDevices, RemoveDevice
    from ticketstub.protocol.device_key import ExchangeDeviceJwt, GetNonce, GetPublishedKeys, RegisterKey
    from ticketstub.protocol.home import GetHome, GetHomeUsers, SetManagedPasscode, SetPasscode, SwitchHomeUser
    from ticketstub.protocol.legacy_resource import GetLegacyResources
    from ticketstub.protocol.media_server import GetIdentity, GetServerInformation, RawRequest
    from ticketstub.protocol.people import GetUsers
    from ticketstub.protocol.pin import CreateLegacyPin, CreatePin, GetLegacyPin, GetPin, LinkPin
    from ticketstub.protocol.resource import GetResources
    from ticketstub.protocol.security import (
        GetSourceConnectionInformation,
        GetTransientToken,
        TransientTokenScope,
        TransientTokenType,
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
    from ticketstub.tokens import Secret, Token

__version__: str

_HOMES = {
    "client.async_plex": ("AsyncMediaServer", "AsyncPlex", "acheck"),
    "client.async_pending": ("AsyncPendingSignIn",),
    "client.async_account": ("AsyncAccountHandle",),
    "client.plex": ("MediaServer", "Plex", "check"),
    "credentials": (
        "Credential",
        "CredentialStore",
        "FileStore",
        "KeyringStore",
        "MemoryStore",
        "default_store",
    ),
    "device": ("Device",),
    "errors": (
        "CredentialsError",
        "CrossOriginRedirect",
        "Denied",
        "GaveUp",
        "MalformedReply",
        "PinExpired",
        "PlexError",
        "RedirectRefused",
        "SignInFailed",
        "TimedOut",
        "Unreachable",
    ),
    "client.flows.pin": ("PendingState",),
    "client.flows.check": ("TokenCheck",),
    "client.flows.session": ("SignInState",),
    "crypto": ("DeviceKey", "Jwk", "PublishedKeys"),
    "client.config": ("ClientOptions", "Options", "Retry"),
    "client.outcome": ("Err", "Ok"),
    "models": (
        "Account",
        "AuthorizedDevice",
        "Connection",
        "Home",
        "HomeUser",
        "Identity",
        "Pin",
        "Resource",
        "ServerInformation",
        "Source",
        "TransientToken",
        "User",
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
    "client.pending": ("PendingSignIn",),
    "client.account": ("AccountHandle",),
    "tokens": ("Secret", "Token"),
    "protocol.account": ("GetTokenDetails", "Ping", "PostUsersSignInData", "SignOut"),
    "protocol.device_key": ("ExchangeDeviceJwt", "GetNonce", "GetPublishedKeys", "RegisterKey"),
    "protocol.claim": (
        "ClaimServer",
        "ClaimStatus",
        "ExchangeClaim",
        "GetClaimToken",
        "GetClaimStatus",
        "UnclaimServer",
    ),
    "protocol.device": ("GetDevices", "RemoveDevice"),
    "protocol.home": ("GetHome", "GetHomeUsers", "SetManagedPasscode", "SetPasscode", "SwitchHomeUser"),
    "messages": ("Request", "Response"),
    "protocol.legacy_resource": ("GetLegacyResources",),
    "protocol.media_server": ("GetIdentity", "GetServerInformation", "RawRequest"),
    "protocol.pin": ("CreateLegacyPin", "CreatePin", "GetLegacyPin", "GetPin", "LinkPin"),
    "protocol.resource": ("GetResources",),
    "protocol.security": (
        "GetSourceConnectionInformation",
        "GetTransientToken",
        "TransientTokenScope",
        "TransientTokenType",
    ),
    "protocol.people": ("GetUsers",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Account",
    "AccountHandle",
    "AsyncAccountHandle",
    "AsyncMediaServer",
    "AsyncPendingSignIn",
    "AsyncPlex",
    "AuthorizedDevice",
    "BadRequest",
    "ClaimServer",
    "ClaimStatus",
    "ClientIdentifierMissing",
    "ClientOptions",
    "Conflict",
    "Connection",
    "CreateLegacyPin",
    "CreatePin",
    "Credential",
    "CredentialStore",
    "CredentialsError",
    "CrossOriginRedirect",
    "Denied",
    "Device",
    "DeviceKey",
    "Err",
    "ExchangeClaim",
    "ExchangeDeviceJwt",
    "FileStore",
    "Forbidden",
    "GaveUp",
    "GetClaimStatus",
    "GetClaimToken",
    "GetDevices",
    "GetHome",
    "GetHomeUsers",
    "GetIdentity",
    "GetLegacyPin",
    "GetLegacyResources",
    "GetNonce",
    "GetPin",
    "GetPublishedKeys",
    "GetResources",
    "GetServerInformation",
    "GetSourceConnectionInformation",
    "GetTokenDetails",
    "GetTransientToken",
    "GetUsers",
    "Home",
    "HomeUser",
    "Identity",
    "Jwk",
    "KeyringStore",
    "LinkPin",
    "MalformedReply",
    "MediaServer",
    "MemoryStore",
    "NotFound",
    "Ok",
    "Options",
    "PasscodeRequired",
    "PendingSignIn",
    "PendingState",
    "Pin",
    "PinExpired",
    "PinNotFound",
    "Ping",
    "Plex",
    "PlexError",
    "PostUsersSignInData",
    "PublishedKeys",
    "RateLimited",
    "RawRequest",
    "RedirectRefused",
    "Refusal",
    "RegisterKey",
    "RemoveDevice",
    "Request",
    "Resource",
    "Response",
    "Retry",
    "Secret",
    "ServerError",
    "ServerInformation",
    "SetManagedPasscode",
    "SetPasscode",
    "SignInFailed",
    "SignInState",
    "SignOut",
    "Source",
    "SwitchHomeUser",
    "TimedOut",
    "Token",
    "TokenCheck",
    "TokenExpired",
    "TooManyFailures",
    "TransientToken",
    "TransientTokenScope",
    "TransientTokenType",
    "Unauthorized",
    "UnclaimServer",
    "Unreachable",
    "User",
    "VerificationCodeRequired",
    "WrongVerificationCode",
    "acheck",
    "check",
    "default_store",
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
