"""What `ticketstub bridge check` finds: what is wrong, and what to do about it.

Rule: nothing is changed, and nothing secret is sent. Checks that wait for others run beside each other, and together
they take at most `LIMIT` seconds, also without a network. A check that depends on a failed one is left out.
"""

from __future__ import annotations

import json
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from ticketstub_bridge.addresses import is_loopback
from ticketstub_bridge.config import Client, Config, ConfigError, Server, load_config
from ticketstub_bridge.control import SOCKET_NAME, ControlRefused, NotRunning, call_bridge
from ticketstub_bridge.sealing import KeyFileError, Sealer, read_key_file
from ticketstub_bridge.storage.database import Database, StoreError

LIMIT = 12.0
"""Seconds after which what has not answered counts as not answering."""

_TIMEOUT = 5.0
_MAX_SKEW = 30
_RENEWAL_DAYS = 14
_MAX_BODY = 65536

Check = Callable[[], "list[Finding]"]


class Finding(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        state: whether it is as it should be.
        text: what was found.
        advice: what to do about it.
    """

    state: Literal["good", "note", "wrong"]
    text: str
    advice: str | None = None


class _Unreachable(Exception):
    """An address cannot be reached; `reason` says why, and `advice` what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


def run_checks(folder: Path, database: str | None) -> list[Finding]:
    """Run all checks of the bridge in a folder.

    Args:
        folder: where bridge.toml and bridge.key are.
        database: a database that replaces the one in bridge.toml.
    """
    try:
        config = load_config(folder / "bridge.toml")
    except ConfigError as error:
        advice = "correct bridge.toml" if (folder / "bridge.toml").exists() else None
        return [Finding("wrong", each, advice) for each in error.problems]
    if database:
        config = config.with_database(database)
    findings = [Finding("good", "bridge.toml has no faults"), *(Finding("note", each) for each in config.warnings)]
    try:
        sealer = Sealer(read_key_file(folder / "bridge.key"))
    except KeyFileError as error:
        return [*findings, Finding("wrong", str(error))]
    findings.append(Finding("good", "bridge.key is there, and only you can read it"))
    checks: dict[str, Check] = {
        "the database": lambda: _check_database(config, sealer),
        config.url: lambda: _check_address(config),
        config.plex_tv: lambda: _check_plex(config),
        "the bridge of this folder": lambda: _check_servers(config, folder / SOCKET_NAME),
        "the applications": lambda: _check_clients(config),
    }
    for client in config.clients.values():
        if client.backchannel_logout_uri:
            name = f"{client.id}: {client.backchannel_logout_uri}"  # several may have the same address
            checks[name] = _make_logout_check(client, client.backchannel_logout_uri)
    return findings + run_together(checks, LIMIT)


def run_together(checks: Mapping[str, Check], seconds: float) -> list[Finding]:
    """Run checks beside each other, and return their findings in the order of the checks.

    Args:
        checks: the checks, by what they ask.
        seconds: the time limit of all together. The search for a name has no limit of its own, so that a thread may
            outlive it; the command's end ends that.
    """
    found: dict[str, list[Finding]] = {}

    def run(name: str, check: Check) -> None:
        try:
            found[name] = check()
        except Exception as error:  # noqa: BLE001  # whatever it is, the other checks are shown
            found[name] = [Finding("wrong", f"{name}: this check failed ({type(error).__name__})", "report it")]

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in checks.items()]
    ends = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    late = Finding("wrong", "", "is there a network, and does its name server answer?")
    return [
        finding
        for name in checks
        for finding in found.get(name, [msgspec.structs.replace(late, text=f"{name}: no answer in {seconds:.0f} s")])
    ]


def _check_database(config: Config, sealer: Sealer) -> list[Finding]:
    path = Path(config.database.removeprefix("sqlite:///")) if config.database.startswith("sqlite") else None
    if path and not path.exists():
        return [Finding("note", "the database does not exist yet", "`ticketstub bridge serve` creates it")]
    try:
        with closing(Database(config.database, connections=1)) as database:
            database.check_schema()
            database.check_key(sealer.fingerprint, may_store=False)
    except StoreError as error:
        return [Finding("wrong", str(error))]
    except SQLAlchemyError as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        return [
            Finding("wrong", f"the database cannot be used ({kind})", "is it running, and are name and password right?")
        ]
    findings = [Finding("good", "the database answers, and belongs to this key")]
    if path and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        findings.append(Finding("wrong", f"{path} can be read by others on this computer", f"chmod 600 {path}"))
    return findings


def _check_address(config: Config) -> list[Finding]:
    """Ask the bridge for its own discovery document, as applications do: by its public address, through the proxy."""
    try:
        connection = _connect(config.url)
    except _Unreachable as error:
        return [Finding("wrong", f"{config.url}: {error.reason}", error.advice)]
    findings = _check_certificate(config.url, connection)
    try:
        status, headers, content = _ask(connection, "/.well-known/openid-configuration")
        if fault := _judge_discovery(config, status, headers, content):
            return [*findings, fault]
        findings.append(Finding("good", f"{config.url} answers as this bridge"))
        if config.is_https and _ask(_connect(config.url), "/metrics")[0] == 200:
            findings.append(
                Finding("wrong", f"the public can read {config.url}/metrics", "let the proxy set X-Forwarded-For")
            )
    except (OSError, HTTPException, _Unreachable) as error:
        return [*findings, _describe_broken(config, error)]
    return [*findings, *_compare_clock("the bridge's own server", headers.get("date"))]


def _judge_discovery(config: Config, status: int, headers: Mapping[str, str], content: bytes) -> Finding | None:
    """Return what is wrong with an answer to a request for the discovery document; `None` if nothing is."""
    if 300 <= status < 400:
        return Finding(
            "wrong",
            f"{config.url} redirects to {headers.get('location', '')[:200]}",
            "let the proxy pass on exactly the address that url in bridge.toml says, or change url",
        )
    if status >= 500:
        return Finding(
            "wrong",
            f"{config.url} answers with status {status}",
            f"start the bridge with `ticketstub bridge serve`, and let the proxy send requests to {config.listen}",
        )
    try:
        document = json.loads(content)
        issuer = document.get("issuer") if isinstance(document, dict) else None
    except ValueError:
        issuer = None
    if issuer == config.url:
        return None
    name = f"calls itself {str(issuer)[:200]}" if issuer else f"is no bridge (status {status})"
    return Finding(
        "wrong",
        f"what answers at {config.url} {name}",
        "correct url in bridge.toml, or what the proxy sends requests to",
    )


def _describe_broken(config: Config, error: Exception) -> Finding:
    text = f"{config.url} ends the connection without an answer ({type(error).__name__})"
    return Finding("wrong", text, f"does the proxy send requests to {config.listen}, and does the bridge run?")


def _check_certificate(url: str, connection: HTTPConnection) -> list[Finding]:
    """Say how long a certificate is good; that it is valid at all is known by now."""
    if not isinstance(connection.sock, ssl.SSLSocket):
        return []  # http
    ends = str((connection.sock.getpeercert() or {}).get("notAfter", ""))
    days = int((ssl.cert_time_to_seconds(ends) - time.time()) / 86400)
    if days < _RENEWAL_DAYS:
        return [Finding("note", f"the certificate of {url} ends in {days} days", "see that it is renewed by itself")]
    return [Finding("good", f"the certificate of {url} is valid for {days} days")]


def _check_plex(config: Config) -> list[Finding]:
    try:
        headers = _ask(_connect(config.plex_tv), "/api/v2/ping")[1]  # it asks for a token, and so it answers
    except _Unreachable as error:
        return [Finding("wrong", f"{config.plex_tv}: {error.reason}", error.advice)]
    except (OSError, HTTPException) as error:
        text = f"{config.plex_tv} ends the connection without an answer ({type(error).__name__})"
        return [Finding("wrong", text, "try again in a minute; nobody new can sign in until it answers")]
    return _compare_clock(config.plex_tv, headers.get("date"))


def _compare_clock(name: str, date: str | None) -> list[Finding]:
    try:
        skew = abs(parsedate_to_datetime(date or "").timestamp() - time.time())
    except (ValueError, OverflowError):
        return [Finding("good", f"{name} answers")]
    if skew > _MAX_SKEW:
        text = f"this computer's clock and that of {name} differ by {skew:.0f} s"
        return [Finding("wrong", text, "set up time synchronization")]
    return [Finding("good", f"{name} answers, and the clocks agree")]


def _check_servers(config: Config, path: Path) -> list[Finding]:
    """Let the running bridge ask Plex for the media servers, with the sign-ins that it keeps."""
    try:
        seen = call_bridge(path, "/servers")
    except NotRunning:
        advice = "start it with `ticketstub bridge serve`; then it is asked whether Plex knows the media servers"
        return [Finding("note", "no bridge runs in this folder", advice)]
    except ControlRefused as error:
        return [Finding("wrong", f"the running bridge cannot be asked: {error}", "see its log")]
    return [_describe_server(config, server, seen.get(server.slug)) for server in config.servers]


def _describe_server(config: Config, server: Server, state: str | None) -> Finding:
    match state:
        case "seen":
            return Finding("good", f"{server.name}: Plex knows it as bridge.toml says")
        case "not_seen":
            text = f"{server.name}: Plex no longer lists it for people who could use it, with this owner"
        case "owner_refused":
            text = f"{server.name}: its owner has tried to sign in, and was refused"
        case "unknown":
            return Finding("wrong", f"{server.name}: Plex does not answer the bridge", "try again in a minute")
        case None:
            return Finding("note", f"{server.name}: the bridge does not know it yet", "`ticketstub bridge reload`")
        case _:
            advice = f"sign in as its owner at {config.url}/account, then check again"
            return Finding("note", f"{server.name}: nobody with access has signed in, so Plex was not asked", advice)
    return Finding("wrong", text, "compare machine_identifier and owner_id in bridge.toml with `ticketstub servers`")


def _check_clients(config: Config) -> list[Finding]:
    findings: list[Finding] = []
    for client in config.clients.values():
        findings.extend(
            Finding("note", f"{client.id}: {uri} is http: others on the network can read the code", "use https")
            for uri in client.redirect_uris
            if uri.startswith("http://") and not is_loopback(urlsplit(uri).hostname or "")
        )
        if urlsplit(config.url).netloc in {urlsplit(uri).netloc for uri in client.redirect_uris}:
            advice = "give it a host name of its own, so that it cannot read the bridge's cookies"
            findings.append(Finding("note", f"{client.id} has the address of the bridge itself", advice))
    if not config.clients:
        return [Finding("note", "there is no application yet", "add one with `ticketstub bridge client add`")]
    return findings or [Finding("good", f"the addresses of {len(config.clients)} applications look right")]


def _make_logout_check(client: Client, url: str) -> Check:
    def check() -> list[Finding]:
        name = f"{client.id}: logout messages"
        try:
            _connect(url).close()
        except _Unreachable as error:
            advice = f"{error.advice}; if it takes none, remove its backchannel_logout_uri"
            return [Finding("wrong", f"{name} cannot reach {url}: {error.reason}", advice)]
        return [Finding("good", f"{name} reach {urlsplit(url).netloc}")]

    return check


def _connect(url: str) -> HTTPConnection:
    """Connect to an address as applications do; a certificate is checked. No proxy of the environment is used.

    Raises:
        _Unreachable: it cannot be reached.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    where = "127.0.0.1" if host.endswith(".localhost") else host  # as browsers do (RFC 6761)
    is_https = parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)
    connection = (
        HTTPSConnection(host, port, timeout=_TIMEOUT) if is_https else HTTPConnection(host, port, timeout=_TIMEOUT)
    )
    try:
        plain = socket.create_connection((where, port), _TIMEOUT)
        try:
            connection.sock = (
                ssl.create_default_context().wrap_socket(plain, server_hostname=host) if is_https else plain
            )
        except BaseException:
            plain.close()
            raise
    except (OSError, UnicodeError) as error:
        raise _explain(error, host, port) from None
    return connection


def _explain(error: Exception, host: str, port: int) -> _Unreachable:
    """Return why a connection failed, and what to do."""
    match error:
        case socket.gaierror() | UnicodeError():
            reason = f"the name {host} is not found"
            advice = f"is there a network? Else give {host} an entry in DNS, or correct it"
        case ssl.SSLCertVerificationError(verify_code=10):
            reason, advice = "its certificate has expired", "renew it, and see why that did not happen by itself"
        case ssl.SSLCertVerificationError(verify_code=62 | 64):
            reason, advice = f"its certificate is for another name than {host}", f"get one for {host}"
        case ssl.SSLCertVerificationError():
            reason = f"its certificate is not trusted here ({error.verify_message})"
            advice = "use one of a public authority with its whole chain, or name yours in SSL_CERT_FILE"
        case ssl.SSLError():
            reason, advice = f"port {port} does not speak TLS", "let the proxy serve https there"
        case ConnectionRefusedError():
            reason, advice = f"nothing listens on port {port}", "start what should answer there"
        case TimeoutError():
            reason = f"no answer on port {port} in {_TIMEOUT:.0f} s"
            advice = "look at firewalls, and at the address of the name"
        case _:
            reason = f"no connection ({getattr(error, 'strerror', None) or type(error).__name__})"
            advice = "is there a network, and is the address right?"
    return _Unreachable(reason, advice)


def _ask(connection: HTTPConnection, path: str) -> tuple[int, Mapping[str, str], bytes]:
    """Send a GET request, and close the connection; no redirect is followed.

    Returns:
        Status, headers by their names in lower case, and the beginning of the body.
    """
    with closing(connection):
        connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
        response = connection.getresponse()
        return (
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            response.read(_MAX_BODY),
        )
