"""`ticketstub status`, `profiles`, `renew` and `logout`: the stored sign-ins.

Rule: `status` and `profiles` send nothing; `check` tells whether a sign-in still works. `logout` ends a token at Plex
before it deletes it here, so that no working token is forgotten.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from ticketstub.cli import formatting, options, output, prompts, sign_ins
from ticketstub.cli.errors import CommandError, InvalidUsage
from ticketstub.cli.options import CliCommand
from ticketstub.cli.sign_ins import ConnectionOptions, create_client, resume_client
from ticketstub.errors import PlexError

if TYPE_CHECKING:
    from ticketstub.cli.sign_ins import StoredSignIn

_NOTHING_STORED = "No sign-in is stored."


@click.command(cls=CliCommand)
@options.profile
@options.as_json
def status(*, profile: str | None, as_json: bool) -> None:
    """Show the stored sign-ins, where they are, and when they expire.

    Nothing is sent, so this does not show whether a sign-in still works: `ticketstub check` does. To list the sign-ins
    of other programs, use `ticketstub profiles`.
    """
    stored_sign_ins = sign_ins.load_all(sign_ins.APP, profile)
    if profile is not None and not stored_sign_ins:
        raise InvalidUsage(f"no sign-in is stored under the profile {profile}", hint="ticketstub status")
    token_in_environment = bool(os.environ.get(prompts.TOKEN_VARIABLE, "").strip())
    if as_json:
        output.print_json(
            {
                "profiles": [_collect_details(stored) for stored in stored_sign_ins],
                "token_in_environment": token_in_environment,
            }
        )
        return
    for number, stored in enumerate(stored_sign_ins):
        if number:
            print()
        _print_sign_in(stored)
    if not stored_sign_ins:
        _print_nothing_stored()
    if token_in_environment:
        print(f"\n{prompts.TOKEN_VARIABLE} is set: commands use its token unless --profile is given.")


@click.command(cls=CliCommand)
@options.as_json
def profiles(*, as_json: bool) -> None:
    """List the stored sign-ins of all programs.

    Each is listed with its app, profile, account, issuer and place; this command's app is `ticketstub`. Nothing is
    sent. `ticketstub logout --all` ends them all.
    """
    stored_sign_ins = sign_ins.load_all()
    if as_json:
        output.print_json({"profiles": [_summarize(stored) for stored in stored_sign_ins]})
    elif stored_sign_ins:
        output.print_table(("app", "profile", "account", "at", "stored"), map(_format_row, stored_sign_ins))
    else:
        _print_nothing_stored()


def _print_nothing_stored() -> None:
    output.print_section(_NOTHING_STORED)
    print("To sign in: ticketstub login", file=sys.stderr)


@click.command(cls=CliCommand)
@options.pass_connection
def renew(*, connection: ConnectionOptions, as_json: bool) -> None:
    """Renew the stored sign-in now.

    With a device key, it gets a new token. Without one, a ping keeps its token alive.
    """
    stored = sign_ins.require_sign_in(connection)
    with resume_client(connection, stored) as client, sign_ins.explain_refused_token(stored):
        state, token = client.renew(), client.token
    unchanged_message = f"Still valid: {stored.name}. It has no device key, so its token stays the same."
    output.print_result(
        {
            "renewed": state.has_device_key,
            "token": token,
            "expires_at": state.expires_at,
            "profile": state.profile,
            **formatting.location_to_json(state.location),
        },
        f"Renewed: {stored.name}" if state.has_device_key else unchanged_message,
        [
            ("token", formatting.format_token(token)),
            ("expires", formatting.format_time(state.expires_at)),
            ("stored", state.location),
        ],
        as_json=as_json,
    )


@click.command(cls=CliCommand)
@click.option("--local", is_flag=True, help="Only delete it here; its token stays valid at Plex. Needs no network.")
@click.option(
    "--all", "everything", is_flag=True, help="Sign out all programs, profiles and addresses, after listing them."
)
@click.option("--yes", is_flag=True, help="With --all: do not ask for confirmation.")
@options.pass_connection
def logout(*, connection: ConnectionOptions, as_json: bool, local: bool, everything: bool, yes: bool) -> None:
    """Sign out: end the stored token at Plex, then delete it here. If Plex cannot be reached, it stays stored."""
    if everything:
        if connection.profile is not None:
            raise InvalidUsage("--all signs out every profile: leave out --profile")
        options.refuse_unused("plex_tv", "cannot be used with --all, which signs out of every address", unless=False)
        _sign_out_all(connection, local=local, yes=yes, as_json=as_json)
        return
    entry = connection.entry
    if local:
        keyring, files = sign_ins.open_stores()
        # From every store, even if it cannot be read; the keyring is opened only for what its notes list.
        if not any([files.remove(*entry), entry in keyring.list_notes() and keyring.remove(*entry)]):
            raise sign_ins.make_not_signed_in_error(entry)
        message = f"Deleted here: the profile {entry.profile}"
    else:
        stored = sign_ins.find_sign_in(entry)
        if stored is None:
            raise sign_ins.make_not_signed_in_error(entry)
        _sign_out(connection, stored)
        message = f"Signed out: {stored.name}"
    output.print_result(
        {"profile": entry.profile, "issuer": entry.issuer, "ended_at_plex": not local, "still_kept": False},
        message,
        as_json=as_json,
    )
    if local and not as_json:
        print("Its token is still valid at Plex. To end it, remove this device from the account's devices.")


def _sign_out(connection: ConnectionOptions, stored: StoredSignIn) -> None:
    credential = stored.credential
    ended = credential.signed_out_at is not None  # it is stored only until its token is ended at Plex
    with create_client(connection, credential.token) if ended else resume_client(connection, stored) as client:
        try:
            client.sign_out()
        except PlexError as error:
            raise CommandError(
                f"{stored.name} is not signed out, and still stored: {error.message}",
                hint="try again later; --local deletes it here now, but its token stays valid at Plex",
                refusal=error,
            ) from None
    if ended:
        stored.store.remove(*credential.entry)


def _sign_out_all(connection: ConnectionOptions, *, local: bool, yes: bool, as_json: bool) -> None:
    """Sign out every program. A sign-in that cannot be ended stays stored, and the others are still signed out."""
    stored_sign_ins = sign_ins.load_all()
    if stored_sign_ins:
        _confirm_sign_out(stored_sign_ins, local=local, yes=yes)
    failures: list[CommandError] = []
    ended: list[dict[str, object]] = []
    for stored in stored_sign_ins:
        try:
            if local:
                stored.store.remove(*stored.credential.entry)
            else:
                _sign_out(connection._replace(plex_tv=stored.credential.issuer), stored)
        except CommandError as failure:
            failures.append(failure)
        else:
            ended.append(_summarize(stored))
            if not as_json:
                output.print_section(f"{'Deleted here' if local else 'Signed out'}: {stored.name_with_app}")
    if as_json:
        output.print_json({"profiles": ended, "ended_at_plex": not local, "kept": bool(failures)})
    elif not stored_sign_ins:
        output.print_section(_NOTHING_STORED)
    if failures:
        failures[0].details = tuple(failure.message for failure in failures[1:])
        raise failures[0]


def _confirm_sign_out(stored_sign_ins: list[StoredSignIn], *, local: bool, yes: bool) -> None:
    prompts.ensure_can_confirm(yes=yes)
    print(f"These sign-ins will be {'deleted here' if local else 'ended'}:", file=sys.stderr)
    for stored in stored_sign_ins:
        print(f"  {stored.name_with_app} at {stored.credential.issuer}", file=sys.stderr)
    if not yes and not prompts.confirm("Continue?"):
        raise CommandError("nothing was signed out")


def _summarize(stored: StoredSignIn) -> dict[str, object]:
    """Return what `profiles --json` shows of a sign-in."""
    credential = stored.credential
    return {
        "app": credential.app,
        "profile": credential.profile,
        "issuer": credential.issuer,
        "account": {"id": credential.account_id, "username": credential.username},
        **formatting.location_to_json(stored.store.describe_location(*credential.entry)),
    }


def _collect_details(stored: StoredSignIn) -> dict[str, object]:
    """Return what `status --json` shows of a sign-in."""
    credential = stored.credential
    return {
        **{name: value for name, value in _summarize(stored).items() if name != "app"},
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


def _format_row(stored: StoredSignIn) -> tuple[str, ...]:
    credential = stored.credential
    state = " (signed out)" if credential.signed_out_at is not None else ""
    account = credential.username or ("unknown" if credential.account_id is None else str(credential.account_id))
    return (
        credential.app,
        credential.profile,
        f"{account}{state}",
        credential.issuer,
        stored.store.describe_location(*credential.entry),
    )


def _print_sign_in(stored: StoredSignIn) -> None:
    credential = stored.credential
    signed_out = formatting.format_time(credential.signed_out_at)
    to_sign_out = sign_ins.format_command("logout", credential.entry)
    output.print_section(
        stored.name,
        [
            ("at", credential.issuer),
            ("id", str(credential.account_id) if credential.account_id is not None else None),
            ("token", formatting.format_token(credential.token) or "none"),
            ("signed out", f"{signed_out}, but Plex could not be reached: {to_sign_out}" if signed_out else None),
            ("since", formatting.format_time(credential.created_at)),
            ("expires", formatting.format_expiry(credential, time.time())),
            ("last accepted", formatting.format_time(credential.checked_at)),
            ("to check", sign_ins.format_command("check", credential.entry) if credential.token else None),
            ("device key", "yes: it renews the token" if credential.device_key else None),
            ("client id", credential.client_identifier),
            ("stored", stored.store.describe_location(*credential.entry)),
        ],
    )
