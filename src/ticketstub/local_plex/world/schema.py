"""The world: the accounts, media servers, shares, sources and Homes of a local Plex.

Rule: a world is written in TOML or as a Python mapping. It is accepted as a whole, or refused with all its faults. Ids
that it leaves out are derived from its names, so that the same file always gives the same ids; tokens that it leaves
out are random. Each key is declared once, as a field, which `reading.py` reads. A key never changes its meaning.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha1, sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec.structs import force_setattr

from ticketstub.errors import sanitize_text
from ticketstub.local_plex.world import values as check
from ticketstub.local_plex.world.addresses import WorldAddress, WorldConnection
from ticketstub.local_plex.world.reading import FieldRule, WorldReader, WorldTable, format_suggestion
from ticketstub.local_plex.world.values import MAX_HOME_SIZE, normalize_login
from ticketstub.local_plex.world.verification_codes import generate_code
from ticketstub.models.base import MILLISECONDS_THRESHOLD
from ticketstub.tokens import Secret, Token, hide_locals

CURRENT_VERSION = "1.43.4.10903-0a1b2c3d4"


class Quirks(WorldTable, frozen=True, kw_only=True):
    """How a local Plex answers where Plex's behaviour is unknown, or differs: the `[answers]` of a world.

    The first choice of each key is the default and what we believe that Plex does. The library's own tests pass with
    each choice. `docs/reference/quirks.md` explains them.
    """

    removed_keys: ClassVar = {
        "linked_pin": '"repeat"',
        "link_again": '"refuse"',
        "link_code_case": '"ignore"',
        "pin_location_in_xml": "true",
        "xml_prolog": "true",
        "sign_out_device": '"keep"',
        "rotate_tokens": "false",
        "plain_sign_in": '"lives"',
        "unknown_client": '"ignore"',
        "locked_sign_in": "401",
        "retry_after": "false",
        "removed_device": "204",
        "expired_jwt": "498",
        "device_jwt_refused": "422",
        "nonce_once": "true",
        "nonce_without_identifier": "422",
        "same_key_again": '"refuse"',
        "registered_key": '"empty"',
        "jwk_pin_without_jwt": '"pending"',
        "sign_in_after_jwt": '"accept"',
        "no_home": '"alone"',
        "home_users_updated_at": '"epoch"',
        "home_users_restriction_profile": "true",
        "friends": '"list"',
        "legacy_switch_refused": "403",
        "controllers": '"unlisted"',
        "claim_refused": "404",
        "claim_once": "true",
        "shared_on_owner_route": "403",
        "old_media_server": "404",
    }

    default_format: Literal["xml", "json"] = "xml"
    require_client_identifier: bool = False
    denied_pin: Literal["pending", "not_found"] = "pending"
    legacy_dead_token: Literal[422, 401] = 422
    jwt_on_media_server: Literal["refuse", "accept"] = "refuse"
    first_jwt: Literal["ends_token", "keeps_token"] = "ends_token"
    switch_without_passcode: Literal["refuse", "allow"] = "refuse"
    wrong_current_passcode: Literal[401, 403] = 401
    invitation_lists: Literal["gone", "list"] = "gone"
    shared_server_tokens: Literal["present", "missing"] = "present"
    legacy_server_lists: Literal["full", "empty"] = "full"
    cors: Literal["allow", "none"] = "allow"
    security_without_token: Literal[401, 403] = 401
    unknown_source: Literal[404, 400] = 404
    source_device: Literal["object", "list"] = "object"
    my_plex_account: Literal["without_token", "with_token", "forbidden"] = "without_token"
    server_tokens: Literal["accept", "forbidden"] = "accept"


Id = Annotated[
    int, FieldRule(partial(check.parse_integer, 1, 2**53 - 1), unique="id")
]  # what a Node client can read exactly
Uuid = Annotated[str, FieldRule(check.parse_uuid, unique="uuid")]
WorldToken = Annotated[Token | None, FieldRule(check.parse_token, unique="token")]
Passcode = Annotated[Secret | None, FieldRule(check.parse_passcode)]
HomeMemberLogin = Annotated[
    str, FieldRule(is_reference=True, unique="login in a home", duplicate_reason="is in a Home already: see")
]


class WorldError(ValueError):
    """A world that is not valid.

    Attributes:
        faults: the path of each faulty key with the reason (`account[2].email: must contain one @`). No fault contains
            a value that may be a secret.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class WorldSubscription(WorldTable, frozen=True, kw_only=True):
    """An account's subscription."""

    active: bool = False
    plan: str | None = None
    status: str | None = None
    features: tuple[str, ...] = ()


class WorldAccount(WorldTable, frozen=True, kw_only=True):
    """An account.

    Without a password or hash it cannot sign in by password. With a verification secret, signing in needs a code. `id`,
    `uuid`, `title` and `thumb` are derived from the user name by default.
    """

    conflicts: ClassVar = {("password_hash", "password"): ": give one of the two"}

    username: Annotated[str, FieldRule(unique="login", is_username=True)]
    email: Annotated[str, FieldRule(check.parse_email, unique="login")]
    password: Annotated[Secret | None, FieldRule(check.parse_password)] = None
    password_hash: Annotated[str | None, FieldRule(check.parse_password_hash)] = None
    verification_secret: Annotated[Secret | None, FieldRule(check.parse_verification_secret)] = None
    passcode: Passcode = None
    token: WorldToken = None
    friendly_name: str = ""
    title: str = ""
    id: Id = 0
    uuid: Uuid = ""
    country: Annotated[str, FieldRule(check.parse_country)] = "US"
    locale: str | None = None
    thumb: Annotated[str, FieldRule(check.parse_url)] = ""
    joined_at: Annotated[int, FieldRule(partial(check.parse_integer, 0, MILLISECONDS_THRESHOLD - 1))] = (
        1_552_593_531  # a fixed time: a world has no clock
    )
    confirmed: bool = True
    disabled: bool = False
    email_only_auth: bool = False
    subscription: WorldSubscription = WorldSubscription()
    subscription_description: str | None = None
    roles: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        default_id, default_uuid = derive_ids(self.username)
        _set_defaults(self, id=default_id, uuid=default_uuid, title=self.friendly_name or self.username)
        _set_defaults(self, thumb=f"https://plex.tv/users/{self.uuid}/avatar?c={self.joined_at}")

    def code(self, at: float | None = None) -> str:
        """Return the verification code that an authenticator app shows. A local Plex accepts each code once.

        Args:
            at: seconds since 1970; the default is now.

        Raises:
            LookupError: the account has no verification secret.
        """
        if self.verification_secret is None:
            raise LookupError("this account has no verification secret")
        return generate_code(self.verification_secret, time.time() if at is None else at)

    def __repr__(self) -> str:
        return f"WorldAccount(username={self.username!r})"


class WorldShare(WorldTable, frozen=True, kw_only=True):
    """A share of a media server, with a token (random by default).

    The guest is an account, named by its user name, or a managed user, named by its title; `home` is the managed user's
    Home, if its title occurs in several.
    """

    conflicts: ClassVar = {("managed", "account"): ": give one of the two"}
    requirements: ClassVar = {("home", "managed"): ", whose Home it is"}

    account: Annotated[str, FieldRule(is_reference=True, unique="login@list")] = ""
    managed: str = ""
    home: str = ""
    token: WorldToken = None

    @classmethod
    def find_faults(cls, values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield a fault if no guest is named."""
        if "account" not in values and "managed" not in values:
            yield "account", "is missing"


class WorldSource(WorldTable, frozen=True, kw_only=True):
    """A source that `/security/resources` of a media server knows."""

    identifier: Annotated[str, FieldRule(check.parse_source, unique="source@list")]
    name: str
    connections: tuple[WorldConnection, ...] = ()


class WorldMediaServer(WorldTable, frozen=True, kw_only=True):
    """A media server.

    By default its port is a free one, its machine identifier is derived from its name, and its own `token` is random. A
    server that is not `claimed` has no owner. Without `addresses` it is listed where it answers, once as a local and
    once as a remote address. With `https_required` it is listed as one that takes secure connections only, and its
    addresses with `plex_direct` close plain ones. Requests that the local Plex does not implement are answered from the
    folder `replies` or by the media server at `upstream`, with `upstream_token`. `upstream_outside` allows an upstream
    outside this machine and private networks; `upstream_writes` forwards other methods than GET and HEAD.
    """

    conflicts: ClassVar = {("upstream", "replies"): ": give one of the two"}
    requirements: ClassVar = {
        ("upstream_token", "upstream"): "",
        ("upstream_outside", "upstream"): "",
        ("upstream_writes", "upstream"): "",
    }

    name: Annotated[str, FieldRule(unique="server")]
    owner: Annotated[str, FieldRule(is_reference=True)] = ""
    claimed: bool = True
    token: WorldToken = None
    machine_identifier: Annotated[str, FieldRule(check.parse_machine_identifier, unique="machine")] = ""
    port: Annotated[int | None, FieldRule(check.parse_port, unique="port")] = None
    version: Annotated[str, FieldRule(check.parse_version)] = CURRENT_VERSION
    errors: Literal["observed", "documented"] = "observed"
    https_required: bool = False
    platform: str = "Linux"
    platform_version: str = ""
    replies: str = ""
    upstream: Annotated[str, FieldRule(check.parse_base_url)] = ""
    upstream_token: Annotated[Token | None, FieldRule(check.parse_foreign_token)] = None
    upstream_outside: bool = False
    upstream_writes: bool = False
    addresses: tuple[WorldAddress, ...] | None = msgspec.field(name="address", default=None)
    shares: tuple[WorldShare, ...] = msgspec.field(name="share", default=())
    sources: tuple[WorldSource, ...] = msgspec.field(name="source", default=())

    def __post_init__(self) -> None:
        # Plex's form (observed): the SHA-1 of an identifier and this text.
        digest = sha1(f"{self.name}- Plex Media Server".encode(), usedforsecurity=False)
        _set_defaults(self, machine_identifier=digest.hexdigest())

    @classmethod
    def find_faults(cls, values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield faults of the owner, of an unclaimed server, and of shares with the owner."""
        if not values.get("claimed", True):
            if "upstream" in values:
                yield "claimed", "conflicts with upstream: false would let anybody on this machine use its token"
            for key in ("owner", "token", "share"):
                if values.get(key):
                    yield key, "conflicts with claimed = false: nobody owns this server"
        elif "owner" not in values:
            yield "owner", "is missing"
        owner = normalize_login(values.get("owner", ""))
        for index, share in enumerate(values.get("share", ())):
            if share and share.account and normalize_login(share.account) == owner:
                yield f"share[{index}].account", "owns this server: it needs no share"


class WorldMember(WorldTable, frozen=True, kw_only=True):
    """An account that is a member of, or a guest in, a Home."""

    account: HomeMemberLogin
    guest: bool = False


class WorldManaged(WorldTable, frozen=True, kw_only=True):
    """A managed user, named by its title within its Home. It has no e-mail address and no password.

    `id` and `uuid` are derived from the Home and the title by default.
    """

    title: Annotated[str, FieldRule(unique="login@list")]  # compared like user names
    restriction_profile: Literal["little_kid", "older_kid", "teen"] | None = None
    passcode: Passcode = None
    id: Id = 0
    uuid: Uuid = ""
    token: WorldToken = None


class WorldHome(WorldTable, frozen=True, kw_only=True):
    """A Plex Home. An account is in at most one Home, as its administrator or as a member."""

    name: Annotated[str, FieldRule(unique="home")]
    admin: HomeMemberLogin
    members: tuple[WorldMember, ...] = msgspec.field(name="member", default=())
    managed: tuple[WorldManaged, ...] = ()

    def __post_init__(self) -> None:
        for managed in self.managed:
            default_id, default_uuid = derive_ids(f"home {self.name}/{managed.title}")
            _set_defaults(managed, id=default_id, uuid=default_uuid)

    @property
    def id(self) -> int:
        """Its id, derived from its name."""
        return derive_ids(f"home {self.name}")[0]

    @classmethod
    def find_faults(cls, values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield a fault if there are too many members."""
        if 1 + len(values.get("member", ())) + len(values.get("managed", ())) > MAX_HOME_SIZE:
            yield "member", f"makes more than {MAX_HOME_SIZE} with the administrator and the managed users"


@hide_locals
class World(WorldTable, frozen=True, kw_only=True):
    """What a local Plex starts with."""

    accounts: tuple[WorldAccount, ...] = msgspec.field(name="account", default=())
    media_servers: tuple[WorldMediaServer, ...] = msgspec.field(name="media_server", default=())
    homes: tuple[WorldHome, ...] = msgspec.field(name="home", default=())
    answers: Quirks = Quirks()

    def account(self, login: str) -> WorldAccount:
        """Return an account by its user name or e-mail address; raises `LookupError` if there is none."""
        normalized = normalize_login(login)
        for account in self.accounts:
            if normalized in {normalize_login(account.username), normalize_login(account.email)}:
                return account
        names = ", ".join(account.username for account in self.accounts)
        raise LookupError(f"there is no such account; the world has {names or 'none'}")

    @classmethod
    def parse(cls, text: str) -> World:
        """Read a world from TOML text. Raises `WorldError`; for a syntax error, with its line."""
        try:
            data = tomllib.loads(text)
        except RecursionError:
            raise WorldError(["not TOML: nested too deeply"]) from None
        except ValueError as error:
            raise WorldError([f"not TOML: {error}"]) from None
        return cls.from_dict(data)

    @classmethod
    def load(cls, path: str | Path) -> World:
        """Read a world from a TOML file. Raises `WorldError`, also if the file cannot be read."""
        try:
            world = cls.parse(Path(path).read_bytes().decode())
        except OSError as error:
            raise WorldError([f"{path} cannot be read: {error.strerror}"]) from None
        except UnicodeDecodeError as error:
            raise WorldError([f"not UTF-8 text: see byte {error.start}"]) from None
        servers = tuple(
            msgspec.structs.replace(server, replies=server.replies and str(Path(path).parent / server.replies))
            for server in world.media_servers
        )
        missing = [
            f"media_server[{index}].replies: there is no folder {server.replies}"
            for index, server in enumerate(servers)
            if server.replies and not Path(server.replies).is_dir()
        ]
        if missing:
            raise WorldError(missing)
        return msgspec.structs.replace(world, media_servers=servers)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> World:
        """Read a world from a mapping with the structure of the TOML file. Raises `WorldError`."""
        reading = WorldReader()
        world = reading.read(cls, mapping)
        reading.check_references()
        if world is None or reading.faults:
            raise WorldError(reading.faults)
        return world

    @classmethod
    def find_faults(cls, values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield each share whose managed user is in no Home, in several, or in another share of the same server."""
        homes: tuple[WorldHome, ...] = values.get("home", ())
        if not all(homes):
            return  # the user may be in a faulty Home, which is reported
        servers: tuple[WorldMediaServer | None, ...] = values.get("media_server", ())
        for index, server in enumerate(servers):
            first_paths: dict[int, str] = {}
            for number, share in enumerate(server.shares if server else ()):
                path, matches = (
                    f"media_server[{index}].share[{number}]",
                    find_managed_users(homes, share.managed, share.home),
                )
                if share.managed and len(matches) != 1:
                    yield f"{path}.managed", _explain_mismatch(share.managed, matches, homes)
                elif share.managed and (first_path := first_paths.setdefault(matches[0].id, path)) != path:
                    yield f"{path}.managed", f"is the same as {first_path}.managed"

    @classmethod
    def demo(cls) -> World:
        """Return the demonstration world: invented people, for local use only."""
        from importlib import resources  # 10 ms, for the demonstration only

        return cls.parse((resources.files("ticketstub.local_plex.world") / "demo.toml").read_text("utf-8"))


def derive_ids(name: str) -> tuple[int, str]:
    """Derive an id of nine digits and a uuid of 16 hexadecimal digits from a name, in Plex's form (observed)."""
    digest = sha256(normalize_login(name).encode()).digest()
    return 100_000_000 + int.from_bytes(digest[:8], "big") % 900_000_000, digest[8:16].hex()


def _set_defaults(part: WorldTable, **defaults: object) -> None:
    for field, value in defaults.items():
        if not getattr(part, field):
            force_setattr(part, field, value)


def find_managed_users(homes: Iterable[WorldHome], title: str, home: str = "") -> list[WorldManaged]:
    """Return the managed users of this title, in the named Home or in any."""
    return [
        managed
        for each in homes
        if not home or normalize_login(each.name) == normalize_login(home)
        for managed in each.managed
        if normalize_login(managed.title) == normalize_login(title)
    ]


def _explain_mismatch(title: str, matches: Sequence[WorldManaged], homes: Sequence[WorldHome]) -> str:
    if matches:
        return "is in more than one Home: name the one with home"
    return f'there is no managed user "{sanitize_text(title)}"' + format_suggestion(
        title, (each.title for home in homes for each in home.managed)
    )
