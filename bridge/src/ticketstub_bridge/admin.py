"""The command `ticketstub bridge`.

Rule: no option takes a secret. What a running bridge knows is asked from it over its socket, never read from its
database. Whatever is wrong is said in sentences, each fault on its own line, with exit code 1.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ticketstub import PlexError
from ticketstub_bridge.config import ConfigError, load_config
from ticketstub_bridge.presets import NAMES
from ticketstub_bridge.sealing import KeyFileError, create_key_file, digest, make_secret
from ticketstub_bridge.storage.database import StoreError

_CONFIG, _KEY, _SOCKET = "bridge.toml", "bridge.key", "bridge.sock"
_DEMO_HINT = (
    'demo and run need pip install "ticketstub-bridge[demo]", or in a checkout pip install ".[server]" "./bridge[demo]"'
)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


class BridgeError(Exception):
    """The command cannot continue; each line of the message is one fault."""


def _report_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> int:  # noqa: ANN401  # Click's
        try:
            return command(*args, **kwargs) or 0
        except PlexError:
            raise  # the command `ticketstub` reports it
        except Exception as error:
            if isinstance(error, click.Abort) and isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None  # at a question
            if (lines := _describe_error(error)) is None:
                raise
            _print_error(lines, type(error).__name__ if kwargs.get("as_json") else None)
        return 1

    return wrapper


def _describe_error(error: Exception) -> list[str] | None:  # noqa: PLR0911  # one for each kind
    """Return the lines of an error that is expected; `None` for another one."""
    from sqlalchemy.exc import SQLAlchemyError

    from ticketstub_bridge.control import ControlRefused, NotRunning

    match error:
        case NotRunning():
            return ["no bridge is running here: start it with `ticketstub bridge serve`"]
        case ConfigError():
            return ["bridge.toml is refused:", *(f"  {each}" for each in error.problems)]
        case SQLAlchemyError():
            cause = getattr(error, "orig", None) or error
            return [f"the database cannot be used: {' '.join(str(cause).split())[:300]}"]
        case BridgeError() | ControlRefused() | KeyFileError() | StoreError():
            return str(error).splitlines()
        case OSError():
            return [f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)]
        case click.Abort():
            return ["standard input has ended: answer the question with an option, see --help"]
        case ModuleNotFoundError() if not (error.name or "").startswith("ticketstub"):
            return [f"{error.name or 'a package'} is not installed: {_DEMO_HINT}"]
        case _:
            return None


def _print_error(lines: list[str], json_kind: str | None) -> None:
    """Print an error in the form of the other commands of `ticketstub`: lines, or JSON with the error's kind."""
    lines = [_UNPRINTABLE.sub(" ", line) for line in lines]
    if json_kind is None:
        click.echo("error: " + "\n".join(lines), err=True)
        return
    description = {
        "kind": json_kind,
        "message": lines[0].rstrip(":"),
        "hint": None,
        "status": None,
        "code": None,
        "exit_code": 1,
        **({"details": [line.strip() for line in lines[1:]]} if lines[1:] else {}),
    }
    click.echo(json.dumps({"error": description}, indent=2), err=True)


class _Group(click.Group):
    """A command with subcommands. Without a subcommand, it shows its help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; an empty one means `--help`."""
        return super().parse_args(ctx, args or ["--help"])


_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="here",
    help="Where bridge.toml and bridge.key are.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=_Group, help="Let the people of your Plex server sign in to your other applications. A preview.")
def bridge() -> None:
    """Group the subcommands."""


@bridge.command()
@_folder
@click.option("--url", metavar="URL", help="The bridge's public address: https://auth.example.org.")
@click.option("--server", metavar="NAME", help="The media server, by name or identifier, if you own several.")
@click.option("--plex-tv", metavar="URL", default="https://plex.tv", help="Plex, or a local Plex.")
@_report_errors
def init(folder: Path, url: str | None, server: str | None, plex_tv: str) -> None:
    """Sign in as the server's owner, and write bridge.toml and bridge.key."""
    from ticketstub_bridge.setting_up import choose_server, find_own_servers
    from ticketstub_bridge.writing import find_problems, write_new

    for name in (_CONFIG, _KEY):
        if (folder / name).exists():
            raise BridgeError(f"{folder / name} exists: this folder has a bridge already")
    url = url or click.prompt("The bridge's public address", err=True)
    values: dict[str, Any] = {"url": url, "database": "sqlite:///bridge.db", "trusted_proxies": ["127.0.0.1"]}
    if plex_tv != "https://plex.tv":
        values["plex_tv"] = plex_tv
    if problems := find_problems(values):  # before somebody signs in for nothing
        raise BridgeError("\n".join(f"--{each.replace('plex_tv', 'plex-tv', 1)}" for each in problems))
    owner_id, servers = find_own_servers(plex_tv, lambda text: click.echo(text, err=True))
    chosen = choose_server(
        servers, server, lambda names: click.prompt("Which server", type=click.Choice(names), err=True)
    )
    if chosen is None:
        names = ", ".join(each.name or "unnamed" for each in servers) or "none"
        raise BridgeError(f"name one of your servers with --server: {names}")
    folder.mkdir(parents=True, exist_ok=True)
    table = {"name": chosen.name, "machine_identifier": chosen.client_identifier, "owner_id": owner_id}
    write_new(folder / _CONFIG, values, [table])
    create_key_file(folder / _KEY)
    click.echo(f"Wrote {folder / _CONFIG} and {folder / _KEY}. Keep a copy of bridge.key: the database needs it.")
    click.echo("Next: ticketstub bridge client add NAME --redirect-uri URL, then ticketstub bridge serve")


@bridge.group(cls=_Group)
def client() -> None:
    """Manage the applications."""


@client.command("add")
@click.argument("client_id", metavar="ID")
@_folder
@click.option("--preset", type=click.Choice(NAMES), help="An application whose settings are known.")
@click.option("--address", metavar="URL", help="With a preset: the application's address, https://photos.example.org.")
@click.option("--redirect-uri", "redirect_uris", metavar="URL", multiple=True, help="An exact address.")
@click.option("--name", help="The name for people.")
@click.option("--public", is_flag=True, help="An application without a secret, such as a page or a phone app.")
@click.option("--allow", metavar="ROLE", multiple=True, help="Who may use it, if fewer than access.allow says.")
@click.option("--post-logout-redirect-uri", metavar="URL", multiple=True, help="Where it may send people after logout.")
@click.option("--backchannel-logout-uri", metavar="URL", help="Where it takes logout messages.")
@click.option("--signing", type=click.Choice(["RS256", "EdDSA"]), default="RS256", help="How ID tokens are signed.")
@_report_errors
def add(
    client_id: str,
    folder: Path,
    preset: str | None,
    address: str | None,
    redirect_uris: tuple[str, ...],
    name: str | None,
    public: bool,
    allow: tuple[str, ...],
    post_logout_redirect_uri: tuple[str, ...],
    backchannel_logout_uri: str | None,
    signing: str,
) -> None:
    """Add an application, and print its settings. The secret is shown once; only its digest is stored."""
    from ticketstub_bridge.presets import load_preset
    from ticketstub_bridge.writing import add_client

    if preset is None and not redirect_uris:
        raise BridgeError("name its exact address with --redirect-uri, or an application that is known with --preset")
    if preset and public:
        raise BridgeError("the applications of presets have a secret: leave out --public")
    if address and preset is None:
        raise BridgeError("--address is for --preset: name the exact address with --redirect-uri")
    config = load_config(folder / _CONFIG)
    if client_id in config.clients:
        raise BridgeError(f"there is an application {client_id!r} already: remove it first, or use another id")
    known = load_preset(preset) if preset else None
    if known:
        address = (address or click.prompt(f"The address of {known.title}", err=True)).rstrip("/")
    secret = None if public else make_secret()
    given = {
        "name": name,
        "redirect_uris": list(redirect_uris),
        "post_logout_redirect_uris": list(post_logout_redirect_uri),
        "backchannel_logout_uri": backchannel_logout_uri,
        "allow": list(allow),
        "signing": signing if signing != "RS256" else None,
    }
    suggested = known.make_client(address or "", config.servers) if known else {}
    digests = {"secret_hash": digest(secret)} if secret else {}
    add_client(
        folder / _CONFIG,
        {"id": client_id, **digests, **suggested, **{key: value for key, value in given.items() if value}},
    )
    config = load_config(folder / _CONFIG)
    _print_fields(
        [
            ("Issuer", config.url),
            ("Discovery", f"{config.url}/.well-known/openid-configuration"),
            ("Client ID", client_id),
            ("Client secret", secret or "none: this is a public application"),
            ("Scopes", "openid profile email groups"),
            ("PKCE", "S256" + ("" if public else " (recommended)")),
        ]
    )
    if known and address and secret:
        settings = known.render(address=address, issuer=config.url, client_id=client_id, client_secret=secret)
        click.echo(f"\nSettings of {known.title} ({known.origin})")
        click.echo(f"For {known.place.format(address=address)}:\n\n{settings.strip()}\n")
    _reload_running(folder)


@client.command("list")
@_folder
@_as_json
@_report_errors
def list_clients(folder: Path, as_json: bool) -> None:
    """List the applications."""
    config = load_config(folder / _CONFIG)
    rows = [
        {
            "id": each.id,
            "name": each.name,
            "public": each.secret_hash is None,
            "allow": sorted(each.allow),
            "redirect_uris": list(each.redirect_uris),
        }
        for each in config.clients.values()
    ]
    _print_rows(rows, as_json=as_json, empty="There is no application yet: ticketstub bridge client add")


@client.command("remove")
@click.argument("client_id", metavar="ID")
@_folder
@_report_errors
def remove(client_id: str, folder: Path) -> None:
    """Remove an application; what it was given ends."""
    from ticketstub_bridge.writing import remove_client

    if not remove_client(folder / _CONFIG, client_id):
        raise BridgeError(f"there is no application {client_id!r}: see `ticketstub bridge client list`")
    click.echo(f"Removed {client_id}.")
    _reload_running(folder)


@bridge.command()
@_folder
@click.option("--db", metavar="URL", help="A database that replaces the one in bridge.toml.")
@_as_json
@_report_errors
def check(folder: Path, db: str | None, as_json: bool) -> int:
    """Check configuration, key, database, address, TLS, clocks, Plex and applications: what is wrong, what to do."""
    from ticketstub_bridge.checking import run_checks

    findings = run_checks(folder, _check_database(db))
    if as_json:
        rows = [{"state": each.state, "text": each.text, "advice": each.advice} for each in findings]
        click.echo(json.dumps(rows, indent=2))
    else:
        for finding in findings:
            text = f"{finding.text}: {finding.advice}" if finding.advice else finding.text
            click.echo(f"{finding.state:<8}{_UNPRINTABLE.sub(' ', text)}")
    return int(any(finding.state == "wrong" for finding in findings))


@bridge.command()
@_folder
@click.option(
    "--db", metavar="URL", help="A database that replaces the one in bridge.toml: postgresql://USER@HOST/NAME."
)
@click.option("--drain", type=click.FloatRange(0, 300), default=2.0, help="Seconds between 'not ready' and the end.")
@_report_errors
def serve(folder: Path, db: str | None, drain: float) -> None:
    """Run the bridge."""
    from ticketstub_bridge.observing import set_up_log
    from ticketstub_bridge.serving import serve as run

    set_up_log()
    run(folder, database=_check_database(db), drain=drain)


@bridge.command()
@_folder
@click.option("--db", metavar="URL", help="A database that replaces the one in bridge.toml.")
@_report_errors
def migrate(folder: Path, db: str | None) -> None:
    """Bring the database's tables up to date; `serve` does it too."""
    from ticketstub_bridge.storage.migrate import run_migration_process

    run_migration_process(_check_database(db) or load_config(folder / _CONFIG).database)
    click.echo("The database is up to date.")


@bridge.command()
@_folder
@_as_json
@_report_errors
def people(folder: Path, as_json: bool) -> None:
    """List the people who have signed in."""
    rows = _ask(folder, "/people")
    if not as_json:
        for row in rows:
            row["roles"] = ", ".join(f"{server}:{role}" for server, role in row["roles"].items())
    shown = ("handle", "name", "email", "account_id", "roles", "signed_in_at", "lost_at")
    _print_rows(rows, as_json=as_json, columns=shown, empty="Nobody has signed in yet.")


@bridge.command()
@_folder
@_as_json
@_report_errors
def sessions(folder: Path, as_json: bool) -> None:
    """List the sessions."""
    shown = ("handle", "browser", "created_at", "seen_at", "sid")
    _print_rows(_ask(folder, "/sessions"), as_json=as_json, columns=shown, empty="Nobody is signed in.")


@bridge.command()
@_folder
@click.option("--limit", type=click.IntRange(1, 1000), default=100, help="How many.")
@_as_json
@_report_errors
def events(folder: Path, limit: int, as_json: bool) -> None:
    """List what happened, the newest last."""
    rows = _ask(folder, "/events", {"limit": limit})
    _print_rows(
        rows, as_json=as_json, columns=("at", "kind", "sub", "client_id", "detail"), empty="Nothing happened yet."
    )


@bridge.command("sign-out")
@click.argument("person")
@_folder
@_report_errors
def sign_out(person: str, folder: Path) -> None:
    """End everything of a person (handle, sub or account id): sessions, tokens, and what applications hold."""
    answer = _ask(folder, "/sign-out", {"person": person})
    click.echo(
        f"Signed out {answer['handle']}: {answer['sessions']} {'session' if answer['sessions'] == 1 else 'sessions'}."
    )


@bridge.group(cls=_Group)
def keys() -> None:
    """Manage the signing keys."""


@keys.command()
@_folder
@_report_errors
def rotate(folder: Path) -> None:
    """Replace the signing keys; the old ones stay published while anything that they signed is used."""
    for kid in _ask(folder, "/keys/rotate")["kids"]:
        click.echo(f"New key: {kid}")


@bridge.command()
@_folder
@_report_errors
def reload(folder: Path) -> None:
    """Let the running bridge read bridge.toml again (as SIGHUP does)."""
    answer = _ask(folder, "/reload")
    click.echo(f"Reloaded: {answer['clients']} applications.")
    if answer["waiting"]:
        click.echo(f"Restart the bridge for the new {', '.join(answer['waiting'])}.")


@bridge.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8180, help="The bridge's port; 0 takes a free one.")
@_report_errors
def demo(port: int) -> None:
    """Start a local Plex, a bridge and a small application, all on this computer, to try a sign-in."""
    from ticketstub_bridge.demo import run_demo

    run_demo(port)


@bridge.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    metavar="URL",
    multiple=True,
    default=["http://127.0.0.1:3000/callback"],
    show_default=True,
    help="An exact address of the program's application.",
)
@click.option("--person", metavar="NAME", help="Sign this person in without a page.")
@click.option(
    "--world", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The people, as a world file."
)
@_report_errors
def run(command: tuple[str, ...], redirect_uris: tuple[str, ...], person: str | None, world: Path | None) -> int:
    """Run a program beside a local Plex and a bridge; environment variables name them."""
    from ticketstub_bridge.demo import run_program

    return run_program(command, list(redirect_uris), world=world, person=person)


def _check_database(url: str | None) -> str | None:
    from ticketstub_bridge.addresses import check_database, resolve_database

    if url is None:
        return None
    if problem := check_database(url):
        raise BridgeError(f"--db {problem}")
    return resolve_database(url, Path())


def _ask(folder: Path, call: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  # JSON
    from ticketstub_bridge.control import call_bridge

    return call_bridge(folder / _SOCKET, call, arguments)


def _reload_running(folder: Path) -> None:
    from ticketstub_bridge.control import NotRunning

    try:
        _ask(folder, "/reload")
    except NotRunning:
        return
    click.echo("The running bridge uses it now. Other replicas: ticketstub bridge reload, on each.")


def _print_fields(fields: Iterable[tuple[str, str]]) -> None:
    for name, value in fields:
        click.echo(f"{name:<15}{value}")


def _print_rows(
    rows: list[dict[str, Any]], *, as_json: bool, columns: tuple[str, ...] | None = None, empty: str
) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo(empty)
        return
    names = columns or tuple(rows[0])
    table = [names, *([_format(name, row.get(name)) for name in names] for row in rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(names))]
    for row in table:
        click.echo("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def _format(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and (name == "at" or name.endswith("_at")):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return _UNPRINTABLE.sub(" ", text)[:60]
