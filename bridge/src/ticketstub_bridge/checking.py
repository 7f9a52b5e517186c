"""What `ticketstub bridge check` finds: what is wrong, and what to do about it.

Rule: nothing is changed, and nothing secret is sent. A check that depends on a failed one is left out.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from ticketstub_bridge.config import Config, ConfigError, load_config
from ticketstub_bridge.sealing import KeyFileError, Sealer, read_key_file
from ticketstub_bridge.storage.database import Database, StoreError

_TIMEOUT = 10
_MAX_SKEW = 30


class Finding(msgspec.Struct, frozen=True):
    """The result of one check."""

    state: Literal["good", "note", "wrong"]
    text: str


def run_checks(folder: Path, database: str | None) -> list[Finding]:
    """Run all checks of the bridge in a folder.

    Args:
        folder: where bridge.toml and bridge.key are.
        database: a database that replaces the one in bridge.toml.
    """
    try:
        config = load_config(folder / "bridge.toml")
    except ConfigError as error:
        return [Finding("wrong", each) for each in error.problems]
    if database:
        config = config.with_database(database)
    findings = [Finding("good", "bridge.toml has no faults"), *(Finding("note", each) for each in config.warnings)]
    try:
        sealer = Sealer(read_key_file(folder / "bridge.key"))
    except KeyFileError as error:
        return [*findings, Finding("wrong", str(error))]
    findings.append(Finding("good", "bridge.key is there, and only you can read it"))
    return [
        *findings,
        _check_database(config, sealer),
        *_check_address(config),
        _check_plex(config),
        *_check_clients(config),
    ]


def _check_database(config: Config, sealer: Sealer) -> Finding:
    if config.database.startswith("sqlite") and not Path(config.database.removeprefix("sqlite:///")).exists():
        return Finding("note", "the database does not exist yet: `ticketstub bridge serve` creates it")
    database = Database(config.database, connections=1)
    try:
        database.check_schema()
        database.check_key(sealer.fingerprint)
    except StoreError as error:
        return Finding("wrong", str(error))
    except SQLAlchemyError as error:
        return Finding("wrong", f"the database cannot be used: {type(getattr(error, 'orig', None) or error).__name__}")
    finally:
        database.close()
    return Finding("good", "the database answers, and belongs to this key")


def _check_address(config: Config) -> list[Finding]:
    """Ask the bridge for its own discovery document, as applications do."""
    url = f"{config.url}/.well-known/openid-configuration"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:  # noqa: S310  # the configuration's own address
            document, date = json.loads(response.read(65536)), response.headers.get("Date")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        return [
            Finding("wrong", f"{config.url} does not answer ({reason}): is the bridge running, and the proxy set up?")
        ]
    if document.get("issuer") != config.url:
        return [
            Finding("wrong", f"{config.url} is answered by something else: it calls itself {document.get('issuer')}")
        ]
    findings = [Finding("good", f"{config.url} answers as this bridge")]
    try:
        metrics = urllib.request.urlopen(f"{config.url}/metrics", timeout=_TIMEOUT)  # noqa: S310  # as above
    except urllib.error.HTTPError:
        pass
    else:
        metrics.close()
        if config.is_https:
            findings.append(Finding("wrong", "the proxy sends no X-Forwarded-For, so the public can read /metrics"))
    if date:
        findings.append(_compare_clock("the bridge's own server", date))
    return findings


def _check_plex(config: Config) -> Finding:
    try:
        with urllib.request.urlopen(f"{config.plex_tv}/api/v2/ping", timeout=_TIMEOUT) as response:  # noqa: S310  # the configured Plex
            return _compare_clock(config.plex_tv, response.headers.get("Date", ""))
    except urllib.error.HTTPError as error:  # it asks for a token, and so it answers
        return _compare_clock(config.plex_tv, error.headers.get("Date", ""))
    except OSError as error:
        return Finding("wrong", f"{config.plex_tv} does not answer ({getattr(error, 'reason', type(error).__name__)})")


def _compare_clock(name: str, date: str) -> Finding:
    try:
        skew = abs(parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return Finding("good", f"{name} answers")
    if skew > _MAX_SKEW:
        return Finding(
            "wrong", f"this computer's clock and that of {name} differ by {skew:.0f} s: set up time synchronization"
        )
    return Finding("good", f"{name} answers, and the clocks agree")


def _check_clients(config: Config) -> list[Finding]:
    findings: list[Finding] = []
    for client in config.clients.values():
        insecure = [uri for uri in client.redirect_uris if uri.startswith("http://")]
        findings.extend(
            Finding("note", f"{client.id}: {uri} is http: others on the network can read the code") for uri in insecure
        )
        if urlsplit(config.url).netloc in {urlsplit(uri).netloc for uri in client.redirect_uris}:
            findings.append(Finding("note", f"{client.id} has the address of the bridge itself"))
    return findings or [Finding("good", f"the addresses of {len(config.clients)} applications look right")]
