"""`ticketstub profiles`: the sign-ins that every program keeps here, without network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ticketstub.cli import options

if TYPE_CHECKING:
    from ticketstub.cli.facts import Plain
    from ticketstub.cli.keeping import Found

_COLUMNS = ("app", "profile", "account", "at", "kept")


def profiles(*, as_json: options.AsJson = False) -> None:
    """List the sign-ins of all programs that are kept here.

    Each with its program, profile, account, issuer and place; those of this command have the app `ticketstub`. Nobody
    is asked. `ticketstub logout --all` ends them.
    """
    from ticketstub.cli import show

    found = everything()
    if as_json:
        show.as_json({"profiles": [plain(one) for one in found]})
    elif found:
        show.listed(_COLUMNS, [_row(one) for one in found])
    else:
        show.heading("Nothing is kept: nobody is signed in.")
        print("To sign in: ticketstub login", file=sys.stderr)


def everything() -> list[Found]:
    """Load what every program keeps, sorted by program.

    Raises:
        CredentialsError: something cannot be read.
    """
    from ticketstub.cli import keeping

    loaded = [(store, store.load(*one)) for store, one in keeping.entries()]
    found = [keeping.Found(store, credential) for store, credential in loaded if credential]
    return sorted(found, key=lambda one: (one.credential.app, one.credential.entry))


def _row(found: Found) -> tuple[str, ...]:
    kept = found.credential
    state = " (signed out)" if kept.signed_out_at is not None else ""
    known = kept.username or (str(kept.account_id) if kept.account_id is not None else "unknown")
    return kept.app, kept.profile, f"{known}{state}", kept.issuer, found.store.where(*kept.entry)


def plain(found: Found) -> dict[str, Plain]:
    """Write a sign-in as JSON data, without a secret."""
    kept = found.credential
    return {
        "app": kept.app,
        "profile": kept.profile,
        "issuer": kept.issuer,
        "account": {"id": kept.account_id, "username": kept.username},
        "kept": found.store.where(*kept.entry),
    }
