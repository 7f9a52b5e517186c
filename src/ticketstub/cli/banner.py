"""What `ticketstub serve` prints: where everything is, who lives there, and that it is not Plex; then a line an answer.

Rule: tokens as fingerprints, passwords and verification secrets not at all. The last line of the banner begins with
`ready`: by then every address answers.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ticketstub.cli import show
from ticketstub.cli.version import version
from ticketstub.errors import printable
from ticketstub.server.places import ON_THIS_MACHINE
from ticketstub.server.proxy.variables import AUTHORITY

if TYPE_CHECKING:
    from ticketstub.cli.certificates import Certificates
    from ticketstub.server.local_plex import LocalPlex
    from ticketstub.server.world import WorldAccount
    from ticketstub.server.world_homes import WorldHome


def introduce(
    plex: LocalPlex,
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
        db: its database, if it is kept.
        host: the address it listens on.
        file: the world's file; `None` for the demonstration world.
        key: where the control API's key is, if it answers: a file, or the name of a variable.
        tls: what https is answered with, if it is.
    """
    print(f"Ticketstub {version()}: a local stand-in for Plex, not Plex. Never type a real Plex password here.")
    if host in ON_THIS_MACHINE:
        print(f"Listening on {host}: on every network of this machine. Whoever reaches it can use it.")
    _addresses(plex, host)
    _accounts(plex, file)
    _homes(plex)
    _how_to(_reached(plex.url, host))
    if plex.control_url and key:
        print(f"\nControl: {_reached(plex.control_url, host)}/control/v1, with the key in {printable(str(key))}")
    if tls:
        _https(plex, tls)
    print(f"\nState: {f'kept in {printable(db)}' if db else 'in memory, gone when this ends'}.")
    print("ready (Ctrl-C ends it)", flush=True)


def _reached(url: str, host: str) -> str:
    return url.replace(host, ON_THIS_MACHINE[host], 1) if host in ON_THIS_MACHINE else url


def _addresses(plex: LocalPlex, host: str) -> None:
    print()
    show.heading("Addresses")
    servers = [(server.name, _reached(server.url, host)) for server in plex.media_servers]
    url = _reached(plex.url, host)
    show.facts([("plex.tv", url), ("its pages", f"{url}/link  {url}/account"), *servers])


def _https(plex: LocalPlex, tls: Certificates) -> None:
    """Say how https is had."""
    print(
        f"\nhttps: on every port above, and plex.tv's also on {', '.join(map(str, plex.more_ports))}, for Plex's names:"
    )
    show.facts([("plex.tv", "and www., clients., app."), *((each.name, each.https_url) for each in plex.media_servers)])
    print(f"  Until {tls.until:%Y-%m-%d}, trust {printable(str(tls.folder / AUTHORITY))}, or what is beside it")


def _accounts(plex: LocalPlex, file: Path | None) -> None:
    print()
    show.heading("Accounts")
    if not plex.accounts:
        print("  none: nobody can sign in")
    show.facts((account.username, _signs_in_with(account)) for account in plex.accounts)
    where = file or _demonstration()
    print(f"  Passwords, verification secrets and tokens: {printable(str(where))}")


def _signs_in_with(account: WorldAccount) -> str:
    ways = ["password" if account.password or account.password_hash else "no password"]
    if account.verification_secret:
        ways.append("verification code")
    if account.passcode:
        ways.append("passcode")
    if account.token:
        ways.append(f"token {account.token}")
    return ", ".join([account.email, *ways, *(["disabled"] if account.disabled else [])])


def _homes(plex: LocalPlex) -> None:
    if plex.world.homes:
        print()
        show.heading("Homes")
        show.facts((home.name, _members(home)) for home in plex.world.homes)


def _members(home: WorldHome) -> str:
    managed = (f"{user.title} (managed{', passcode' if user.passcode else ''})" for user in home.managed)
    members = (f"{member.account}{' (guest)' if member.guest else ''}" for member in home.members)
    return ", ".join([f"{home.admin} (administrator)", *members, *managed])


def _demonstration() -> Path:
    import ticketstub.server

    return Path(ticketstub.server.__file__ or "").with_name("demo_world.toml")


def _how_to(url: str) -> None:
    print()
    show.heading("Point a client at it")
    show.facts(
        [
            ("Python", f'Plex(plex_tv="{url}")'),
            ("shell", f"export TICKETSTUB_PLEX_TV={url}"),
            ("other SDKs", f"server address {url}/api/v2"),
        ]
    )


class Journal:
    """A line for each answer: time, method, route, status, milliseconds. It ends where nobody reads it any more."""

    def __init__(self) -> None:
        out = show.console()
        self._colours = out.color_system is not None and not out.no_color

    def write(self, method: str, route: str, status: int, milliseconds: float, _request_id: str) -> None:
        """Print the line of one answer."""
        shown = f"\x1b[{31 if status >= 400 else 32}m{status}\x1b[0m" if self._colours else str(status)
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        with suppress(OSError, ValueError):
            print(f"{now}  {printable(method):<6} {printable(route)}  {shown}  {milliseconds:.1f} ms", flush=True)
