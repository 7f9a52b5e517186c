"""Ticketstub for Plex: sign in to Plex, and a local Plex to build and test against.

    from ticketstub import Plex

    plex = Plex.sign_in("My App")

Rule: importing this loads nothing else; each name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketstub.aclient import AsyncMediaServer, AsyncPlex, acheck
    from ticketstub.asign_in import AsyncSignIn
    from ticketstub.asigned_in import AsyncSignedInAccount
    from ticketstub.client import MediaServer, Plex, check
    from ticketstub.credentials import (
        Credential,
        Credentials,
        FileCredentials,
        KeyringCredentials,
        MemoryCredentials,
        default_credentials,
    )
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
    from ticketstub.flows.begun import Begun
    from ticketstub.flows.check import Checked
    from ticketstub.flows.kept import SignedIn
    from ticketstub.keys import DeviceKey, Jwk, PublishedKeys
    from ticketstub.options import ClientOptions, Options, Retry
    from ticketstub.outcome import Err, Ok
    from ticketstub.records import (
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
    from ticketstub.sign_in import SignIn
    from ticketstub.signed_in import SignedInAccount
    from ticketstub.token import Secret, Token
    from ticketstub.wire.accounts import GetTokenDetails, Ping, PostUsersSignInData, SignOut
    from ticketstub.wire.auth_keys import ExchangeDeviceJwt, GetNonce, GetPublishedKeys, RegisterKey
    from ticketstub.wire.claims import (
        ClaimedServer,
        ClaimServer,
        ExchangeClaim,
        GetClaimedServer,
        GetClaimToken,
        UnclaimServer,
    )
    from ticketstub.wire.devices import GetDevices, RemoveDevice
    from ticketstub.wire.home import GetHome, GetHomeUsers, SetManagedPasscode, SetPasscode, SwitchHomeUser
    from ticketstub.wire.http import Request, Response
    from ticketstub.wire.legacy_resources import GetLegacyResources
    from ticketstub.wire.media_server import GetIdentity, GetServerInformation, RawRequest
    from ticketstub.wire.pins import CreateLegacyPin, CreatePin, GetLegacyPin, GetPin, LinkPin
    from ticketstub.wire.resources import GetResources
    from ticketstub.wire.security import (
        GetSourceConnectionInformation,
        GetTransientToken,
        TransientTokenScope,
        TransientTokenType,
    )
    from ticketstub.wire.users import GetUsers

__version__: str

_HOMES = {
    "aclient": ("AsyncMediaServer", "AsyncPlex", "acheck"),
    "asign_in": ("AsyncSignIn",),
    "asigned_in": ("AsyncSignedInAccount",),
    "client": ("MediaServer", "Plex", "check"),
    "credentials": (
        "Credential",
        "Credentials",
        "FileCredentials",
        "KeyringCredentials",
        "MemoryCredentials",
        "default_credentials",
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
    "flows.begun": ("Begun",),
    "flows.check": ("Checked",),
    "flows.kept": ("SignedIn",),
    "keys": ("DeviceKey", "Jwk", "PublishedKeys"),
    "options": ("ClientOptions", "Options", "Retry"),
    "outcome": ("Err", "Ok"),
    "records": (
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
    "sign_in": ("SignIn",),
    "signed_in": ("SignedInAccount",),
    "token": ("Secret", "Token"),
    "wire.accounts": ("GetTokenDetails", "Ping", "PostUsersSignInData", "SignOut"),
    "wire.auth_keys": ("ExchangeDeviceJwt", "GetNonce", "GetPublishedKeys", "RegisterKey"),
    "wire.claims": (
        "ClaimServer",
        "ClaimedServer",
        "ExchangeClaim",
        "GetClaimToken",
        "GetClaimedServer",
        "UnclaimServer",
    ),
    "wire.devices": ("GetDevices", "RemoveDevice"),
    "wire.home": ("GetHome", "GetHomeUsers", "SetManagedPasscode", "SetPasscode", "SwitchHomeUser"),
    "wire.http": ("Request", "Response"),
    "wire.legacy_resources": ("GetLegacyResources",),
    "wire.media_server": ("GetIdentity", "GetServerInformation", "RawRequest"),
    "wire.pins": ("CreateLegacyPin", "CreatePin", "GetLegacyPin", "GetPin", "LinkPin"),
    "wire.resources": ("GetResources",),
    "wire.security": (
        "GetSourceConnectionInformation",
        "GetTransientToken",
        "TransientTokenScope",
        "TransientTokenType",
    ),
    "wire.users": ("GetUsers",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Account",
    "AsyncMediaServer",
    "AsyncPlex",
    "AsyncSignIn",
    "AsyncSignedInAccount",
    "AuthorizedDevice",
    "BadRequest",
    "Begun",
    "Checked",
    "ClaimServer",
    "ClaimedServer",
    "ClientIdentifierMissing",
    "ClientOptions",
    "Conflict",
    "Connection",
    "CreateLegacyPin",
    "CreatePin",
    "Credential",
    "Credentials",
    "CredentialsError",
    "CrossOriginRedirect",
    "Denied",
    "Device",
    "DeviceKey",
    "Err",
    "ExchangeClaim",
    "ExchangeDeviceJwt",
    "FileCredentials",
    "Forbidden",
    "GaveUp",
    "GetClaimToken",
    "GetClaimedServer",
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
    "KeyringCredentials",
    "LinkPin",
    "MalformedReply",
    "MediaServer",
    "MemoryCredentials",
    "NotFound",
    "Ok",
    "Options",
    "PasscodeRequired",
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
    "SignIn",
    "SignInFailed",
    "SignOut",
    "SignedIn",
    "SignedInAccount",
    "Source",
    "SwitchHomeUser",
    "TimedOut",
    "Token",
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
    "default_credentials",
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
