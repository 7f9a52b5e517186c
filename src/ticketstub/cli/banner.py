"""What `ticketstub serve` prints at its start: the addresses, the accounts, and that it is not Plex.

Rule: secrets are printed in full for the demonstration world, which is invented, and for another world only with
--show-secrets. The last line begins with `ready`: every address answers by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ticketstub import __version__
from ticketstub.cli import output
from ticketstub.cli.certificates import CertificateFolder
from ticketstub.errors import sanitize_text
from ticketstub.local_plex.domain.overview import AccountSummary, Overview
from ticketstub.local_plex.intercept.variables import AUTHORITY_FILE
from ticketstub.local_plex.listeners import LOOPBACK_FOR_WILDCARD
from ticketstub.local_plex.local_plex import LocalPlex


def print_banner(
    plex: LocalPlex,
    overview: Overview,
    *,
    db: str | None,
    host: str,
    world_file: Path | None,
    key_source: Path | str | None = None,
    tls: CertificateFolder | None = None,
) -> None:
    """Print the banner.

    Args:
        plex: the running local Plex.
        overview: its accounts and Homes.
        db: its database; `None` if it is in memory.
        host: the address that it listens on.
        world_file: the world's file; `None` for the demonstration world.
        key_source: where the control API's key is: a file, or the name of a variable.
        tls: the certificates; `None` without https.
    """
    print(f"Ticketstub {__version__}: a local stand-in for Plex, not Plex. Never type a real Plex password here.")
    if host in LOOPBACK_FOR_WILDCARD:
        print(f"Listening on {host}, on every network of this machine: everybody who can reach it can use it.")
    url = _replace_wildcard_host(plex.url, host)
    _print_section(
        "Addresses",
        [
            ("plex.tv", url),
            ("in a browser", f"{url}/"),
            *((server.name, _replace_wildcard_host(server.url, host)) for server in plex.media_servers),
        ],
    )
    _print_accounts(overview, world_file)
    _print_section(
        "Point a client at it",
        [
            ("Python", f'Plex(plex_tv="{url}")'),
            ("shell", f"export TICKETSTUB_PLEX_TV={url}"),
            ("other SDKs", f"server address {url}/api/v2"),
        ],
    )
    if plex.control_url and key_source:
        control_url = _replace_wildcard_host(plex.control_url, host)
        print(f"\nControl: {control_url}/control/v1, with the key in {sanitize_text(str(key_source))}")
    if tls:
        print(
            f"\nhttps: on every port above, and for plex.tv also on {', '.join(map(str, plex.more_ports))}, "
            "with Plex's names:"
        )
        output.print_fields(
            [("plex.tv", "and www., clients., app."), *((each.name, each.https_url) for each in plex.media_servers)]
        )
        authority = sanitize_text(str(tls.folder / AUTHORITY_FILE))
        print(f"  Until {tls.expires_at:%Y-%m-%d}, trust {authority}, or another file in that folder")
    print(f"\nState: {f'stored in {sanitize_text(db)}' if db else 'in memory, lost at the end'}.")
    print("ready (Ctrl-C ends it)", flush=True)


def _print_section(title: str, pairs: output.Fields) -> None:
    print()
    output.print_section(title, pairs)


def _replace_wildcard_host(url: str, host: str) -> str:
    return url.replace(host, LOOPBACK_FOR_WILDCARD[host], 1) if host in LOOPBACK_FOR_WILDCARD else url


def _print_accounts(overview: Overview, world_file: Path | None) -> None:
    initial = overview.initial_summary
    _print_section(
        f"Accounts: {initial.count}",
        (line for account in initial.accounts for line in _iter_account_lines(account, secrets=overview.show_secrets)),
    )
    if not initial.count:
        print("  none, so nobody can sign in")
    if initial.count > len(initial.accounts):
        print(f"  and {initial.count - len(initial.accounts)} more")
    if initial.count and not overview.show_secrets:
        file = sanitize_text(str(world_file))
        print(f"  Passwords, verification secrets and tokens are in {file}; --show-secrets prints them")
    elif any(account.code for account in initial.accounts):
        name = next(account.username for account in initial.accounts if account.code)
        world = f"--world {sanitize_text(str(world_file))}" if world_file else "--demo"
        print(
            f"  The codes are valid for {initial.code_seconds_left} more seconds. "
            f"For the next one: ticketstub code {name} {world}"
        )
    if initial.homes:
        _print_section("Homes", ((name, ", ".join(members)) for name, members in initial.homes))


def _iter_account_lines(account: AccountSummary, *, secrets: bool) -> Iterable[tuple[str, str]]:
    """Yield the lines of an account: how it can sign in, and below that its secrets if they are shown."""
    account_secrets = [
        ("password", account.password),
        ("passcode", account.passcode),
        ("verification code", account.code),
    ]
    tokens = [("token", account.token), *((f"token for {name}", token) for name, token in account.server_tokens)]
    visible = {name for name, secret in [*account_secrets, *tokens] if secrets and secret}
    methods = [
        way for way in account.sign_ins if way not in visible and not ("token" in visible and way.startswith("token "))
    ]
    yield account.username or account.name, ", ".join(filter(None, [account.email, *methods])) or "no e-mail address"
    for pairs in (account_secrets, tokens):
        text = ", ".join(f"{name} {secret.reveal()}" for name, secret in pairs if secret and name in visible)
        if text:
            yield "", text
