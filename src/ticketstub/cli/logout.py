"""`ticketstub logout`: end the kept sign-in at Plex, then forget it; or those of all programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ticketstub.cli import options, output, prompts, sign_ins
from ticketstub.cli.clients import Reach, kept
from ticketstub.cli.failures import Complaint, WrongUsage
from ticketstub.cli.help import Command
from ticketstub.cli.profiles import plain
from ticketstub.errors import PlexError

if TYPE_CHECKING:
    from ticketstub.cli.sign_ins import Found
    from ticketstub.credentials.store import Entry


@click.command(cls=Command)
@click.option("--local", is_flag=True, help="Forget it here only; its token lives on at Plex. Needs no network.")
@click.option(
    "--all", "everything", is_flag=True, help="Of all programs, profiles and addresses; it lists them and asks before."
)
@click.option("--yes", is_flag=True, help="With --all: do not ask whether it is meant.")
@options.reaching
def logout(*, reach: Reach, as_json: bool, local: bool, everything: bool, yes: bool) -> None:
    """Sign out: end the kept token at Plex, then forget it. If Plex cannot be told, it stays kept."""
    if everything:
        _end_all(reach, local=local, yes=yes, as_json=as_json)
        return
    wanted = sign_ins.entry(reach.issuer, reach.profile)
    told = _forget(wanted) if local else _end(reach, wanted)
    output.result(
        {"profile": wanted.profile, "issuer": wanted.issuer, "ended_at_plex": not local, "still_kept": False},
        told,
        as_json=as_json,
    )
    if local and not as_json:
        print("Its token still lives at Plex: remove this device in the account's list of devices to end it.")


def _forget(wanted: Entry) -> str:
    """Forget it in every store, also where it cannot be read."""
    keyring, files = sign_ins.stores()
    gone = [files.remove(*wanted), wanted in keyring.noted() and keyring.remove(*wanted)]
    if not any(gone):
        raise sign_ins.missing(wanted)
    return f"Forgotten here: the profile {wanted.profile}"


def _end(reach: Reach, wanted: Entry) -> str:
    found = sign_ins.find(wanted)
    if found is None:
        raise sign_ins.missing(wanted)
    _end_found(reach, found)
    return f"Signed out: {found.name}"


def _end_found(reach: Reach, found: Found) -> None:
    with kept(reach, found) as client:
        try:
            client.sign_out()
        except PlexError as error:
            raise Complaint(
                f"{found.name} is not signed out, and still kept: {error.message}",
                hint="try again later; --local forgets it here now, while its token lives on at Plex",
                refusal=error,
            ) from None


def _end_all(reach: Reach, *, local: bool, yes: bool, as_json: bool) -> None:
    """End what every program keeps; one that cannot be ended stays, and the others are ended nevertheless."""
    if reach.profile is not None:
        raise WrongUsage("--all means every profile: leave out --profile")
    found = sign_ins.everything()
    if found:
        prompts.can_be_confirmed(yes=yes)
        _confirm(found, local=local, yes=yes)
    failures: list[Complaint] = []
    ended: list[Found] = []
    for one in found:
        try:
            if local:
                one.store.remove(*one.credential.entry)
            else:
                _end_found(reach._replace(plex_tv=one.credential.issuer), one)
        except Complaint as failure:
            failures.append(failure)
            continue
        ended.append(one)
        if not as_json:
            output.heading(f"{'Forgotten here' if local else 'Signed out'}: {one.name_with_app}")
    if as_json:
        output.print_json(
            {"profiles": [plain(one) for one in ended], "ended_at_plex": not local, "kept": bool(failures)}
        )
    elif not found:
        output.heading("Nothing is kept: nobody is signed in.")
    if failures:
        first, *others = failures
        first.details = tuple(one.message for one in others)
        raise first


def _confirm(found: list[Found], *, local: bool, yes: bool) -> None:
    print("These sign-ins will be forgotten here:" if local else "These sign-ins will be ended:", file=sys.stderr)
    for one in found:
        print(f"  {one.name_with_app} at {one.credential.issuer}", file=sys.stderr)
    if not yes and not prompts.ask("Is this meant?"):
        raise Complaint("nothing was ended")
