"""`ticketstub home passcode`: set and remove the digits that protect a Home user.

Rule: a passcode is asked for without an echo or read from standard input, one a line; it is never an argument.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ticketstub.cli import given, options
from ticketstub.cli.complaints import Complaint, WrongUsage
from ticketstub.cli.on_demand import inner_group
from ticketstub.refusals import TooManyFailures, Unauthorized

if TYPE_CHECKING:
    from ticketstub.client import Plex
    from ticketstub.records import HomeUser
    from ticketstub.token import Secret

passcode = inner_group("passcode", "The digits that protect a Home user.")

User: TypeAlias = Annotated[
    str | None,
    typer.Option("--user", metavar="USER", help="A managed user, for the Home's administrator; by default yourself."),
]


@passcode.command("set")
def set_it(
    *,
    user: User = None,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Set or change a passcode: four digits.

    It asks for the new one, and for the present one where there is one. Piped standard input holds a line each.
    """
    from ticketstub.cli.connection import Reach, signed_in

    with signed_in(Reach(plex_tv, timeout, client_identifier, profile), read_input=False) as client:
        member, own = _member(client, user)
        new = _needed("New passcode (four digits): ")
        with _explained():
            if own:
                client.home.set_passcode(_id(member), new, current=_current(member))
            else:
                client.home.set_managed_passcode(_id(member), new)
    _say(member, protected=True, as_json=as_json)


@passcode.command()
def remove(
    *,
    user: User = None,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Remove a passcode. For your own, it asks for the present one."""
    from ticketstub.cli.connection import Reach, signed_in

    with signed_in(Reach(plex_tv, timeout, client_identifier, profile), read_input=False) as client:
        member, own = _member(client, user)
        with _explained():
            if own:
                client.home.remove_passcode(_id(member), current=_needed("Present passcode: "))
            else:
                client.home.remove_managed_passcode(_id(member))
    _say(member, protected=False, as_json=as_json)


def _member(client: Plex, user: str | None) -> tuple[HomeUser, bool]:
    """Return the user that is meant, and whether that is oneself."""
    from ticketstub.flows.home import chosen

    me, users = client.account(), client.home.users()
    member = chosen(users, me.id or me.name if user is None else user)
    return member, member.id == me.id


def _id(member: HomeUser) -> int:
    if member.id is None:
        raise Complaint("plex.tv lists this user without an id, so nothing can be done with it here")
    return member.id


def _current(member: HomeUser) -> Secret | None:
    return given.passcode("Present passcode: ") if member.protected else None


def _needed(question: str) -> Secret:
    if found := given.passcode(question):
        return found
    raise WrongUsage("no passcode was given", hint="run it on a terminal to be asked, or pipe it in as a line")


@contextmanager
def _explained() -> Generator[None]:
    """Tell a wrong passcode from a dead token."""
    try:
        yield
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    except TooManyFailures:
        raise
    except Unauthorized as error:
        raise Complaint("the present passcode is wrong or missing; nothing was changed", refusal=error) from None


def _say(member: HomeUser, *, protected: bool, as_json: bool) -> None:
    from ticketstub.cli import show

    if as_json:
        show.as_json({"user": {"id": member.id, "title": member.title}, "protected": protected})
        return
    change = "is protected by the new passcode" if protected else "is no longer protected by a passcode"
    show.heading(f"{member.title or 'The user'} {change}")
