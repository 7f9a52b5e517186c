"""`ticketstub logout`: end the kept sign-in at Plex, then forget it; or those of all programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ticketstub.cli import options, output, prompts, stores
from ticketstub.cli.clients import ConnectionOptions, resume_client
from ticketstub.cli.failures import CommandError, InvalidUsage
from ticketstub.cli.help import CliCommand
from ticketstub.cli.profiles import summarize_sign_in
from ticketstub.errors import PlexError

if TYPE_CHECKING:
    from ticketstub.cli.stores import StoredCredential
    from ticketstub.credentials.store import Entry


@click.command(cls=CliCommand)
@click.option("--local", is_flag=True, help="Forget it here only; its token lives on at Plex. Needs no network.")
@click.option(
    "--all", "everything", is_flag=True, help="Of all programs, profiles and addresses; it lists them and asks before."
)
@click.option("--yes", is_flag=True, help="With --all: do not ask whether it is meant.")
@options.pass_connection
def logout(*, connection: ConnectionOptions, as_json: bool, local: bool, everything: bool, yes: bool) -> None:
    """Sign out: end the kept token at Plex, then forget it. If Plex cannot be told, it stays kept."""
    if everything:
        _sign_out_all(connection, local=local, yes=yes, as_json=as_json)
        return
    entry = stores.resolve_entry(connection.issuer, connection.profile)
    message = _forget_entry(entry) if local else _sign_out_entry(connection, entry)
    output.print_result(
        {"profile": entry.profile, "issuer": entry.issuer, "ended_at_plex": not local, "still_kept": False},
        message,
        as_json=as_json,
    )
    if local and not as_json:
        print("Its token still lives at Plex: remove this device in the account's list of devices to end it.")


def _forget_entry(entry: Entry) -> str:
    """Forget it in every store, also where it cannot be read."""
    keyring, files = stores.open_stores()
    removed = [files.remove(*entry), entry in keyring.list_notes() and keyring.remove(*entry)]
    if not any(removed):
        raise stores.make_not_signed_in_error(entry)
    return f"Forgotten here: the profile {entry.profile}"


def _sign_out_entry(connection: ConnectionOptions, entry: Entry) -> str:
    stored = stores.find_sign_in(entry)
    if stored is None:
        raise stores.make_not_signed_in_error(entry)
    _sign_out(connection, stored)
    return f"Signed out: {stored.name}"


def _sign_out(connection: ConnectionOptions, stored: StoredCredential) -> None:
    with resume_client(connection, stored) as client:
        try:
            client.sign_out()
        except PlexError as error:
            raise CommandError(
                f"{stored.name} is not signed out, and still kept: {error.message}",
                hint="try again later; --local forgets it here now, while its token lives on at Plex",
                refusal=error,
            ) from None


def _sign_out_all(connection: ConnectionOptions, *, local: bool, yes: bool, as_json: bool) -> None:
    """End what every program keeps; one that cannot be ended stays, and the others are ended nevertheless."""
    if connection.profile is not None:
        raise InvalidUsage("--all means every profile: leave out --profile")
    sign_ins = stores.load_all()
    if sign_ins:
        prompts.ensure_can_confirm(yes=yes)
        _confirm_all(sign_ins, local=local, yes=yes)
    failures: list[CommandError] = []
    ended: list[StoredCredential] = []
    for stored in sign_ins:
        try:
            if local:
                stored.store.remove(*stored.credential.entry)
            else:
                _sign_out(connection._replace(plex_tv=stored.credential.issuer), stored)
        except CommandError as failure:
            failures.append(failure)
            continue
        ended.append(stored)
        if not as_json:
            output.print_heading(f"{'Forgotten here' if local else 'Signed out'}: {stored.name_with_app}")
    if as_json:
        output.print_json(
            {"profiles": [summarize_sign_in(one) for one in ended], "ended_at_plex": not local, "kept": bool(failures)}
        )
    elif not sign_ins:
        output.print_heading("Nothing is kept: nobody is signed in.")
    if failures:
        first, *others = failures
        first.details = tuple(one.message for one in others)
        raise first


def _confirm_all(sign_ins: list[StoredCredential], *, local: bool, yes: bool) -> None:
    print("These sign-ins will be forgotten here:" if local else "These sign-ins will be ended:", file=sys.stderr)
    for stored in sign_ins:
        print(f"  {stored.name_with_app} at {stored.credential.issuer}", file=sys.stderr)
    if not yes and not prompts.confirm("Is this meant?"):
        raise CommandError("nothing was ended")
