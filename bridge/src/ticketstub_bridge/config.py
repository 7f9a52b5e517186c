"""bridge.toml: what it may say, and what is wrong with it.

Rule: a file with a fault is refused as a whole, and every fault is named with its path (`client[1].redirect_uris[0]`).
Nothing here touches the network or the database. Durations are seconds, or a number with s, m, h or d.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec

from ticketstub import Role
from ticketstub_bridge.addresses import check_database, check_redirect_uri, is_loopback, resolve_database, split_url

ANYONE = "anyone"
ROLES: frozenset[str] = frozenset(get_args(Role))
PLEX_TV = "https://plex.tv"
SigningAlgorithm: TypeAlias = Literal["RS256", "EdDSA"]

_IDENTIFIER = re.compile(r"[A-Za-z0-9._~-]{1,100}").fullmatch
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}").fullmatch
_DIGEST = re.compile(r"[0-9a-f]{64}").fullmatch
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhd])").fullmatch
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class ConfigError(ValueError):
    """bridge.toml is refused.

    Attributes:
        problems: every fault, each with its path.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A media server whose people may come in. Only the identifier and the owner's id are ever compared."""

    name: str
    slug: str
    machine_identifier: str
    owner_id: int


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """An application. Without `secret_hash` it is public, and S256 is required."""

    id: str
    name: str
    secret_hash: str | None
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    backchannel_logout_uri: str | None
    allow: frozenset[str]
    signing: SigningAlgorithm
    groups: Mapping[str, tuple[str, ...]]


class Lifetimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long things live, in seconds."""

    transaction: int = 300
    code: int = 60
    access_token: int = 600
    refresh_token: int = 30 * 86400
    session_idle: int = 12 * 3600
    session_max: int = 30 * 86400

    @property
    def key_overlap(self) -> int:
        """How long a signing key stays published after it was replaced: as long as anything that it signed is used."""
        return max(self.access_token, self.refresh_token, self.session_max)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A valid bridge.toml."""

    url: str
    database: str
    listen: str
    trusted_proxies: tuple[str, ...]
    keep_plex_token: bool
    plex_tv: str
    recheck: int
    grace: int
    lifetimes: Lifetimes
    servers: tuple[Server, ...]
    allow: frozenset[str]
    deny: frozenset[int]
    clients: Mapping[str, Client]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"  # the database's address may have a password

    @property
    def host(self) -> str:
        """The host of the public address, for display."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_https(self) -> bool:
        """Whether the public address is an https one; otherwise it is a loopback one."""
        return self.url.startswith("https://")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed, but should be said at the start."""
        texts: list[str] = []
        if ANYONE in self.allow:
            texts.append('access.allow contains "anyone": every Plex account in the world may sign in')
        if self.plex_tv != PLEX_TV:
            texts.append(f"plex_tv is {self.plex_tv}: people sign in there, not at Plex")
        if not self.is_https:
            texts.append("url is not an https address: for trying things out on this computer only")
        return tuple(texts)

    def with_database(self, database: str) -> Config:
        """Return this configuration with another database."""
        return msgspec.structs.replace(self, database=database)


class _Table:
    """One table of the file: takes the keys that are known, and notes what is wrong with each."""

    def __init__(self, content: object, path: str, problems: list[str]) -> None:
        self._path = path
        self._problems = problems
        if not isinstance(content, dict):
            self.note("", "must be a table")
        self._content: dict[str, object] = dict(content) if isinstance(content, dict) else {}  # pyright: ignore[reportUnknownArgumentType]  # TOML

    def note(self, key: str, problem: str) -> None:
        self._problems.append(f"{self._path + '.' if self._path and key else self._path}{key}: {problem}")

    def take(self, key: str, default: object = None, *, required: bool = False) -> object:
        if required and key not in self._content:
            self.note(key, "is missing")
        return self._content.pop(key, default)

    def is_empty(self, key: str) -> bool:
        return self._content.get(key, []) == []

    def text(self, key: str, default: str | None = None, *, required: bool = False) -> str:
        is_given = key in self._content
        value = self.take(key, default or "", required=required)
        if isinstance(value, str) and (value.strip() or not is_given) and value.isprintable() and len(value) <= 500:
            return value
        self.note(key, "must be one line of text")
        return default or ""

    def integer(self, key: str) -> int:
        value = self.take(key, required=True)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        if value is not None:
            self.note(key, "must be a whole number above 0")
        return 0

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            self.note(key, "must be true or false")
        return value is True

    def seconds(self, key: str, default: int) -> int:
        value = self.take(key, default)
        match = _DURATION(value) if isinstance(value, str) else None
        number = int(match[1]) * _UNITS[match[2]] if match else value
        if isinstance(number, int) and not isinstance(number, bool) and 0 < number <= 400 * 86400:
            return number
        self.note(key, 'must be a duration of at most 400 days: seconds, or text such as "10m", "6h" or "30d"')
        return default

    def items(self, key: str, default: Sequence[object] = ()) -> list[tuple[str, object]]:
        """Return the entries of a list, each with its own name: `key[0]`."""
        value = self.take(key, list(default))
        if isinstance(value, list):
            return [(f"{key}[{index}]", each) for index, each in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # TOML
        self.note(key, "must be a list")
        return []

    def table(self, key: str) -> _Table:
        return _Table(self.take(key, {}), self._get_path(key), self._problems)

    def tables(self, key: str) -> list[_Table]:
        return [_Table(each, self._get_path(name), self._problems) for name, each in self.items(key)]

    def rest(self) -> dict[str, object]:
        content, self._content = self._content, {}
        return content

    def close(self) -> None:
        """Note what is left: unknown keys."""
        for key in self._content:
            self.note(key, "is not a key of bridge.toml")

    def _get_path(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def load_config(path: Path) -> Config:
    """Read and check bridge.toml.

    Raises:
        ConfigError: it is missing, is not TOML, or has faults.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError([f"{path}: does not exist; `ticketstub bridge init` creates it"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read ({type(error).__name__})"]) from None
    return parse_config(text, path.parent)


def parse_config(text: str, folder: Path = Path()) -> Config:
    """Check the text of a bridge.toml.

    Args:
        text: the text.
        folder: what a relative path of an SQLite database is relative to.

    Raises:
        ConfigError: it is not TOML, or has faults.
    """
    problems: list[str] = []
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"bridge.toml: is not TOML: {error}"]) from None
    table = _Table(content, "", problems)
    if table.take("forward") is not None:
        table.note("forward", "is not supported by this version")
    access = table.table("access")
    allow = _read_roles(access, "allow", frozenset({"owner", "home", "friend"}), with_anyone=True)
    servers = tuple(_read_server(each) for each in table.tables("server"))
    slugs = {each.slug for each in servers}
    clients = [_read_client(each, allow, slugs) for each in table.tables("client")]
    config = Config(
        url=_read_issuer(table),
        database=_read_database(table, folder),
        listen=_read_listen(table),
        trusted_proxies=_read_networks(table),
        keep_plex_token=table.boolean("keep_plex_token", default=True),
        plex_tv=_read_origin(table, "plex_tv", PLEX_TV),
        recheck=table.seconds("recheck", 6 * 3600),
        grace=table.seconds("grace", 24 * 3600),
        lifetimes=_read_lifetimes(table.table("lifetimes")),
        servers=servers,
        allow=allow,
        deny=_read_account_ids(access, "deny"),
        clients={each.id: each for each in clients},
    )
    access.close()
    table.close()
    if not servers and ANYONE not in allow:
        problems.append('server: there is none, so nobody could sign in; name one, or write access.allow = ["anyone"]')
    _note_repeated(problems, "server", "slug", [each.slug for each in servers])
    _note_repeated(problems, "client", "id", [each.id for each in clients])
    if problems:
        raise ConfigError(problems)
    return config


def _note_repeated(problems: list[str], table: str, key: str, values: list[str]) -> None:
    for index, value in enumerate(values):
        if value and value in values[:index]:
            problems.append(f"{table}[{index}].{key}: {value} is used before")


def _read_server(table: _Table) -> Server:
    name = table.text("name", required=True)
    slug = table.text("slug", re.sub("[^a-z0-9]+", "-", name.casefold()).strip("-") or "server")
    if not _SLUG(slug):
        table.note("slug", "must be lower-case letters, digits and hyphens")
    identifier = table.text("machine_identifier", required=True)
    if identifier and not _IDENTIFIER(identifier):
        table.note("machine_identifier", "must be letters and digits, as `ticketstub servers` shows it")
    server = Server(name=name, slug=slug, machine_identifier=identifier, owner_id=table.integer("owner_id"))
    table.close()
    return server


def _read_client(table: _Table, access: frozenset[str], slugs: set[str]) -> Client:
    identifier = table.text("id", required=True)
    if identifier and not _IDENTIFIER(identifier):
        table.note("id", "must be letters, digits, and . _ ~ -")
    secret_hash = table.text("secret_hash") or None
    if secret_hash is not None and not _DIGEST(secret_hash):
        table.note("secret_hash", "must be 64 hexadecimal digits, as `ticketstub bridge client add` writes them")
    allow = _read_roles(table, "allow", access, with_anyone=ANYONE in access)
    if ANYONE not in access and allow - access:
        table.note(
            "allow", f"{', '.join(sorted(allow - access))} is not in access.allow, which a client can only narrow"
        )
    if table.is_empty("redirect_uris"):
        table.note("redirect_uris", "must list at least one address")
    redirect_uris = _read_addresses(table, "redirect_uris", is_public=secret_hash is None)
    signing: SigningAlgorithm = "RS256"
    match table.text("signing", "RS256"):
        case "RS256":
            pass
        case "EdDSA":
            signing = "EdDSA"
        case _:
            table.note("signing", "must be RS256 or EdDSA")
    backchannel = table.text("backchannel_logout_uri") or None
    if backchannel and (problem := check_redirect_uri(backchannel, is_public=False, for_browser=False)):
        table.note("backchannel_logout_uri", problem)
    client = Client(
        id=identifier,
        name=table.text("name", identifier),
        secret_hash=secret_hash,
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=_read_addresses(table, "post_logout_redirect_uris", is_public=secret_hash is None),
        backchannel_logout_uri=backchannel,
        allow=allow,
        signing=signing,
        groups=_read_groups(table.table("groups"), slugs),
    )
    table.close()
    return client


def _read_groups(table: _Table, slugs: set[str]) -> dict[str, tuple[str, ...]]:
    """Read which groups an application gets for which roles: `admin = ["attic:owner"]`."""
    known = {f"{slug}:{role}" for slug in slugs for role in ROLES}
    groups: dict[str, tuple[str, ...]] = {}
    for name, members in table.rest().items():
        if isinstance(members, list) and all(isinstance(each, str) and each in known for each in members):  # pyright: ignore[reportUnknownVariableType]  # TOML
            groups[name] = tuple(members)  # pyright: ignore[reportUnknownArgumentType]  # just checked
        else:
            table.note(name, 'must be a list of servers (their slug) and roles, such as ["attic:owner"]')
    return groups


def _read_lifetimes(table: _Table) -> Lifetimes:
    defaults = Lifetimes()
    lifetimes = Lifetimes(
        **{name: table.seconds(name, getattr(defaults, name)) for name in Lifetimes.__struct_fields__}
    )
    table.close()
    return lifetimes


def _read_roles(table: _Table, key: str, default: frozenset[str], *, with_anyone: bool) -> frozenset[str]:
    known = ROLES | {ANYONE} if with_anyone else ROLES
    roles: set[str] = set()
    for name, value in table.items(key, sorted(default)):
        if isinstance(value, str) and value in known:
            roles.add(value)
        else:
            table.note(name, f"must be one of {', '.join(sorted(known))}")
    return frozenset(roles)


def _read_account_ids(table: _Table, key: str) -> frozenset[int]:
    ids: set[int] = set()
    for name, value in table.items(key):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            ids.add(value)
        else:
            table.note(name, "must be the id of a Plex account, a whole number")
    return frozenset(ids)


def _read_networks(table: _Table) -> tuple[str, ...]:
    networks: list[str] = []
    for name, value in table.items("trusted_proxies"):
        try:
            networks.append(str(ip_network(str(value))))
        except ValueError:
            table.note(name, "must be an IP address or a network")
    return tuple(networks)


def _read_issuer(table: _Table) -> str:
    return _read_origin(table, "url", required=True, http_hosts="loopback")


def _read_origin(table: _Table, key: str, default: str = "", *, required: bool = False, http_hosts: str = "any") -> str:
    """Read an address without a path."""
    url = table.text(key, default, required=required)
    if not url:
        return ""
    parts = split_url(url)
    if parts is None or parts.path or parts.query or parts.scheme not in {"https", "http"}:
        table.note(key, "must be an address without a path, such as https://auth.example.org")
    elif url != url.lower():
        table.note(key, "must be in lower case, because applications compare it letter by letter")
    elif parts.scheme == "http" and http_hosts == "loopback" and not is_loopback(parts.hostname or ""):
        table.note(key, "must be https; http works on this computer only (localhost, 127.0.0.1)")
    return url


def _read_database(table: _Table, folder: Path) -> str:
    url = table.text("database", "sqlite:///bridge.db")
    if problem := check_database(url):
        table.note("database", problem)
    return resolve_database(url, folder)


def _read_listen(table: _Table) -> str:
    listen = table.text("listen", "127.0.0.1:8180")
    host, _, port = listen.rpartition(":")
    try:
        ip_address(host.strip("[]"))
        is_valid = 0 < int(port) < 65536
    except ValueError:
        is_valid = False
    if not is_valid:
        table.note("listen", 'must be an IP address and a port, such as "127.0.0.1:8180"')
    return listen


def _read_addresses(table: _Table, key: str, *, is_public: bool) -> tuple[str, ...]:
    addresses: list[str] = []
    for name, value in table.items(key):
        if not isinstance(value, str):
            table.note(name, "must be text")
        elif problem := check_redirect_uri(value, is_public=is_public):
            table.note(name, problem)
        else:
            addresses.append(value)
    return tuple(addresses)
