"""Plex Home: who is in it, switching to somebody, passcodes.

Rule: as all of wire/, role-blind. A passcode is called `pin` on the wire. Sources: observed bodies; the calls that
change passcodes are observed in public clients only.
"""

from __future__ import annotations

import msgspec

from ticketstub.records import Account, Home, HomeUser
from ticketstub.token import Secret
from ticketstub.wire import tolerant
from ticketstub.wire.call import Call, Silent, data_of, malformed, one, written
from ticketstub.wire.codec import Format
from ticketstub.wire.http import Response


class GetHome(Call[Home], frozen=True, kw_only=True):
    """Ask about the caller's Home, without its members: `GET /api/v2/home`, 200 (observed)."""

    name = "home"
    path = "/api/v2/home"
    mark = "observed"

    def read(self, response: Response) -> Home:
        return one(Home, response, ("id", "name", "guest_enabled", "subscription"))

    def write(self, value: Home, form: Format) -> bytes:
        return written("home", value, form)


class GetHomeUsers(Call[tuple[HomeUser, ...]], frozen=True, kw_only=True):
    """List the members of the caller's Home: `GET /api/v2/home/users`, 200 (observed).

    The answer is a Home that holds its users; some clients also take a bare list.
    """

    name = "home_users"
    path = "/api/v2/home/users"
    mark = "observed"

    def read(self, response: Response) -> tuple[HomeUser, ...]:
        data = data_of(response)
        home = tolerant.record(Home, data)
        found = home.users if home and home.users else tolerant.records(HomeUser, data)
        if not found:
            raise malformed(response, "the answer lists no Home users")
        return found


class SwitchHomeUser(Call[Account], frozen=True, kw_only=True):
    """Become another user of the Home: `POST /api/v2/home/users/{uuid}/switch`, 201 (observed).

    The account that comes back is the other's, and so is its token; that is never a JWT (observed).

    Args:
        uuid: the user's; the numeric id works too (observed once).
        passcode: the user's digits, where it is protected.
    """

    name = "switch_home_user"
    method = "POST"
    path = "/api/v2/home/users/{uuid}/switch"
    repeatable = False
    status = 201
    mark = "observed"

    uuid: str
    passcode: Secret | None = msgspec.field(name="pin", default=None)

    def read(self, response: Response) -> Account:
        return one(Account, response, ("auth_token",))

    def write(self, value: Account, form: Format) -> bytes:
        return written("user", value, form)


class SetPasscode(Silent, frozen=True, kw_only=True):
    """Set, change or, with an empty one, remove one's own passcode: `PUT /api/home/users/{id}`, 200 (observed).

    Args:
        id: the caller's own numeric id.
        passcode: four digits, or empty.
        current: the passcode so far, where there is one.
    """

    name = "set_passcode"
    method = "PUT"
    path = "/api/home/users/{id}"
    repeatable = False
    mark = "observed"

    id: int
    passcode: Secret = msgspec.field(name="pin")
    current: Secret | None = msgspec.field(name="currentPin", default=None)


class SetManagedPasscode(Silent, frozen=True, kw_only=True):
    """Set or remove a managed user's passcode, as the Home's administrator (observed).

    `POST /api/v2/home/users/restricted/{id}`, 200. Exactly one of `passcode` and `remove` is given.
    """

    name = "set_managed_passcode"
    method = "POST"
    path = "/api/v2/home/users/restricted/{id}"
    repeatable = False
    mark = "observed"

    id: int
    passcode: Secret | None = msgspec.field(name="pin", default=None)
    remove: bool | None = msgspec.field(name="removePin", default=None)
