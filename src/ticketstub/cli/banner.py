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

from ticketstub.cli import output, version
from ticketstub.cli.certificates import Certificates
from ticketstub.errors import printable
from ticketstub.local_plex.domain.overview import AccountSummary, Overview
from ticketstub.local_plex.http.listeners import ON_THIS_MACHINE
from ticketstub.local_plex.intercept.variables import AUTHORITY
from ticketstub.local_plex.local_plex import LocalPlex


def introduce(
    plex: LocalPlex,
    overview: Overview,
    *,
    db: str | None,
    host: str,
    file: Path | None,
    key: Path | str | None = None,
    tls: Certificates | None = None,
) -> None:
    """Print all of it.

    Args:
        plex: what runs.
        overview: who is in it.
        db: its database, if it is kept.
        host: the address it listens on.
        file: the world's file; `None` for the demonstration world.
        key: where the control API's key is, if it answers: a file, or the name of a variable.
        tls: what https is answered with, if it is.
    """
    print(f"Ticketstub {version()}: a local stand-in for Plex, not Plex. Never type a real Plex password here.")
    if host in ON_THIS_MACHINE:
        print(f"Listening on {host}: on every network of this machine. Whoever reaches it can use it.")
    url = _reached(plex.url, host)
    _section(
        "Addresses",
        [
            ("plex.tv", url),
            ("in a browser", f"{url}/"),
            *((server.name, _reached(server.url, host)) for server in plex.media_servers),
        ],
    )
    _accounts(overview, file)
    _section(
        "Point a client at it",
        [
            ("Python", f'Plex(plex_tv="{url}")'),
            ("shell", f"export TICKETSTUB_PLEX_TV={url}"),
            ("other SDKs", f"server address {url}/api/v2"),
        ],
    )
    if plex.control_url and key:
        print(f"\nControl: {_reached(plex.control_url, host)}/control/v1, with the key in {printable(str(key))}")
    if tls:
        ports = ", ".join(map(str, plex.more_ports))
        print(f"\nhttps: on every port above, and plex.tv's also on {ports}, for Plex's names:")
        output.facts(
            [("plex.tv", "and www., clients., app."), *((each.name, each.https_url) for each in plex.media_servers)]
        )
        print(f"  Until {tls.until:%Y-%m-%d}, trust {printable(str(tls.folder / AUTHORITY))}, or what is beside it")
    print(f"\nState: {f'kept in {printable(db)}' if db else 'in memory, gone when this ends'}.")
    print("ready (Ctrl-C ends it)", flush=True)


def _section(title: str, pairs: output.Facts) -> None:
    print()
    output.heading(title)
    output.facts(pairs)


def _reached(url: str, host: str) -> str:
    return url.replace(host, ON_THIS_MACHINE[host], 1) if host in ON_THIS_MACHINE else url


def _accounts(overview: Overview, file: Path | None) -> None:
    found = overview.at_start
    lines = (line for account in found.accounts for line in _account(account, secrets=overview.secrets))
    _section(f"Accounts: {found.count}", lines)
    if not found.count:
        print("  none: nobody can sign in")
    if found.count > len(found.accounts):
        print(f"  and {found.count - len(found.accounts)} more")
    if not overview.secrets:
        print(f"  Passwords, verification secrets and tokens are in {printable(str(file))}; --show-secrets prints them")
    elif any(account.code for account in found.accounts):
        name = next(account.username for account in found.accounts if account.code)
        world = f"--world {printable(str(file))}" if file else "--demo"
        print(f"  The codes are valid for {found.seconds} more seconds. The next: ticketstub code {name} {world}")
    if found.homes:
        _section("Homes", ((name, ", ".join(members)) for name, members in found.homes))


def _account(account: AccountSummary, *, secrets: bool) -> Iterable[tuple[str, str]]:
    """Yield an account's lines: by what it signs in, and below that its secrets if they are to be shown."""
    known = [("password", account.password), ("passcode", account.passcode), ("verification code", account.code)]
    tokens = [("token", account.token), *((f"token for {name}", token) for name, token in account.server_tokens)]
    shown = {name for name, secret in [*known, *tokens] if secrets and secret}
    ways = [way for way in account.ways if way not in shown and not ("token" in shown and way.startswith("token "))]
    yield account.username or account.name, ", ".join(filter(None, [account.email, *ways])) or "no e-mail address"
    for pairs in (known, tokens):
        text = ", ".join(f"{name} {secret.reveal()}" for name, secret in pairs if secret and name in shown)
        if text:
            yield "", text


class Journal:
    """A line for each answer: time, method, route, status, milliseconds. It ends where nobody reads it any more."""

    def __init__(self) -> None:
        out = output.console()
        self._colours = out.color_system is not None and not out.no_color

    def write(self, method: str, route: str, status: int, milliseconds: float, _request_id: str) -> None:
        """Print the line of one answer."""
        shown = f"\x1b[{31 if status >= 400 else 32}m{status}\x1b[0m" if self._colours else str(status)
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        with suppress(OSError, ValueError):
            print(f"{now}  {printable(method):<6} {printable(route)}  {shown}  {milliseconds:.1f} ms", flush=True)
