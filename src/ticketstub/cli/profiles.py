"""`ticketstub status`, `profiles` and `renew`: the sign-ins that are kept.

Rule: `status` and `profiles` ask nobody; whether a sign-in still works, `check` says.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from ticketstub.cli import facts, options, output, prompts, sign_ins
from ticketstub.cli.clients import Reach, kept
from ticketstub.cli.failures import WrongUsage
from ticketstub.cli.help import Command

if TYPE_CHECKING:
    from ticketstub.cli.sign_ins import Found
    from ticketstub.credentials.store import Credential


@click.command(cls=Command)
@options.profile
@options.as_json
def status(*, profile: str | None, as_json: bool) -> None:
    """Show what is kept, where, and until when.

    Nobody is asked, so it does not say whether it still works: `ticketstub check` does. What other programs keep is
    listed by `ticketstub profiles`.
    """
    from ticketstub.credentials.store import COMMAND

    found = sign_ins.everything(COMMAND, profile)
    if profile is not None and not found:
        raise WrongUsage(f"nothing is kept under the profile {profile}", hint="ticketstub status")
    given_beside = bool(os.environ.get(prompts.VARIABLE, "").strip())
    if as_json:
        output.print_json({"profiles": [_details(one) for one in found], "token_in_environment": given_beside})
        return
    for number, one in enumerate(found):
        if number:
            print()
        _show(one)
    if not found:
        _say_that_nothing_is_kept()
    if given_beside:
        print(f"\n{prompts.VARIABLE} is set: its token is used, and not what is kept, unless --profile is given.")


@click.command(cls=Command)
@options.as_json
def profiles(*, as_json: bool) -> None:
    """List the sign-ins of all programs that are kept here.

    Each with its program, profile, account, issuer and place; those of this command have the app `ticketstub`. Nobody
    is asked. `ticketstub logout --all` ends them.
    """
    found = sign_ins.everything()
    if as_json:
        output.print_json({"profiles": [plain(one) for one in found]})
    elif found:
        output.listed(("app", "profile", "account", "at", "kept"), map(_row, found))
    else:
        _say_that_nothing_is_kept()


@click.command(cls=Command)
@options.reaching
def renew(*, reach: Reach, as_json: bool) -> None:
    """Renew the kept sign-in now.

    With a device key it gets a new token; without one, it keeps the token alive with a ping.
    """
    found = sign_ins.needed(reach.issuer, reach.profile)
    with kept(reach, found) as client, sign_ins.explained(found):
        state, token = client.renew(), client.token
    same = f"Still good: {found.name}. It has no device key, so its token stays the same."
    output.result(
        {
            "renewed": state.device_key,
            "token": token,
            "expires_at": state.until,
            "profile": state.profile,
            "kept": state.where,
        },
        f"Renewed: {found.name}" if state.device_key else same,
        [("token", facts.token_text(token)), ("until", facts.moment(state.until)), ("kept", state.where)],
        as_json=as_json,
    )


def plain(found: Found) -> dict[str, object]:
    """List what `profiles` says of a sign-in, by name and without a secret."""
    credential = found.credential
    return {
        "app": credential.app,
        "profile": credential.profile,
        "issuer": credential.issuer,
        "account": {"id": credential.account_id, "username": credential.username},
        "kept": found.store.where(*credential.entry),
    }


def _details(found: Found) -> dict[str, object]:
    credential = found.credential
    known = plain(found)
    del known["app"]
    return known | {
        "token": credential.token,
        "token_kind": credential.token.kind if credential.token else None,
        "device_key": credential.device_key is not None,
        "server_token": credential.server_token,
        "client_identifier": credential.client_identifier,
        "created_at": credential.created_at,
        "expires_at": credential.expires_at,
        "checked_at": credential.checked_at,
        "signed_out_at": credential.signed_out_at,
    }


def _row(found: Found) -> tuple[str, ...]:
    credential = found.credential
    state = " (signed out)" if credential.signed_out_at is not None else ""
    known = credential.username or ("unknown" if credential.account_id is None else str(credential.account_id))
    where = found.store.where(*credential.entry)
    return credential.app, credential.profile, f"{known}{state}", credential.issuer, where


def _show(found: Found) -> None:
    credential = found.credential
    signed_out = facts.since_1970(credential.signed_out_at)
    to_tell = f"{signed_out}, but Plex could not be told: {sign_ins.to_type('logout', credential.entry)}"
    output.heading(found.name)
    output.facts(
        [
            ("at", credential.issuer),
            ("id", str(credential.account_id) if credential.account_id is not None else None),
            ("token", facts.token_text(credential.token) or "none"),
            ("signed out", to_tell if signed_out else None),
            ("since", facts.since_1970(credential.created_at)),
            ("until", _until(credential)),
            ("taken last", facts.since_1970(credential.checked_at)),
            ("device key", "yes: the token is renewed with it" if credential.device_key else None),
            ("client id", credential.client_identifier),
            ("kept", found.store.where(*credential.entry)),
        ]
    )


def _until(credential: Credential) -> str:
    if credential.expires_at is None:
        return "no end is known: until it is ended at Plex"
    when, over = facts.since_1970(credential.expires_at), credential.expires_at <= time.time()
    if credential.device_key is not None:
        return f"{when}: its time is over, and it is renewed at the next use" if over else f"{when}, renewed before"
    return f"{when}: its time is over" if over else str(when)


def _say_that_nothing_is_kept() -> None:
    output.heading("Nothing is kept: nobody is signed in.")
    print("To sign in: ticketstub login", file=sys.stderr)
