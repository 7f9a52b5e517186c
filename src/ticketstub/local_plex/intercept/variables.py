"""The environment variables by which programs in each language find the proxy and the authority of a run.

Rule: `ticketstub run` and the fixtures set these variables and no others, `ticketstub env` prints them, and the
documentation lists them. The user's own settings stay if they do not bypass the local Plex: proxy exceptions for hosts
other than Plex's, and Java options.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from ticketstub.tokens import Secret

AUTHORITY_FILE, BUNDLE_FILE, TRUST_STORE_FILE = "ca.pem", "bundle.pem", "trust.p12"
"""The trust files of a run: its authority alone, with all other authorities, and the latter as a Java trust store."""
PROXY_FILE = "proxy"
"""The file in the same folder with the proxy's URL, which includes its secret."""
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105  # Java's default; the content is public
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PLEX_DOMAINS = ("plex.tv", "plex.direct")
"""The domains whose names, with all names below them, lead to the local Plex."""

ValueKind = Literal["proxy", "exceptions", "authority", "bundle", "java", "1", "address", "control", "key"]


class Variable(NamedTuple):
    """A variable, its kind of value, and what reads it."""

    name: str
    kind: ValueKind
    read_by: str


VARIABLES = (
    Variable("HTTPS_PROXY", "proxy", "requests, httpx, aiohttp with `trust_env=True`, git, Go, Ruby, .NET, Node.js"),
    Variable("https_proxy", "proxy", "urllib, curl, and most of the above"),
    Variable("HTTP_PROXY", "proxy", "the same programs, for `http://` addresses"),
    Variable("http_proxy", "proxy", "curl, which reads only lower case here"),
    Variable("ALL_PROXY", "proxy", "programs that read none of the others"),
    Variable("all_proxy", "proxy", "the same"),
    Variable("NO_PROXY", "exceptions", "all of them: loopback is reached directly"),
    Variable("no_proxy", "exceptions", "the same"),
    Variable("NODE_USE_ENV_PROXY", "1", "Node.js 24 and newer, 22.21 and newer: `fetch` and `https` use the proxy"),
    Variable("NODE_EXTRA_CA_CERTS", "authority", "Node.js, in addition to what it trusts already"),
    Variable("SSL_CERT_FILE", "bundle", "OpenSSL: urllib, aiohttp, httpx, Ruby, PHP; Go and .NET on Linux; Rust"),
    Variable("REQUESTS_CA_BUNDLE", "bundle", "requests"),
    Variable("CURL_CA_BUNDLE", "bundle", "curl"),
    Variable("GIT_SSL_CAINFO", "bundle", "git"),
    Variable("DENO_CERT", "authority", "Deno"),
    Variable("JAVA_TOOL_OPTIONS", "java", "Java, which says so on standard error"),
    Variable("TICKETSTUB_PLEX_TV", "address", "this command: stored sign-ins of the real Plex stay untouched"),
    Variable("TICKETSTUB_PROXY", "proxy", "`ticketstub env`"),
    Variable("TICKETSTUB_CA", "authority", "`ticketstub env`"),
    Variable("TICKETSTUB_CONTROL", "control", "your tests, with `--control`"),
    Variable("TICKETSTUB_CONTROL_KEY", "key", "the same"),
)
"""The variables, in the order in which they are printed."""


class ProgramSettings(NamedTuple):
    """What programs need to find a local Plex.

    Attributes:
        proxy: the proxy's URL; empty if Plex's names lead to the local Plex without one.
        authority: the file with the run's authority, in the folder of its other trust files.
        plex_tv: the URL of the local Plex itself, if it is known.
        control: the URL of its control API, with the version, if it has one.
        key: the control API's key.
    """

    proxy: str
    authority: Path
    plex_tv: str = ""
    control: str = ""
    key: Secret | None = None


def build_variables(settings: ProgramSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables and their values.

    Args:
        settings: what they point to.
        environ: the environment to which they will be added.
    """
    bundle = settings.authority.with_name(BUNDLE_FILE)
    values: dict[ValueKind, str] = {
        "proxy": settings.proxy,
        "exceptions": build_no_proxy(environ) if settings.proxy else "",
        "authority": str(settings.authority),
        "bundle": str(bundle if bundle.exists() else settings.authority),
        "java": _build_java_options(settings, environ),
        "1": "1" if settings.proxy else "",
        "address": settings.plex_tv,
        "control": settings.control,
        "key": settings.key.reveal() if settings.key else "",
    }
    return {name: values[kind] for name, kind, _ in VARIABLES if values[kind]}


def merge_environment(settings: ProgramSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with the variables, without those that would lead to another run."""
    replaced = {name for name, kind, _ in VARIABLES if kind in {"proxy", "exceptions", "control", "key"}}
    return {name: value for name, value in environ.items() if name not in replaced} | build_variables(settings, environ)


def build_no_proxy(environ: Mapping[str, str]) -> str:
    """Return the hosts to reach without the proxy: loopback, and the user's own exceptions but for Plex's hosts."""
    entries = f"{environ.get('NO_PROXY', '')},{environ.get('no_proxy', '')}".split(",")
    own = [entry.strip() for entry in entries if entry.strip() and not _matches_plex(entry.strip())]
    return ",".join(dict.fromkeys([*LOOPBACK, *own]))


def _matches_plex(entry: str) -> bool:
    """Say whether any program might read a proxy exception as one of Plex's hosts."""
    host = re.sub(r":\d+$", "", entry.lower()).lstrip("*").strip(".")
    return not host or any(f".{plex}".endswith(f".{host}") or f".{host}".endswith(f".{plex}") for plex in PLEX_DOMAINS)


def _build_java_options(settings: ProgramSettings, environ: Mapping[str, str]) -> str:
    options: dict[str, str] = {}
    if settings.proxy:
        proxy = urlsplit(settings.proxy)
        for scheme in ("http", "https"):
            options |= {f"{scheme}.proxyHost": proxy.hostname or "", f"{scheme}.proxyPort": str(proxy.port)}
        options["http.nonProxyHosts"] = "localhost|127.*|[::1]"
    store = settings.authority.with_name(TRUST_STORE_FILE)
    if store.exists():
        options |= build_trust_store_options(f'"{store}"' if " " in str(store) else str(store))
    own = [f"-D{name}={value}" for name, value in options.items()]
    return " ".join([*filter(None, [environ.get("JAVA_TOOL_OPTIONS", "").strip()]), *own])


def build_trust_store_options(store: str) -> dict[str, str]:
    """Return the Java system properties that select a trust store."""
    return {
        "javax.net.ssl.trustStore": store,
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": TRUST_STORE_PASSWORD,
    }
