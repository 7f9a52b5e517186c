"""The world: the accounts, media servers, shares and sources of a local Plex.

Rule: a world is data that somebody wrote, in TOML or as a Python mapping, and is taken whole or refused with every
faulty key at once. What it leaves out is derived from the names in it, so that the same file always makes the same
world. Keys are added, never changed.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1, sha256
from pathlib import Path
from typing import Literal, cast

import msgspec
from msgspec.structs import force_setattr

from ticketstub.errors import printable
from ticketstub.frames import hide_locals
from ticketstub.records.record import MILLISECONDS
from ticketstub.server import world_replies
from ticketstub.server import world_values as check
from ticketstub.server.disputed import ANSWERS, Answers
from ticketstub.server.store.base import canonical_login
from ticketstub.server.world_homes import HOME, WorldHome, WorldManaged, managed_named, one_home_each, passcode
from ticketstub.server.world_reading import Key, Reading, each, suggestion, table, value
from ticketstub.token import Secret, Token

CURRENT_VERSION = "1.43.4.10903-0a1b2c3d4"
_JOINED = 1_552_593_531  # for accounts that do not say when: a world has no clock


class WorldError(ValueError):
    """A world that cannot be taken.

    Attributes:
        faults: each faulty key by its path, and why (`account[2].email: must contain one @`); never a value that may
            be a secret.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some part of a world."""


class WorldSubscription(_Part, frozen=True, kw_only=True):
    """What an account pays for."""

    active: bool = False
    plan: str | None = None
    status: str | None = None
    features: tuple[str, ...] = ()


class WorldAccount(_Part, frozen=True, kw_only=True):
    """An account. Without password and hash it cannot sign in by password; with a verification secret it wants codes.

    `id`, `uuid`, `title`, `thumb` are derived from the user name where they are not given.
    """

    username: str
    email: str
    password: Secret | None = None
    password_hash: str | None = None
    verification_secret: Secret | None = None
    passcode: Secret | None = None
    token: Token | None = None
    friendly_name: str = ""
    title: str = ""
    id: int = 0
    uuid: str = ""
    country: str = "US"
    locale: str | None = None
    thumb: str = ""
    joined_at: int = _JOINED
    confirmed: bool = True
    disabled: bool = False
    email_only_auth: bool = False
    subscription: WorldSubscription = WorldSubscription()
    subscription_description: str | None = None
    roles: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = sha256(canonical_login(self.username).encode()).digest()
        # Nine digits, and sixteen of base 16: as Plex's own are (observed).
        _default(self, "id", 100_000_000 + int.from_bytes(name[:8], "big") % 900_000_000)
        _default(self, "uuid", name[8:16].hex())
        _default(self, "title", self.friendly_name or self.username)
        _default(self, "thumb", f"https://plex.tv/users/{self.uuid}/avatar?c={self.joined_at}")

    def code(self, at: float | None = None) -> str:
        """Return the verification code that its authenticator app shows. A local Plex takes each code once.

        Args:
            at: seconds since 1970; the default is now.

        Raises:
            LookupError: the account has no verification secret.
        """
        from ticketstub.server.verification import code_at

        if self.verification_secret is None:
            raise LookupError("this account asks for no verification codes")
        return code_at(self.verification_secret, time.time() if at is None else at)

    def __repr__(self) -> str:
        return f"WorldAccount(username={self.username!r})"


class WorldShare(_Part, frozen=True, kw_only=True):
    """Somebody else who may use a media server, and their token there (made at random if none is given).

    An account by its user name, or a managed user by its title, with the name of its Home where there are several.
    """

    account: str = ""
    managed: str = ""
    home: str = ""
    token: Token | None = None


class WorldConnection(_Part, frozen=True, kw_only=True):
    """One address of a source."""

    uri: str
    local: bool = False
    relay: bool = False


class WorldAddress(_Part, frozen=True, kw_only=True):
    """One address of a media server: `uri` as it is written, or a host and a port, each by default where it answers."""

    uri: str | None = None
    host: str | None = None
    port: int | None = None
    local: bool = False
    relay: bool = False


class WorldSource(_Part, frozen=True, kw_only=True):
    """What `/security/resources` can be asked about on a media server."""

    identifier: str
    name: str
    connections: tuple[WorldConnection, ...] = ()


class WorldMediaServer(world_replies.Whole, frozen=True, kw_only=True):
    """A media server. Without a port it takes a free one; without a machine identifier it has one made of its name.

    `token` is the server's own, made at random if none is given. One that is not `claimed` has no owner. Without
    `addresses` it is listed where it answers, once as a local and once as a remote address.
    """

    name: str
    owner: str = ""
    claimed: bool = True
    token: Token | None = None
    machine_identifier: str = ""
    port: int | None = None
    version: str = CURRENT_VERSION
    errors: Literal["observed", "documented"] = "observed"
    platform: str = "Linux"
    platform_version: str = ""
    addresses: tuple[WorldAddress, ...] | None = None
    shares: tuple[WorldShare, ...] = ()
    sources: tuple[WorldSource, ...] = ()

    def __post_init__(self) -> None:
        # The shape is Plex's (observed): the SHA-1 of some identifier and this very text.
        made = sha1(f"{self.name}- Plex Media Server".encode(), usedforsecurity=False)
        _default(self, "machine_identifier", made.hexdigest())


@hide_locals
class World(_Part, frozen=True, kw_only=True):
    """All that a local Plex is started with."""

    accounts: tuple[WorldAccount, ...] = ()
    media_servers: tuple[WorldMediaServer, ...] = ()
    homes: tuple[WorldHome, ...] = ()
    answers: Answers = Answers()

    def account(self, login: str) -> WorldAccount:
        """Return an account by its user name or e-mail address; raises `LookupError` if there is none."""
        wanted = canonical_login(login)
        for account in self.accounts:
            if wanted in {canonical_login(account.username), canonical_login(account.email)}:
                return account
        names = ", ".join(account.username for account in self.accounts)
        raise LookupError(f"there is no such account; the world has {names or 'none'}")

    @classmethod
    def parse(cls, text: str) -> World:
        """Read a world from TOML; raises `WorldError`, for a syntax error with its line."""
        try:
            found = tomllib.loads(text)
        except RecursionError:
            raise WorldError(["not TOML: nested too deeply"]) from None
        except ValueError as error:
            raise WorldError([f"not TOML: {error}"]) from None
        return cls.from_dict(found)

    @classmethod
    def load(cls, path: str | Path) -> World:
        """Read a world from a TOML file; raises `WorldError`, also where the file cannot be read."""
        try:
            world = cls.parse(Path(path).read_bytes().decode())
        except OSError as error:
            raise WorldError([f"{path} cannot be read: {error.strerror}"]) from None
        except UnicodeDecodeError as error:
            raise WorldError([f"not UTF-8 text: see byte {error.start}"]) from None
        placed, missing = world_replies.beside(world.media_servers, Path(path).parent)
        if missing:
            raise WorldError(missing)
        return msgspec.structs.replace(world, media_servers=placed)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> World:
        """Read a world from what TOML would give; raises `WorldError`."""
        reading = Reading()
        world = _WORLD(mapping, "", reading)
        reading.finish(_usernames(mapping))
        if reading.faults:
            raise WorldError(reading.faults)
        return cast("World", world)

    @classmethod
    def demo(cls) -> World:
        """Read the demonstration world: invented people, for local use only."""
        from importlib import resources  # 10 ms that only the demonstration needs

        return cls.parse((resources.files("ticketstub.server") / "demo_world.toml").read_text("utf-8"))


def _default(part: msgspec.Struct, field: str, derived: object) -> None:
    if not getattr(part, field):
        force_setattr(part, field, derived)


def _usernames(mapping: Mapping[str, object]) -> Iterable[str]:
    """Return every user name of the accounts, those of faulty accounts too."""
    accounts = mapping.get("account")
    entries = cast("list[object]", accounts) if isinstance(accounts, (list, tuple)) else []
    tables = [cast("Mapping[str, object]", entry) for entry in entries if isinstance(entry, Mapping)]
    return [name for entry in tables if isinstance(name := entry.get("username"), str)]


def _one_password(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    if "password" in values and "password_hash" in values:
        yield "password_hash", "stands beside password: give one of the two"


def _one_person(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    if "account" in values and "managed" in values:
        yield "managed", "stands beside account: give one of the two"
    elif "account" not in values and "managed" not in values:
        yield "account", "is missing"
    if "home" in values and "managed" not in values:
        yield "home", "stands without managed, whose Home it is"


def _not_the_owner(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    owner = canonical_login(str(values.get("owner", "")))
    shares = cast("tuple[WorldShare | None, ...]", values.get("share", ()))
    for index, share in enumerate(shares):
        if share and share.account and canonical_login(share.account) == owner:
            yield f"share[{index}].account", "owns this server: it needs no share"


def _owned_or_unclaimed(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    yield from world_replies.one_of_both(values)
    if values.get("claimed", True):
        if "owner" not in values:
            yield "owner", "is missing"
        yield from _not_the_owner(values)
        return
    for key in ("owner", "token", "share"):
        if values.get(key):
            yield key, "stands beside claimed = false: nobody owns this server"


def _one_managed_user_each(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    """Yield each share whose managed user is in no Home, or in several, or has the share already."""
    homes = cast("tuple[WorldHome | None, ...]", values.get("home", ()))
    known = [home for home in homes if home]
    if len(known) < len(homes):
        return  # a faulty Home may have the user: its own faults are told
    servers = cast("tuple[WorldMediaServer | None, ...]", values.get("media_server", ()))
    for index, server in enumerate(servers):
        first: dict[int, str] = {}
        for number, share in enumerate(server.shares if server else ()):
            path, found = f"media_server[{index}].share[{number}]", managed_named(known, share.managed, share.home)
            if share.managed and len(found) != 1:
                yield f"{path}.managed", _not_one(share.managed, found, known)
            elif share.managed and (before := first.setdefault(found[0].id, path)) != path:
                yield f"{path}.managed", f"is the same as {before}.managed"


def _not_one(title: str, found: Sequence[WorldManaged], homes: Sequence[WorldHome]) -> str:
    if found:
        return "is in more than one Home: name the one with home"
    titles = [each.title for home in homes for each in home.managed]
    return f'there is no managed user "{printable(title)}"' + suggestion(title, titles)


def _whole(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    yield from one_home_each(values)
    yield from _one_managed_user_each(values)


def _one_kind_of_address(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    for key in ("host", "port"):
        if "uri" in values and key in values:
            yield key, "stands beside uri, which has its own"
    if values.get("local") and values.get("relay"):
        yield "relay", "stands beside local = true: a relay is not in the server's own network"


def _connection(raw: object, path: str, reading: Reading) -> object:
    """Read an address, or a table with an address."""
    return _CONNECTION({"uri": raw} if isinstance(raw, str) else raw, path, reading)


_text, _flag, _texts = value(check.text), value(check.flag), each(value(check.text))

_CONNECTION = table(
    WorldConnection,
    {"uri": Key(value(check.address), required=True), "local": Key(_flag), "relay": Key(_flag)},
)
_SOURCE = table(
    WorldSource,
    {
        "identifier": Key(value(check.source), required=True, unique="source@list"),
        "name": Key(_text, required=True),
        "connections": Key(each(_connection)),
    },
)
_ADDRESS = table(
    WorldAddress,
    {
        "uri": Key(value(check.address)),
        "host": Key(value(check.host)),
        "port": Key(value(check.whole(1, 65535))),
        "local": Key(_flag),
        "relay": Key(_flag),
    },
    _one_kind_of_address,
)
_SHARE = table(
    WorldShare,
    {
        "account": Key(_text, refers=True, unique="login@list"),
        "managed": Key(_text),
        "home": Key(_text),
        "token": Key(value(check.token), unique="token"),
    },
    _one_person,
)
_MEDIA_SERVER = table(
    WorldMediaServer,
    {
        "name": Key(_text, required=True, unique="server"),
        "owner": Key(_text, refers=True),
        "claimed": Key(_flag),
        "token": Key(value(check.token), unique="token"),
        "machine_identifier": Key(value(check.machine_identifier), unique="machine"),
        "port": Key(value(check.whole(1, 65535)), unique="port"),
        "version": Key(value(check.version)),
        "errors": Key(value(check.choice("observed", "documented"))),
        "platform": Key(_text),
        "platform_version": Key(_text),
        **world_replies.KEYS,
        "address": Key(each(_ADDRESS), into="addresses"),
        "share": Key(each(_SHARE), into="shares"),
        "source": Key(each(_SOURCE), into="sources"),
    },
    _owned_or_unclaimed,
)
_SUBSCRIPTION = table(
    WorldSubscription,
    {"active": Key(_flag), "plan": Key(_text), "status": Key(_text), "features": Key(_texts)},
)
_ACCOUNT = table(
    WorldAccount,
    {
        "username": Key(_text, required=True, unique="login"),
        "email": Key(value(check.email), required=True, unique="login"),
        "password": Key(value(check.password)),
        "password_hash": Key(value(check.password_hash)),
        "verification_secret": Key(value(check.verification_secret)),
        "passcode": Key(value(passcode)),
        "token": Key(value(check.token), unique="token"),
        "friendly_name": Key(_text),
        "title": Key(_text),
        "id": Key(value(check.whole(1, 2**53 - 1)), unique="id"),  # what a Node client can read exactly
        "uuid": Key(value(check.uuid), unique="uuid"),
        "country": Key(value(check.country)),
        "locale": Key(_text),
        "thumb": Key(value(check.address)),
        "joined_at": Key(value(check.whole(0, MILLISECONDS - 1))),
        "confirmed": Key(_flag),
        "disabled": Key(_flag),
        "email_only_auth": Key(_flag),
        "subscription": Key(_SUBSCRIPTION),
        "subscription_description": Key(_text),
        "roles": Key(_texts),
        "entitlements": Key(_texts),
    },
    _one_password,
)


_WORLD = table(
    World,
    {
        "account": Key(each(_ACCOUNT), into="accounts"),
        "media_server": Key(each(_MEDIA_SERVER), into="media_servers"),
        "home": Key(each(HOME), into="homes"),
        "answers": Key(ANSWERS),
    },
    _whole,
)
