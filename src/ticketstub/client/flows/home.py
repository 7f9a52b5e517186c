"""Plex Home, and which token media servers get: switching users, and a token that the account's own servers take.

Rule: a JWT never goes to a media server, which would refuse it; switching to the user that one is already gives an
opaque token in its place (observed).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from ticketstub.client.flows.request import Caller
from ticketstub.client.flows.steps import Flow
from ticketstub.client.flows.stored_session import kept_in
from ticketstub.errors import MalformedReply, SignInFailed, printable
from ticketstub.models import Account, HomeUser
from ticketstub.refusals import Unauthorized
from ticketstub.tokens import Secret, Token, as_secret


def media_server_token(passcode: str | Secret | None, caller: Caller) -> Flow[Token]:
    """Return an opaque token of the account, which its own media servers take.

    Raises:
        PasscodeRequired: the user is protected, and its passcode is missing or wrong.
    """
    from ticketstub.protocol.account import GetTokenDetails

    kept = kept_in(caller.settings)
    beside = kept.credential.server_token if kept else None
    if beside is not None:
        with suppress(Unauthorized):  # it is dead
            yield from caller.with_token(beside).call(GetTokenDetails())
            return beside
    account = yield from caller.call(GetTokenDetails())
    token = kept() if kept else account.auth_token
    if token is not None and token.kind != "jwt":
        return token
    if account.uuid is None:
        raise MalformedReply("plex.tv does not say who the account is")
    found = (yield from _switch(account.uuid, passcode, caller)).auth_token
    if found is None or found.kind == "jwt":
        raise MalformedReply("plex.tv gave no opaque token for a JWT")
    if kept is not None:
        yield from kept.note(server_token=found)
    return found


def _switch(uuid: str, passcode: str | Secret | None, caller: Caller) -> Flow[Account]:
    from ticketstub.protocol.home import SwitchHomeUser

    return (yield from caller.call(SwitchHomeUser(uuid=uuid, passcode=as_secret(passcode))))


def switched(user: str | int | HomeUser, passcode: str | Secret | None, caller: Caller) -> Flow[Account]:
    """Switch to another user of the Home; the account that comes back has the other's token.

    Raises:
        PasscodeRequired: the passcode is missing or wrong.
        SignInFailed: the Home has no such user, or several.
    """
    from ticketstub.protocol.home import GetHomeUsers

    if not isinstance(user, HomeUser):
        user = chosen((yield from caller.call(GetHomeUsers())), user)
    name = user.uuid or (str(user.id) if user.id is not None else None)
    if name is None:
        raise ValueError("this Home user has neither uuid nor id")
    return (yield from _switch(name, passcode, caller))


def chosen(users: Iterable[HomeUser], wanted: str | int) -> HomeUser:
    """Choose a Home user by uuid, id, user name, e-mail address, title or friendly name, in any capitals.

    Raises:
        SignInFailed: there is none, or more than one.
    """
    text = str(wanted).strip().casefold()
    known = list(users)
    for names in (("uuid", "id", "username", "email"), ("title", "friendly_name")):
        called = [{str(value).casefold() for name in names if (value := getattr(user, name))} for user in known]
        found = [user for user, own in zip(known, called, strict=True) if text in own]
        if len(found) == 1:
            return found[0]
        if found:
            raise SignInFailed("several users of this Home are called so", hint="name one by its id or uuid")
    titles = ", ".join(printable(user.title) for user in known if user.title)
    raise SignInFailed("this Home has no user of that name", hint=f"it has {titles}" if titles else None)
