"""Plex Home and access to media servers: switching users, listing resources, and a token that media servers accept.

Rule: a JWT is never sent to a media server, which would refuse it. Switching to the current user returns an opaque
token to use instead (observed).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from ticketstub.client.flows.request import Flow, FlowContext
from ticketstub.errors import MalformedReply, SignInFailed, sanitize_text
from ticketstub.models import Account, HomeUser, Resource
from ticketstub.protocol.call import Call
from ticketstub.refusals import PasscodeRequired, Unauthorized
from ticketstub.tokens import Secret, Token, to_secret

if TYPE_CHECKING:  # these load the stores, which a client with a token does not need
    from ticketstub.client.flows.session import StoredSession
    from ticketstub.credentials import CredentialStore, StoreKind


def get_media_server_token(passcode: str | Secret | None, context: FlowContext) -> Flow[Token]:
    """Return an opaque token of the account, which its own media servers accept.

    Raises:
        PasscodeRequired: the user is protected, and its passcode is missing or wrong.
    """
    from ticketstub.client.flows.session import get_stored_session  # `list_resources` rarely needs it
    from ticketstub.protocol.account import GetTokenDetails

    session = get_stored_session(context.settings)
    if session and (server_token := session.credential.server_token):
        with suppress(Unauthorized):  # it was revoked
            yield from context.with_token(server_token, origin=session.origin).call(GetTokenDetails())
            return server_token
    account = yield from context.call(GetTokenDetails())
    token = session() if session else account.auth_token
    if token is not None and token.kind != "jwt":
        return token
    if account.uuid is None:
        raise MalformedReply("plex.tv does not say whose token it is")
    opaque_token = (yield from switch_home_user(HomeUser(uuid=account.uuid), passcode, context)).auth_token
    if opaque_token is None or opaque_token.kind == "jwt":
        raise MalformedReply("plex.tv gave no opaque token for a JWT")
    if session is not None:
        yield from session.update(server_token=opaque_token)
    return opaque_token


def switch_home_user(user: str | int | HomeUser, passcode: str | Secret | None, context: FlowContext) -> Flow[Account]:
    """Switch to another user of the Home, and return that user's account with its token.

    Raises:
        PasscodeRequired: the passcode is missing or wrong.
        SignInFailed: no user or several match.
    """
    from ticketstub.protocol.home import GetHomeUsers, SwitchHomeUser

    if not isinstance(user, HomeUser):
        user = find_home_user((yield from context.call(GetHomeUsers())), user)
    identifier = user.uuid or (str(user.id) if user.id is not None else None)
    if identifier is None:
        raise ValueError("this Home user has neither uuid nor id")
    return (yield from context.call(SwitchHomeUser(uuid=identifier, passcode=to_secret(passcode))))


def sign_in_as_home_user(
    user: str | int | HomeUser,
    passcode: str | Secret | None,
    store: CredentialStore | StoreKind | None,
    app: str | None,
    profile: str | None,
    context: FlowContext,
) -> Flow[StoredSession]:
    """Switch to another user of the Home, and store the sign-in if there is a store.

    Raises:
        PasscodeRequired: the passcode is missing or wrong.
        SignInFailed: the Home has no such user, or several.
        CredentialsError: the store cannot be written.
        ValueError: a store without a profile; nothing was sent.
    """
    from ticketstub.client.flows.session import create_session, get_stored_session, save_session

    if store is not None and profile is None:
        raise ValueError("name the profile= to store the sign-in under, so that it replaces no other by accident")
    account = yield from switch_home_user(user, passcode, context)
    if account.auth_token is None:
        raise MalformedReply("plex.tv gave no token for this user")
    details = msgspec.structs.replace(
        account, username=account.username or account.title or str(account.id), remember_expires_at=None
    )
    session = yield from create_session(context, account.auth_token, method="home", account=details)
    if store is None or profile is None:
        return session
    if own_session := get_stored_session(context.settings):
        app = app or own_session.credential.app
    return (yield from save_session(session, store, app, profile, context, previous_status="none"))


def find_home_user(users: Sequence[HomeUser], query: str | int) -> HomeUser:
    """Find a Home user by uuid, id, user name, e-mail address, title or friendly name, ignoring case.

    Raises:
        SignInFailed: no user or several match.
    """
    text = str(query).strip().casefold()
    for fields in (("uuid", "id", "username", "email"), ("title", "friendly_name")):
        found = [
            user
            for user in users
            if any((value := getattr(user, name)) and str(value).casefold() == text for name in fields)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise SignInFailed("several users of this Home have that name", hint="name one by its id or uuid")
    titles = ", ".join(sanitize_text(user.title) for user in users if user.title)
    raise SignInFailed("this Home has no user of that name", hint=f"it has {titles}" if titles else None)


def list_resources(call: Call[tuple[Resource, ...]], context: FlowContext) -> Flow[tuple[Resource, ...]]:
    """List the account's resources, and replace each JWT by a token that the media server accepts."""
    resources = yield from context.call(call)
    if not any(_has_jwt(resource) for resource in resources):
        return resources
    token: Token | None = None
    with suppress(PasscodeRequired):
        token = yield from get_media_server_token(None, context)
    return tuple(_with_token(resource, token) if _has_jwt(resource) else resource for resource in resources)


def _has_jwt(resource: Resource) -> bool:
    return resource.access_token is not None and resource.access_token.kind == "jwt"


def _with_token(resource: Resource, token: Token | None) -> Resource:
    changed = msgspec.structs.replace(resource, access_token=token)
    vars(changed).update(vars(resource))  # its problems
    return changed
