"""Starting and stopping: addresses, ports, a persistent database, and errors before it is ready."""

import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.local_plex.asking import ATTIC, MIRA, PASSWORDS, get, sign_in, world
from tests.local_plex.conftest import Start
from ticketstub.local_plex.http.server import ListenError, PortInUse
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.storage.base import StoreError
from ticketstub.local_plex.storage.seal import InstanceKeysError
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController


def taken() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.listen()
    return listener


def test_addresses(plex: LocalPlexController) -> None:
    """A running local Plex has its addresses; each media server has its own port."""
    attic = plex.media_server("Attic")
    assert (ATTIC, attic) == (attic.machine_identifier, plex.media_server(ATTIC))
    urls = [plex.url, *(server.url for server in plex.media_servers)]
    assert 5 == len(set(urls))
    assert all(url.startswith("http://127.0.0.1:") for url in urls)
    assert "mira_quill" == plex.controller.world.accounts[0].username
    with pytest.raises(LookupError):
        plex.media_server("Cellar")


def test_named_ports_are_taken(start: Start) -> None:
    """plex.tv's port and a media server's are the requested ones."""
    with taken() as first, taken() as second:
        ports = first.getsockname()[1], second.getsockname()[1]
    given = world()
    given["media_server"][3]["port"] = ports[1]
    with LocalPlex(World.from_dict(given), port=ports[0]).run_in_thread() as plex:
        assert [f"http://127.0.0.1:{port}" for port in ports] == [plex.url, plex.media_server("Toms").url]
        assert 200 == get(plex.media_server("Toms").url, "/identity").status


@pytest.mark.parametrize("whose", ["plex.tv", "a media server"])
def test_a_port_in_use_is_an_error(whose: str) -> None:
    """A port of another program is never shared: the error names it, and nothing is left open."""
    given = world()
    with taken() as other:
        port = other.getsockname()[1]
        given["media_server"][3]["port"] = None if whose == "plex.tv" else port
        if whose == "plex.tv":
            del given["media_server"][3]["port"]
        plex = LocalPlex(World.from_dict(given), port=port if whose == "plex.tv" else 0)
        with pytest.raises(PortInUse, match=str(port)) as raised, plex.run_in_thread():
            pass
    assert port == raised.value.port


def test_a_world_that_wants_the_port_of_plex_tv() -> None:
    """A media server on the port of plex.tv's API is reported as an error of the world, not of another program."""
    given = world()
    with taken() as other:
        port = given["media_server"][3]["port"] = other.getsockname()[1]
    with pytest.raises(ListenError, match="in the world"), LocalPlex(World.from_dict(given), port=port).run_in_thread():
        pass


def test_two_of_them_do_not_share_a_port(plex: LocalPlexController) -> None:
    """A second local Plex on the port of the first is refused."""
    port = int(plex.url.rpartition(":")[2])
    with pytest.raises(PortInUse), LocalPlex(World(), port=port).run_in_thread():
        pass


def test_an_address_that_is_none() -> None:
    """An address that this machine does not have is an error that names it."""
    with pytest.raises(ListenError, match=r"192\.0\.2\.1"), LocalPlex(World(), host="192.0.2.1").run_in_thread():
        pass


def test_a_world_of_nothing() -> None:
    """S20: without a world there is no account, and every answer says so."""
    with LocalPlex(World()).run_in_thread() as plex:
        assert (401, 401) == (get(plex.url, "/api/v2/user", MIRA).status, sign_in(plex.url, "admin", "admin").status)
        assert () == plex.media_servers


def test_a_database_is_kept(tmp_path: Path) -> None:
    """Sign-ins survive a restart, with the same world or with none."""
    database = f"sqlite:///{tmp_path}/plex.db"
    with LocalPlex(World.from_dict(world()), db=database).run_in_thread() as plex:
        token = sign_in(plex.url, "tom", PASSWORDS["tom"]).json["authToken"]
    for again in (World.from_dict(world()), World()):
        with LocalPlex(again, db=database).run_in_thread() as plex:
            assert 200 == get(plex.url, "/api/v2/user", token).status
            assert 200 == get(plex.media_server("Attic").url, "/", MIRA).status


def test_a_database_that_cannot_be_used(tmp_path: Path) -> None:
    """A database of another program, and one whose key is gone, are refused before anything answers."""
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE x (y)")
    with (
        pytest.raises(InstanceKeysError, match="missing"),
        LocalPlex(World(), db=f"sqlite:///{tmp_path}/other.db").run_in_thread(),
    ):
        pass
    with pytest.raises(StoreError, match="is a folder"), LocalPlex(World(), db=f"sqlite:///{tmp_path}").run_in_thread():
        pass
    (tmp_path / "other.db.key").write_bytes(b"k" * 32)
    (tmp_path / "other.db.key").chmod(0o600)
    with pytest.raises(StoreError), LocalPlex(World(), db=f"sqlite:///{tmp_path}/other.db").run_in_thread():
        pass


def test_with_nothing_under_way_it_ends_at_once() -> None:
    """A local Plex for each test costs milliseconds: where no answer is awaited, its end waits for nothing."""
    took = [1.0]
    while min(took) > 0.1 and len(took) < 50:  # a busy machine may take longer now and then
        with LocalPlex(World.from_dict({})).run_in_thread() as plex:
            assert 200 == get(plex.url, "/:/ip").status
            ends = time.perf_counter()
        took.append(time.perf_counter() - ends)
    assert min(took) < 0.1


def test_an_error_inside_the_with_comes_out_of_it() -> None:
    """An error while it runs leaves the `with`, and the local Plex has ended then."""
    with pytest.raises(ZeroDivisionError), LocalPlex(World()).run_in_thread() as plex:
        raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        get(plex.url, "/")


@pytest.mark.long
def test_constructing_one_loads_no_server() -> None:
    """Constructing a local Plex and its world loads no HTTP server, database or cryptography."""
    program = (
        "import sys; from ticketstub.local_plex.local_plex import LocalPlex;"
        "from ticketstub.local_plex.world.schema import World;"
        "LocalPlex(World());"
        "print(sorted({'uvicorn', 'sqlite3', 'argon2', 'cryptography', 'starlette'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert "[]" == found.stdout.strip()
