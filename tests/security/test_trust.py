"""C2, C5, C12: a token goes to the origins that were named with it, and to no other."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.doubles import AsyncRecording, Recording, usual
from tests.examples import examples
from tests.tables import every
from ticketstub import AsyncPlex, CredentialsError, Device, Plex, Token
from ticketstub.messages import Request, Response, get_origin

PLEX = "https://plex.example"
ATTIC = "http://attic.example:32400"
OTHER = "http://other.example:32400"
CANARY = "cAnArY-7f3kQ2vTz8Lm1"
MINE = "Xk3mPz_9Q-vT7rLb2NfW"
DEVICE = Device(client_identifier="demo-client-7c1f")


def plex(transport: Recording, **given: Any) -> Plex:
    return Plex(transport=transport, plex_tv=PLEX, device=DEVICE, **given)


@dataclass
class Row:
    """What is named, what is called, and where the canary arrives; `None` for an error before anything is sent."""

    make: Any
    arrives: str | None


def account_token(origin: str | None = PLEX) -> Token:
    return Token(CANARY, origin=origin)


ROWS = {
    "text, to plex.tv": Row(lambda t: plex(t, token=CANARY).ping(), PLEX),
    "text with a server, to plex.tv": Row(lambda t: plex(t, token=CANARY, server=ATTIC).ping(), PLEX),
    "text with a server, to it": Row(lambda t: plex(t, token=CANARY, server=ATTIC).server_information(), ATTIC),
    "text, at() another": Row(lambda t: plex(t, token=CANARY).at(OTHER).get("/x"), ""),
    "text, at() with another token": Row(lambda t: plex(t, token=CANARY).at(OTHER, token=MINE).get("/x"), ""),
    "text named at()": Row(lambda t: plex(t).at(OTHER, token=CANARY).get("/x"), OTHER),
    "an account's token, to plex.tv": Row(lambda t: plex(t, token=account_token()).ping(), PLEX),
    "an account's token with a server": Row(
        lambda t: plex(t, token=account_token(), server=ATTIC).server_information(), ATTIC
    ),
    "an account's token given later": Row(
        lambda t: plex(t, server=ATTIC).with_options(token=account_token()).server_information(), None
    ),
    "an account's token given later, to plex.tv": Row(
        lambda t: plex(t, server=ATTIC).with_options(token=account_token()).ping(), PLEX
    ),
    "an account's token for one call": Row(
        lambda t: plex(t, server=ATTIC).server_information(token=account_token()), None
    ),
    "an account's token named at()": Row(lambda t: plex(t).at(ATTIC, token=account_token()).get("/x"), ATTIC),
    "an account's token, at() derived": Row(
        lambda t: plex(t).at(ATTIC).with_options(token=account_token()).get("/x"), None
    ),
    "another plex.tv's token": Row(lambda t: plex(t, token=account_token("http://127.0.0.1:8190")).ping(), None),
    "text, to another address": Row(lambda t: plex(t, token=CANARY).ping(base_url=OTHER), None),
    "text, to another address, kept": Row(lambda t: plex(t, token=CANARY).with_options(base_url=OTHER).ping(), None),
    "text named beside another address": Row(lambda t: plex(t).ping(base_url=OTHER, token=CANARY), OTHER),
    "an account's token named beside another address": Row(
        lambda t: plex(t).ping(base_url=OTHER, token=account_token()), OTHER
    ),
    "beside another address, then without it": Row(
        lambda t: (
            plex(t, server=ATTIC)
            .with_options(base_url=OTHER, token=account_token(OTHER))
            .with_options(base_url=ATTIC)
            .server_information()
        ),
        None,
    ),
    "a transient token, to plex.tv": Row(lambda t: plex(t, token=f"transient-{CANARY}").ping(), None),
    "a transient token, to its server": Row(lambda t: plex(t).at(ATTIC, token=f"transient-{CANARY}").get("/x"), ATTIC),
    "a server's own token, at() another": Row(lambda t: _elsewhere(t), ""),  # noqa: PLW0108  # it is defined below
    "identity never carries one": Row(lambda t: plex(t, token=CANARY, server=ATTIC).identity(), ""),
    "a sign-in never carries one": Row(
        lambda t: plex(t, token=CANARY).authentication.post_users_sign_in_data(login="a", password="b"), ""
    ),
    "plex.tv's name in other letters": Row(
        lambda t: (
            plex(t, token=Token(CANARY, origin="https://plex.tv")).with_options(base_url="https://PLEX.TV:443").ping()
        ),
        None,
    ),
}


def _elsewhere(transport: Recording) -> object:
    client = plex(transport)
    client.at(ATTIC, token=Token(CANARY, origin=ATTIC))
    return client.at(OTHER).get("/x")


@every("row", ROWS)
def test_c2_where_a_token_goes(row: Row) -> None:
    """A token is sent where it was named; elsewhere the call has no token, or is an error before it is sent."""
    transport = Recording()
    if row.arrives is None:
        with pytest.raises(CredentialsError) as caught:
            row.make(transport)
        assert [] == transport.sent
        assert CANARY not in f"{caught.value}{caught.value!r}"
        return
    row.make(transport)
    assert ([row.arrives] if row.arrives else []) == _arrived(transport)


def _arrived(transport: Recording) -> list[str]:
    return [get_origin(sent.url) for sent in transport.sent if CANARY in _all(sent)]


def _all(request: Request) -> str:
    return f"{request.method}{request.url}{request.headers}{request.body!r}"


ORIGINS = [PLEX, ATTIC, OTHER, "http://127.0.0.1:1", "https://plex.example:8443", "http://plex.example"]
CALLS: list[Any] = [
    lambda client, **o: client.send(_ping(), **o),
    lambda client, **o: client.server_information(**o),
    lambda client, **o: client.identity(**o),
    lambda client, **o: client.send(_raw(), **o),
]


def _ping() -> Any:
    from ticketstub.calls import Ping

    return Ping()


def _raw() -> Any:
    from ticketstub.calls import RawRequest

    return RawRequest(path="/x")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("at"), st.sampled_from(ORIGINS), st.sampled_from([None, "mine", "canary"])),
        st.tuples(st.just("base"), st.sampled_from(ORIGINS), st.sampled_from([None, "mine", "canary"])),
        st.tuples(st.just("token"), st.just(""), st.sampled_from([None, "mine", "canary"])),
        st.tuples(st.just("call"), st.sampled_from(["", *ORIGINS]), st.sampled_from(range(len(CALLS)))),
    ),
    max_size=6,
)


@given(steps=STEPS, first=st.sampled_from(["mine", "canary"]), server=st.sampled_from([None, *ORIGINS]))
@examples(100)
def test_c2_any_way_of_deriving(steps: list[tuple[str, str, Any]], first: str, server: str | None) -> None:
    """Whatever clients are derived in whatever order, a token is sent only where it was named."""
    tokens = {"mine": Token(MINE, origin=PLEX), "canary": Token(CANARY, origin=ATTIC), None: None}
    transport = Recording()
    client: Any = plex(transport, token=tokens[first], server=server)
    named = {ATTIC} | ({server} if first == "canary" and server else set())
    for kind, origin, choice in steps:
        if choice == "canary" and origin and kind in ("at", "base"):
            named.add(origin)
        client = _step(client, kind, origin, choice, tokens)
    assert set(_arrived(transport)) <= named


def _step(client: Any, kind: str, origin: str, choice: Any, tokens: dict[Any, Any]) -> Any:
    if kind == "at":
        return client.at(origin, token=tokens[choice]) if isinstance(client, Plex) else client
    if kind == "base":
        options = {"base_url": origin} | ({"token": tokens[choice]} if choice else {})
        return client.with_options(**options)
    if kind == "token":
        return client.with_options(token=tokens[choice])
    with suppress(CredentialsError, ValueError):
        CALLS[choice](client, **({"base_url": origin} if origin else {}))
    return client


@given(
    resources=st.lists(
        st.tuples(st.sampled_from([ATTIC, OTHER, "http://third.example"]), st.sampled_from([None, "a" * 20, "b" * 20])),
        max_size=6,
    )
)
@examples(40)
def test_c2_each_server_gets_its_own_token(resources: list[tuple[str, str | None]]) -> None:
    """Over any list of resources, a media server receives only its own token, or none if it has none."""
    transport = Recording()
    client = plex(transport, token=CANARY)
    for url, own in resources:
        client.at(url, token=own).get("/x")
    assert [(url, own) for url, own in resources] == [
        (get_origin(sent.url), sent.headers.get("X-Plex-Token")) for sent in transport.sent
    ]
    assert [] == _arrived(transport)


@pytest.mark.parametrize(
    "name", ["PLEX_TOKEN", "TICKETSTUB_TOKEN", "TICKETSTUB_PLEX_TV", "PLEX_URL", "PLEXAPI_AUTH_SERVER_TOKEN"]
)
def test_c5_environment_steers_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No environment variable gives the library a token or an address."""
    monkeypatch.setenv(name, "http://evil.example")
    transport = Recording()
    Plex(transport=transport, device=DEVICE, token=CANARY).ping()
    assert ["https://plex.tv/api/v2/ping"] == [sent.url for sent in transport.sent]
    assert CANARY == transport.sent[0].headers["X-Plex-Token"]


def test_c5_netrc_is_not_read(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials are read from .netrc."""
    (tmp_path / "netrc").write_text("machine plex.example login mira password hunter2\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    transport = Recording()
    plex(transport, token=MINE).ping()
    assert {"Accept", "Accept-Encoding", "X-Plex-Client-Identifier", "X-Plex-Token"} == set(transport.sent[0].headers)


def _whose(request: Request) -> Response:
    token = request.headers["X-Plex-Token"]
    return Response(200, {}, b'{"username":"%s","authToken":"%s"}' % (token[-2:].encode(), token.encode()))


def test_c12_users_do_not_mix() -> None:
    """Fifty tasks with twenty users on one loop and one client: each response belongs to the right user."""

    async def all_at_once() -> list[tuple[str, str | None]]:
        class Slow(AsyncRecording):
            async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
                await asyncio.sleep(0)
                return await super().send(request, deadline=deadline, connect_timeout=connect_timeout)

        client = AsyncPlex(transport=Slow(_whose), plex_tv=PLEX, device=DEVICE)
        names = [f"{number % 20:02}" for number in range(1000)]

        async def ask(name: str) -> tuple[str, str | None]:
            account = await client.authentication.get_token_details(token=f"token-of-the-user-{name}")
            return name, account.username

        return await asyncio.gather(*map(ask, names))

    for name, found in asyncio.run(all_at_once()):
        assert name == found


def test_c12_no_state_between_clients() -> None:
    """Two clients share nothing: neither headers, nor tokens, nor the device."""
    one, two = Recording(), Recording(usual)
    plex(one, token=CANARY, headers={"X-Note": "one"}).ping()
    Plex(transport=two, plex_tv=PLEX, token=MINE, device=Device(client_identifier="two")).ping()
    assert {
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "X-Plex-Client-Identifier": "two",
        "X-Plex-Token": MINE,
    } == two.sent[0].headers
