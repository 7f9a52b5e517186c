"""The public face has no `Any` in it, and each name that it promises is there."""

from __future__ import annotations

import inspect
import typing

import ticketstub
from tests.tables import every
from ticketstub import (
    AccountHandle,
    AsyncAccountHandle,
    AsyncMediaServer,
    AsyncPendingSignIn,
    AsyncPlex,
    MediaServer,
    Options,
    PendingSignIn,
    Plex,
)
from ticketstub.client import async_groups, groups
from ticketstub.public_names import TOP_LEVEL

GROUPS = (
    "AuthenticationCalls",
    "PinCalls",
    "AuthKeyCalls",
    "HomeCalls",
    "DeviceCalls",
    "ClaimCalls",
    "ServerClaimCalls",
)
FACES = [
    *(Plex, MediaServer, AccountHandle, AsyncPlex, AsyncMediaServer, AsyncAccountHandle),
    *(getattr(groups, name) for name in GROUPS),
    *(getattr(async_groups, f"Async{name}") for name in GROUPS),
]


@every("kind", [*FACES, PendingSignIn, AsyncPendingSignIn])
def test_no_any(kind: type) -> None:
    """No public method takes or returns `Any`, in whatever depth."""
    for name, member in inspect.getmembers(kind, callable):
        if not name.startswith("_"):
            written = " ".join(map(str, getattr(member, "__annotations__", {}).values()))
            assert "Any" not in written.replace("Anything", ""), f"{kind.__name__}.{name}"


@every("kind", FACES)
def test_same_options_everywhere(kind: type) -> None:
    """Every method that makes a call takes the same options, and everything else by name."""
    plain = {"at", "close", "aclose", "authentication"}
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if name.startswith("_") or name in plain:
            continue
        parameters = inspect.signature(member).parameters
        assert "Unpack[Options]" == parameters["options"].annotation, f"{kind.__name__}.{name}"


def test_options_are_these() -> None:
    """The options are those of the documentation, no more."""
    assert {
        "timeout",
        "deadline",
        "retry",
        "headers",
        "device",
        "client_identifier",
        "token",
        "base_url",
    } == set(Options.__annotations__)


def test_names() -> None:
    """Every promised name is there, sorted, and loads; nothing else is promised."""
    for name in TOP_LEVEL:
        assert hasattr(ticketstub, name), name
    assert typing.get_type_hints(ticketstub.Response.json)["return"] is object
