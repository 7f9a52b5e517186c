"""The variables by which programs of each language find the proxy and the authority of a run: one table.

Rule: `ticketstub run` and the fixtures set what is here and nothing else, `ticketstub env` prints it, and the
documentation lists it. What a user has set already is kept where it does not lead around the local Plex: exceptions
from the proxy other than Plex's hosts, options of Java.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ticketstub.tokens import Secret

AUTHORITY, BUNDLE, TRUST_STORE = "ca.pem", "bundle.pem", "trust.p12"
"""The files of a run's folder: the authority, the same with what else is trusted, and that for Java."""
ADDRESS = "proxy"
"""The file beside them with the proxy's address, in which its secret is."""
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105  # Java's own default: it guards nothing, the content is public
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PLEX = ("plex.tv", "plex.direct")

Kind = Literal["proxy", "exceptions", "authority", "bundle", "java", "1", "address", "control", "key"]


class Variable(NamedTuple):
    """A variable, what it holds, and who reads it."""

    name: str
    holds: Kind
    read_by: str


VARIABLES = (
    Variable("HTTPS_PROXY", "proxy", "requests, httpx, aiohttp with `trust_env=True`, git, Go, Ruby, .NET, Node.js"),
    Variable("https_proxy", "proxy", "urllib, curl, and most of the above"),
    Variable("HTTP_PROXY", "proxy", "the same programs, for `http://` addresses"),
    Variable("http_proxy", "proxy", "curl, which reads no capitals here"),
    Variable("ALL_PROXY", "proxy", "programs that ask for nothing more special"),
    Variable("all_proxy", "proxy", "the same"),
    Variable("NO_PROXY", "exceptions", "all of them: loopback is reached directly"),
    Variable("no_proxy", "exceptions", "the same"),
    Variable("NODE_USE_ENV_PROXY", "1", "Node.js 24 and newer, 22.21 and newer: `fetch` and `https` go by the proxy"),
    Variable("NODE_EXTRA_CA_CERTS", "authority", "Node.js, beside what it trusts already"),
    Variable("SSL_CERT_FILE", "bundle", "OpenSSL: urllib, aiohttp, httpx, Ruby, PHP; Go and .NET on Linux; Rust"),
    Variable("REQUESTS_CA_BUNDLE", "bundle", "requests"),
    Variable("CURL_CA_BUNDLE", "bundle", "curl"),
    Variable("GIT_SSL_CAINFO", "bundle", "git"),
    Variable("DENO_CERT", "authority", "Deno"),
    Variable("JAVA_TOOL_OPTIONS", "java", "Java, which says so on standard error"),
    Variable("TICKETSTUB_PLEX_TV", "address", "this command: its kept sign-ins of the real Plex stay untouched"),
    Variable("TICKETSTUB_PROXY", "proxy", "`ticketstub env`"),
    Variable("TICKETSTUB_CA", "authority", "`ticketstub env`"),
    Variable("TICKETSTUB_CONTROL", "control", "your tests, with `--control`"),
    Variable("TICKETSTUB_CONTROL_KEY", "key", "the same"),
)
"""All of them, in the order in which they are printed."""


class Pointing(NamedTuple):
    """Where programs are pointed.

    Attributes:
        proxy: the proxy's address; empty where Plex's names lead here without one.
        authority: the file with the run's authority; the others of the run are beside it.
        plex_tv: the address of the local Plex itself, if it is known.
        control: the address of its control API, with the version in it, if it answers one.
        key: that one's key.
    """

    proxy: str
    authority: Path
    plex_tv: str = ""
    control: str = ""
    key: Secret | None = None


def variables(pointing: Pointing, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables and their values.

    Args:
        pointing: where to.
        given: the environment that they are added to.
    """
    values: dict[Kind, str] = {
        "proxy": pointing.proxy,
        "exceptions": exceptions(given) if pointing.proxy else "",
        "authority": str(pointing.authority),
        "bundle": str(_beside(pointing.authority, BUNDLE)),
        "java": _java(pointing, given),
        "1": "1" if pointing.proxy else "",
        "address": pointing.plex_tv,
        "control": pointing.control,
        "key": pointing.key.reveal() if pointing.key else "",  # for the program, as it was asked for
    }
    return {name: values[holds] for name, holds, _ in VARIABLES if values[holds]}


def added(pointing: Pointing, given: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with the variables; what leads to somebody else's is not in it."""
    theirs = {name for name, holds, _ in VARIABLES if holds in {"proxy", "exceptions", "control", "key"}}
    return {name: value for name, value in given.items() if name not in theirs} | variables(pointing, given)


def exceptions(given: Mapping[str, str]) -> str:
    """Return what is reached without the proxy: loopback, and what the user excepted, if Plex is not in it."""
    entries = f"{given.get('NO_PROXY', '')},{given.get('no_proxy', '')}".split(",")
    kept = [entry.strip() for entry in entries if entry.strip() and not _excepts_plex(entry.strip())]
    return ",".join(dict.fromkeys([*LOOPBACK, *kept]))


def _excepts_plex(entry: str) -> bool:
    """Tell whether an entry is about one of Plex's hosts, as any program might read it."""
    host = re.sub(r":\d+$", "", entry.lower()).lstrip("*").strip(".")
    return not host or any(f".{plex}".endswith(f".{host}") or f".{host}".endswith(f".{plex}") for plex in _PLEX)


def _beside(authority: Path, name: str) -> Path:
    found = authority.with_name(name)
    return found if found.exists() else authority


def _java(pointing: Pointing, given: Mapping[str, str]) -> str:
    options: dict[str, str] = {}
    if pointing.proxy:
        proxy = urlsplit(pointing.proxy)
        for scheme in ("http", "https"):
            options |= {f"{scheme}.proxyHost": proxy.hostname or "", f"{scheme}.proxyPort": str(proxy.port)}
        options["http.nonProxyHosts"] = "localhost|127.*|[::1]"
    store = pointing.authority.with_name(TRUST_STORE)
    if store.exists():
        options |= trust_store_options(f'"{store}"' if " " in str(store) else str(store))
    own = [f"-D{name}={value}" for name, value in options.items()]
    return " ".join([*filter(None, [given.get("JAVA_TOOL_OPTIONS", "").strip()]), *own])


def trust_store_options(store: str) -> dict[str, str]:
    """Return the properties by which Java finds a trust store."""
    return {
        "javax.net.ssl.trustStore": store,
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": TRUST_STORE_PASSWORD,
    }
