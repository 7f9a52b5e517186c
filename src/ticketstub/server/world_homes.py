"""Plex Homes in a world: who is under one roof, and the managed users that live there.

Rule: as in world.py. An account is in at most one Home, as its administrator or as a member; a managed user is no
account of the world and is named by its title alone, within its Home.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import cast

import msgspec
from msgspec.structs import force_setattr

from ticketstub.server import world_values as check
from ticketstub.server.store.base import ROOM, canonical_login
from ticketstub.server.world_reading import Key, each, table, value
from ticketstub.server.world_values import Unfit, shaped
from ticketstub.token import Secret, Token

_four_digits = shaped("[0-9]{4}", "must be exactly four digits 0 to 9")


def passcode(raw: object) -> Secret:
    """Check a Home user's passcode."""
    if isinstance(raw, int):
        raise Unfit("must be text, not a number: put it in quotes")
    return Secret(_four_digits(raw))


class WorldMember(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is a member of a Home, or a guest in it."""

    account: str
    guest: bool = False


class WorldManaged(msgspec.Struct, frozen=True, kw_only=True):
    """A managed user: no e-mail address, no password. `id` and `uuid` are derived from Home and title if not given."""

    title: str
    restriction_profile: str | None = None
    passcode: Secret | None = None
    id: int = 0
    uuid: str = ""
    token: Token | None = None


class WorldHome(msgspec.Struct, frozen=True, kw_only=True):
    """A Plex Home. Its id is derived from its name."""

    name: str
    admin: str
    members: tuple[WorldMember, ...] = ()
    managed: tuple[WorldManaged, ...] = ()
    id: int = 0

    def __post_init__(self) -> None:
        force_setattr(self, "id", derived(self.name)[0])
        for managed in self.managed:
            number, text = derived(f"{self.name}/{managed.title}")
            if not managed.id:
                force_setattr(managed, "id", number)
            if not managed.uuid:
                force_setattr(managed, "uuid", text)


def derived(name: str) -> tuple[int, str]:
    """Make nine digits and sixteen of base 16 of a name, as Plex's own ids are (observed)."""
    made = sha256(f"home {canonical_login(name)}".encode()).digest()
    return 100_000_000 + int.from_bytes(made[:8], "big") % 900_000_000, made[8:16].hex()


def managed_named(homes: Iterable[WorldHome], title: str, home: str = "") -> list[WorldManaged]:
    """Return the managed users of this title, in this Home if one is named."""
    named = [each for each in homes if not home or canonical_login(each.name) == canonical_login(home)]
    wanted = canonical_login(title)
    return [each for one in named for each in one.managed if canonical_login(each.title) == wanted]


def one_home_each(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    """Yield each name by which an account is in a second Home, or in one twice."""
    first: dict[str, str] = {}
    homes = cast("tuple[WorldHome | None, ...]", values.get("home", ()))
    for index, home in enumerate(homes):
        for path, name in _named(home, f"home[{index}]") if home else ():
            before = first.setdefault(canonical_login(name), path)
            if before != path:
                yield path, f"is in a Home already: see {before}"


def _named(home: WorldHome, path: str) -> Iterable[tuple[str, str]]:
    yield f"{path}.admin", home.admin
    for index, member in enumerate(home.members):
        yield f"{path}.member[{index}].account", member.account


def _room(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    lists = [cast("tuple[object, ...]", values.get(name, ())) for name in ("member", "managed")]
    if 1 + sum(map(len, lists)) > ROOM:
        yield "member", f"makes more than {ROOM} with the administrator and the managed users"


_text, _flag = value(check.text), value(check.flag)

MEMBER = table(
    WorldMember,
    {"account": Key(_text, required=True, refers=True, unique="login@list"), "guest": Key(_flag)},
)
MANAGED = table(
    WorldManaged,
    {
        "title": Key(_text, required=True, unique="login@list"),  # compared as names are
        "restriction_profile": Key(value(check.choice("little_kid", "older_kid", "teen"))),
        "passcode": Key(value(passcode)),
        "id": Key(value(check.whole(1, 2**53 - 1)), unique="id"),
        "uuid": Key(value(check.uuid), unique="uuid"),
        "token": Key(value(check.token), unique="token"),
    },
)
HOME = table(
    WorldHome,
    {
        "name": Key(_text, required=True, unique="home"),
        "admin": Key(_text, required=True, refers=True),
        "member": Key(each(MEMBER), into="members"),
        "managed": Key(each(MANAGED)),
    },
    _room,
)
