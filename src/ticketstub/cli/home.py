"""`ticketstub home`: the users of the Plex Home; list them, switch to one, set and remove the digits that protect them.

Rule: a passcode is asked for without an echo or read from standard input, one a line; it is never an argument.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from ticketstub.cli import facts, options, output, prompts, stores
from ticketstub.cli.clients import ConnectionOptions, open_client
from ticketstub.cli.failures import CommandError, InvalidUsage
from ticketstub.cli.help import CliGroup, argument
from ticketstub.refusals import PasscodeRequired, TooManyFailures, Unauthorized

if TYPE_CHECKING:
    from ticketstub.client.flows.request import Flow, FlowContext
    from ticketstub.client.flows.session import StoredSession
    from ticketstub.client.plex import Plex
    from ticketstub.credentials.default import StoreKind
    from ticketstub.credentials.store import CredentialStore, Entry
    from ticketstub.models import Account, HomeUser
    from ticketstub.tokens import Secret

home = CliGroup("home", help="The users of the Plex Home.")

_user_option = click.option(
    "--user", metavar="USER", help="A managed user, for the Home's administrator; by default yourself."
)


@home.command("list")
@options.pass_connection
def list_users(*, connection: ConnectionOptions, as_json: bool) -> None:
    """List the users of the Home. Each has a role, and may be protected by a passcode."""
    with open_client(connection) as client:
        found = client.home.list_users()
    output.print_records(
        "users",
        found,
        columns=("id", "name", "role", "passcode", "e-mail"),
        rows=map(facts.format_home_user_row, found),
        empty_message="This account is in no Home.",
        as_json=as_json,
    )


@home.command()
@argument("user", metavar="USER", help="Name, user name, e-mail address, id or uuid.")
@click.option("--as", "kept_as", metavar="NAME", help="The profile to keep it under; by default the user's own name.")
@click.option("--again", is_flag=True, help="Replace another account's sign-in of that name.")
@options.storage
@options.pass_connection
def switch(
    *, connection: ConnectionOptions, as_json: bool, user: str, kept_as: str | None, again: bool, storage: StoreKind
) -> None:
    """Sign in as another user of the Home. That is kept as a profile of its own; yours stays as it is.

    A passcode is asked for where the user is protected, or read from standard input when piped.
    """
    from ticketstub.client.flows.home import find_home_user

    with open_client(connection, read_input=False) as client:
        member = find_home_user(client.home.list_users(), user)
        entry = stores.resolve_entry(connection.issuer, kept_as or _make_profile_name(member))
        existing = stores.find_sign_in(entry)
        if existing is not None and existing.credential.account_id != member.id and not again:
            raise InvalidUsage(
                f"the profile {existing.name} is another account's",
                hint="choose a name for the new one with --as NAME, or replace it with --again",
            )
        store = stores.choose_store(storage, entry)
        session = client.run_flow(partial(_store_session, _switch_user(client, member), store, entry))
    state = session.state
    output.print_result(
        {
            "account": {"id": state.account_id, "username": state.username},
            "profile": state.profile,
            "issuer": state.issuer,
            "kept": state.location,
        },
        f"Signed in as {state.username}",
        [
            ("token", facts.format_token(session())),
            ("profile", state.profile),
            ("kept", state.location),
            ("to use", stores.format_command("whoami", entry)),
        ],
        as_json=as_json,
    )


def _make_profile_name(member: HomeUser) -> str:
    """Make a profile's name of a user's name."""
    text = re.sub(r"[^a-z0-9._-]+", "-", (member.username or member.title or "").casefold()).strip("-")
    return text[:64] or f"home-{member.id}"


def _switch_user(client: Plex, member: HomeUser) -> Account:
    """Switch; where a passcode is needed, ask for it, once."""
    if not member.protected:
        try:
            return client.home.switch_user(member)
        except PasscodeRequired:  # since the list was made
            pass
    passcode_digits = prompts.read_passcode(f"Passcode of {member.title or 'this user'}: ")
    try:
        return client.home.switch_user(member, passcode=passcode_digits)
    except PasscodeRequired as error:
        if passcode_digits is not None:
            raise CommandError("the passcode is wrong", hint="each wrong one counts", refusal=error) from None
        raise


def _store_session(account: Account, store: CredentialStore, entry: Entry, caller: FlowContext) -> Flow[StoredSession]:
    import msgspec

    from ticketstub.client.flows.session import create_session, save_session
    from ticketstub.errors import MalformedReply

    if account.auth_token is None:
        raise MalformedReply("plex.tv gave no token for this user")
    name = account.username or account.title or str(account.id)
    named_account = msgspec.structs.replace(account, username=name, remember_expires_at=None)
    session = yield from create_session(caller, account.auth_token, method="kept", account=named_account)
    return (yield from save_session(session, store, entry.app, entry.profile, caller, previous_status="none"))


passcode = CliGroup("passcode", help="The digits that protect a Home user.")
home.add_command(passcode)


@passcode.command("set")
@_user_option
@options.pass_connection
def set_passcode(*, connection: ConnectionOptions, as_json: bool, user: str | None) -> None:
    """Set or change a passcode: four digits.

    It asks for the new one, and for the present one where there is one. Piped standard input holds a line each.
    """
    with open_client(connection, read_input=False) as client:
        member, identifier, is_self = _find_member(client, user)
        new_passcode = _require_passcode("New passcode (four digits): ")
        with _explain_refused_passcode():
            if is_self:
                current_passcode = prompts.read_passcode("Present passcode: ") if member.protected else None
                client.home.set_passcode(identifier, new_passcode, current=current_passcode)
            else:
                client.home.set_managed_passcode(identifier, new_passcode)
    _print_result(member, protected=True, as_json=as_json)


@passcode.command()
@_user_option
@options.pass_connection
def remove(*, connection: ConnectionOptions, as_json: bool, user: str | None) -> None:
    """Remove a passcode. For your own, it asks for the present one."""
    with open_client(connection, read_input=False) as client:
        member, identifier, is_self = _find_member(client, user)
        with _explain_refused_passcode():
            if is_self:
                client.home.remove_passcode(identifier, current=_require_passcode("Present passcode: "))
            else:
                client.home.remove_managed_passcode(identifier)
    _print_result(member, protected=False, as_json=as_json)


def _find_member(client: Plex, user: str | None) -> tuple[HomeUser, int, bool]:
    """Return the user that is meant, the user's id, and whether that is oneself."""
    from ticketstub.client.flows.home import find_home_user

    me, users = client.account(), client.home.list_users()
    member = find_home_user(users, me.id or me.name if user is None else user)
    if member.id is None:
        raise CommandError("plex.tv lists this user without an id, so nothing can be done with it here")
    return member, member.id, member.id == me.id


def _require_passcode(question: str) -> Secret:
    if digits := prompts.read_passcode(question):
        return digits
    raise InvalidUsage("no passcode was given", hint="run it on a terminal to be asked, or pipe it in as a line")


@contextmanager
def _explain_refused_passcode() -> Generator[None]:
    """Tell a wrong passcode from a dead token."""
    try:
        yield
    except ValueError as error:
        raise InvalidUsage(str(error)) from None
    except TooManyFailures:
        raise
    except Unauthorized as error:
        raise CommandError("the present passcode is wrong or missing; nothing was changed", refusal=error) from None


def _print_result(member: HomeUser, *, protected: bool, as_json: bool) -> None:
    change = "is protected by the new passcode" if protected else "is no longer protected by a passcode"
    output.print_result(
        {"user": {"id": member.id, "title": member.title}, "protected": protected},
        f"{member.title or 'The user'} {change}",
        as_json=as_json,
    )
