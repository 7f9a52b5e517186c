"""`ticketstub status`, `profiles` and `renew`: the sign-ins that are kept.

Rule: `status` and `profiles` ask nobody; whether a sign-in still works, `check` says.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from ticketstub.cli import facts, options, output, prompts, stores
from ticketstub.cli.clients import ConnectionOptions, resume_client
from ticketstub.cli.failures import InvalidUsage
from ticketstub.cli.help import CliCommand

if TYPE_CHECKING:
    from ticketstub.cli.stores import StoredCredential
    from ticketstub.credentials.store import Credential


@click.command(cls=CliCommand)
@options.profile
@options.as_json
def status(*, profile: str | None, as_json: bool) -> None:
    """Show what is kept, where, and until when.

    Nobody is asked, so it does not say whether it still works: `ticketstub check` does. What other programs keep is
    listed by `ticketstub profiles`.
    """
    from ticketstub.credentials.store import COMMAND_APP

    sign_ins = stores.load_all(COMMAND_APP, profile)
    if profile is not None and not sign_ins:
        raise InvalidUsage(f"nothing is kept under the profile {profile}", hint="ticketstub status")
    token_in_environment = bool(os.environ.get(prompts.TOKEN_VARIABLE, "").strip())
    if as_json:
        output.print_json(
            {
                "profiles": [_collect_details(stored) for stored in sign_ins],
                "token_in_environment": token_in_environment,
            }
        )
        return
    for number, one in enumerate(sign_ins):
        if number:
            print()
        _print_sign_in(one)
    if not sign_ins:
        _print_nothing_stored()
    if token_in_environment:
        print(f"\n{prompts.TOKEN_VARIABLE} is set: its token is used, and not what is kept, unless --profile is given.")


@click.command(cls=CliCommand)
@options.as_json
def profiles(*, as_json: bool) -> None:
    """List the sign-ins of all programs that are kept here.

    Each with its program, profile, account, issuer and place; those of this command have the app `ticketstub`. Nobody
    is asked. `ticketstub logout --all` ends them.
    """
    sign_ins = stores.load_all()
    if as_json:
        output.print_json({"profiles": [summarize_sign_in(stored) for stored in sign_ins]})
    elif sign_ins:
        output.print_table(("app", "profile", "account", "at", "kept"), map(_format_row, sign_ins))
    else:
        _print_nothing_stored()


@click.command(cls=CliCommand)
@options.pass_connection
def renew(*, connection: ConnectionOptions, as_json: bool) -> None:
    """Renew the kept sign-in now.

    With a device key it gets a new token; without one, it keeps the token alive with a ping.
    """
    stored = stores.require_sign_in(connection.issuer, connection.profile)
    with resume_client(connection, stored) as client, stores.explain_refused_token(stored):
        state, token = client.renew(), client.token
    unchanged_message = f"Still good: {stored.name}. It has no device key, so its token stays the same."
    output.print_result(
        {
            "renewed": state.has_device_key,
            "token": token,
            "expires_at": state.expires_at,
            "profile": state.profile,
            "kept": state.location,
        },
        f"Renewed: {stored.name}" if state.has_device_key else unchanged_message,
        [
            ("token", facts.format_token(token)),
            ("until", facts.format_time(state.expires_at)),
            ("kept", state.location),
        ],
        as_json=as_json,
    )


def summarize_sign_in(stored: StoredCredential) -> dict[str, object]:
    """List what `profiles` says of a sign-in, by name and without a secret."""
    credential = stored.credential
    return {
        "app": credential.app,
        "profile": credential.profile,
        "issuer": credential.issuer,
        "account": {"id": credential.account_id, "username": credential.username},
        "kept": stored.store.describe_location(*credential.entry),
    }


def _collect_details(stored: StoredCredential) -> dict[str, object]:
    credential = stored.credential
    summary = summarize_sign_in(stored)
    del summary["app"]
    return summary | {
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


def _format_row(stored: StoredCredential) -> tuple[str, ...]:
    credential = stored.credential
    state = " (signed out)" if credential.signed_out_at is not None else ""
    account = credential.username or ("unknown" if credential.account_id is None else str(credential.account_id))
    location = stored.store.describe_location(*credential.entry)
    return credential.app, credential.profile, f"{account}{state}", credential.issuer, location


def _print_sign_in(stored: StoredCredential) -> None:
    credential = stored.credential
    signed_out = facts.format_timestamp(credential.signed_out_at)
    signed_out_text = f"{signed_out}, but Plex could not be told: {stores.format_command('logout', credential.entry)}"
    output.print_heading(stored.name)
    output.print_fields(
        [
            ("at", credential.issuer),
            ("id", str(credential.account_id) if credential.account_id is not None else None),
            ("token", facts.format_token(credential.token) or "none"),
            ("signed out", signed_out_text if signed_out else None),
            ("since", facts.format_timestamp(credential.created_at)),
            ("until", _format_expiry(credential)),
            ("taken last", facts.format_timestamp(credential.checked_at)),
            ("device key", "yes: the token is renewed with it" if credential.device_key else None),
            ("client id", credential.client_identifier),
            ("kept", stored.store.describe_location(*credential.entry)),
        ]
    )


def _format_expiry(credential: Credential) -> str:
    if credential.expires_at is None:
        return "no end is known: until it is ended at Plex"
    expires_at, expired = facts.format_timestamp(credential.expires_at), credential.expires_at <= time.time()
    if credential.device_key is not None:
        return (
            f"{expires_at}: its time is over, and it is renewed at the next use"
            if expired
            else f"{expires_at}, renewed before"
        )
    return f"{expires_at}: its time is over" if expired else str(expires_at)


def _print_nothing_stored() -> None:
    output.print_heading("Nothing is kept: nobody is signed in.")
    print("To sign in: ticketstub login", file=sys.stderr)
