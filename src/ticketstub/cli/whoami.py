"""`ticketstub whoami`: whose token is this?"""

from __future__ import annotations

from ticketstub.cli import options
from ticketstub.cli.given import token


def whoami(
    *,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Say whose token this is. The token comes from TICKETSTUB_TOKEN, or from standard input when piped."""
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import plex

    with plex(plex_tv, timeout, client_identifier, token()) as client:
        account = client.authentication.get_token_details()
    if as_json:
        show.as_json({"account": facts.with_problems(account)})
        return
    show.heading(account.username or account.title or "(no user name)")
    show.facts(facts.of_account(account))
