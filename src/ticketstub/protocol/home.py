"""The calls for Plex Home: its members, switching to another user, and passcodes.

Rule: the client and the local Plex use the same code (see `call`). A passcode is named `pin` on the wire. Sources:
observed bodies. The calls that change passcodes are observed in public clients only; how v2 lists a Home in XML is
assumed.
"""

from __future__ import annotations

from functools import partial

import msgspec

from ticketstub.messages import Response, is_object
from ticketstub.models import Account, Home, HomeUser
from ticketstub.protocol import lenient
from ticketstub.protocol.account import NEW_TOKEN_REPLY
from ticketstub.protocol.call import (
    CONTAINER,
    Call,
    HttpSpec,
    NoContentCall,
    ReplyCodec,
    build_malformed_reply,
    find_container_items,
    parse_response,
    read_reply,
    write_reply,
)
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.legacy import LEGACY_ACCOUNT_REPLY
from ticketstub.protocol.people import write_container
from ticketstub.tokens import Secret


class GetHome(Call[Home], frozen=True, kw_only=True):
    """Get the caller's Home without its members: `GET /api/v2/home`, 200 (observed)."""

    http = HttpSpec(
        "GET",
        "/api/v2/home",
        "home",
        mark="observed",
        reply=ReplyCodec(
            partial(read_reply, Home, any_of=("id", "name", "guest_enabled", "subscription")),
            lambda home, form: write_reply("home", msgspec.structs.replace(home, users=()), form),
        ),
    )


def _read_home(response: Response) -> Home:
    """Read a Home and its members: of v2, of the older API, or a bare list."""
    data = parse_response(response)
    home = lenient.read_model(Home, data.get(CONTAINER, data) if is_object(data) else None) or Home()
    items = find_container_items("User", data)
    users = home.users or lenient.read_models(HomeUser, data if items is None else items)
    if not users:
        raise build_malformed_reply(response, "the reply lists no Home users")
    return msgspec.structs.replace(home, users=users)


def write_home(home: Home, form: Format) -> bytes:
    """Write a Home and its members: JSON, or XML in the form that v2 uses elsewhere (assumed)."""
    return write_document("home", {**to_builtins(home), "users": [to_builtins(user) for user in home.users]}, form)


class GetHomeUsers(Call[tuple[HomeUser, ...]], frozen=True, kw_only=True):
    """List the members of the caller's Home: `GET /api/v2/home/users`, 200 (observed).

    The reply is a Home that contains its users. Some clients also accept a bare list.
    """

    http = HttpSpec(
        "GET",
        "/api/v2/home/users",
        "home_users",
        mark="observed",
        reply=ReplyCodec(
            lambda response: _read_home(response).users, lambda users, form: write_home(Home(users=users), form)
        ),
    )


def _user_to_legacy_dict(user: HomeUser) -> dict[str, object]:
    """Convert a user to the members of the older list, in its order (observed): those added later are missing."""
    members = to_builtins(user)
    return {name: members[name] for name in _LEGACY_USER_KEYS}


# fmt: off
_LEGACY_USER_KEYS = (
    "id", "uuid", "admin", "guest", "restricted", "restrictionProfile",
    "hasPassword", "protected", "title", "username", "email", "thumb",
)
# fmt: on


class GetLegacyHomeUsers(Call[Home], frozen=True, kw_only=True):
    """List the members of the caller's Home in the older form: `GET /api/home/users`, 200, XML (observed)."""

    http = HttpSpec(
        "GET",
        "/api/home/users",
        "legacy_home_users",
        mark="observed",
        reply=ReplyCodec(
            _read_home,
            lambda home, form: write_container(
                "User", [_user_to_legacy_dict(user) for user in home.users], form, {"guestUserID": home.guest_user_id}
            ),
        ),
    )


class SwitchHomeUser(Call[Account], frozen=True, kw_only=True):
    """Switch to another user of the Home: `POST /api/v2/home/users/{uuid}/switch`, 201 (observed).

    The reply is the other user's account with that user's token, which is never a JWT (observed).

    Args:
        uuid: the user's uuid. The numeric id works too (observed once).
        passcode: the user's passcode, if the user is protected.
    """

    http = HttpSpec(
        "POST",
        "/api/v2/home/users/{uuid}/switch",
        "switch_home_user",
        retryable=False,
        status=201,
        mark="observed",
        reply=NEW_TOKEN_REPLY,
    )

    uuid: str
    passcode: Secret | None = msgspec.field(name="pin", default=None)


class SwitchLegacyHomeUser(Call[Account], frozen=True, kw_only=True):
    """Switch to another user of the Home in the older way: `POST /api/home/users/{id}/switch`, 201 (observed).

    The passcode may be in the query or in a form. Whether success is 200 or 201 is not known; clients accept both.
    """

    # The reply is written like any account of the older API: clients read the token from `authenticationToken` only
    # (observed). The new token does not expire.
    http = HttpSpec(
        "POST",
        "/api/home/users/{id}/switch",
        "switch_legacy_home_user",
        retryable=False,
        status=201,
        mark="observed",
        reply=ReplyCodec(
            NEW_TOKEN_REPLY.read,
            lambda value, form: LEGACY_ACCOUNT_REPLY.write(
                msgspec.structs.replace(value, remember_expires_at=None), form
            ),
        ),
    )

    id: int
    passcode: Secret | None = msgspec.field(name="pin", default=None)


class SetPasscode(NoContentCall, frozen=True, kw_only=True):
    """Set or change your own passcode, or remove it with an empty one: `PUT /api/home/users/{id}`, 200 (observed).

    Args:
        id: the caller's own numeric id.
        passcode: four digits, or empty.
        current: the current passcode, if there is one.
    """

    http = HttpSpec("PUT", "/api/home/users/{id}", "set_passcode", retryable=False, mark="observed")

    id: int
    passcode: Secret = msgspec.field(name="pin")
    current: Secret | None = msgspec.field(name="currentPin", default=None)


class SetManagedPasscode(NoContentCall, frozen=True, kw_only=True):
    """Set or remove a managed user's passcode, as the administrator of the Home (observed).

    `POST /api/v2/home/users/restricted/{id}`, 200. Exactly one of `passcode` and `remove` is sent.
    """

    http = HttpSpec(
        "POST", "/api/v2/home/users/restricted/{id}", "set_managed_passcode", retryable=False, mark="observed"
    )

    id: int
    passcode: Secret | None = msgspec.field(name="pin", default=None)
    remove: bool | None = msgspec.field(name="removePin", default=None)


class AddHomeUser(Call[HomeUser], frozen=True, kw_only=True):
    """Add a managed user to the caller's Home, or invite an account to it: `POST /api/home/users`, 200 (observed).

    Exactly one of `title` and `invited_email` is sent. An invited account becomes a member once it accepts.

    Args:
        title: the name of the new managed user.
        invited_email: the e-mail address of the account.
    """

    http = HttpSpec(
        "POST",
        "/api/home/users",
        "add_home_user",
        retryable=False,
        mark="observed",
        reply=ReplyCodec(
            partial(read_reply, HomeUser, any_of=("id",)),
            lambda user, form: write_document("User", _user_to_legacy_dict(user), form),
        ),
    )

    title: str | None = None
    invited_email: str | None = None


class RemoveHomeUser(NoContentCall, frozen=True, kw_only=True):
    """Remove a user from the Home: `DELETE /api/home/users/{id}`, 200 (observed).

    The account of a managed user is deleted.
    """

    http = HttpSpec("DELETE", "/api/home/users/{id}", "remove_home_user", retryable=False, mark="observed")

    id: int
