"""`ticketstub home`: the users of the Plex Home; list them, switch to one, set passcodes (passcode.py)."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ticketstub.cli import given, options
from ticketstub.cli.complaints import Complaint, WrongUsage
from ticketstub.cli.on_demand import inner_group
from ticketstub.cli.passcode import passcode
from ticketstub.refusals import PasscodeRequired

if TYPE_CHECKING:
    from ticketstub.client import Plex
    from ticketstub.credentials.base import Credentials, Entry
    from ticketstub.flows.caller import Caller
    from ticketstub.flows.kept import Kept
    from ticketstub.flows.steps import Flow
    from ticketstub.records import Account, HomeUser

home = inner_group("home", "The users of the Plex Home.")
home.add_typer(passcode)

_COLUMNS = ("id", "name", "role", "passcode", "e-mail")


@home.command("list")
def list_them(
    *,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """List the users of the Home. Each has a role, and may be protected by a passcode."""
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import Reach, signed_in

    with signed_in(Reach(plex_tv, timeout, client_identifier, profile)) as client:
        found = client.home.users()
    if as_json:
        show.as_json({"users": [facts.with_problems(one) for one in found]})
    elif found:
        show.listed(_COLUMNS, [facts.of_home_user(one) for one in found])
    else:
        show.heading("This account is in no Home.")


@home.command()
def switch(
    user: Annotated[str, typer.Argument(metavar="USER", help="Name, user name, e-mail address, id or uuid.")],
    *,
    kept_as: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="The profile to keep it under; by default the user's own name."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Replace another account's sign-in of that name.")] = False,
    storage: options.Storage = "auto",
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Sign in as another user of the Home. That is kept as a profile of its own; yours stays as it is.

    A passcode is asked for where the user is protected, or read from standard input when piped.
    """
    from ticketstub.cli import facts, keeping, show
    from ticketstub.cli.connection import Reach, signed_in
    from ticketstub.flows.home import chosen

    reach = Reach(plex_tv, timeout, client_identifier, profile)
    with signed_in(reach, read_input=False) as client:
        member = chosen(client.home.users(), user)
        wanted = keeping.entry(reach.issuer, kept_as or _name_of(member))
        _unless_another_s(wanted, member, again=again)
        store = keeping.choose(storage, wanted)
        kept = client.follow(partial(_keep, _switched(client, member), store, wanted))
    state = kept.signed_in
    if as_json:
        account = {"id": state.account_id, "username": state.username}
        show.as_json({"account": account, "profile": state.profile, "issuer": state.issuer, "kept": state.where})
        return
    show.heading(f"Signed in as {state.username}")
    use = keeping.to_type("whoami", wanted)
    show.facts(
        [("token", facts.token_text(kept())), ("profile", state.profile), ("kept", state.where), ("to use", use)]
    )


def _switched(client: Plex, member: HomeUser) -> Account:
    """Switch; where a passcode is needed, ask for it, once."""
    if not member.protected:
        try:
            return client.home.switch(member)
        except PasscodeRequired:  # since the list was made
            pass
    digits = given.passcode(f"Passcode of {member.title or 'this user'}: ")
    try:
        return client.home.switch(member, passcode=digits)
    except PasscodeRequired as error:
        if digits is not None:
            raise Complaint("the passcode is wrong", hint="each wrong one counts", refusal=error) from None
        raise


def _keep(account: Account, store: Credentials, wanted: Entry, caller: Caller) -> Flow[Kept]:
    import msgspec

    from ticketstub.errors import MalformedReply
    from ticketstub.flows.fresh import fresh, kept_as

    if account.auth_token is None:
        raise MalformedReply("plex.tv gave no token for this user")
    name = account.username or account.title or str(account.id)
    known = msgspec.structs.replace(account, username=name, remember_expires_at=None)
    kept = yield from fresh(caller, account.auth_token, how="kept", account=known)
    return (yield from kept_as(kept, store, wanted.app, wanted.profile, caller))


def _unless_another_s(wanted: Entry, member: HomeUser, *, again: bool) -> None:
    from ticketstub.cli import keeping

    there = keeping.find(wanted)
    if there is not None and there.credential.account_id != member.id and not again:
        hint = "choose a name for the new one with --as NAME, or replace it with --again"
        raise WrongUsage(f"the profile {there.name} is another account's", hint=hint)


def _name_of(member: HomeUser) -> str:
    """Make a profile's name of a user's name."""
    text = re.sub(r"[^a-z0-9._-]+", "-", (member.username or member.title or "").casefold()).strip("-")
    return text[:64] or f"home-{member.id}"
