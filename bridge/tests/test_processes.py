"""The bridge as a process: its command, its signals, and what survives."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx2 as httpx
import pytest

from bridge_tests.bridges import FILMS, SECRET, basic, get_query
from bridge_tests.browsing import Application, Browser, find_form
from bridge_tests.clusters import Cluster, run_cluster
from bridge_tests.processes import COMMAND, ServedBridge, run_bridge_command
from ticketstub.testing import LocalPlexController
from ticketstub_bridge.storage.migrate import migrate

Serve = Callable[..., ServedBridge]


@pytest.fixture
def serve(local_plex: LocalPlexController, tmp_path: Path) -> Iterator[Serve]:
    """A function that makes a bridge in a folder; its process ends with the test."""
    served: list[ServedBridge] = []

    def make(folder: str = "bridge", **options: str) -> ServedBridge:
        served.append(ServedBridge(local_plex, tmp_path / folder, **options))
        return served[-1]

    yield make
    for each in served:
        each.kill()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with run_cluster() as cluster:
        yield cluster


async def test_from_nothing_to_a_sign_in(local_plex: LocalPlexController, tmp_path: Path) -> None:
    """`init` lets the owner sign in and writes both files; client add prints a secret that is stored as a digest."""
    folder = tmp_path / "new"
    command = [*COMMAND, "init", "--folder", str(folder), "--url", "http://localhost:8180", "--plex-tv", local_plex.url]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220  # its pipe is read here
    assert process.stderr is not None
    line = next(each for each in process.stderr if "/auth#" in each)
    local_plex.approve(re.search(r"code=(\w+)", line)[1], "mira_quill")
    output, errors = process.communicate(timeout=60)
    assert 0 == process.returncode, errors
    assert "Keep a copy of bridge.key" in output
    assert 0o600 == (folder / "bridge.key").stat().st_mode & 0o777
    assert "owner_id = 10500123" in (folder / "bridge.toml").read_text()
    again = run_bridge_command("init", "--folder", str(folder), "--url", "http://localhost:8180")
    assert (1, True) == (again.returncode, "has a bridge already" in again.stderr)
    added = run_bridge_command("client", "add", "films", "--folder", str(folder), "--redirect-uri", FILMS)
    secret = re.search(r"Client secret\s+(\S+)", added.stdout)[1]
    assert 43 == len(secret)
    assert secret not in (folder / "bridge.toml").read_text()
    assert "films" in run_bridge_command("client", "list", "--folder", str(folder)).stdout
    twice = run_bridge_command("client", "add", "films", "--folder", str(folder), "--redirect-uri", FILMS)
    assert (1, True) == (twice.returncode, "already" in twice.stderr)
    assert 0 == run_bridge_command("client", "remove", "films", "--folder", str(folder)).returncode
    assert 1 == run_bridge_command("client", "remove", "films", "--folder", str(folder)).returncode


async def test_the_verbs_of_a_running_bridge(serve: Serve) -> None:
    """people, sessions, events, sign-out, keys rotate and reload ask the running bridge, and show no secret."""
    served = serve()
    served.start()
    browser, films = Browser(served), Application(served, scope="openid profile offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))

    def ask(*arguments: str) -> str:
        result = run_bridge_command(*arguments, "--folder", str(served.folder))
        assert 0 == result.returncode, result.stderr
        return result.stdout

    (person,) = json.loads(ask("people", "--json"))
    assert ("tom", 10500321) == (person["handle"], person["account_id"])
    assert "plex_token" not in person
    assert "Firefox on Linux" in ask("sessions")
    assert "signed_in" in ask("events")
    assert 2 == ask("keys", "rotate").count("New key")
    assert await films.verify(tokens["id_token"])
    checked = run_bridge_command("check", "--folder", str(served.folder))
    assert "answers as this bridge" in checked.stdout, checked.stdout
    assert "belongs to this key" in checked.stdout
    assert "Attic: Plex knows it as bridge.toml says" in checked.stdout
    text = (served.folder / "bridge.toml").read_text()
    (served.folder / "bridge.toml").write_text(text.replace('url = "', 'url = "x'))
    refused = run_bridge_command("reload", "--folder", str(served.folder))
    assert (1, True) == (refused.returncode, "url: must be" in refused.stderr)
    (served.folder / "bridge.toml").write_text(text)
    assert "4 applications" in ask("reload")
    assert "Signed out tom: 1 session." in ask("sign-out", "tom")
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    assert 1 == run_bridge_command("sign-out", "nobody", "--folder", str(served.folder)).returncode


async def test_sighup_and_sigterm(serve: Serve) -> None:
    """SIGHUP reads bridge.toml again, and keeps the old one if the new one is faulty; SIGTERM drains and ends."""
    served = serve()
    served.start("--drain", "1")
    path = served.folder / "bridge.toml"
    text = path.read_text()

    async def reload_and_wait(content: str, event: str) -> None:
        path.write_text(content)
        served.send_signal(signal.SIGHUP)
        for _ in range(200):
            if event in {each["event"] for each in served.read_log()}:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(served.log.read_text())

    await reload_and_wait(text.replace('id = "studio"', 'id = "atelier"'), "reloaded")
    async with served.http() as http:
        url = "/authorize?client_id=atelier&redirect_uri=https://studio.example.test/callback&response_type=code&scope=openid"
        assert 200 == (await http.get(url)).status_code
        await reload_and_wait("url = 5", "configuration_refused")
        assert 200 == (await http.get(url)).status_code
        served.send_signal(signal.SIGTERM)
        states = set()
        while served._process.poll() is None:
            try:
                states.add((await http.get("/readyz")).status_code)
            except httpx.HTTPError:
                break
            await asyncio.sleep(0.05)
    assert 0 == served.wait()
    assert 503 in states
    assert {"started", "draining", "stopped"} <= {each["event"] for each in served.read_log()}
    assert not (served.folder / "bridge.sock").exists()


async def test_kill_9(serve: Serve) -> None:
    """After kill -9 sessions and tokens live on, a redeemed code stays redeemed, and a revoked token revoked."""
    served = serve()
    served.start()
    browser, films = Browser(served), Application(served, scope="openid profile offline_access")
    answer = await browser.sign_in(films.make_url())
    tokens = await films.redeem(answer)
    other = await films.redeem(await browser.sign_in_again(films.make_url()))
    async with served.http() as http:
        await http.post("/revoke", data={"token": other["refresh_token"]}, headers=basic("films", SECRET))
    served.kill()
    served.start()
    assert "You are signed in" in (await browser.get("/account")).text
    assert 200 == (await films.userinfo(tokens["access_token"])).status_code
    assert 401 == (await films.userinfo(other["access_token"])).status_code
    async with served.http() as http:
        form = {"grant_type": "authorization_code", "code": get_query(answer)["code"], "redirect_uri": FILMS}
        form["code_verifier"] = films.verifier
        again = await http.post("/token", data=form, headers=basic("films", SECRET))
    assert "invalid_grant" == again.json()["error"]


@pytest.mark.parametrize(
    "fault", ["config", "no key", "open key", "other key", "running", "running elsewhere", "port in use"]
)
def test_it_refuses_to_start_and_says_why(serve: Serve, fault: str) -> None:
    """A faulty bridge.toml, a missing, open or other key, a second bridge in one folder, a port in use: the reason."""
    served = serve()
    key = served.folder / "bridge.key"
    expected = {
        "config": "url: must be",
        "no key": "restore it from your backup",
        "open key": "chmod 600",
        "other key": "is not the key of this database",
        "running": "a bridge is running here already",
        "running elsewhere": "a bridge is running here already",
        "port in use": "address already in use",
    }
    match fault:
        case "config":
            (served.folder / "bridge.toml").write_text('url = "x"\ncolour = 1\n')
        case "no key":
            key.unlink()
        case "open key":
            key.chmod(0o644)
        case "other key":
            served.start()
            served.send_signal(signal.SIGTERM)
            served.wait()
            key.write_text("A" * 43 + "=\n")
        case "running":
            served.start()
        case "port in use":
            served.start()
            (served.folder / "bridge.sock").unlink()
        case "running elsewhere":
            served.start()
            served.port = 0
            text = (served.folder / "bridge.toml").read_text()
            (served.folder / "bridge.toml").write_text(re.sub('listen = ".*"', 'listen = "127.0.0.1:1999"', text))
    result = run_bridge_command("serve", "--folder", str(served.folder))
    assert 1 == result.returncode
    assert expected[fault] in result.stderr
    assert "Traceback" not in result.stderr
    assert (served.folder / "bridge.sock").exists() == fault.startswith("running")


def test_a_database_of_a_newer_version(tmp_path: Path) -> None:
    """`migrate` says that a newer version has migrated the database, and leaves it as it is."""
    url = f"sqlite:///{tmp_path / 'bridge.db'}"
    migrate(url)
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    result = run_bridge_command("migrate", "--db", url)
    assert (1, True) == (result.returncode, "a newer version of the bridge has migrated it" in result.stderr)
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as connection:
        assert [("9999",)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()


def test_memory(serve: Serve) -> None:
    """An idle bridge needs at most 120 MiB."""
    served = serve()
    served.start()
    time.sleep(1)
    assert served.measure_memory() <= 120


def test_verbs_without_a_bridge(tmp_path: Path) -> None:
    """Without a running bridge the verbs say so; they do not open its database."""
    for verb in (["people"], ["sessions"], ["events"], ["keys", "rotate"], ["sign-out", "tom"], ["reload"]):
        result = run_bridge_command(*verb, "--folder", str(tmp_path))
        assert (1, True) == (result.returncode, "no bridge is running here" in result.stderr)


async def test_two_replicas(serve: Serve, cluster: Cluster) -> None:
    """Two replicas that start at once share everything: a sign-in goes through both, and one code is redeemed once."""
    database = cluster.create_database()
    first = serve("one", database=database)
    (first.folder.parent / "two").mkdir()
    (first.folder.parent / "two" / "bridge.key").write_bytes((first.folder / "bridge.key").read_bytes())
    (first.folder.parent / "two" / "bridge.key").chmod(0o600)
    second = serve("two", database=database, url=first.url)
    for each in (first, second):
        each.start(wait=False)
    for each in (first, second):
        each.wait_until_ready()
    browser = Browser(first)
    films = Application(first, scope="openid profile offline_access")
    back = browser.approve(await browser.go_to_plex(films.make_url()), "tom")
    elsewhere = Browser(second)
    elsewhere.http.cookies = browser.http.cookies
    page = await elsewhere.follow(await elsewhere.get(back))
    browser.http.cookies = elsewhere.http.cookies
    answer = await browser.allow(page)
    async with first.http() as one, second.http() as two:
        for _ in range(20):
            form = {"grant_type": "authorization_code", "code": get_query(answer)["code"], "redirect_uri": FILMS}
            form["code_verifier"] = films.verifier
            calls = [http.post("/token", data=form, headers=basic("films", SECRET)) for http in (one, two) * 32]
            answers = await asyncio.gather(*calls)
            winners = [each.json() for each in answers if each.status_code == 200]
            assert 1 == len(winners)
            token = {"Authorization": f"Bearer {winners[0]['access_token']}"}
            assert {401} == {(await http.get("/userinfo", headers=token)).status_code for http in (one, two)}
            answer = await browser.sign_in_again(films.make_url())
        tokens = await films.redeem(answer)
        revoked = await one.post("/revoke", data={"token": tokens["access_token"]}, headers=basic("films", SECRET))
        assert 200 == revoked.status_code
        token = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert 401 == (await two.get("/userinfo", headers=token)).status_code


async def test_postgresql_goes_away(serve: Serve, cluster: Cluster) -> None:
    """Without PostgreSQL the answer is 503, and soon; when it is back, so is the bridge."""
    served = serve(database=cluster.create_database())
    served.start()
    browser, films = Browser(served), Application(served)
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    cluster.stop()
    try:
        started = time.monotonic()
        assert 503 == (await films.userinfo(tokens["access_token"])).status_code
        assert time.monotonic() - started < 8
        async with served.http() as http:
            assert 503 == (await http.get("/readyz")).status_code
            assert 200 == (await http.get("/livez")).status_code
    finally:
        cluster.start()
    served.wait_until_ready()
    assert 200 == (await films.userinfo(tokens["access_token"])).status_code


def test_a_form_is_found() -> None:
    """The tests' own parser finds forms by their address."""
    page = httpx.Response(200, text='<form method="post" action="/a"><input name="x" value="1"></form>')
    assert {"x": "1"} == find_form(page, "/a").fields
