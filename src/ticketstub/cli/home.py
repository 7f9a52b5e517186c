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

from ticketstub.cli import facts, options, output, prompts, sign_ins
from ticketstub.cli.clients import Reach, signed_in
from ticketstub.cli.failures import Complaint, WrongUsage
from ticketstub.cli.help import Group, argument
from ticketstub.refusals import PasscodeRequired, TooManyFailures, Unauthorized

if TYPE_CHECKING:
    from ticketstub.client.flows.request import Caller
    from ticketstub.client.flows.steps import Flow
    from ticketstub.client.flows.stored_session import Kept
    from ticketstub.client.plex import Plex
    from ticketstub.credentials.default import Storage
    from ticketstub.credentials.store import Credentials, Entry
    from ticketstub.models import Account, HomeUser
    from ticketstub.tokens import Secret

home = Group("home", help="The users of the Plex Home.")

_of_user = click.option(
    "--user", metavar="USER", help="A managed user, for the Home's administrator; by default yourself."
)


@home.command("list")
@options.reaching
def list_them(*, reach: Reach, as_json: bool) -> None:
    """List the users of the Home. Each has a role, and may be protected by a passcode."""
    with signed_in(reach) as client:
        found = client.home.users()
    output.records(
        "users",
        found,
        columns=("id", "name", "role", "passcode", "e-mail"),
        rows=map(facts.of_home_user, found),
        nothing="This account is in no Home.",
        as_json=as_json,
    )


@home.command()
@argument("user", metavar="USER", help="Name, user name, e-mail address, id or uuid.")
@click.option("--as", "kept_as", metavar="NAME", help="The profile to keep it under; by default the user's own name.")
@click.option("--again", is_flag=True, help="Replace another account's sign-in of that name.")
@options.storage
@options.reaching
def switch(*, reach: Reach, as_json: bool, user: str, kept_as: str | None, again: bool, storage: Storage) -> None:
    """Sign in as another user of the Home. That is kept as a profile of its own; yours stays as it is.

    A passcode is asked for where the user is protected, or read from standard input when piped.
    """
    from ticketstub.client.flows.home import chosen

    with signed_in(reach, read_input=False) as client:
        member = chosen(client.home.users(), user)
        wanted = sign_ins.entry(reach.issuer, kept_as or _profile_of(member))
        there = sign_ins.find(wanted)
        if there is not None and there.credential.account_id != member.id and not again:
            raise WrongUsage(
                f"the profile {there.name} is another account's",
                hint="choose a name for the new one with --as NAME, or replace it with --again",
            )
        store = sign_ins.choose(storage, wanted)
        kept = client.follow(partial(_keep, _switched(client, member), store, wanted))
    state = kept.signed_in
    output.result(
        {
            "account": {"id": state.account_id, "username": state.username},
            "profile": state.profile,
            "issuer": state.issuer,
            "kept": state.where,
        },
        f"Signed in as {state.username}",
        [
            ("token", facts.token_text(kept())),
            ("profile", state.profile),
            ("kept", state.where),
            ("to use", sign_ins.to_type("whoami", wanted)),
        ],
        as_json=as_json,
    )


def _profile_of(member: HomeUser) -> str:
    """Make a profile's name of a user's name."""
    text = re.sub(r"[^a-z0-9._-]+", "-", (member.username or member.title or "").casefold()).strip("-")
    return text[:64] or f"home-{member.id}"


def _switched(client: Plex, member: HomeUser) -> Account:
    """Switch; where a passcode is needed, ask for it, once."""
    if not member.protected:
        try:
            return client.home.switch(member)
        except PasscodeRequired:  # since the list was made
            pass
    digits = prompts.passcode(f"Passcode of {member.title or 'this user'}: ")
    try:
        return client.home.switch(member, passcode=digits)
    except PasscodeRequired as error:
        if digits is not None:
            raise Complaint("the passcode is wrong", hint="each wrong one counts", refusal=error) from None
        raise


def _keep(account: Account, store: Credentials, wanted: Entry, caller: Caller) -> Flow[Kept]:
    import msgspec

    from ticketstub.client.flows.session import fresh, stored
    from ticketstub.errors import MalformedReply

    if account.auth_token is None:
        raise MalformedReply("plex.tv gave no token for this user")
    name = account.username or account.title or str(account.id)
    known = msgspec.structs.replace(account, username=name, remember_expires_at=None)
    kept = yield from fresh(caller, account.auth_token, how="kept", account=known)
    return (yield from stored(kept, store, wanted.app, wanted.profile, caller, before="none"))


passcode = Group("passcode", help="The digits that protect a Home user.")
home.add_command(passcode)


@passcode.command("set")
@_of_user
@options.reaching
def set_it(*, reach: Reach, as_json: bool, user: str | None) -> None:
    """Set or change a passcode: four digits.

    It asks for the new one, and for the present one where there is one. Piped standard input holds a line each.
    """
    with signed_in(reach, read_input=False) as client:
        member, identifier, own = _member(client, user)
        new = _needed("New passcode (four digits): ")
        with _explained():
            if own:
                present = prompts.passcode("Present passcode: ") if member.protected else None
                client.home.set_passcode(identifier, new, current=present)
            else:
                client.home.set_managed_passcode(identifier, new)
    _say(member, protected=True, as_json=as_json)


@passcode.command()
@_of_user
@options.reaching
def remove(*, reach: Reach, as_json: bool, user: str | None) -> None:
    """Remove a passcode. For your own, it asks for the present one."""
    with signed_in(reach, read_input=False) as client:
        member, identifier, own = _member(client, user)
        with _explained():
            if own:
                client.home.remove_passcode(identifier, current=_needed("Present passcode: "))
            else:
                client.home.remove_managed_passcode(identifier)
    _say(member, protected=False, as_json=as_json)


def _member(client: Plex, user: str | None) -> tuple[HomeUser, int, bool]:
    """Return the user that is meant, the user's id, and whether that is oneself."""
    from ticketstub.client.flows.home import chosen

    me, users = client.account(), client.home.users()
    member = chosen(users, me.id or me.name if user is None else user)
    if member.id is None:
        raise Complaint("plex.tv lists this user without an id, so nothing can be done with it here")
    return member, member.id, member.id == me.id


def _needed(question: str) -> Secret:
    if found := prompts.passcode(question):
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
    change = "is protected by the new passcode" if protected else "is no longer protected by a passcode"
    output.result(
        {"user": {"id": member.id, "title": member.title}, "protected": protected},
        f"{member.title or 'The user'} {change}",
        as_json=as_json,
    )
