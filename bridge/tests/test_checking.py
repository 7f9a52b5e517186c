"""`ticketstub bridge check`: each fault is found, with what to do about it, in bounded time."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner
from sqlalchemy import select

from bridge_tests.bridges import ATTIC, MIRA, BridgeUnderTest
from bridge_tests.browsing import Application, Browser
from ticketstub_bridge import checking
from ticketstub_bridge.admin import bridge
from ticketstub_bridge.checking import Finding, run_checks
from ticketstub_bridge.recheck import look_for_servers
from ticketstub_bridge.sealing import create_key_file
from ticketstub_bridge.storage import Database
from ticketstub_bridge.storage.migrate import migrate
from ticketstub_bridge.storage.tables import meta

Answer = tuple[int, dict[str, str], str]


class Host:
    """A server of somebody else: a proxy, Plex or an application. `answers` says what it answers to which path."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.date = datetime.now(UTC)
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, content = host.answers.get(self.path, (404, {}, "not found"))
                self.send_response_only(status)
                for name, value in {"date": format_datetime(host.date), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        if context:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.handle_error = lambda *_: None

    @contextmanager
    def run(self) -> Iterator[Host]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(30)


class Setting:
    """A folder with a bridge.toml, whose public address is that of a proxy."""

    def __init__(self, folder: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._stack = stack
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
        create_key_file(folder / "bridge.key")
        migrate(f"sqlite:///{folder}/bridge.db")
        self.plex = self.start()

    def start(self, context: ssl.SSLContext | None = None) -> Host:
        return self._stack.enter_context(Host(context).run())

    def start_proxy(self, name: str = "localhost", **options: Any) -> Host:
        """Start a proxy with TLS that answers as the bridge."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name, **options).configure_cert(context)
        proxy = self.start(context)
        self.url = f"https://localhost:{proxy.port}"
        proxy.answers["/.well-known/openid-configuration"] = (200, {}, json.dumps({"issuer": self.url}))
        return proxy

    def check(self, more: str = "") -> list[Finding]:
        (self.folder / "bridge.toml").write_text(f"""
            url = "{self.url}"
            plex_tv = "http://127.0.0.1:{self.plex.port}"
            [[server]]
            name = "Attic"
            machine_identifier = "{ATTIC}"
            owner_id = {MIRA}
            {more}
        """)
        return run_checks(self.folder, None)


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    with ExitStack() as stack:
        yield Setting(tmp_path, stack, monkeypatch)


def find_wrong(findings: list[Finding], state: str = "wrong") -> dict[str, str | None]:
    return {each.text: each.advice for each in findings if each.state == state}


def assert_one(found: dict[str, str | None], text: str, advice: str) -> None:
    """Assert that exactly one finding is wrong, and says what to do."""
    ((found_text, found_advice),) = found.items()
    assert text in found_text
    assert advice in (found_advice or "")


def test_nothing_is_wrong(setting: Setting) -> None:
    """By its public address the bridge answers as this issuer, with a valid certificate; Plex answers; clocks agree."""
    setting.start_proxy()
    findings = setting.check()
    assert {} == find_wrong(findings)
    texts = "\n".join(each.text for each in findings if each.state == "good")
    for text in ("answers as this bridge", "is valid for", "belongs to this key", f"{setting.plex.port} answers, and"):
        assert text in texts
    assert ["no bridge runs in this folder"] == [text for text in find_wrong(findings, "note") if "runs" in text]


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("name", "options", "text", "advice"),
    [
        ("localhost", {"not_before": NOW - timedelta(9), "not_after": NOW - timedelta(1)}, "has expired", "renew"),
        ("other.example.org", {}, "for another name than localhost", "get one for localhost"),
    ],
)
def test_a_bad_certificate(setting: Setting, name: str, options: dict[str, Any], text: str, advice: str) -> None:
    """A certificate that has expired, or is for another name, is wrong."""
    setting.start_proxy(name, **options)
    assert_one(find_wrong(setting.check()), text, advice)


def test_a_certificate_of_a_private_authority(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that this computer does not trust is wrong."""
    setting.start_proxy()
    monkeypatch.setenv("SSL_CERT_FILE", str(setting.folder / "none.pem"))
    assert_one(find_wrong(setting.check()), "is not trusted here", "whole chain")


def test_a_certificate_that_ends_soon(setting: Setting) -> None:
    """A certificate that ends within two weeks is noted."""
    setting.start_proxy(not_after=datetime.now(UTC) + timedelta(5, 60))
    assert [f"the certificate of {setting.url} ends in 5 days"] == [
        text for text in find_wrong(setting.check(), "note") if "ends" in text
    ]


@pytest.mark.parametrize(
    ("path", "answer", "text", "advice"),
    [
        (
            "openid-configuration",
            (301, {"Location": "https://www.example.org/"}, ""),
            "redirects to https://www",
            "url",
        ),
        ("openid-configuration", (502, {}, ""), "answers with status 502", "ticketstub bridge serve"),
        ("openid-configuration", (404, {}, ""), "is no bridge (status 404)", "correct url"),
        ("openid-configuration", (200, {}, "<html>"), "is no bridge (status 200)", "correct url"),
        ("openid-configuration", (200, {}, "[]"), "is no bridge (status 200)", "correct url"),
        ("openid-configuration", (200, {}, '{"issuer": "https://x.example"}'), "calls itself https://x", "correct url"),
        ("metrics", (200, {}, "# HELP"), "the public can read", "X-Forwarded-For"),
    ],
)
def test_a_wrong_proxy(setting: Setting, path: str, answer: Answer, text: str, advice: str) -> None:
    """A redirect, an error, another site or issuer at the public address, and metrics for the public: each is wrong."""
    proxy = setting.start_proxy()
    proxy.answers[f"/{path}" if path == "metrics" else f"/.well-known/{path}"] = answer
    assert_one(find_wrong(setting.check()), text, advice)


def test_no_tls_and_nothing_there(setting: Setting) -> None:
    """A port without TLS, and one on which nothing listens."""
    setting.url = f"https://localhost:{setting.plex.port}"
    assert_one(find_wrong(setting.check()), "does not speak TLS", "https")
    with socket.create_server(("127.0.0.1", 0)) as free:
        setting.url = f"https://localhost:{free.getsockname()[1]}"
    assert_one(find_wrong(setting.check()), "nothing listens on port", "start")


def test_clocks(setting: Setting) -> None:
    """A clock that differs from Plex's by more than half a minute is wrong."""
    setting.start_proxy()
    setting.plex.date = datetime.now(UTC) + timedelta(hours=1, seconds=30)
    assert_one(find_wrong(setting.check()), "differ by 36", "time synchronization")


@pytest.mark.parametrize("date", ["", "tomorrow", f"Mon, 01 Jan {'9' * 30} 00:00:00 GMT"])
def test_a_date_that_cannot_be_read(setting: Setting, date: str) -> None:
    """An answer without a date that can be read is an answer; nothing is said about its clock."""
    setting.start_proxy()
    setting.plex.answers["/api/v2/ping"] = (401, {"date": date}, "")
    findings = setting.check()
    assert {} == find_wrong(findings)
    assert f"http://127.0.0.1:{setting.plex.port} answers" in {each.text for each in findings}


def make_client(name: str, host: str, port: int) -> str:
    """Return the table of an application that takes logout messages."""
    return f"""
        [[client]]
        id = "{name}"
        redirect_uris = ["https://{name}.example.org/"]
        backchannel_logout_uri = "http://{host}:{port}/out"
    """


def test_logout_addresses(setting: Setting) -> None:
    """Each address for logout messages is connected to; `*.localhost` is this computer."""
    setting.start_proxy()
    with socket.create_server(("127.0.0.1", 0)) as free:
        unused = free.getsockname()[1]
    findings = setting.check(
        make_client("films", "films.localhost", setting.plex.port) + make_client("books", "books.localhost", unused)
    )
    assert_one(find_wrong(findings), "books: logout messages cannot reach", "remove its backchannel_logout_uri")
    assert f"films: logout messages reach films.localhost:{setting.plex.port}" in {each.text for each in findings}


def test_applications_that_share_a_logout_address(setting: Setting) -> None:
    """Each application is named, also if others have the same address for logout messages."""
    setting.start_proxy()
    clients = "".join(make_client(each, "127.0.0.1", setting.plex.port) for each in "ab")
    texts = {each.text for each in setting.check(clients)}
    assert {f"{each}: logout messages reach 127.0.0.1:{setting.plex.port}" for each in "ab"} <= texts


def test_redirect_addresses_that_others_can_read(setting: Setting) -> None:
    """An http address of an application is noted, unless it is on this computer."""
    setting.start_proxy()
    uris = ["http://films.lan/", "http://127.0.0.1:4180/", "http://films.localhost/", "https://films.example.org/"]
    findings = setting.check(
        f'[[client]]\nid = "films"\nsecret_hash = "{"0" * 64}"\nredirect_uris = {json.dumps(uris)}'
    )
    noted = [each.text for each in findings if "others on the network" in each.text]
    assert ["films: http://films.lan/ is http: others on the network can read the code"] == noted


def test_without_a_network(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names all that is local is checked; with a name server that does not answer it takes bounded time."""
    setting.url = "https://auth.example.org"

    def refuse(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = find_wrong(setting.check())
    assert "https://auth.example.org: the name auth.example.org is not found" in found
    hanging = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hanging.wait(60))
    monkeypatch.setattr(checking, "LIMIT", 0.5)
    started = time.monotonic()
    findings = setting.check()
    assert time.monotonic() - started < 20
    hanging.set()
    assert "https://auth.example.org: no answer in 0 s" in find_wrong(findings)
    assert "the database answers, and belongs to this key" in {each.text for each in findings}


def test_the_database_is_only_read(setting: Setting) -> None:
    """A check stores nothing, not even in a database that was not used yet; one that others can read is wrong."""
    setting.start_proxy()
    (setting.folder / "bridge.db").chmod(0o644)
    assert_one(find_wrong(setting.check()), "can be read by others", "chmod 600")
    database = Database(f"sqlite:///{setting.folder}/bridge.db")
    with database.read() as connection:
        assert [] == connection.execute(select(meta)).all()
    database.close()


def test_the_command(setting: Setting) -> None:
    """Every wrong line says what to do; `--json` prints the same; the exit code is 1 if something is wrong."""
    proxy = setting.start_proxy()
    setting.check()
    arguments = ["check", "--folder", str(setting.folder)]
    good = CliRunner().invoke(bridge, arguments, standalone_mode=False)
    assert 0 == good.return_value, good.output
    proxy.answers.clear()
    wrong = CliRunner().invoke(bridge, arguments, standalone_mode=False)
    assert 1 == wrong.return_value
    (line,) = [each for each in wrong.output.splitlines() if each.startswith("wrong")]
    assert line.endswith("correct url in bridge.toml, or what the proxy sends requests to")
    rows = json.loads(CliRunner().invoke(bridge, [*arguments, "--json"], standalone_mode=False).output)
    assert [{"state", "text", "advice"}] * len(rows) == [set(each) for each in rows]
    assert 1 == [each["state"] for each in rows].count("wrong")


async def test_the_media_servers_are_looked_for(tested: BridgeUnderTest, films: Application) -> None:
    """The running bridge asks Plex with the sign-ins that it has whether the servers are as bridge.toml says."""
    assert {"attic": "nobody"} == await look_for_servers(tested.bridge)
    await Browser(tested).sign_in(films.make_url(), "tom")
    assert {"attic": "seen"} == await look_for_servers(tested.bridge)
    tested.local_plex.refuse_next("GET /api/v2/user", status=503, times=3)  # the library asks three times
    assert {"attic": "unknown"} == await look_for_servers(tested.bridge)
    tested.local_plex.unshare("Attic", "tom")
    assert {"attic": "not_seen"} == await look_for_servers(tested.bridge)
    assert tested.store.people.list_all()[0].lost_at is None


async def test_a_wrong_identifier_is_found_out(make_bridge: Any) -> None:
    """An owner who is refused at their own server: the identifier or owner in bridge.toml is wrong."""
    tested = make_bridge(**{ATTIC: "0" * 40})
    await Browser(tested).arrive(Application(tested).make_url(), "mira_quill")
    assert {"attic": "owner_refused"} == await look_for_servers(tested.bridge)
