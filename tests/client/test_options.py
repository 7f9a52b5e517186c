"""Options, and mistakes in a program, which are reported before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.client.doubles import Recording, unused
from tests.tables import every
from ticketstub import Device, Plex, Retry, Token
from ticketstub.calls import HomeUser
from ticketstub.client.config import normalize_base_url, validate_headers

TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
HERE = "http://127.0.0.1:8190"
DEVICE = Device(client_identifier="demo-client-7c1f")


def plex(transport: Any = None, **given: Any) -> Any:
    return Plex(
        transport=transport or Recording(unused), **{"plex_tv": HERE, "device": DEVICE, "token": TOKEN, **given}
    )


BASES = {
    "https://plex.tv": "https://plex.tv",
    "https://plex.tv/": "https://plex.tv",
    "https://plex.tv/api/v2": "https://plex.tv",
    "https://plex.tv/api/v2/": "https://plex.tv",
    "https://clients.plex.tv/api": "https://clients.plex.tv",
    "http://127.0.0.1:8190": "http://127.0.0.1:8190",
    "http://[::1]:8190/": "http://[::1]:8190",
    "https://proxy.example/plex/api/v2": "https://proxy.example/plex",
    "http://host:32400//": "http://host:32400",
}


@every("url", list(BASES))
def test_base(url: str) -> None:
    """A base URL loses trailing slashes and the `/api/v2` that generated SDKs need."""
    assert BASES[url] == normalize_base_url(url)


NO_ADDRESS = [
    "",
    "plex.tv",
    "//plex.tv",
    "ftp://plex.tv",
    "https://",
    "https:plex.tv",
    "http://user:hunter2@127.0.0.1",
    "http://@127.0.0.1",
    "http://127.0.0.1:port",
    "http://127.0.0.1:99999",
    "http://127.0.0.1/?X-Plex-Token=hunter2",
    "http://127.0.0.1/#hunter2",
    "http://127.0.0.1/a b",
    "http://127.0.0.1\r\nX: y",
    "http://127.0.0.1/ü",
    "http://bücher.example",
    "http://[::1",
]


def _at(url: str) -> object:
    return plex().at(url, token=TOKEN)


def _ping(**options: Any) -> object:
    return plex().ping(**options)


MISTAKES: dict[str, Callable[[], object]] = {
    **{f"plex_tv={url!r}": partial(plex, plex_tv=url) for url in NO_ADDRESS},
    **{f"server={url!r}": partial(plex, server=url) for url in NO_ADDRESS if url},
    **{f"at({url!r})": partial(_at, url) for url in NO_ADDRESS},
    **{f"base_url={url!r}": partial(_ping, base_url=url) for url in NO_ADDRESS},
    "unknown type": lambda: plex(server=HERE).authentication.get_transient_token(type="delegations"),
    "unknown scope": lambda: plex(server=HERE).authentication.get_transient_token(scope="some"),
    "type of another type": lambda: plex(server=HERE).authentication.get_transient_token(type=None),
    "source without prefix": lambda: plex(server=HERE).authentication.get_source_connection_information(source="9b1f"),
    "source without name": lambda: plex(server=HERE).authentication.get_source_connection_information(
        source="server://"
    ),
    "a Home user without uuid": lambda: plex().home.switch_user(HomeUser(id=7, title="Pip")),
    "no media server named": plex(token=None).authentication.get_transient_token,
    "e-mail as token": lambda: plex(token="mira@example.test"),
    "claim as token": lambda: plex(token="claim-A1b2C3d4E5f6G7h8I9j0"),
    "header as token": lambda: plex(token="X-Plex-Token: Xk3mPz_9Q-vT7rLb2NfW"),
    "parameter as token": lambda: plex(token="x-plex-token=Xk3mPz_9Q-vT7rLb2NfW"),
    "empty token": lambda: plex(token=""),
    "line break in a token": lambda: plex(token="Xk3m\r\nX-Evil: 1"),
    "space in a token": lambda: plex(token="Xk3m Pz"),
    "letters beyond ASCII in a token": lambda: plex(token="Xk3mPé"),
    "token for a call": lambda: plex().ping(token="mira@example.test"),
    "token at()": lambda: plex().at(HERE, token="mira@example.test"),
    "line break in a header": lambda: plex(headers={"X-Note": "a\r\nX-Evil: 1"}),
    "line feed in a header": lambda: plex().ping(headers={"X-Note": "a\nb"}),
    "NUL in a header": lambda: plex().ping(headers={"X-Note": "a\0b"}),
    "half a pair in a header": lambda: plex().ping(headers={"X-Note": "a\udc80"}),
    "line break in a header's name": lambda: plex().ping(headers={"X-Note\r\nX-Evil": "1"}),
    "no header name": lambda: plex().ping(headers={"": "1"}),
    "space in a header's name": lambda: plex().ping(headers={"X Note": "1"}),
    **{
        f"header {name}": partial(_ping, headers={name: "1"})
        for name in ("Host", "content-length", "Transfer-Encoding", "CONNECTION", "X-Plex-Token", "x-plex-token")
    },
    "line break in the identifier": lambda: plex().ping(client_identifier="a\r\nX-Evil: 1"),
    "empty identifier": lambda: plex().ping(client_identifier=""),
    "line break in a device": lambda: Device(client_identifier="x", product="a\nb"),
    "empty device": lambda: Device(client_identifier=""),
    "no time": lambda: plex().ping(timeout=0),
    "negative time": lambda: plex(timeout=-1.0),
    "time that is no number": lambda: plex().ping(timeout=float("nan")),
    "no attempt": lambda: Retry(attempts=0),
    "negative backoff": lambda: Retry(backoff=-1.0),
    "raw path": lambda: plex().at(HERE, token=TOKEN).get("library"),
    "raw path to another host": lambda: plex().at(HERE, token=TOKEN).get("//evil.example/"),
    "raw method": lambda: plex().at(HERE, token=TOKEN).request("GET\r\nX: y", "/"),
    "raw media type": lambda: plex().at(HERE, token=TOKEN).request("PUT", "/", content_type="a\r\nX: y"),
}


@every("mistake", MISTAKES)
def test_mistake(mistake: Callable[[], object]) -> None:
    """A mistake in the program is a ValueError, raised before anything is sent, that repeats no secret."""
    with pytest.raises(ValueError, match=r"^[^\r\n]+$") as caught:
        mistake()
    for secret in ("hunter2", "mira@", "Xk3m", "A1b2", "X-Evil"):
        assert secret not in str(caught.value)


WRONG_TYPES: dict[str, Callable[[], object]] = {
    "unknown option": lambda: plex().ping(timout=3),
    "option of the constructor": lambda: plex().ping(server=HERE),
    "inner setting": lambda: plex().with_options(trusted=frozenset({"http://evil.example"})),
    "time as text": lambda: plex().ping(timeout="3"),
    "token in bytes": lambda: Token(b"x"),  # type: ignore[arg-type]  # the mistake itself
    "password in bytes": lambda: plex().authentication.post_users_sign_in_data(login="a", password=b"x"),
    "no password": lambda: plex().authentication.post_users_sign_in_data(login="a"),
    "operation by position": lambda: plex().authentication.get_source_connection_information("server://x"),
    "a client that is none": lambda: plex(transport="requests").ping(),
}


@every("mistake", WRONG_TYPES)
def test_wrong_type(mistake: Callable[[], object]) -> None:
    """An argument of the wrong type, or one that does not exist, is a TypeError, raised before anything is sent."""
    with pytest.raises(TypeError):
        mistake()


def test_options_of_one_call() -> None:
    """Each option applies to its call only."""
    transport = Recording()
    client = plex(transport, headers={"X-Note": "always", "Accept-Language": "nl"})
    other = Device(client_identifier="other", product="Other")
    client.ping(
        headers={"X-Note": "once", "Accept": "application/xml"},
        device=other,
        token="Qw7-Zr2_LmN8tYb4HsKd",
        base_url=f"{HERE}/mirror",
    )
    client.ping(client_identifier="Postman")
    client.ping()
    first, second, third = (sent.headers for sent in transport.sent)
    always = {"Accept": "application/json", "Accept-Encoding": "gzip", "X-Note": "always", "Accept-Language": "nl"}
    mine = {"X-Plex-Client-Identifier": "demo-client-7c1f", "X-Plex-Token": TOKEN}
    assert always | mine == third
    assert always | mine | {"X-Plex-Client-Identifier": "Postman"} == second
    assert {
        "Accept": "application/xml",
        "Accept-Encoding": "gzip",
        "X-Note": "once",
        "Accept-Language": "nl",
        "X-Plex-Client-Identifier": "other",
        "X-Plex-Product": "Other",
        "X-Plex-Token": "Qw7-Zr2_LmN8tYb4HsKd",
    } == first
    assert f"{HERE}/mirror/api/v2/ping" == transport.sent[0].url


def test_client_identifier_replaces_only_itself() -> None:
    """`client_identifier` replaces that header only, with any text."""
    transport = Recording()
    device = Device(client_identifier="a", product="Demo App", platform="Küche")
    client = plex(transport, device=device)
    client.ping(client_identifier="Postman")
    sent = {name: value for name, value in transport.sent[0].headers.items() if name.startswith("X-Plex-")}
    assert {
        "X-Plex-Client-Identifier": "Postman",
        "X-Plex-Product": "Demo App",
        "X-Plex-Platform": "Küche",
        "X-Plex-Token": TOKEN,
    } == sent


def test_derived_client_keeps_and_shares() -> None:
    """`with_options` keeps all other options, shares the connections, and does not change the first client."""
    transport = Recording()
    first = plex(transport, headers={"X-A": "1"})
    second = first.with_options(headers={"X-B": "2"}).with_options(token="Qw7-Zr2_LmN8tYb4HsKd")
    second.ping()
    first.ping()
    assert [("1", "2", "Qw7-Zr2_LmN8tYb4HsKd"), ("1", None, TOKEN)] == [
        (sent.headers["X-A"], sent.headers.get("X-B"), sent.headers["X-Plex-Token"]) for sent in transport.sent
    ]
    second.close()
    with pytest.raises(RuntimeError, match="closed"):
        first.ping()
    assert 1 == transport.closed


def test_a_token_can_be_taken_away() -> None:
    """`token=None` removes the token, for a call or a derived client."""
    transport = Recording()
    client = plex(transport, server=HERE)
    client.server_information(token=None)
    assert "X-Plex-Token" not in transport.sent[0].headers


def test_signing_in_leaves_the_client_as_it_is() -> None:
    """A sign-in does not change the client; `with_options` applies the new token."""
    transport = Recording()
    client = plex(transport, token=None)
    account = client.authentication.post_users_sign_in_data(login="mira", password="hunter2")
    client.with_options(token=account.auth_token).ping()
    assert ["X-Plex-Token" in sent.headers for sent in transport.sent] == [False, True]
    with pytest.raises(Exception, match="needs a token"):
        client.ping()


def test_constructor_does_nothing() -> None:
    """Creating a client, a media server's client or a derived one does no I/O and creates no transport."""
    made: list[object] = []
    client = Plex()
    client._shared._factory = lambda: made.append(1)  # type: ignore[assignment, return-value]  # a double
    repr(client.at("http://127.0.0.1:1").with_options(timeout=1.0))
    assert [] == made
    client.close()
    assert [] == made


def test_use_after_close() -> None:
    """A closed client raises, sends nothing, and can be closed again."""
    transport = Recording(unused)
    client = plex(transport)
    with client:
        pass
    client.close()
    for use in (client.ping, client.resources, client.at(HERE, token=TOKEN).identity):
        with pytest.raises(RuntimeError, match="this client was closed"):
            use()


def test_header_of_another_capitalisation_replaces() -> None:
    """A header is sent once, in whatever capitalization the client or the call names it."""
    transport = Recording()
    client = plex(transport, headers={"accept": "text/xml", "x-plex-product": "Mine"})
    client.authentication.get_token_details(headers={"ACCEPT": "application/xml"})
    sent = {name.lower(): value for name, value in transport.sent[0].headers.items()}
    assert len(sent) == len(transport.sent[0].headers)
    assert ("application/xml", "Mine") == (sent["accept"], sent["x-plex-product"])


@pytest.mark.parametrize("name", ["X-Plex-Client-Identifier", "x-plex-client-identifier"])
def test_client_identifier_is_no_header(name: str) -> None:
    """The identifier has its own option, so that no empty header can remove it."""
    with pytest.raises(ValueError, match="client_identifier="):
        validate_headers({name: ""})


def test_allowed_headers_are_copied() -> None:
    """Headers are copied: changing the program's own dict later changes nothing."""
    given = {"X-Note": "a"}
    taken = validate_headers(given)
    given["X-Note"] = "b"
    assert {"X-Note": "a"} == taken
