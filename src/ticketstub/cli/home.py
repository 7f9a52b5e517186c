"""`ticketstub home`: list the users of the Plex Home, switch to one, and set and remove their passcodes.

Rule: a passcode is asked for without an echo or read as a line of standard input; it is never an argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, cast

import click

from ticketstub.cli import formatting, options, output, prompts, sign_ins
from ticketstub.cli.errors import CommandError, InvalidUsage
from ticketstub.cli.options import CliGroup, argument
from ticketstub.cli.sign_ins import ConnectionOptions, open_client
from ticketstub.refusals import PasscodeRequired, TooManyFailures, Unauthorized
from ticketstub.tokens import Secret

if TYPE_CHECKING:
    from ticketstub import Plex, SignInState
    from ticketstub.calls import HomeUser
    from ticketstub.credentials import StoreKind

home = CliGroup("home", help="Manage the users of the Plex Home.")

_user_option = click.option(
    "--user", metavar="USER", help="A managed user, if you administer the Home; by default, yourself."
)


@home.command("list")
@options.pass_connection
def list_users(*, connection: ConnectionOptions, as_json: bool) -> None:
    """List the users of the Home, with their roles and whether they have a passcode."""
    with open_client(connection) as client:
        found = client.home.list_users()
    output.print_records(
        "users",
        found,
        columns=("id", "name", "role", "passcode", "e-mail"),
        rows=map(formatting.format_home_user_row, found),
        empty_message="This account is not in a Home.",
        as_json=as_json,
    )


@home.command()
@argument("user", metavar="USER", help="Name, user name, e-mail address, id or uuid.")
@click.option("--as", "kept_as", metavar="NAME", help="The profile to store it under; by default, the user's name.")
@click.option("--again", is_flag=True, help="Replace another account's sign-in under that profile.")
@options.storage
@options.pass_connection
def switch(
    *, connection: ConnectionOptions, as_json: bool, user: str, kept_as: str | None, again: bool, storage: StoreKind
) -> None:
    """Sign in as another user of the Home. The sign-in is stored under its own profile; yours stays unchanged.

    If the user has a passcode, the command asks for it, or reads it from standard input if that is piped.
    """
    with open_client(connection, read_input=False) as client:
        member = client.home.find_user(user)
        derived_name = re.sub(r"[^a-z0-9._-]+", "-", (member.username or member.title or "").casefold()).strip("-")
        entry = connection._replace(profile=kept_as or derived_name[:64] or f"home-{member.id}").entry
        existing = sign_ins.find_sign_in(entry)
        if existing is not None and existing.credential.account_id != member.id and not again:
            raise InvalidUsage(
                f"the profile {existing.name} belongs to another account",
                hint="choose another profile with --as NAME, or replace this one with --again",
            )
        store = sign_ins.choose_store(storage, entry)
        switched = _switch_user(
            partial(client.switch_home_user, member, store=store, app=sign_ins.APP, profile=entry.profile), member
        )
    state = cast("SignInState", switched.sign_in_state)
    output.print_result(
        {
            "account": {"id": state.account_id, "username": state.username},
            "profile": state.profile,
            "issuer": state.issuer,
            **formatting.location_to_json(state.location),
        },
        f"Signed in as {state.username}",
        [
            ("token", formatting.format_token(switched.token)),
            ("profile", state.profile),
            ("stored", state.location),
            ("to use", sign_ins.format_command("whoami", entry)),
        ],
        as_json=as_json,
    )


def _switch_user(switch_to: Callable[..., Plex], member: HomeUser) -> Plex:
    """Switch to a user; if a passcode is needed, ask for it once."""
    if not member.protected:
        with suppress(PasscodeRequired):  # it was set after the list was read
            return switch_to()
    given_passcode = prompts.read_secret(f"Passcode of {member.title or 'this user'}: ", hidden=True)
    try:
        return switch_to(passcode=given_passcode)
    except PasscodeRequired as error:
        if given_passcode is None:
            raise
        raise CommandError(
            "the passcode is wrong",
            hint="after several wrong passcodes, Plex locks the user for a while",
            refusal=error,
        ) from None


passcode = CliGroup("passcode", help="Set or remove the passcode of a Home user.")
home.add_command(passcode)


@contextmanager
def _change_passcode(
    connection: ConnectionOptions, user: str | None, *, protected: bool, as_json: bool
) -> Generator[tuple[Plex, HomeUser, int, bool]]:
    """Yield what changes a passcode: the client, the user, their id, and whether it is the signed-in user.

    Raises:
        CommandError: inside the `with` block: Plex refused the current passcode.
        InvalidUsage: inside the `with` block: the new passcode is invalid.
    """
    with open_client(connection, read_input=False) as client:
        me = client.account()
        member = client.home.find_user(me.id or me.name if user is None else user)
        if member.id is None:
            raise CommandError("plex.tv lists this user without an id, so the passcode cannot be changed here")
        try:
            yield client, member, member.id, member.id == me.id
        except ValueError as error:
            raise InvalidUsage(str(error)) from None
        except TooManyFailures:
            raise
        except Unauthorized as error:  # not the token: the passcode
            raise CommandError("the current passcode is wrong or missing; nothing was changed", refusal=error) from None
    change = "now has this passcode" if protected else "no longer has a passcode"
    output.print_result(
        {"user": {"id": member.id, "title": member.title}, "protected": protected},
        f"{member.title or 'The user'} {change}",
        as_json=as_json,
    )


@passcode.command("set")
@_user_option
@options.pass_connection
def set_passcode(*, connection: ConnectionOptions, as_json: bool, user: str | None) -> None:
    """Set or change a passcode: four digits.

    It asks for the new passcode, and for the current one if there is one. Piped standard input has one on each line.
    """
    with _change_passcode(connection, user, protected=True, as_json=as_json) as (client, member, identifier, is_self):
        new = Secret(prompts.read_required("New passcode (four digits): ", "passcode", hidden=True).strip())
        if is_self:
            current = prompts.read_secret("Current passcode: ", hidden=True) if member.protected else None
            client.home.set_passcode(identifier, new, current=current)
        else:
            client.home.set_managed_passcode(identifier, new)


@passcode.command()
@_user_option
@options.pass_connection
def remove(*, connection: ConnectionOptions, as_json: bool, user: str | None) -> None:
    """Remove a passcode. To remove your own, it asks for the current one."""
    with _change_passcode(connection, user, protected=False, as_json=as_json) as (client, _member, identifier, is_self):
        if is_self:
            current = Secret(prompts.read_required("Current passcode: ", "passcode", hidden=True).strip())
            client.home.remove_passcode(identifier, current=current)
        else:
            client.home.remove_managed_passcode(identifier)
