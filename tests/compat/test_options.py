"""The options of 0.36.3, in the constructor, in a request and in a call, and what they become."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.conftest import Script, reply
from tests.client.scripts import head_of
from tests.compat.calling import WAYS, ask
from tests.samples.reading import sample
from tests.server.asking import MIRA
from tests.transports.hostile import closed_port
from ticketstub import Retry
from ticketstub.compat import plex_api_client
from ticketstub.compat.not_covered import OURS, NotCovered
from ticketstub.compat.plex_api_client import PlexAPI
from ticketstub.compat.plex_api_client.models import components, errors, operations
from ticketstub.compat.plex_api_client.utils import BackoffStrategy, RetryConfig
from ticketstub.compat.retries import retry_of

Serve = Callable[..., Script]

ACCOUNT = {"api/v2/user": reply(sample("account.json"), Content_Type="application/json")}
TOKEN = {"security/token": reply(sample("transient_token.json"), Content_Type="application/json")}
KIND = {"media_type": "delegation", "scope": "all"}
ONCE = RetryConfig("none", BackoffStrategy(1, 50, 1.1, 100), retry_connection_errors=False)
IDENTITY = {
    "client_identifier": ("abc123", "x-plex-client-identifier"),
    "product": ("Plex for Roku", "x-plex-product"),
    "version": ("2.4.1", "x-plex-version"),
    "platform": ("Roku", "x-plex-platform"),
    "platform_version": ("4.3 build 1057", "x-plex-platform-version"),
    "device": ("Roku 3", "x-plex-device"),
    "model": ("4200X", "x-plex-model"),
    "device_vendor": ("Roku", "x-plex-device-vendor"),
    "device_name": ("Living Room TV", "x-plex-device-name"),
    "marketplace": ("googlePlay", "x-plex-marketplace"),
}


def x_plex(request: bytes) -> dict[str, str]:
    """Return what a request says in Plex's own headers."""
    return {name: value for name, value in head_of(request)[1].items() if name.startswith("x-plex-")}


@pytest.mark.parametrize("way", WAYS)
def test_identity_of_the_constructor(serve: Serve, way: str) -> None:
    """Each name becomes its header, and nothing else is said of the client."""
    server = serve(**ACCOUNT)
    arguments = {name: value for name, (value, _) in IDENTITY.items()} | {"token": MIRA}
    ask(way, arguments, "authentication", "get_token_details", request={}, server_url=f"{server.url}/api/v2")
    assert {header: value for value, header in IDENTITY.values()} | {"x-plex-token": MIRA} == x_plex(server.came[0])


@pytest.mark.parametrize("way", WAYS)
def test_identity_of_a_request(serve: Serve, way: str) -> None:
    """What a request says of the client replaces the constructor's, for that call."""
    server = serve(**ACCOUNT)
    arguments = dict.fromkeys(IDENTITY, "of the constructor") | {"token": MIRA}
    request = {name: value for name, (value, _) in IDENTITY.items()}
    ask(way, arguments, "authentication", "get_token_details", request=request, server_url=server.url)
    assert {header: value for value, header in IDENTITY.values()} | {"x-plex-token": MIRA} == x_plex(server.came[0])


@pytest.mark.parametrize("way", WAYS)
def test_headers_of_a_call(serve: Serve, way: str) -> None:
    """`http_headers` are sent; those that would break the exchange or leak the token are refused."""
    server = serve(**TOKEN)
    arguments = {"token": MIRA, "server_url": server.url, "client_identifier": "abc123"}
    call: Any = ("general", "create_transient_token")
    ask(way, arguments, *call, request=KIND, http_headers={"X-Word": "said"})
    assert "said" == head_of(server.came[0])[1]["x-word"]
    with pytest.raises(ValueError, match="token="):
        ask(way, arguments, *call, request=KIND, http_headers={"X-Plex-Token": MIRA})
    assert 1 == len(server.came)


@pytest.mark.parametrize("way", WAYS)
def test_address_of_a_call(serve: Serve, way: str) -> None:
    """`server_url` of a call replaces the constructor's, and the token goes with it, for the program named both."""
    server = serve(**TOKEN)
    arguments = {"token": lambda: MIRA, "server_url": "http://192.0.2.7:32400"}
    ask(way, arguments, "general", "create_transient_token", request=KIND, server_url=server.url)
    assert MIRA == head_of(server.came[0])[1]["x-plex-token"]


@pytest.mark.parametrize("way", WAYS)
def test_sign_in_carries_no_token(serve: Serve, way: str) -> None:
    """A sign-in never sends the constructor's token."""
    server = serve(**{"api/v2/users/signin": reply(sample("sign_in.json"), 201, Content_Type="application/json")})
    request = {"request_body": {"login": "mira_quill", "password": "p", "verificationCode": "123456"}}
    ask(way, {"token": MIRA}, "authentication", "post_users_sign_in_data", request=request, server_url=server.url)
    head, _, form = server.came[0].partition(b"\r\n\r\n")
    assert b"login=mira_quill&password=p&rememberMe=false&verificationCode=123456" == form
    assert b"x-plex-token" not in head.lower()


@pytest.mark.parametrize("way", WAYS)
def test_time(serve: Serve, way: str) -> None:
    """`timeout_ms` bounds a call, in the constructor and in a call."""
    address = f"http://127.0.0.1:{closed_port()}"
    given: dict[str, Any] = {"request": {}, "server_url": address, "retries": ONCE}
    with pytest.raises(errors.NoResponseError):
        ask(way, {"token": MIRA, "timeout_ms": 2000}, "authentication", "get_token_details", **given, timeout_ms=500)
    for arguments, more in (({"timeout_ms": 0}, {}), ({}, {"timeout_ms": 0})):
        with pytest.raises(ValueError, match="timeout"):
            ask(way, {"token": MIRA} | arguments, "authentication", "get_token_details", **given, **more)


@pytest.mark.parametrize("way", WAYS)
def test_retries(serve: Serve, way: str) -> None:
    """429 is tried again by default, as configured in the constructor, and as configured in a call."""
    busy = reply(b"", 429)
    quick = RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 100), retry_connection_errors=False)
    cases: Any = (({"retry_config": quick}, {}), ({"retry_config": ONCE}, {"retries": quick}))
    for arguments, more in cases:
        server = serve(**{"api/v2/user": [busy, ACCOUNT["api/v2/user"]]})
        given = {"request": {}, "server_url": server.url, **more}
        assert 200 == ask(way, {"token": MIRA} | arguments, "authentication", "get_token_details", **given).status_code
    for retries in (ONCE, None):
        server = serve(**{"api/v2/user": [busy]})
        given = {"request": {}, "server_url": server.url, "retries": retries}
        with pytest.raises(errors.SDKError):
            ask(way, {"token": MIRA}, "authentication", "get_token_details", **given)


@pytest.mark.parametrize(
    ("config", "retry"),
    [
        (RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 100), retry_connection_errors=False), (7, 0.001, {429})),
        (
            RetryConfig(
                "backoff",
                BackoffStrategy(1000, 30000, 2, 300000),
                retry_connection_errors=True,
                status_codes_override=["503"],
            ),
            (9, 1.0, {503}),
        ),
        (
            RetryConfig(
                "backoff", BackoffStrategy(0, 0, 1, 0), retry_connection_errors=True, status_codes_override=["5XX"]
            ),
            (1, 0.001, set(range(500, 600))),
        ),
    ],
)
def test_what_a_retry_configuration_becomes(config: RetryConfig, retry: tuple[int, float, set[int]]) -> None:
    """As many doubling waits as fit into the elapsed time, seconds for milliseconds, the statuses of the override."""
    attempts, backoff, statuses = retry
    assert Retry(attempts=attempts, backoff=backoff, statuses=frozenset(statuses)) == retry_of(config)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"server_url": "http://{host}:1/", "url_params": {"host": "192.0.2.8"}}, "http://192.0.2.8:1"),
        (
            {"server_idx": 0, "ip_description": "192-0-2-7", "identifier": "ab"},
            "https://192-0-2-7.ab.plex.direct:32400",
        ),
        ({"server_idx": 1, "host": "192.0.2.7"}, "http://192.0.2.7:32400"),
        ({"host": "192.0.2.7", "protocol": "https", "port": "1"}, "https://192.0.2.7:1"),
        ({"server_idx": 2, "full_server_url": "http://192.0.2.7:1"}, "http://192.0.2.7:1"),
        ({"full_server_url": "media.example.test"}, "https://media.example.test"),
    ],
)
def test_address_of_the_constructor(given: dict[str, Any], address: str) -> None:
    """The address is server_url, or what one of the release's three forms makes of its own arguments."""
    with PlexAPI(token=MIRA, **given) as sdk:
        assert address in repr(sdk)


@pytest.mark.parametrize("given", [{}, {"server_idx": 0}, {"server_idx": 0, "host": "192.0.2.7"}, {"server_idx": 1}])
def test_no_placeholder_gets_a_token(given: dict[str, Any]) -> None:
    """The release's default addresses are none here: the call says what to name."""
    with PlexAPI(token=MIRA, **given) as sdk, pytest.raises(ValueError, match="server_url="):
        sdk.general.create_transient_token(request=KIND)


def test_arguments_that_cannot_be_honoured() -> None:
    """A debug logger, a foreign client, an unknown index and an unknown option are refused; the error names ours."""
    with pytest.raises(NotCovered, match="on_request="):
        PlexAPI(debug_logger=logging.getLogger("plex_api_client"))
    with pytest.raises(NotCovered, match=r"httpx2\.Client"):
        PlexAPI(client=object())
    with pytest.raises(NotCovered, match=r"aiohttp\.ClientSession"):
        PlexAPI(async_client=object())
    with pytest.raises(ValueError, match="0, 1 or 2"):
        PlexAPI(server_idx=3)
    with PlexAPI(token=MIRA) as sdk, pytest.raises(TypeError, match="there is no option retry"):
        sdk.authentication.get_token_details(request={}, retry=None)  # type: ignore[call-arg]  # what is tested


def test_client_of_one_s_own(serve: Serve) -> None:
    """An httpx client is sent with, and stays open."""
    import httpx

    sent: list[object] = []
    server = serve(**TOKEN)
    with httpx.Client(event_hooks={"request": [sent.append]}) as own:
        with PlexAPI(token=MIRA, server_url=server.url, client=own) as sdk:
            sdk.general.create_transient_token(request=KIND)
        assert (1, False) == (len(sent), own.is_closed)


async def test_async_client_of_one_s_own(serve: Serve) -> None:
    """An async httpx client is sent with, and stays open."""
    import httpx

    sent: list[object] = []

    async def noted(request: object) -> None:
        sent.append(request)

    server = serve(**TOKEN)
    async with httpx.AsyncClient(event_hooks={"request": [noted]}) as own:
        async with PlexAPI(token=MIRA, server_url=server.url, async_client=own) as sdk:
            await sdk.general.create_transient_token_async(request=KIND)
        assert (1, False) == (len(sent), own.is_closed)


@pytest.mark.parametrize("name", ["get_server_info", "get_server_info_async"])
def test_what_is_not_covered_says_so(name: str) -> None:
    """Other groups, operations and names are AttributeErrors that name ours where there is one."""
    with PlexAPI(token=MIRA) as sdk:
        assert not hasattr(sdk, "library")
        with pytest.raises(AttributeError, match=r"ticketstub\.MediaServer\.get"):
            getattr(sdk, "library")  # noqa: B009  # type checkers know it is not there
        with pytest.raises(AttributeError, match=r"ticketstub.Plex.server_information\(\)"):
            getattr(sdk.general, name)
        with pytest.raises(AttributeError, match=r"ticketstub.Plex.ping\(\)"):
            getattr(sdk.authentication, "ping")  # noqa: B009  # likewise
    for module in (plex_api_client, components, errors, operations):
        with pytest.raises(AttributeError, match="only what the Authentication reference pages hold"):
            getattr(module, "GetServerInfoRequest")  # noqa: B009  # likewise


def test_what_is_named_instead_exists() -> None:
    """Each name of ours that an error gives is there."""
    import ticketstub

    for ours in OURS.values():
        owner, _, method = ours.removesuffix("()").partition(".")
        assert callable(getattr(getattr(ticketstub, owner), method))
