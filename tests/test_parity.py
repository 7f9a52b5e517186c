"""`Plex` and `AsyncPlex` have the same names, signatures and requests."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.client.doubles import AsyncRecording, Recording, usual
from tests.tables import every
from ticketstub import Browser, Connection, Resource
from ticketstub.client import (
    account,
    async_account,
    async_groups,
    async_plex,
    groups,
    plex,
)
from ticketstub.credentials import MemoryStore
from ticketstub.crypto import Jwk
from ticketstub.device import Device
from ticketstub.messages import Request, Response
from ticketstub.tokens import Secret, Token

ROOT = Path(__file__).parents[1]
MODULES = [(plex, async_plex), (groups, async_groups), (account, async_account)]
PAIRS = {
    name: (kind, getattr(awaited, f"Async{name}"))
    for sync, awaited in MODULES
    for name, kind in vars(sync).items()
    if hasattr(awaited, f"Async{name}") and kind.__module__ == sync.__name__
}


def test_generated_files_are_current() -> None:
    """The sync façade and the table of public names are what the script makes of the async one and the stubs."""
    program = [sys.executable, str(ROOT / "scripts" / "make_sync.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def methods(kind: type) -> dict[str, Any]:
    """List the methods that a class defines itself."""
    own = {name: getattr(value, "__func__", value) for name, value in vars(kind).items()}  # class methods too
    return {name: value for name, value in own.items() if callable(value)}


MEMBERS = {(name, member) for name, (kind, _) in PAIRS.items() for member in vars(kind)}


def test_what_talks_is_awaited() -> None:
    """Each method that does I/O is a coroutine function in the async façade; the others are plain functions."""
    plain = {"with_options", "at", "PendingSignIn.load", "__init__", "__repr__"}
    for name, (_, kind) in PAIRS.items():
        for member, function in methods(kind).items():
            is_plain = bool(plain & {member, f"{name}.{member}"})
            assert inspect.iscoroutinefunction(function) is not is_plain, f"{name}.{member}"


def test_the_async_client_closes_under_either_name() -> None:
    """`aclose` is `close`, for `contextlib.aclosing` and users of httpx."""
    transport = AsyncRecording()
    plex = async_plex.AsyncPlex(transport=transport, **OPTIONS)
    asyncio.run(plex.ping())
    asyncio.run(plex.aclose())
    with pytest.raises(RuntimeError, match="was closed"):
        asyncio.run(plex.ping())


JWK = Jwk(kty="OKP", crv="Ed25519", x="A" * 43, kid="demo-key-1")
SOURCE = "server://9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
USES: dict[str, Any] = {
    "get_token_details": lambda plex: plex.authentication.get_token_details(),
    "post_users_sign_in_data": lambda plex: plex.authentication.post_users_sign_in_data(
        login="mira@example.test", password="p&ss", verification_code="123456", remember_me=True
    ),
    "get_transient_token": lambda plex: plex.authentication.get_transient_token(),
    "get_source_connection_information": lambda plex: plex.authentication.get_source_connection_information(
        source=SOURCE, refresh=True
    ),
    "ping": lambda plex: plex.ping(),
    "resources": lambda plex: plex.resources(include_ipv6=False),
    "identity": lambda plex: plex.identity(),
    "server_information": lambda plex: plex.server_information(timeout=3.0),
    "get": lambda plex: plex.get("/a", {"b": "c"}),
    "request": lambda plex: plex.request("PUT", "/a", body=b"x", content_type="text/plain"),
    "at get": lambda plex: plex.at("http://attic.example", token="t" * 20).get("/a", {"b": "c"}, headers={"X-A": "1"}),
    "at request": lambda plex: plex.at("http://attic.example", token="t" * 20).request(
        "PUT", "/a?b=c", body=b"x", content_type="text/plain"
    ),
    "at transient": lambda plex: plex.at("http://attic.example", token="t" * 20).authentication.get_transient_token(),
    "at identity": lambda plex: plex.at("http://attic.example").identity(),
    "pins create": lambda plex: plex.pins.create(strong=True, jwk=JWK),
    "pins get": lambda plex: plex.pins.get(1402233445, device_jwt=Secret("a.b.c")),
    "pins link": lambda plex: plex.pins.link("H7QK"),
    "auth_keys register": lambda plex: plex.auth_keys.register(JWK),
    "auth_keys get_nonce": lambda plex: plex.auth_keys.get_nonce(),
    "auth_keys exchange": lambda plex: plex.auth_keys.exchange(Secret("a.b.c")),
    "auth_keys get_published_keys": lambda plex: plex.auth_keys.get_published_keys(),
    "home get": lambda plex: plex.home.get(),
    "home list_users": lambda plex: plex.home.list_users(),
    "home find_user": lambda plex: plex.home.find_user("Pip"),
    "home switch_user": lambda plex: plex.home.switch_user("b71d04e96c2fa835", passcode="1234"),
    "home set_passcode": lambda plex: plex.home.set_passcode(10500123, "1234", current="9876"),
    "home remove_passcode": lambda plex: plex.home.remove_passcode(10500123, current="9876"),
    "home set_managed_passcode": lambda plex: plex.home.set_managed_passcode(10500456, "1234"),
    "home remove_managed_passcode": lambda plex: plex.home.remove_managed_passcode(10500456),
    "devices list": lambda plex: plex.devices.list(),
    "devices remove": lambda plex: plex.devices.remove(777001),
    "claims create_token": lambda plex: plex.claims.create_token(),
    "claims exchange": lambda plex: plex.claims.exchange(Secret("claim-A1b2C3d4E5f6G7h8I9j0")),
    "at claims get_state": lambda plex: plex.at("http://attic.example", token="t" * 20).claims.get_state(),
    "at claims claim": lambda plex: plex.at("http://attic.example").claims.claim(Secret("claim-A1b2C3d4E5f6G7h8I9j0")),
    "at claims unclaim": lambda plex: plex.at("http://attic.example", token="t" * 20).claims.unclaim(),
    "options": lambda plex: plex.with_options(client_identifier="Postman", headers={"X-A": "1"}).ping(
        base_url="http://other.example/api/v2/", token="u" * 20
    ),
    "send": lambda plex: plex.send(_call()),
    "attempt": lambda plex: plex.attempt(_call()),
}


def _call() -> Any:
    from ticketstub.calls import GetTokenDetails

    return GetTokenDetails()


OPTIONS: dict[str, Any] = {
    "device": Device(client_identifier="demo-client-7c1f", product="Demo App", platform="Küche"),
    "token": "Xk3mPz_9Q-vT7rLb2NfW",
    "plex_tv": "https://plex.example",
    "server": "http://server.example:32400",
}


@every("use", USES)
def test_same_requests(use: Any) -> None:
    """Each method sends the same request from both façades: method, URL, headers in order, and body."""
    one, two = Recording(), AsyncRecording()
    left = use(plex.Plex(transport=one, **OPTIONS))
    right = asyncio.run(use(async_plex.AsyncPlex(transport=two, **OPTIONS)))
    assert 1 == len(one.sent)
    assert [_written(sent) for sent in one.sent] == [_written(sent) for sent in two.sent]
    assert repr(left) == repr(right)


def _written(request: Request) -> tuple[object, ...]:
    return request.call, request.method, request.url, list(request.headers.items()), request.body


# Several requests each, and several methods: what a story yields is awaited where that is to be.


def _account(plex: Any) -> Any:
    account = yield plex.account()
    assert 10500123 == account.id
    yield account.can_reach("Attic", owned=True)
    yield account.membership("9b1f", owner=10500123)


def _pending(plex: Any) -> Any:
    pending = yield plex.begin_sign_in(forward_url="https://app.example.test/done", client_identifier="another")
    loaded = type(pending).load(pending.dump(), plex=plex)
    assert (pending.url, pending.code) == (loaded.url, loaded.code)
    assert (yield loaded.is_done())
    yield loaded.finish()


def _stored(plex: Any) -> Any:
    options: dict[str, Any] = {name: OPTIONS[name] for name in ("device", "plex_tv")}
    options |= {"transport": plex._shared.get_transport(), "store": MemoryStore()}
    yield type(plex).sign_in("Demo App", method=Browser(lambda _pending: None, open=False), **options)
    stored = yield type(plex).sign_in("Demo App", method=Browser(lambda _pending: None, open=False), **options)
    assert ("kept", "good") == (stored.sign_in_state.method, stored.sign_in_state.previous_status)
    loaded = yield type(plex).load("Demo App", **options)
    assert stored.token == loaded.token
    yield stored.renew()
    yield stored.keep_alive()
    yield stored.media_server_token()
    yield stored.sign_out()


def _switched(plex: Any) -> Any:
    yield (yield plex.switch_home_user("Pip", passcode="1234")).ping()


def _connected(plex: Any) -> Any:
    attic = Resource(
        name="Attic",
        client_identifier="9b1f",
        provides="server",
        access_token=Token("Qw7-Zr2_LmN8tYb4HsKd"),
        connections=(Connection(uri="http://127.0.0.1:32400", local=True),),
    )
    reports = yield plex.reachability(attic)
    assert [("http://127.0.0.1:32400", "reachable")] == [(report.url, report.fate) for report in reports]
    server = yield plex.connect(attic)
    assert ("local", "best", "Attic", "9b1f") == (
        *(server.how.kind, server.how.reason),
        *(server.name, server.machine_identifier),
    )


STORIES: dict[str, Any] = {
    "connect how machine_identifier reachability": _connected,
    "account can_reach membership": _account,
    "begin_sign_in load is_done finish run_flow": _pending,
    "sign_in renew keep_alive media_server_token sign_out": _stored,
    "switch_home_user": _switched,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_same_stories(story: Any) -> None:
    """Methods with several requests send the same ones from both façades, in the same order, with the same result."""
    one, two = Recording(answer), AsyncRecording(answer)
    left = _read(story(plex.Plex(transport=one, **OPTIONS)))
    right = asyncio.run(_aread(story(async_plex.AsyncPlex(transport=two, **OPTIONS))))
    assert 1 < len(one.sent)
    assert [_written(sent) for sent in one.sent] == [_written(sent) for sent in two.sent]
    assert left == [re.sub(r"\bAsync(?=[A-Z])", "", found) for found in right]


def _said(answer: object) -> str:
    text = f"{answer:.0f}" if isinstance(answer, float) else repr(answer)  # seconds: the clock has moved a little
    return re.sub(r"milliseconds=[\d.]+", "milliseconds=…", text)


def _read(story: Any) -> list[str]:
    found: list[str] = []
    answer = next(story)
    while True:
        found.append(_said(answer))
        try:
            answer = story.send(answer)
        except StopIteration:
            return found


async def _aread(story: Any) -> list[str]:
    found: list[str] = []
    answer = await next(story)
    while True:
        found.append(_said(answer))
        try:
            answer = await story.send(answer)
        except StopIteration:
            return found


def test_check_is_one_thing_twice() -> None:
    """`check` and `acheck` have the same signature and send the same requests."""
    written = str(inspect.signature(async_plex.acheck)).replace("AsyncClientOptions", "ClientOptions")
    assert str(inspect.signature(plex.check)) == written
    one, two = Recording(answer), AsyncRecording(answer)
    options: dict[str, Any] = {name: OPTIONS[name] for name in ("device", "plex_tv")} | {"server": OPTIONS["server"]}
    left = plex.check(OPTIONS["token"], transport=one, **options)
    right = asyncio.run(async_plex.acheck(OPTIONS["token"], transport=two, **options))
    assert [_written(sent) for sent in one.sent] == [_written(sent) for sent in two.sent]
    assert left == right


ANSWERS = {
    "/api/v2/pins": (201, b'{"id":7,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","expiresIn":1800}'),
    "/api/v2/pins/7": (200, b'{"id":7,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","authToken":"Xk3mPz_9Q-vT7rLb2NfW"}'),
    "/api/v2/home/users": (200, b'{"id":1,"users":[{"id":2,"uuid":"b71d04e96c2fa835","title":"Pip"}]}'),
    "/api/v2/home/users/b71d04e96c2fa835/switch": (201, b'{"id":2,"authToken":"aB4_tuRq81-ZxPmK0nEv"}'),
    "/api/v2/users/signout": (204, b""),
    "/identity": (200, b'{"MediaContainer":{"machineIdentifier":"9b1f"}}'),
    "/": (200, b'{"MediaContainer":{"machineIdentifier":"9b1f"}}'),
}


def answer(request: Request) -> Response:
    """Answer as Plex would, also for methods with several requests."""
    status, body = ANSWERS.get(request.path, (0, b""))
    return Response(status, {}, body) if status else usual(request)


def test_every_method_is_used_above() -> None:
    """The comparison of requests covers every public method of the façades."""
    public = {member for _, member in MEMBERS if not member.startswith("_")}
    parts = {"authentication", "url", "token", "close"}
    parts |= {
        "pins",
        "auth_keys",
        "home",
        "devices",
        "claims",
        "plex_tv",
        "sign_in_state",
        "details",
        "id",
        "uuid",
        "name",
    }
    used = " ".join([*USES, *STORIES]) + " with_options at get request send attempt"
    assert set() == {member for member in public - parts if member not in used}
