"""C6: no exception carries a local variable of this library or of one below it, and no pickle contains a secret.

Rule: every frame of an exception is checked, including those of causes and contexts that are not printed. The frames of
the test itself and of the program's hooks contain the canary and are left out.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import os
import pickle
import socket
import ssl
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any, cast

import aiohttp
import httpx
import httpx2
import pytest
from rich.pretty import pretty_repr

from tests.client.conftest import DEVICE, View
from tests.client.transports.hostile import Server, closed_port
from tests.security.test_canary import CANARY, list_forms
from tests.tables import every
from tests.test_parity import PAIRS
from ticketstub import (
    AsyncPendingSignIn,
    AsyncPlex,
    CredentialsError,
    DeviceKey,
    Err,
    FileStore,
    MemoryStore,
    PendingSignIn,
    Plex,
    PlexError,
    RedirectRefused,
    Retry,
    Secret,
    TimedOut,
    Token,
    Unauthorized,
    Unreachable,
    acheck,
    check,
)
from ticketstub.calls import PostUsersSignInData
from ticketstub.client.config import CallSettings
from ticketstub.client.sign_ins import Password, PendingPin
from ticketstub.compat import plex_api
from ticketstub.compat.plex_api.utils import BackoffStrategy, RetryConfig
from ticketstub.credentials import Credential
from ticketstub.errors import MalformedReply
from ticketstub.local_plex.world.schema import World, WorldError
from ticketstub.messages import Request, Response
from ticketstub.protocol.media_server import RawRequest

TESTS = str(Path(__file__).parents[1])
ONCE = Retry(attempts=1)
EMPTY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all its causes and contexts, printed or not."""
    seen: set[int] = set()
    left = [error]
    while left:
        link = left.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            left += [one for one in (link.__cause__, link.__context__) if one is not None]


def frames(error: BaseException) -> Iterator[FrameType]:
    """Yield all frames of an exception and its causes and contexts, except those of the tests."""
    for link in chain(error):
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if not frame.f_code.co_filename.startswith(TESTS):
                yield frame


def assert_hidden(error: BaseException) -> None:
    """Assert that no frame and no text shows the canary, and that a frame of this library is still present."""
    texts = [f"{link!s}{link!r}{link.args!r}" for link in chain(error)]
    has_own_frame = False
    for frame in frames(error):
        has_own_frame = has_own_frame or "ticketstub" in frame.f_code.co_filename
        texts += [f"{frame.f_code.co_qualname}: {name}={value!r}" for name, value in frame.f_locals.items()]
    for text in texts:
        for form in list_forms(CANARY):
            assert form not in text, text
    assert has_own_frame


class Stage:
    """One façade with one kind of HTTP client, and its calls with the canary in the place of every secret."""

    seconds = 60.0  # the time limit of a call; a test that waits for a time-out reduces it

    def __init__(self, facade: str, transport: Any, runner: asyncio.Runner | None) -> None:
        self.facade = facade
        self._transport = transport
        self._runner = runner
        self._made: list[Any] = []

    def plex(self, url: str, **options: Any) -> Any:
        whole: dict[str, Any] = {"plex_tv": url, "device": DEVICE, "retry": ONCE, "timeout": self.seconds} | options
        whole["transport"] = self._transport
        self._made.append(Plex(**whole) if self._runner is None else View(AsyncPlex(**whole), self._runner))
        return self._made[-1]

    def close(self) -> None:
        for one in self._made:
            one.close()

    def sign_in(self, **options: Any) -> Any:
        whole = {"device": DEVICE, "retry": ONCE, "timeout": self.seconds, "transport": self._transport} | options
        if self._runner is None:
            return Plex.sign_in(**whole)
        return self._runner.run(AsyncPlex.sign_in(**whole))

    def check(self, token: str, **options: Any) -> Any:
        whole = {"device": DEVICE, "retry": ONCE, "timeout": self.seconds, "transport": self._transport} | options
        return check(token, **whole) if self._runner is None else self._runner.run(acheck(token, **whole))


KINDS = ["sync", "async", "httpx", "httpx2", "async httpx", "async httpx2", "aiohttp session"]


def _raise(*_: object, **__: object) -> None:
    raise ValueError(CANARY)


async def _raise_awaited(*_: object, **__: object) -> None:
    raise ValueError(CANARY)


async def _async_client(kind: str, *, raising: bool) -> Any:
    if kind == "aiohttp session":
        tracing = aiohttp.TraceConfig()
        if raising:
            tracing.on_request_end.append(_raise_awaited)
        return aiohttp.ClientSession(trace_configs=[tracing])
    known: dict[str, Callable[..., Any]] = {"async httpx2": httpx2.AsyncClient, "async httpx": httpx.AsyncClient}
    hooks = {"response": [_raise_awaited]} if raising else {}
    return known[kind](verify=EMPTY, event_hooks=hooks) if kind in known else None


@contextmanager
def staged(kind: str, *, raising: bool = False) -> Generator[Stage]:
    """Create the client. With `raising` it has a hook that fails after the response."""
    if kind in ("sync", "httpx", "httpx2"):
        library: Any = {"httpx": httpx, "httpx2": httpx2}.get(kind)
        hooks = {"response": [_raise]} if raising else {}
        client = library.Client(verify=EMPTY, event_hooks=hooks) if library else None
        stage = Stage(kind, client, None)
        yield stage
        stage.close()
        if client:
            client.close()
        return
    with asyncio.Runner() as runner:
        client = runner.run(_async_client(kind, raising=raising))
        stage = Stage(kind, client, runner)
        yield stage
        stage.close()
        if client is not None:
            runner.run(client.aclose() if hasattr(client, "aclose") else client.close())


Use = Callable[[Stage, str], Any]
USES: dict[str, Use] = {
    "token": lambda on, url: on.plex(url).authentication.get_token_details(token=CANARY),
    "token of the constructor": lambda on, url: on.plex(url, token=CANARY).account(),
    "token source": lambda on, url: on.plex(url, token=lambda: CANARY).ping(),
    "password": lambda on, url: on.plex(url).authentication.post_users_sign_in_data(login="mira", password=CANARY),
    "code": lambda on, url: on.plex(url).authentication.post_users_sign_in_data(
        login="mira", password="another one", verification_code=CANARY
    ),
    "sign_in": lambda on, url: on.sign_in(
        method=Password("mira", CANARY, lambda: CANARY), plex_tv=url, store=MemoryStore()
    ),
    "header": lambda on, url: on.plex(url, token="t" * 20).ping(headers={"Cookie": CANARY}),
    "header of the constructor": lambda on, url: on.plex(url, token="t" * 20, headers={"Cookie": CANARY}).ping(),
    "passcode": lambda on, url: on.plex(url, token="t" * 20).home.switch_user("b71d04e96c2fa835", passcode=CANARY),
    "current passcode": lambda on, url: on.plex(url, token="t" * 20).home.set_passcode(1, "1234", current=CANARY),
    "removed passcode": lambda on, url: on.plex(url, token="t" * 20).home.remove_passcode(1, current=CANARY),
    "switch_home_user": lambda on, url: on.plex(url, token="t" * 20).switch_home_user("Pip", passcode=CANARY),
    "media_server_token": lambda on, url: on.plex(url, token="t" * 20).media_server_token(passcode=CANARY),
    "claim": lambda on, url: on.plex(url, token=CANARY).claims.exchange(Secret(CANARY)),
    "claim of a server": lambda on, url: on.plex(url).at(url, token=CANARY).claims.claim(Secret(CANARY)),
    "link code": lambda on, url: on.plex(url, token=CANARY).pins.link(CANARY),
    "device JWT": lambda on, url: on.plex(url, token=CANARY).auth_keys.exchange(Secret(CANARY)),
    "device JWT of a PIN": lambda on, url: on.plex(url, token=CANARY).pins.get(1, device_jwt=Secret(CANARY)),
    "transient token": lambda on, url: on.plex(url).at(url, token=CANARY).authentication.get_transient_token(),
    "raw query": lambda on, url: on.plex(url).at(url, token=CANARY).get("/x", {"X-Plex-Token": CANARY}),
    "raw path": lambda on, url: on.plex(url).at(url).get(f"/x?X-Plex-Token={CANARY}"),
    "raw body": lambda on, url: on.plex(url).at(url).request("POST", "/x", body=CANARY.encode()),
    "base_url": lambda on, url: on.plex("http://127.0.0.1:9").ping(base_url=url, token=CANARY),
    "sign_out": lambda on, url: on.plex(url, token=CANARY).sign_out(),
    "server_information": lambda on, url: on.plex(url, server=url, token=CANARY).server_information(),
    "connect": lambda on, url: on.plex(url, token=CANARY).connect("Attic"),
    "connect that offers more": lambda on, url: on.plex(url, token=CANARY).connect("Attic", on_better=print),
    "reachability": lambda on, url: on.plex(url, token=CANARY).reachability("Attic"),
    "membership": lambda on, url: on.plex(url, token=CANARY).account().membership("Attic", owner=1),
}


class Servers:
    """Servers that fail in different ways. They echo what they receive wherever an error could pick it up."""

    def __init__(self) -> None:
        self._refusing = Server(self._answering(b"401 No", b""))
        self._moving = Server(self._answering(b"302 Moved", b"Location: http://127.0.0.1:9/\r\n"))
        self._garbage = Server(self._garble)
        self._silent = Server(self._listen)
        self._all = (self._refusing, self._moving, self._garbage, self._silent)
        for one in self._all:
            one.__enter__()
        self.failures: dict[str, tuple[str, tuple[type[PlexError], ...]]] = {
            "refused": (self._refusing.url, (Unauthorized,)),
            "redirected": (self._moving.url, (RedirectRefused,)),
            "garbage": (self._garbage.url, (MalformedReply, Unreachable)),
            "silent": (self._silent.url, (TimedOut,)),
            "closed": (f"http://127.0.0.1:{closed_port()}", (Unreachable,)),
        }

    @staticmethod
    def _answering(status: bytes, field: bytes) -> Callable[[Server, socket.socket], None]:
        def behave(server: Server, sock: socket.socket) -> None:
            while received := server.read(sock):
                body = b'{"errors":[{"code":1001,"message":"%b"}]}' % received.hex().encode()
                head = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n" % (status, field, len(body))
                sock.sendall(head + body)

        return behave

    @staticmethod
    def _garble(server: Server, sock: socket.socket) -> None:
        received = server.read(sock)
        sock.sendall(b"HTTP/1.1 200 " + received.replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n")

    @staticmethod
    def _listen(server: Server, sock: socket.socket) -> None:
        while server.read(sock):
            pass

    def close(self) -> None:
        for one in self._all:
            one.__exit__(None, None, None)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    one = Servers()
    yield one
    one.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failure", ["refused", "redirected", "garbage", "silent", "closed"])
def test_c6_frames_of_failed_calls(kind: str, failure: str, servers: Servers) -> None:
    """However a call fails, with any client, no frame of the error shows a secret of the call."""
    url, kinds = servers.failures[failure]
    few = {name: USES[name] for name in ("token", "password", "raw body")}
    uses = USES if failure in ("refused", "closed") else few
    # Signing out a token that Plex no longer knows succeeds.
    uses = {name: use for name, use in uses.items() if (name, failure) != ("sign_out", "refused")}
    with staged(kind) as stage:
        stage.seconds = 0.1 if failure == "silent" else Stage.seconds
        for use in uses.values():
            with pytest.raises(kinds) as caught:
                use(stage, url)
            assert_hidden(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("sync", "async")])
def test_c6_frames_of_failing_hooks(kind: str, servers: Servers) -> None:
    """A hook of an injected client that raises leaves no secret in a frame of its library or of this one."""
    with staged(kind, raising=True) as stage:
        for use in USES.values():
            with pytest.raises(Unreachable) as caught:
                use(stage, servers.failures["refused"][0])
            assert_hidden(caught.value)


MISTAKES: dict[str, Use] = {
    "unknown option": lambda on, url: on.plex(url).ping(token=CANARY, tokem=CANARY),
    "no time": lambda on, url: on.plex(url).ping(token=CANARY, timeout=-1.0),
    "an address": lambda on, url: on.plex(url).ping(token=CANARY, base_url=f"http://a\\{CANARY}"),
    "a header": lambda on, url: on.plex(url).ping(token=CANARY, headers={"X-A": f"{CANARY}\n"}),
    "the token's header": lambda on, url: on.plex(url, headers={"X-Plex-Token": CANARY}),
    "a token": lambda on, url: on.plex(url, token=f"{CANARY} {CANARY}"),
    "a token in at": lambda on, url: on.plex(url).at(url, token=f"{CANARY} {CANARY}"),
    "a token in with_options": lambda on, url: on.plex(url).with_options(token=f"{CANARY} {CANARY}"),
    "a token in check": lambda on, url: on.check(f"{CANARY} {CANARY}", plex_tv=url),
    "a password that is no text": lambda on, url: on.plex(url).authentication.post_users_sign_in_data(
        login="mira", password=[CANARY]
    ),
    "a code that is bytes": lambda on, url: on.plex(url).authentication.post_users_sign_in_data(
        login="mira", password="x", verification_code=CANARY.encode()
    ),
    "a passcode": lambda on, url: on.plex(url, token=CANARY).home.set_passcode(1, CANARY),
    "a link code": lambda on, url: on.plex(url, token=CANARY).pins.link([CANARY]),
    "a path": lambda on, url: on.plex(url).at(url).get(f"{url}?X-Plex-Token={CANARY}"),
    "a password that is no text in sign_in": lambda on, url: on.sign_in(
        method=Password("mira", cast("str", [CANARY])), plex_tv=url
    ),
    "a keyword that is gone": lambda on, url: on.sign_in(password=CANARY, plex_tv=url),
    "a profile": lambda on, url: on.sign_in(method=Password("mira", CANARY), plex_tv=url, profile="\n"),
    "no server": lambda on, url: on.plex(url, token=CANARY).identity(token=CANARY),
    "an argument too many": lambda on, url: on.plex(url).authentication.get_token_details(CANARY),
    "a begun sign-in": lambda on, _: (PendingSignIn if on.facade == "sync" else AsyncPendingSignIn).load(
        f'{{"a":"{CANARY}"}}'
    ),
}


@every("kind", ["sync", "async"])
@every("use", MISTAKES)
def test_c6_frames_of_mistakes(kind: str, use: Use) -> None:
    """A mistake in the program, found before anything is sent, shows no secret in any frame."""
    with staged(kind) as stage, pytest.raises((TypeError, ValueError)) as caught:
        use(stage, "http://127.0.0.1:9")
    assert_hidden(caught.value)


NO_RETRY = RetryConfig("none", BackoffStrategy(0, 0, 0.0, 0), retry_connection_errors=False)
DIRECTLY: dict[str, Callable[[], object]] = {
    "Token": lambda: Token(f"{CANARY} {CANARY}"),
    "Secret": lambda: Secret(CANARY.encode()),  # type: ignore[arg-type]  # a program may have no types
    "PostUsersSignInData.of": lambda: PostUsersSignInData.from_text("mira", CANARY.encode()),  # type: ignore[arg-type]
    "DeviceKey.load": lambda: DeviceKey.load(CANARY),
    "plex_api": lambda: plex_api.PlexAPI(access_token=f"{CANARY} {CANARY}", ip="127.0.0.1"),
    "plex_api, refused": lambda: plex_api.PlexAPI(
        access_token=CANARY, ip="127.0.0.1", port=str(closed_port()), retry_config=NO_RETRY
    ).authentication.get_transient_token(type_="delegation", scope="all"),
}


@pytest.mark.parametrize("use", DIRECTLY.values(), ids=DIRECTLY)
def test_c6_frames_of_values(use: Callable[[], object]) -> None:
    """Objects and functions that need no client show no secret in their frames."""
    with pytest.raises((TypeError, ValueError, PlexError)) as caught:
        use()
    assert_hidden(caught.value)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_c6_frames_of_returned_errors(kind: str, servers: Servers) -> None:
    """An error that `attempt` returns or `on_retry` receives has no secret in its frames."""
    reported: list[BaseException] = []

    def record(error: PlexError, _wait: float) -> None:
        assert_hidden(error)
        reported.append(error)

    with staged(kind) as stage:
        retry = Retry(attempts=2, backoff=0.0)
        plex = stage.plex(
            servers.failures["closed"][0], retry=retry, on_retry=record, headers={"Cookie": CANARY}, token=CANARY
        )
        with pytest.raises(Unreachable):
            plex.ping()
        assert 1 == len(reported)
        outcome = plex.attempt(PostUsersSignInData.from_text("mira", CANARY), token=CANARY)
    assert isinstance(outcome, Err)
    assert_hidden(outcome.error)


@pytest.mark.parametrize("kind", ["httpx2", "async httpx2", "async", "aiohttp session"])
@pytest.mark.parametrize("ending", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_c6_frames_of_what_ends_a_program(
    kind: str, ending: type[BaseException], servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C or a cancelled task during a call leaves no secret in a frame of this library or the client's."""

    def interrupt(*_: object, **__: object) -> None:
        raise ending

    for target in ("httpcore2._sync.http11.HTTP11Connection", "httpcore2._async.http11.AsyncHTTP11Connection"):
        monkeypatch.setattr(f"{target}.handle_request", interrupt, raising=False)
        monkeypatch.setattr(f"{target}.handle_async_request", interrupt, raising=False)
    monkeypatch.setattr("aiohttp.client_reqrep.ClientRequest.send", interrupt, raising=False)
    with staged(kind) as stage, pytest.raises(ending) as caught:
        USES["password"](stage, servers.failures["refused"][0])
    assert_hidden(caught.value)


def test_c6_frames_of_the_program_stay(servers: Servers) -> None:
    """The exception that the calling program was handling, and its callbacks, keep their frames and local variables."""
    with staged("sync") as stage:
        plex = stage.plex(servers.failures["refused"][0], token=CANARY)
        with pytest.raises(Unauthorized) as caught:
            _while_handling(plex)
        assert isinstance(caught.value.__context__, KeyError)
        assert ["mine"] == _get_local(caught.value.__context__, "_while_handling")

        def source() -> str:
            local = "mine"
            raise LookupError(local)

        with pytest.raises(LookupError) as of_callback:
            plex.ping(token=source)
    assert ["mine"] == _get_local(of_callback.value, "source")
    assert_hidden(of_callback.value)


def _while_handling(plex: Any) -> None:
    local = "mine"
    try:
        _ = os.environ[local]
    except KeyError:
        plex.ping()


def _get_local(error: BaseException, function: str) -> list[str]:
    walked = traceback.walk_tb(error.__traceback__)
    return [frame.f_locals.get("local", "") for frame, _ in walked if frame.f_code.co_name == function]


def test_c6_frames_stay_useful(servers: Servers) -> None:
    """A traceback still names the line of the program, the public method, and the place of the error."""
    with staged("sync") as stage, pytest.raises(Unauthorized) as caught:
        USES["password"](stage, servers.failures["refused"][0])
    named = [frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert "post_users_sign_in_data" in named
    assert "_send_once" in named
    assert [caught.value] == list(chain(caught.value))


def test_c6_frames_of_stores(tmp_path: Path) -> None:
    """A credential store that cannot write or read shows nothing of the credential."""
    store = FileStore(tmp_path / "kept")
    credential = Credential(issuer="https://plex.tv", token=Token(CANARY), device_key=Secret(CANARY))
    assert store.save(credential, replacing=None)
    for file in (tmp_path / "kept").glob("*.kept"):
        file.write_text(file.read_text().replace("}", ""))
    with pytest.raises(CredentialsError) as caught:
        store.load("https://plex.tv")
    assert_hidden(caught.value)
    other = tmp_path / "a file"
    other.touch()
    with pytest.raises(CredentialsError) as caught:
        FileStore(other / "kept").save(credential, replacing=None)
    assert_hidden(caught.value)


@every("kind", [kind for pair in PAIRS.values() for kind in pair])
def test_c6_every_public_method_hides_its_locals(kind: type) -> None:
    """Every public method of a client, and of the objects that it returns, is guarded."""
    own = {name: getattr(member, "__func__", member) for name, member in vars(kind).items() if name[0] != "_"}
    methods = {name: member for name, member in own.items() if isinstance(member, FunctionType)}
    assert [] == [name for name, member in methods.items() if not hasattr(member, "__wrapped__")]
    assert [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"]


def test_c6_rich_shows_no_more_than_repr() -> None:
    """Rich, which prints local variables of tracebacks, shows the `repr` of each of these."""
    pin = PendingPin(plex_tv="http://a", device=DEVICE, pin_id=7, code=CANARY, strong=True, expires_at=1.0)
    raw = RawRequest(path=f"/a?X-Plex-Token={CANARY}", query={"a": CANARY}, content=CANARY.encode())
    for kept in (pin, raw, CallSettings(headers={"X-A": CANARY}), Request("x", "GET", f"http://a/?t={CANARY}", {})):
        assert repr(kept) == pretty_repr(kept)
        assert CANARY not in repr(kept)


def test_c6_no_pickle_of_messages() -> None:
    """A request or response cannot be pickled. A copy prints as little as the original."""
    request = Request("x", "POST", f"http://a/?t={CANARY}", {"X-Plex-Token": CANARY}, CANARY.encode())
    response = Response(200, {"set-cookie": CANARY}, CANARY.encode())
    for message in (request, response):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="cannot be pickled") as caught:
                pickle.dumps(message, protocol)
            assert CANARY not in str(caught.value)
        for made in (copy.copy(message), copy.deepcopy(message), copy.copy(copy.deepcopy(message))):
            assert CANARY not in f"{made!r}{made}"
            assert message.headers == made.headers
            assert message.headers is not made.headers
            assert message.body == made.body
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps([made])


@pytest.mark.parametrize("way", ["parse", "load", "from_dict"])
@pytest.mark.parametrize("fault", ['bogus = "x"', "bogus ="])
def test_c6_a_faulty_world_shows_no_secret(way: str, fault: str, tmp_path: Path) -> None:
    """A world may contain the token of a real media server. No frame of a WorldError shows it."""
    text = f'[[account]]\nusername = "ana"\npassword = "{CANARY}"\n{fault}\n'
    file = tmp_path / "world.toml"
    file.write_text(text)
    mapping = {"account": [{"username": "ana", "password": CANARY, "bogus": 1}]}
    given: dict[str, Any] = {"parse": text, "load": file, "from_dict": mapping}
    with pytest.raises(WorldError) as caught:
        getattr(World, way)(given[way])
    assert_hidden(caught.value)
