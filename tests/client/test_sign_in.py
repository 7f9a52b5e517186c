"""Signing in to a local Plex over loopback, through both façades, and what an interruption leaves behind."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.client.doubles import AsyncRecording, unused, usual
from tests.local_plex.asking import ATTIC, MIRA, PASSWORDS, START, TOM, Clock, ask, code_at, world
from tests.tables import every
from ticketstub import (
    AsyncPendingSignIn,
    AsyncPlex,
    Browser,
    LinkCode,
    Password,
    PendingSignIn,
    Plex,
    Retry,
    acheck,
    check,
    errors,
)
from ticketstub.credentials import Credential, FileStore, MemoryStore
from ticketstub.device import Device
from ticketstub.errors import CredentialsError, GaveUp, NotSignedIn, PinExpired, SignInFailed, Unreachable
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.schema import World
from ticketstub.messages import Request, Response
from ticketstub.refusals import PasscodeRequired, TokenExpired, Unauthorized, WrongVerificationCode
from ticketstub.testing import LocalPlexController, local_plex
from ticketstub.tokens import Token

DEVICE = Device(client_identifier="demo-client-7c1f", product="Demo App")
WEEK = 7 * 86400


class Facade:
    """One façade behind a synchronous interface."""

    def __init__(self, name: str, local: LocalPlex | LocalPlexController) -> None:
        self.name = name
        self.local = local
        self.runner = asyncio.Runner()
        self.made: list[Any] = []
        self.plex: Any = Plex if name == "sync" else AsyncPlex
        self.pending_class: Any = PendingSignIn if name == "sync" else AsyncPendingSignIn

    def run(self, answer: Any) -> Any:
        """Await a coroutine; return anything else."""
        return self.runner.run(answer) if inspect.iscoroutine(answer) else answer

    def sign_in(self, **options: Any) -> Any:
        defaults: dict[str, Any] = {
            "plex_tv": self.local.url,
            "device": DEVICE,
            "store": "memory",
            "method": Browser(open=False),
            "app": "Demo App",
        }
        return self._track(self.run(self.plex.sign_in(**(defaults | options))))

    def load(self, **options: Any) -> Any:
        defaults: dict[str, Any] = {"app": "Demo App", "plex_tv": self.local.url, "device": DEVICE}
        return self._track(self.run(self.plex.load(**(defaults | options))))

    def client(self, **options: Any) -> Any:
        return self._track(self.plex(**({"plex_tv": self.local.url, "device": DEVICE} | options)))

    def _track(self, plex: Any) -> Any:
        self.made.append(plex)
        return plex

    def close(self) -> None:
        """Close every client that was created."""
        for plex in self.made:
            self.run(plex.close())
        self.runner.close()

    def check(self, token: Any, **options: Any) -> Any:
        asking: Any = check if self.name == "sync" else acheck
        return self.run(asking(token, plex_tv=self.local.url, device=DEVICE, **options))

    def approve(self, pending: Any, token: str = MIRA) -> None:
        """Approve as plex.tv/link does."""
        headers = {"X-Plex-Token": token, "X-Plex-Client-Identifier": "approver"}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        assert 204 == ask(self.local.url, "PUT", "/api/v2/pins/link", headers, f"code={pending.code}").status


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def local(clock: Clock) -> Iterator[LocalPlexController]:
    options = world()
    options["home"] = [
        {"name": "Quill home", "admin": "mira_quill", "member": [{"account": "tom"}], "managed": [{"title": "Pip"}]}
    ]
    options["account"][1]["passcode"] = "4711"
    with local_plex(options, clock=clock, settings=Settings(poll_burst=100)) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def facade(request: pytest.FixtureRequest, local: LocalPlexController) -> Iterator[Facade]:
    found = Facade(request.param, local)
    yield found
    found.close()


def test_the_browser(facade: Facade) -> None:
    """The browser sign-in is shown, approved and stored; later calls use the stored one until it is signed out."""
    store, shown = MemoryStore(), list[Any]()

    def show(pending: Any) -> None:
        shown.append(pending)
        facade.approve(pending)

    plex = facade.sign_in(method=Browser(show, open=False), store=store)
    assert f"{facade.local.url}/auth#?clientID=demo-client-7c1f&code={shown[0].code}" in shown[0].url
    assert ("browser", "none", "mira_quill") == (
        plex.sign_in_state.method,
        plex.sign_in_state.previous_status,
        plex.sign_in_state.username,
    )
    account = facade.run(plex.account())
    assert ("mira_quill", True) == (account.name, facade.run(account.can_reach(ATTIC, owner=10500123)))
    again = facade.sign_in(method=Browser(show, open=False), store=store)
    assert ("kept", "good", 1, plex.token) == (
        again.sign_in_state.method,
        again.sign_in_state.previous_status,
        len(shown),
        again.token,
    )
    facade.run(again.sign_out())
    assert store.load(facade.local.url, app="Demo App") is None
    with pytest.raises(Unauthorized):
        facade.run(plex.ping())


def test_a_coroutine_shows_it_too(local: LocalPlexController) -> None:
    """The async façade awaits a `show` and an `ask_code` that are coroutine functions."""
    facade = Facade("async", local)

    async def show(pending: Any) -> None:
        await asyncio.sleep(0)
        await asyncio.to_thread(facade.approve, pending)

    async def ask_code() -> str:
        await asyncio.sleep(0)
        return code_at(START)

    assert facade.sign_in(method=Browser(show, open=False)).token
    assert facade.sign_in(method=Password("vera", PASSWORDS["vera"], ask_code)).token
    facade.close()


def test_a_link_code(facade: Facade) -> None:
    """A link code has four characters, which the user types elsewhere."""
    codes: list[str] = []

    def show(pending: Any) -> None:
        codes.append(pending.code)
        facade.approve(pending)

    plex = facade.sign_in(method=LinkCode(show))
    assert ([4], "code") == ([len(code) for code in codes], plex.sign_in_state.method)


def test_a_password_with_a_code(facade: Facade, clock: Clock) -> None:
    """The verification code is requested when Plex wants one, and once more if it was wrong, but not a third time."""
    answers = iter(["000000", code_at(clock())])
    plex = facade.sign_in(method=Password("vera", PASSWORDS["vera"], lambda: next(answers)))
    assert ("password", "vera") == (plex.sign_in_state.method, plex.sign_in_state.username)
    with pytest.raises(WrongVerificationCode):
        facade.sign_in(method=Password("vera", PASSWORDS["vera"], lambda: "000000"))


def test_revoked_and_why(facade: Facade) -> None:
    """A stored token that Plex revoked leads to a new sign-in whose reason says so."""
    store, reasons = MemoryStore(), list[str]()

    def show(pending: Any) -> None:
        reasons.append(pending.reason)
        facade.approve(pending)

    plex = facade.sign_in(method=Browser(show, open=False), store=store)
    facade.run(facade.client(token=plex.token).sign_out())
    new = facade.sign_in(method=Browser(show, open=False), store=store)
    assert (["none", "revoked"], "revoked") == (reasons, new.sign_in_state.previous_status)


def test_unreachable_keeps_it(facade: Facade) -> None:
    """If plex.tv cannot be reached, the stored sign-in is used as it is."""
    store = MemoryStore()
    plex = facade.sign_in(method=Browser(facade.approve, open=False), store=store)

    def down(_request: Request) -> Response:
        return Response(503, {}, b"")

    transport: Any = AsyncRecording(down) if facade.name == "async" else AsyncRecording(down).inner
    again = facade.sign_in(method=Browser(facade.approve, open=False), store=store, transport=transport)
    assert ("unchecked", plex.token) == (again.sign_in_state.previous_status, again.token)


def test_begun_here_finished_there(facade: Facade) -> None:
    """A pending sign-in is dumped as text without a token, which another process loads and finishes."""
    plex = facade.client()
    pending = facade.run(plex.begin_sign_in(forward_url="https://app.example.test/done"))
    dump = pending.dump()
    assert "forwardUrl=https%3A%2F%2Fapp.example.test%2Fdone" in pending.url
    elsewhere = facade.client(device=Device(client_identifier="another-process"))
    loaded = facade.pending_class.load(dump, plex=elsewhere)
    assert not facade.run(loaded.is_done())
    facade.approve(pending)
    assert facade.run(loaded.is_done())
    signed_in = facade.run(loaded.finish())
    assert "mira_quill" == facade.run(signed_in.account()).name
    assert signed_in.token.reveal() not in dump
    assert "demo-client-7c1f" == signed_in.sign_in_state.client_identifier


def test_dumps_that_are_not_taken(facade: Facade) -> None:
    """A dump that is damaged, or of another version, plex.tv or device key, is refused before anything is sent."""
    from ticketstub import DeviceKey

    client = facade.client()
    pending = facade.run(client.begin_sign_in())
    dump = pending.dump()
    another_version = dump.replace('"sign_in":1', '"sign_in":2')
    for wrong in ("", "{}", "null", dump[:-2], another_version, dump.replace("http", "file"), "[" * 9999):
        with pytest.raises(ValueError, match="not a pending sign-in"):
            facade.pending_class.load(wrong, plex=client)
    with pytest.raises(ValueError, match=r"another plex\.tv"):
        facade.pending_class.load(dump)
    with pytest.raises(ValueError, match="device key"):
        facade.pending_class.load(dump, plex=facade.client(), device_key=DeviceKey.generate())
    with_key = facade.run(facade.client().begin_sign_in(device_key=DeviceKey.generate()))
    with pytest.raises(ValueError, match="device key"):
        facade.pending_class.load(with_key.dump(), plex=facade.client())


def test_a_begun_sign_in_shows_no_code(facade: Facade) -> None:
    """Neither a pending sign-in nor its parts show the code."""
    pending = facade.run(facade.client().begin_sign_in())
    assert pending.code not in f"{pending!r}{pending}{pending._pin!r}{vars(pending)!r}"


def test_gone_and_given_up(facade: Facade, clock: Clock) -> None:
    """`max_wait` ends the wait with `GaveUp`, and the expiry of the PIN with `PinExpired`."""
    pending = facade.run(facade.client().begin_sign_in())
    with pytest.raises(GaveUp):
        facade.run(pending.finish(max_wait=0.0))
    clock.now += 1801
    with pytest.raises(PinExpired):
        facade.run(pending.finish())


def test_each_app_has_its_own_sign_in(facade: Facade) -> None:
    """A program never sees, replaces, upgrades or ends another program's stored sign-in."""
    store = MemoryStore()

    def sign_in(app: str, **options: Any) -> Any:
        return facade.sign_in(app=app, store=store, **options)

    frame = sign_in("Photo Frame", method=Browser(facade.approve, open=False))
    with pytest.raises(SignInFailed, match="nobody is signed in"):
        sign_in("Admin Tool")
    admin = sign_in(
        "Admin Tool", method=Browser(lambda pending: facade.approve(pending, TOM), open=False), device_key=True
    )
    assert ("tom", "mira_quill") == (admin.sign_in_state.username, sign_in("Photo Frame").sign_in_state.username)
    assert ("jwt", "opaque") == (admin.token.kind, sign_in("Photo Frame").token.kind)
    assert ("Photo Frame", "Admin Tool") == (frame.sign_in_state.app, admin.sign_in_state.app)
    pending = facade.run(facade.client(device=Device(client_identifier="web", product="Web App")).begin_sign_in())
    facade.approve(pending, TOM)
    web = facade.run(pending.finish(store=store))
    assert ("Web App", "tom") == (web.sign_in_state.app, sign_in("Web App").sign_in_state.username)
    facade.run(frame.keep_alive())
    facade.run(admin.renew())
    facade.run(admin.sign_out())
    assert ["Photo Frame", "Web App"] == [entry.app for entry in store.list_entries()]
    assert "mira_quill" == facade.run(sign_in("Photo Frame").account()).name
    facade.run(web.close())


def test_without_browser_and_terminal_the_error_is_short(facade: Facade) -> None:
    """The error has the URL and the alternatives, and its traceback few internal frames."""
    with pytest.raises(
        SignInFailed, match=rf"show the URL: {facade.local.url}/auth#.*Browser\(show.*Password\("
    ) as caught:
        facade.sign_in(method=Browser(open=lambda _url: False))
    ours = [entry for entry in caught.traceback if Path(entry.path).is_relative_to(Path(errors.__file__).parent)]
    assert len(ours) <= 3


def test_without_a_network_the_error_is_short(facade: Facade) -> None:
    """An unreachable or refusing plex.tv gives an error with few internal frames."""
    for options, kind in (({"plex_tv": "http://127.0.0.1:1"}, Unreachable), ({}, Unauthorized)):
        with pytest.raises(kind) as caught:
            facade.sign_in(method=Password("tom", "wrong"), retry=Retry(attempts=1), **options)
        ours = [entry for entry in caught.traceback if Path(entry.path).is_relative_to(Path(errors.__file__).parent)]
        assert len(ours) <= 3


def test_the_frames_of_a_callback_that_fails_stay(facade: Facade) -> None:
    """If the program's own `show` raises the error, the traceback shows where."""

    def show(_begun: Any) -> None:
        raise Unreachable("the screen cannot be reached", sent=False)

    with pytest.raises(Unreachable) as caught:
        facade.sign_in(method=Browser(show, open=False))
    assert "show" == caught.traceback[-1].name


def with_key(facade: Facade, **options: Any) -> Any:
    return facade.sign_in(device_key=True, **({"method": Browser(facade.approve, open=False)} | options))


def test_a_device_key(facade: Facade) -> None:
    """A PIN with a device key gives a JWT, which is renewed, works on plex.tv, and is replaced for media servers."""
    store = MemoryStore()
    plex = with_key(facade, store=store)
    first = plex.token
    assert ("jwt", True) == (first.kind, plex.sign_in_state.has_device_key)
    state = facade.run(plex.renew())
    assert (True, True) == (plex.token != first, state.expires_at is not None)
    loaded = store.load(facade.local.url, app="Demo App")
    assert loaded is not None
    assert loaded.token == plex.token
    attic = next(one for one in facade.run(plex.resources()) if one.client_identifier == ATTIC)
    assert "opaque" == attic.access_token.kind
    url = facade.local.media_server("Attic").url
    server = plex.at(url, token=attic.access_token)
    assert "Attic" == facade.run(server.server_information()).friendly_name
    with pytest.raises(CredentialsError, match="JWT"):
        facade.run(plex.at(url, token=plex.token).server_information())
    assert ("jwt", True) == (facade.check(plex.token).kind, facade.check(plex.token).alive)
    beside = facade.run(plex.media_server_token())
    assert attic.access_token == beside
    facade.run(plex.sign_out())
    assert (False, False) == (facade.check(beside).alive, facade.check(plex.token).alive)


def test_a_device_key_by_password(facade: Facade) -> None:
    """After a password sign-in, the key is registered with its token, under a new client identifier."""
    store = MemoryStore()
    plex = with_key(facade, method=Password("mira_quill", PASSWORDS["mira_quill"]), store=store)
    assert ("jwt", "mira_quill", "password") == (
        plex.token.kind,
        plex.sign_in_state.username,
        plex.sign_in_state.method,
    )
    assert "mira_quill" == facade.run(plex.account()).name


def test_498_is_renewed(facade: Facade, clock: Clock) -> None:
    """A JWT that has expired by Plex's clock is renewed by the call that meets it."""
    plex = with_key(facade)
    first = plex.token
    clock.now += WEEK + 120
    facade.run(plex.ping())
    assert plex.token != first


def test_home(facade: Facade) -> None:
    """Switching returns a client for the other user; a missing passcode has its own error."""
    plex = facade.client(token=MIRA)
    pip = facade.run(plex.switch_home_user("Pip"))
    assert "Pip" == facade.run(pip.account()).name
    with pytest.raises(PasscodeRequired):
        facade.run(plex.switch_home_user("tom", passcode="0000"))
    tom = facade.run(plex.switch_home_user("tom", passcode="4711"))
    assert ("home", "tom") == (tom.sign_in_state.method, tom.sign_in_state.username)
    assert "tom" == facade.run(tom.account()).name
    with pytest.raises(SignInFailed, match="no user"):
        facade.run(plex.switch_home_user("nobody"))
    assert "mira_quill" == facade.run(plex.account()).name


def test_home_users_are_stored_under_a_profile(facade: Facade) -> None:
    """A switched sign-in is stored for the same app under the profile that is named, and loaded from there later."""
    store = MemoryStore()
    plex = facade.sign_in(method=Browser(facade.approve, open=False), store=store)
    with pytest.raises(ValueError, match="profile="):
        facade.run(plex.switch_home_user("Pip", store=store))
    pip = facade.run(plex.switch_home_user("Pip", store=store, profile="pip"))
    assert ("Demo App", "pip", "Pip") == (pip.sign_in_state.app, pip.sign_in_state.profile, pip.sign_in_state.username)
    loaded = facade.load(store=store, profile="pip")
    assert "Pip" == facade.run(loaded.account()).name
    assert "mira_quill" == facade.run(facade.load(store=store).account()).name
    other = facade.run(plex.switch_home_user("Pip", store=store, app="Photo Frame", profile="pip"))
    assert "Photo Frame" == other.sign_in_state.app


# What is stored.


def test_loading_sends_nothing(facade: Facade) -> None:
    """`load` returns a client with the stored sign-in without asking plex.tv, which need not even be there."""
    store = MemoryStore()
    plex = facade.sign_in(method=Browser(facade.approve, open=False), store=store)
    transport: Any = AsyncRecording(unused) if facade.name == "async" else AsyncRecording(unused).inner
    loaded = facade.load(store=store, transport=transport)
    assert plex.token == loaded.token
    assert ("kept", "unchecked", "mira_quill") == (
        loaded.sign_in_state.method,
        loaded.sign_in_state.previous_status,
        loaded.sign_in_state.username,
    )
    assert "mira_quill" == facade.run(facade.load(store=store).account()).name


def test_nothing_to_load(facade: Facade) -> None:
    """Where nothing is stored for the app and profile, or it was signed out, `load` says so and what to do."""
    store = MemoryStore()
    with pytest.raises(NotSignedIn, match="sign_in"):
        facade.load(store="memory")
    plex = facade.sign_in(method=Browser(facade.approve, open=False), store=store)
    for other in ({"app": "Another App"}, {"profile": "another"}, {"plex_tv": "http://127.0.0.1:1"}):
        with pytest.raises(NotSignedIn):
            facade.load(store=store, **other)
    credential = store.load(facade.local.url, app="Demo App")
    assert credential is not None
    assert store.save(msgspec.structs.replace(credential, signed_out_at=START), replacing=credential)
    with pytest.raises(NotSignedIn):
        facade.load(store=store)
    facade.run(plex.sign_out())


def test_signing_in_by_force(facade: Facade) -> None:
    """`force=True` signs in anew, and replaces a stored sign-in that still works."""
    store = MemoryStore()
    first = facade.sign_in(method=Password("mira_quill", PASSWORDS["mira_quill"]), store=store)
    second = facade.sign_in(method=Password("tom", PASSWORDS["tom"]), store=store, force=True)
    assert ("password", "none", "tom") == (
        second.sign_in_state.method,
        second.sign_in_state.previous_status,
        second.sign_in_state.username,
    )
    assert "tom" == facade.load(store=store).sign_in_state.username
    again = facade.sign_in(method=Browser(facade.approve, open=False), store=store, force=True)
    assert ("browser", False) == (again.sign_in_state.method, again.token in (first.token, second.token))


def test_a_store_by_its_name(facade: Facade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`store="file"` is the file store in its usual place, in `sign_in`, `finish` and `load`."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    signed_in = facade.sign_in(method=Browser(facade.approve, open=False), store="file")
    assert str(tmp_path) in signed_in.sign_in_state.location
    assert signed_in.token == facade.load(store="file").token
    pending = facade.run(facade.client().begin_sign_in())
    facade.approve(pending, TOM)
    finished = facade.run(pending.finish(store="file", profile="tom"))
    assert finished.token == facade.load(store="file", profile="tom").token
    with pytest.raises(ValueError, match='"memory"'):
        facade.load(store="cloud")


@every(
    ("keyword", "words"),
    {
        "login": r"method=Password\(login, password\)",
        "password": r"method=Password\(login, password\)",
        "ask_code": "ask_code=",
        "remember_me": "remember_me=True",
        "code": r"method=LinkCode\(\)",
        "on_code": r"method=Browser\(show",
        "open_browser": r"Browser\(open=",
        "forward_url": r"Browser\(forward_url=",
        "storage": "pass store=",
        "credentials": "pass store=",
        "give_up": "pass max_wait=",
    }.items(),
)
def test_keywords_of_earlier_versions(keyword: str, words: str) -> None:
    """A keyword that `sign_in` no longer has is a TypeError that names what took its place."""
    old: Any = {keyword: "x"}
    with pytest.raises(TypeError, match=words):
        Plex.sign_in("Demo App", plex_tv="http://127.0.0.1:1", **old)
    with pytest.raises(TypeError, match=words):
        asyncio.run(AsyncPlex.sign_in("Demo App", plex_tv="http://127.0.0.1:1", **old))


def test_checking(facade: Facade) -> None:
    """`check` recognizes an account's token, a server's, a shared server's, a transient and an unknown one."""
    attic = facade.local.media_server("Attic").url
    assert ("account", True, "tom") == (
        facade.check(TOM).kind,
        facade.check(TOM).alive,
        facade.check(TOM).account.username,
    )
    assert ("account", True, True) == (
        facade.check(MIRA, server=attic).kind,
        facade.check(MIRA, server=attic).alive,
        facade.check(MIRA, server=attic).accepted_by_server,
    )
    shared = "Qw7-Zr2_LmN8tYb4HsKd"
    assert ("shared", True) == (facade.check(shared, server=attic).kind, facade.check(shared, server=attic).alive)
    assert ("unknown", False) == (facade.check("x" * 20, server=attic).kind, facade.check("x" * 20).alive)
    token = facade.run(facade.client().at(attic, token=MIRA).authentication.get_transient_token()).token
    assert ("transient", True) == (facade.check(token, server=attic).kind, facade.check(token, server=attic).alive)


def test_the_accounts_token_stays_away_from_servers(facade: Facade) -> None:
    """After a sign-in, the account's token is sent to plex.tv only, whatever URL a call names."""
    plex = facade.sign_in(method=Browser(facade.approve, open=False))
    attic = facade.local.media_server("Attic").url
    with pytest.raises(CredentialsError):
        facade.run(plex.server_information(base_url=attic))
    with pytest.raises(CredentialsError):
        facade.run(plex.ping(base_url=attic))


class SharedStore(MemoryStore):
    """A store of a program that keeps one sign-in, whoever issued it."""

    def __init__(self, credential: Credential) -> None:
        super().__init__()
        self.credential = credential

    def load(self, issuer: str, profile: str = "default", app: str = "ticketstub") -> Credential | None:
        return self.credential


def test_a_stored_token_goes_to_its_issuer_only(facade: Facade) -> None:
    """A stored token is not sent to another plex.tv than its issuer, even if the program's own store returns it."""
    token, server_token = Token("Qw7-Zr2_LmN8tYb4HsKd"), Token("Zp2Vw9LkTq7Xs4RbNd8H")
    store = SharedStore(
        Credential(issuer="https://plex.tv", token=token, server_token=server_token, client_identifier="demo")
    )
    sent: list[Request] = []
    for plex in (facade.sign_in(store=store, on_request=sent.append), facade.load(store=store, on_request=sent.append)):
        for call in (plex.account, plex.media_server_token, plex.sign_out):
            with pytest.raises(CredentialsError):
                facade.run(call())
    assert [] == sent


# One renewal at a time.


class Counting:
    """Counts the requests to the local Plex."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, request: Request) -> None:
        self.calls.append(request.call)


def test_one_renewal_for_many_threads(local: LocalPlexController, clock: Clock, tmp_path: Path) -> None:
    """When sixteen threads of two clients with one store meet an expired JWT, one of them renews it, once."""
    facade, counting = Facade("sync", local), Counting()
    store = FileStore(tmp_path)
    one = with_key(facade, store=store, on_request=counting)
    other = facade.sign_in(store=FileStore(tmp_path), on_request=counting)
    clock.now += WEEK + 120
    counting.calls.clear()
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(lambda number: (one, other)[number % 2].ping(), range(16)))
    assert 1 == counting.calls.count("exchange_device_jwt")
    loaded = store.load(local.url, app="Demo App")
    assert loaded is not None
    assert loaded.token == one.token == other.token
    facade.close()


async def test_one_renewal_for_many_tasks(local: LocalPlexController, clock: Clock) -> None:
    """When sixteen tasks meet an expired JWT, one of them renews it, once."""
    counting, store = Counting(), MemoryStore()
    facade = Facade("async", local)
    options: dict[str, Any] = {"plex_tv": local.url, "device": DEVICE, "store": store, "on_request": counting}

    async def show(pending: Any) -> None:
        await asyncio.to_thread(facade.approve, pending)

    signing = AsyncPlex.sign_in("Demo App", device_key=True, method=Browser(show, open=False), **options)
    async with await signing as plex:
        clock.now += WEEK + 120
        counting.calls.clear()
        assert all(await asyncio.gather(*(plex.ping() for _ in range(16))))
        assert 1 == counting.calls.count("exchange_device_jwt")
    facade.close()


PROGRAM = """
import sys
from ticketstub import Browser, Device, Plex
from ticketstub.credentials import FileStore

url, folder = sys.argv[1:]
device = Device(client_identifier="demo-client-7c1f")
sys.stdin.readline()
store = FileStore(folder)
with Plex.sign_in("Demo App", plex_tv=url, device=device, store=store, method=Browser(open=False)) as plex:
    print(plex.ping(), plex.token.fingerprint)
"""


@pytest.mark.long
def test_one_renewal_for_many_processes(clock: Clock, tmp_path: Path) -> None:
    """When four processes meet a stored JWT that has expired, one of them renews it and all use the result."""
    asked: list[str] = []
    plex_tv = LocalPlex(World.from_dict(world()), clock=clock, on_answer=lambda *told: asked.append(told[1]))
    with plex_tv.run_in_thread() as local:
        facade = Facade("sync", local)
        with_key(facade, store=FileStore(tmp_path))
        clock.now += WEEK + 120
        asked.clear()
        command = [sys.executable, "-c", PROGRAM, local.url, str(tmp_path)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running = [subprocess.Popen(command, **pipes) for _ in range(4)]
        said = {process.communicate("now\n", timeout=60)[0] for process in _started(running)}
        facade.close()
    assert 1 == asked.count("/api/v2/auth/token")
    (one,) = said
    assert one.startswith("True ")


def _started(running: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """Let all processes start at once."""
    for process in running:
        assert process.stdin
        process.stdin.write("now\n")
        process.stdin.flush()
    return running


# Broken off.


class Hanging(AsyncRecording):
    """Answers until a call of this name; then it waits for ever and records that it was cancelled."""

    def __init__(self, call: str, answer: Any = usual) -> None:
        super().__init__(answer)
        self.call = call
        self.reached = asyncio.Event()
        self.let_go = False

    async def send(self, request: Request, **options: Any) -> Response:
        if request.call == self.call:
            self.reached.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.let_go = True
        return await super().send(request, **options)


async def broken_off(transport: Hanging, work: Any) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.wait_for(transport.reached.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def pins(request: Request) -> Response:
    if request.path.endswith("/pins"):
        return Response(201, {}, b'{"id":7,"code":"H7QK","expiresIn":900}')
    return usual(request)


@pytest.mark.parametrize("call", ["create_pin", "get_pin"])
async def test_a_cancelled_sign_in_cleans_up(call: str) -> None:
    """A cancelled sign-in ends its request, closes its client and stores nothing."""
    transport, store = Hanging(call, pins), MemoryStore()
    options: dict[str, Any] = {"device": DEVICE, "transport": transport, "store": store}
    await broken_off(
        transport, AsyncPlex.sign_in("Demo App", method=Browser(lambda _begun: None, open=False), **options)
    )
    assert (True, 1, ()) == (transport.let_go, transport.inner.closed, store.list_entries())


async def test_a_cancelled_renewal_frees_the_lock() -> None:
    """A call that is cancelled during a renewal leaves the lock free and the stored sign-in unchanged."""
    from tests.client.flows.jwts import KEY, plex_jwt
    from ticketstub.credentials import Credential
    from ticketstub.tokens import Token

    store = MemoryStore()
    options = Credential(
        issuer="https://plex.tv", app="Demo App", token=Token.from_wire(plex_jwt(1000)), device_key=KEY.dump()
    )
    saved = store.save(options, replacing=None)

    def over(request: Request) -> Response:
        return Response(498, {}, b"") if request.call == "get_token_details" else usual(request)

    transport = Hanging("get_published_keys", over)
    work = AsyncPlex.sign_in("Demo App", device=DEVICE, transport=transport, store=store)
    await broken_off(transport, work)
    with store.lock("https://plex.tv", app="Demo App", timeout=0.0):
        assert saved == store.load("https://plex.tv", app="Demo App")
    assert (True, 1) == (transport.let_go, transport.inner.closed)


async def test_a_cancelled_wait_for_the_lock() -> None:
    """A call that is cancelled while it waits for another renewal does not get the lock afterwards."""
    from ticketstub.client.flows.session import RenewalLock

    store = MemoryStore()
    turn = RenewalLock(lambda: store.lock("https://plex.tv", timeout=0.0))
    entered, go = threading.Event(), threading.Event()
    lock = turn._lock

    def slowly() -> Any:
        entered.set()
        go.wait(60)
        return lock()

    turn._lock = slowly
    task = asyncio.ensure_future(asyncio.to_thread(turn._try_acquire))
    await asyncio.to_thread(entered.wait)
    turn.close()
    go.set()
    await task
    with store.lock("https://plex.tv", timeout=0.0):
        pass


def test_an_expired_jwt_without_key_is_over(facade: Facade, clock: Clock) -> None:
    """A client that was given a JWT but no key gets `TokenExpired` when it expires."""
    token = with_key(facade).token
    clock.now += WEEK + 120
    with pytest.raises(TokenExpired):
        facade.run(facade.client(token=token).ping())
