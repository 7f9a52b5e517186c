"""The public face: its names, its types, and one client for plex.tv and a media server."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

import ticketstub
from tests.client.conftest import DEVICE
from tests.client.doubles import Recording, unused
from tests.tables import every
from tests.test_architecture import in_a_fresh_interpreter
from ticketstub import (
    AccountHandle,
    AsyncAccountHandle,
    AsyncMediaServer,
    AsyncPlex,
    MediaServer,
    Options,
    Plex,
    calls,
)
from ticketstub.client import account, async_groups, groups
from ticketstub.credentials import Credential
from ticketstub.public_names import CALLS, TOP_LEVEL

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


def _public_names() -> dict[str, Any]:
    found = {"Credential": Credential} | {name: getattr(ticketstub, name) for name in TOP_LEVEL}
    return found | {name: getattr(calls, name) for name in CALLS} | {kind.__name__: kind for kind in FACES}


def _annotated(public: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is public of a class or function and can have annotations, with its name."""
    yield "", public
    for name in dir(public) if isinstance(public, type) else ():
        if name == "__init__" or not name.startswith("_"):
            member = inspect.getattr_static(public, name)
            yield name, member.fget if isinstance(member, property) else getattr(member, "__func__", member)


@every("public", _public_names())
def test_no_any_and_no_object(public: Any) -> None:
    """No public name takes, returns or has an `Any` or `object`, at any depth; but JSON is read as `object`."""
    for name, member in _annotated(public):
        for parameter, annotation in getattr(member, "__annotations__", {}).items():
            if (public, name) != (ticketstub.Response, "json"):
                assert not re.search(r"\b(Any|object)\b", str(annotation)), f"{name}({parameter})"


@every("kind", FACES)
def test_same_options_everywhere(kind: type) -> None:
    """Every method that makes a call takes the same options, and everything else by name."""
    plain = {"at", "close", "aclose", "authentication", "sign_in", "load"}
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
    """Every public name loads, and `dir` and `*` have the same ones."""
    assert [*TOP_LEVEL] == [name for name in dir(ticketstub) if name != "__version__"]
    assert [*CALLS] == dir(calls)
    everything: dict[str, object] = {}
    exec("from ticketstub import *\nfrom ticketstub.calls import *", everything)  # noqa: S102  # a star import inside a function is a syntax error
    assert {*TOP_LEVEL, *CALLS} == everything.keys() - {"__builtins__"}
    assert typing.get_type_hints(ticketstub.Response.json)["return"] is object


def test_importing_the_package_loads_nothing_else() -> None:
    """`import ticketstub` and `ticketstub.calls` load no other module, not even the table of names."""
    program = "before = set(sys.modules)\nimport ticketstub.calls\nprint(*sorted(set(sys.modules) - before))"
    assert "ticketstub ticketstub.calls" == in_a_fresh_interpreter(program)


def test_calls_are_in_a_module_of_their_own() -> None:
    """A call that is looked for in the package is an AttributeError that says where it is."""
    with pytest.raises(AttributeError, match=r"from ticketstub\.calls import GetTokenDetails"):
        ticketstub.GetTokenDetails  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        ticketstub.Nothing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Plex'"):
        calls.Plex  # type: ignore[attr-defined]  # noqa: B018


def test_every_call_that_a_method_sends_is_public() -> None:
    """What a method of the façade sends can be sent as a value too."""
    text = inspect.getsource(groups) + inspect.getsource(account)
    assert set(re.findall(r"send\((\w+)\(", text)) <= CALLS.keys()


# One client for both places.


def test_all_four_operations_and_get_on_one_client() -> None:
    """`Plex(server=...)` has the four operations, and `get` and `request` on its server, as `at(url)` has."""
    transport = Recording()
    plex = Plex(device=DEVICE, token="t" * 20, server="http://attic.example:32400", transport=transport)
    plex.authentication.get_token_details()
    plex.authentication.post_users_sign_in_data(login="mira", password="x")
    plex.authentication.get_transient_token()
    plex.authentication.get_source_connection_information(source="server://9b1f")
    assert 200 == plex.get("/library/sections", {"a": "b"}).status
    plex.request("PUT", "/x", body=b"y")
    assert ["plex.tv"] * 2 + ["attic.example:32400"] * 4 == [urlsplit(sent.url).netloc for sent in transport.sent]
    assert ["t" * 20, None, *["t" * 20] * 4] == [sent.headers.get("X-Plex-Token") for sent in transport.sent]
    alone = plex.at("http://attic.example:32400", token="t" * 20)
    alone.get("/library/sections", {"a": "b"})
    assert transport.sent[4].url == transport.sent[-1].url
    assert transport.sent[4].headers == transport.sent[-1].headers


def test_without_a_server_there_is_nothing_to_get() -> None:
    """`get` on a client that knows no media server is an error before anything is sent."""
    with pytest.raises(ValueError, match="goes to a media server"):
        Plex(device=DEVICE, token="t" * 20, transport=Recording(unused)).get("/")
