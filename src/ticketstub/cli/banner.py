"""What `ticketstub serve` prints: where everything is, who lives there, and that it is not Plex; then a line an answer.

Rule: secrets are printed in full for the demonstration, which is invented, and for another world only with
--show-secrets. The last line of the banner begins with
`ready`: by then every address answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ticketstub.cli import get_version, output
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
    """Print all of it.

    Args:
        plex: what runs.
        overview: who is in it.
        db: its database, if it is kept.
        host: the address it listens on.
        world_file: the world's file; `None` for the demonstration world.
        key_source: where the control API's key is, if it answers: a file, or the name of a variable.
        tls: what https is answered with, if it is.
    """
    print(f"Ticketstub {get_version()}: a local stand-in for Plex, not Plex. Never type a real Plex password here.")
    if host in LOOPBACK_FOR_WILDCARD:
        print(f"Listening on {host}: on every network of this machine. Whoever reaches it can use it.")
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
        ports = ", ".join(map(str, plex.more_ports))
        print(f"\nhttps: on every port above, and plex.tv's also on {ports}, for Plex's names:")
        output.print_fields(
            [("plex.tv", "and www., clients., app."), *((each.name, each.https_url) for each in plex.media_servers)]
        )
        authority = sanitize_text(str(tls.folder / AUTHORITY_FILE))
        print(f"  Until {tls.expires_at:%Y-%m-%d}, trust {authority}, or what is beside it")
    print(f"\nState: {f'kept in {sanitize_text(db)}' if db else 'in memory, gone when this ends'}.")
    print("ready (Ctrl-C ends it)", flush=True)


def _print_section(title: str, pairs: output.Fields) -> None:
    print()
    output.print_heading(title)
    output.print_fields(pairs)


def _replace_wildcard_host(url: str, host: str) -> str:
    return url.replace(host, LOOPBACK_FOR_WILDCARD[host], 1) if host in LOOPBACK_FOR_WILDCARD else url


def _print_accounts(overview: Overview, world_file: Path | None) -> None:
    initial = overview.initial_summary
    lines = (
        line for account in initial.accounts for line in _iter_account_lines(account, secrets=overview.show_secrets)
    )
    _print_section(f"Accounts: {initial.count}", lines)
    if not initial.count:
        print("  none: nobody can sign in")
    if initial.count > len(initial.accounts):
        print(f"  and {initial.count - len(initial.accounts)} more")
    if not overview.show_secrets:
        file = sanitize_text(str(world_file))
        print(f"  Passwords, verification secrets and tokens are in {file}; --show-secrets prints them")
    elif any(account.code for account in initial.accounts):
        name = next(account.username for account in initial.accounts if account.code)
        world = f"--world {sanitize_text(str(world_file))}" if world_file else "--demo"
        seconds = initial.code_seconds_left
        print(f"  The codes are valid for {seconds} more seconds. The next: ticketstub code {name} {world}")
    if initial.homes:
        _print_section("Homes", ((name, ", ".join(members)) for name, members in initial.homes))


def _iter_account_lines(account: AccountSummary, *, secrets: bool) -> Iterable[tuple[str, str]]:
    """Yield an account's lines: by what it signs in, and below that its secrets if they are to be shown."""
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


class AccessLog:
    """A line for each answer: time, method, route, status, milliseconds. It ends where nobody reads it any more."""

    def __init__(self) -> None:
        out = output.create_console()
        self._colours = out.color_system is not None and not out.no_color

    def write(self, method: str, route: str, status: int, milliseconds: float, _request_id: str) -> None:
        """Print the line of one answer."""
        status_text = f"\x1b[{31 if status >= 400 else 32}m{status}\x1b[0m" if self._colours else str(status)
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        with suppress(OSError, ValueError):
            print(
                f"{now}  {sanitize_text(method):<6} {sanitize_text(route)}  {status_text}  {milliseconds:.1f} ms",
                flush=True,
            )
