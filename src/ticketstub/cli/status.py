"""`ticketstub status`: what is kept, where, and until when. Nobody is asked; whether it still works, `check` says."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from ticketstub.cli import given, options
from ticketstub.cli.complaints import WrongUsage
from ticketstub.credentials.base import COMMAND

if TYPE_CHECKING:
    from ticketstub.cli.facts import Plain
    from ticketstub.cli.keeping import Found
    from ticketstub.credentials.base import Entry


def status(*, profile: options.Profile = None, as_json: options.AsJson = False) -> None:
    """Show what is kept, where, and until when.

    Nobody is asked, so it does not say whether it still works: `ticketstub check` does. What other programs keep is
    listed by `ticketstub profiles`.
    """
    from ticketstub.cli import show

    found = _found(profile)
    given_beside = bool(os.environ.get(given.VARIABLE, "").strip())
    if as_json:
        show.as_json({"profiles": [_plain(one) for one in found], "token_in_environment": given_beside})
        return
    for number, one in enumerate(found):
        if number:
            print()
        _show(one)
    if not found:
        show.heading("Nothing is kept: nobody is signed in.")
        print("To sign in: ticketstub login", file=sys.stderr)
    if given_beside:
        print(f"\n{given.VARIABLE} is set: its token is used, and not what is kept, unless --profile is given.")


def _found(profile: str | None) -> list[Found]:
    from ticketstub.cli import keeping

    found: list[Found] = []
    for store, one in keeping.entries():
        if one.app == COMMAND and profile in {None, one.profile} and (credential := store.load(*one)):
            found.append(keeping.Found(store, credential))
    if profile is not None and not found:
        raise WrongUsage(f"nothing is kept under the profile {profile}", hint="ticketstub status")
    return found


def _show(found: Found) -> None:
    from ticketstub.cli import facts, show

    kept = found.credential
    show.heading(found.name)
    show.facts(
        [
            ("at", kept.issuer),
            ("id", str(kept.account_id) if kept.account_id is not None else None),
            ("token", facts.token_text(kept.token) or "none"),
            ("signed out", _signed_out(found)),
            ("since", facts.since_1970(kept.created_at)),
            ("until", _until(found)),
            ("taken last", facts.since_1970(kept.checked_at)),
            ("device key", "yes: the token is renewed with it" if kept.device_key else None),
            ("client id", kept.client_identifier),
            ("kept", found.store.where(*kept.entry)),
        ]
    )


def _signed_out(found: Found) -> str | None:
    from ticketstub.cli.keeping import to_type

    when = facts_of(found.credential.signed_out_at)
    return f"{when}, but Plex could not be told: {to_type('logout', found.credential.entry)}" if when else None


def facts_of(seconds: float | None) -> str | None:
    """Write epoch seconds in this computer's time."""
    from ticketstub.cli import facts

    return facts.since_1970(seconds)


def _until(found: Found) -> str:
    kept = found.credential
    if kept.expires_at is None:
        return "no end is known: until it is ended at Plex"
    when, over = facts_of(kept.expires_at), kept.expires_at <= time.time()
    if kept.device_key is not None:
        return f"{when}: its time is over, and it is renewed at the next use" if over else f"{when}, renewed before"
    return f"{when}: its time is over" if over else str(when)


def _plain(found: Found) -> dict[str, Plain]:
    from ticketstub.cli import facts

    kept = found.credential
    entry: Entry = kept.entry
    return {
        "profile": kept.profile,
        "issuer": kept.issuer,
        "account": {"id": kept.account_id, "username": kept.username},
        "token": facts.plain(kept.token),
        "token_kind": kept.token.kind if kept.token else None,
        "device_key": kept.device_key is not None,
        "server_token": facts.plain(kept.server_token),
        "client_identifier": kept.client_identifier,
        "created_at": kept.created_at,
        "expires_at": kept.expires_at,
        "checked_at": kept.checked_at,
        "signed_out_at": kept.signed_out_at,
        "kept": found.store.where(*entry),
    }
