"""python-plexapi, unmodified, on a client of ours: whose token it sends where, renewal, addresses, and its devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from traceback import walk_tb
from types import FrameType
from typing import Any

import plexapi.exceptions
import pytest
import requests
from plexapi.myplex import MyPlexAccount
from plexapi.server import PlexServer

from tests.adapters.conftest import DEVICE, TOKEN, Library, reply
from tests.adapters.test_auth import WEEK, Record, sign_in
from tests.client.transports.conftest import Authority
from tests.client.transports.hostile import OK, Server, answer, closed_port
from tests.local_plex.asking import ATTIC, START, Clock
from tests.security.test_frames import chain
from ticketstub import CredentialsError, Plex, ServerNotFound
from ticketstub.adapters import plexapi as adapter
from ticketstub.testing import LocalPlexController, local_plex

Use = Callable[[Any], Any]


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def local(clock: Clock) -> Iterator[LocalPlexController]:
    with local_plex(clock=clock) as running:
        yield running


@pytest.fixture
def plex(local: LocalPlexController) -> Iterator[Plex]:
    """A client over sockets, as a program has it."""
    with Plex(plex_tv=local.url, token=local.token_for("mira_quill"), device=DEVICE) as client:
        yield client


@pytest.fixture
def use() -> Iterator[Callable[[Any], Any]]:
    """Return an object of python-plexapi, which has no way to close it, and close its session at the end."""
    with ExitStack() as stack:

        def keep(used: Any) -> Any:
            stack.enter_context(used if isinstance(used, requests.Session) else used._session)
            return used

        yield keep


def test_account(plex: Plex, local: LocalPlexController, use: Use) -> None:
    """`account(plex)` is python-plexapi's account on the client's plex.tv, with its devices and servers."""
    account = use(adapter.account(plex))
    assert isinstance(account, MyPlexAccount)
    assert "mira_quill" == account.username
    assert "Attic" in [resource.name for resource in account.resources()]
    assert account.ping()


def test_server(plex: Plex, local: LocalPlexController, use: Use) -> None:
    """`server(plex, name)` is python-plexapi's server on the chosen address, by name, identifier or resource."""
    server = use(adapter.server(plex, "Attic"))
    assert isinstance(server, PlexServer)
    assert ("Attic", ATTIC) == (server.friendlyName, server.machineIdentifier)
    assert "Attic" == use(adapter.server(plex, ATTIC)).friendlyName
    attic = next(one for one in plex.resources() if one.name == "Attic")
    assert [] == use(adapter.server(plex, attic)).library.sections()
    with pytest.raises(ServerNotFound):
        use(adapter.server(plex, "Nowhere"))


def test_a_jwt_that_has_expired(local: LocalPlexController, clock: Clock, use: Use) -> None:
    """An account that is used for weeks renews its token by itself, also the one that python-plexapi has kept."""
    library = Library("requests")
    plex = sign_in(library, local)
    account = use(adapter.account(plex))
    for _ in range(3):
        before = plex.token
        clock.now += WEEK + 120
        assert "mira_quill" == account.reload().username
        assert before != plex.token
    library.close()


def test_another_users_token_is_left_alone(plex: Plex, local: LocalPlexController, use: Use) -> None:
    """`switchHomeUser` gives an account of another user on the same session, which stays that user."""
    account = use(adapter.account(plex))
    pip = account.switchHomeUser("Pip")
    assert ("Pip", "Pip") == (pip.title, pip.reload().title)
    assert "mira_quill" == account.reload().username


def test_a_server_by_its_resource(plex: Plex, use: Use) -> None:
    """`account.resource(…).connect()` uses that server's own token, over the same session."""
    server = use(adapter.account(plex)).resource("Attic").connect(ssl=False, timeout=5)
    assert "Attic" == server.friendlyName


def test_no_redirect_takes_a_token_along(plex: Plex, record: Record, use: Use) -> None:
    """No token that python-plexapi sends follows a redirect to another origin, its own for that server either."""
    other = record(lambda *_: reply(200, body=b"<MediaContainer/>"))
    server = record(lambda *_: reply(302, other.url))
    session: Any = use(adapter.account(plex))._session
    session.get(server.url, headers={"X-Plex-Token": "its-own"})
    assert (["its-own"], [None]) == (server.tokens, other.tokens)


def test_no_frame_of_ours_or_below_shows_the_token(use: Use) -> None:
    """If the token cannot be renewed, or the server not be reached, no frame from the adapter on shows the token."""
    tokens = [TOKEN, TOKEN]
    with Plex(plex_tv=f"https://127.0.0.1:{closed_port()}", token=tokens.pop, device=DEVICE) as plex:
        session = use(adapter.PlexApiSession(plex, plex, plex.plex_tv))
        session.get_token()
        for kind in (requests.ConnectionError, IndexError):  # then there is no token any more
            with pytest.raises(kind) as caught:
                session.get(f"{plex.plex_tv}/x", headers={"X-Plex-Token": TOKEN})
            assert [] == [each for each in frames_from_ours(caught.value) if TOKEN in repr(each.f_locals)]


def test_a_token_of_the_account_s_reply_is_the_client_s(record: Record, use: Use) -> None:
    """A token that plex.tv called the account's is replaced by the client's current one; any other one stays."""
    server = record(lambda *_: reply())
    with Plex(plex_tv=server.url, token=TOKEN, device=DEVICE) as plex:
        session = use(adapter.PlexApiSession(plex, plex, plex.plex_tv))
        session.add_known_token("the-account-s-own")
        for text in ("the-account-s-own", "another-user-s"):
            session.get(f"{server.url}/x", headers={"X-Plex-Token": text})
    assert [TOKEN, "another-user-s"] == server.tokens


def frames_from_ours(error: BaseException) -> list[FrameType]:
    """Return the frames of the adapter and those that it called."""
    found: list[FrameType] = []
    for link in chain(error):
        walked = [frame for frame, _ in walk_tb(link.__traceback__)]
        names = [frame.f_code.co_filename for frame in walked]
        first = next((place for place, name in enumerate(names) if "ticketstub/" in name), 0 if found else len(names))
        found += walked[first:]
    assert found
    return found


@pytest.mark.parametrize("host", ["plex.tv", "clients.plex.tv", "discover.provider.plex.tv"])
def test_nothing_reaches_the_real_plex(plex: Plex, local: LocalPlexController, host: str, use: Use) -> None:
    """With a local Plex, requests for any host of plex.tv go to the local one, but not of a name that looks like it."""
    session: Any = use(adapter.account(plex))._session
    prepared = session.prepare_request(requests.Request("GET", f"https://{host}/api/v2/user?a=b"))
    assert f"{local.url}/api/v2/user?a=b" == prepared.url
    other = session.prepare_request(requests.Request("GET", f"https://{host}.example/"))
    assert (f"https://{host}.example/", None) == (other.url, other.headers.get("X-Plex-Token"))


def test_providers_get_the_current_token(use: Use) -> None:
    """python-plexapi sends the account's token to plex.tv's other hosts: they get the current one."""
    tokens = ["first-token-012345678"]
    with Plex(token=lambda: tokens[-1], device=DEVICE) as plex:
        session = use(adapter.PlexApiSession(plex, plex, plex.plex_tv))
        kept = session.get_token().reveal()
        tokens.append("second-token-01234567")
        for url, token in {
            "https://discover.provider.plex.tv/library": tokens[-1],
            "https://plex.tv/api/v2/user": tokens[-1],
            "https://plex.tv.example/": kept,  # as the program wrote it
        }.items():
            request = requests.Request("GET", url, headers={"X-Plex-Token": kept})
            assert token == session.prepare_request(request).headers["X-Plex-Token"]


def test_devices_headers(plex: Plex, record: Record, use: Use) -> None:
    """Each request has the device headers of the client instead of python-plexapi's, to other servers, too."""
    server = record(lambda *_: reply())
    session: Any = use(adapter.account(plex))._session
    session.get(server.url, headers=plexapi.BASE_HEADERS)
    fields = server.requests[0][1]
    assert ("demo-client-7c1f", "Demo App") == (fields["x-plex-client-identifier"], fields["x-plex-product"])


def test_without_a_token(local: LocalPlexController, use: Use) -> None:
    """A client without a token is refused before anything is sent: python-plexapi would use another of its own."""
    with Plex(plex_tv=local.url, device=DEVICE) as plex, pytest.raises(CredentialsError, match="no token"):
        use(adapter.account(plex))
    assert [] == [*local.requests]


def test_a_refused_token(local: LocalPlexController, use: Use) -> None:
    """A token that plex.tv does not know is python-plexapi's own error."""
    with (
        Plex(plex_tv=local.url, device=DEVICE, token="Nobody5_token_012345") as plex,
        pytest.raises(plexapi.exceptions.Unauthorized),
    ):
        use(adapter.account(plex))


# Names below plex.direct.

NAME = f"127-0-0-1.{'ab12' * 8}.plex.direct"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, str]:
    """An authority, and the file that requests takes for it."""
    one = Authority()
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    one.write(path)
    return one, str(path)


def test_a_name_below_plex_direct(authority: tuple[Authority, str]) -> None:
    """The address in the name is connected to without a look-up; the certificate and the Host field have the name."""
    with Server(answer(OK), authority[0].serving(NAME)) as server, requests.Session() as session:
        session.mount("https://", adapter.PlexDirectAdapter())
        response = session.get(f"https://{NAME}:{server.port}/identity", verify=authority[1], timeout=10)
    assert (200, "ok") == (response.status_code, response.text)
    assert f"Host: {NAME}:{server.port}".encode() in server.requests[0]
    assert "Host" not in response.request.headers


def test_a_certificate_for_another_name(authority: tuple[Authority, str]) -> None:
    """A server with a certificate for its address, or for another name, is not taken for the one that is named."""
    for hosts in (["127.0.0.1"], [NAME.replace("ab12", "cd34")], ["plex.direct"]):
        with Server(answer(OK), authority[0].serving(*hosts)) as server, requests.Session() as session:
            session.mount("https://", adapter.PlexDirectAdapter())
            with pytest.raises(requests.exceptions.SSLError):
                session.get(f"https://{NAME}:{server.port}/identity", verify=authority[1], timeout=10)
        assert [] == server.requests


def test_a_name_below_plex_direct_through_a_proxy(record: Record) -> None:
    """A proxy is asked for the name, and not for the address."""
    proxy = record(lambda *_: reply(502))
    with requests.Session() as session, suppress(requests.exceptions.ProxyError):
        session.mount("https://", adapter.PlexDirectAdapter())
        session.get(f"https://{NAME}:32400/", proxies={"https": proxy.url}, timeout=10)
    assert f"CONNECT {NAME}:32400 HTTP/1.1" in [line.replace("HTTP/1.0", "HTTP/1.1") for line, *_ in proxy.requests]
