"""`ticketstub whoami`: whose token is this?"""

from __future__ import annotations

from ticketstub.cli import options


def whoami(
    *,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
    profile: options.Profile = None,
) -> None:
    """Say who is signed in. A token in TICKETSTUB_TOKEN or standard input comes before the kept sign-in."""
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import Reach, signed_in

    with signed_in(Reach(plex_tv, timeout, client_identifier, profile)) as client:
        account = client.authentication.get_token_details()
    if as_json:
        show.as_json({"account": facts.with_problems(account)})
        return
    show.heading(account.username or account.title or "(no user name)")
    show.facts(facts.of_account(account))
