"""The tables of the reference are those of the code: nothing is missing, nothing is made up."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar, get_args, get_type_hints

import click
import msgspec
import pytest

import ticketstub
from tests.cli.declared import every_command
from tests.docs.pages import ROOT, page
from tests.tables import every
from ticketstub import calls, errors, refusals, testing
from ticketstub.cli.errors import EXIT_CODES
from ticketstub.client import groups
from ticketstub.client.config import Options, Retry
from ticketstub.device import DEVICE_HEADERS
from ticketstub.errors import PlexError
from ticketstub.local_plex.world.addresses import WorldAddress, WorldConnection
from ticketstub.local_plex.world.reading import WorldTable, get_fields
from ticketstub.local_plex.world.schema import (
    Quirks,
    World,
    WorldAccount,
    WorldHome,
    WorldManaged,
    WorldMediaServer,
    WorldMember,
    WorldShare,
    WorldSource,
    WorldSubscription,
)
from ticketstub.public_names import CALLS, TOP_LEVEL
from ticketstub.refusals import Refusal

# The heading under which each table of a world's keys stands.
WORLD: dict[str, type[WorldTable]] = {
    "[[account]]": WorldAccount,
    "subscription": WorldSubscription,
    "[[media_server]]": WorldMediaServer,
    "[[media_server.address]]": WorldAddress,
    "[[media_server.share]]": WorldShare,
    "[[media_server.source]]": WorldSource,
    "connections": WorldConnection,
    "[[home]]": WorldHome,
    "[[home.member]]": WorldMember,
    "[[home.managed]]": WorldManaged,
}


K = TypeVar("K")


def public_classes(kind: type[K]) -> Iterator[type[K]]:
    """Yield the public classes of a kind."""
    for name in (*TOP_LEVEL, *CALLS):
        found: object = getattr(calls if name in CALLS else ticketstub, name)
        if isinstance(found, type) and issubclass(found, kind):
            yield found


def rows(name: str, heading: str, *columns: str) -> list[tuple[str, ...]]:
    """Return some columns of a page's table."""
    table = page(name).table(heading)
    return list(zip(*(table.column(column) for column in columns), strict=True))


def test_every_error_is_in_the_page_below_its_parent() -> None:
    """The tables of errors have each class that can be raised, once, with the class that it is a kind of."""
    tables = page("docs/reference/errors.md").tables()
    listed = [(row[0].strip("`"), row[1].strip("`")) for table in tables for row in table.rows]
    defined = [kind for module in (errors, refusals) for kind in vars(module).values() if inspect.isclass(kind)]
    raised = {(kind.__name__, kind.__mro__[1].__name__) for kind in defined if issubclass(kind, PlexError)}
    assert sorted(raised) == sorted(listed)


def test_every_error_can_be_had_from_the_package() -> None:
    """A class that the page names is one that a program can catch."""
    tables = page("docs/reference/errors.md").tables()
    assert set() == {row[0].strip("`") for table in tables for row in table.rows} - set(TOP_LEVEL)


def test_refusals_have_the_status_and_code_of_the_table() -> None:
    """Status and code of each refusal are those that its class writes and stands for."""
    listed = set(rows("docs/reference/errors.md", "Refusals", "class", "status", "code"))
    kinds = [kind for kind in public_classes(Refusal) if kind is not Refusal]
    known = {(kind.__name__, str(kind().status), str(kind().code or "none")) for kind in kinds}
    assert known | {("Refusal", "any", "any")} == listed


def test_the_generated_pages_are_current() -> None:
    """The calls, the API, the command's help and the tree of errors are as `make format` writes them."""
    program = [sys.executable, str(ROOT / "scripts" / "make_reference.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize(
    ("heading", "method"),
    [
        ("post_users_sign_in_data", ticketstub.Plex().authentication.post_users_sign_in_data),
        ("get_transient_token", ticketstub.Plex().authentication.get_transient_token),
        ("get_source_connection_information", ticketstub.Plex().authentication.get_source_connection_information),
        ("resources", ticketstub.Plex().resources),
    ],
)
def test_parameters_are_those_of_the_method(heading: str, method: Callable[..., object]) -> None:
    """An operation's table has each parameter of its method, in their order."""
    own = [name for name in inspect.signature(method).parameters if name != "options"]
    assert own == page("docs/reference/operations.md").table(heading).column("parameter")


def test_every_option_is_in_the_page() -> None:
    """The tables of options are those of the code, in their order."""
    options = page("docs/reference/options.md")
    assert list(Options.__annotations__) == options.table("On every method and with_options").column("option")
    arguments = list(inspect.signature(ticketstub.Plex).parameters)
    assert arguments == options.table("Of Plex and AsyncPlex").column("argument")
    fields = [field.name for field in msgspec.structs.fields(Retry)]
    assert fields == options.table("Time limits and retries").column("field of Retry")


def test_every_argument_of_sign_in_is_in_the_page() -> None:
    """The tables have each argument of `sign_in` and each field of its methods, in their order."""
    options = page("docs/reference/options.md")
    arguments = [name for name in inspect.signature(ticketstub.Plex.sign_in).parameters if name != "client"]
    assert arguments == options.table("Of sign_in").column("argument of sign_in")
    methods = (ticketstub.Browser, ticketstub.LinkCode, ticketstub.Password)
    fields = [(kind.__name__, field.name) for kind in methods for field in msgspec.structs.fields(kind)]
    assert fields == rows("docs/reference/options.md", "Methods of sign_in", "method", "field")


def test_every_field_of_a_device_is_in_the_page_with_its_header() -> None:
    """The device's table is that of the code."""
    listed = rows("docs/reference/options.md", "The device", "field of Device", "sent as")
    assert list(DEVICE_HEADERS.items()) == listed


def test_every_table_of_a_world_has_a_heading() -> None:
    """No table of keys is left out of the page."""
    assert {*WORLD.values(), World, Quirks} == set(WorldTable.__subclasses__())
    assert {"account", "media_server", "home", "answers"} == get_fields(World).keys()


@every(("heading", "kind"), WORLD.items())
def test_every_key_of_a_world_is_in_the_page(heading: str, kind: type[WorldTable]) -> None:
    """The table below a heading has each key that is read there, in their order, and says which are required."""
    known = [(name, "yes" if key.required else "") for name, key in get_fields(kind).items()]
    assert known == rows("docs/reference/world.md", heading, "key", "required")


def test_every_quirk_is_in_its_page_with_its_values() -> None:
    """The table has each key of `[answers]` with its values, the default first, and each has its reason."""
    defaults = msgspec.structs.asdict(Quirks())
    hints = get_type_hints(Quirks)
    choices = {name: get_args(hints[name]) or (False, True) for name in defaults}
    assert [*defaults.values()] == [values[0] for values in choices.values()]
    listed = [(name, ", ".join(json.dumps(value) for value in values)) for name, values in choices.items()]
    assert listed == rows("docs/reference/quirks.md", "Keys", "key", "values")
    assert [*choices] == page("docs/reference/quirks.md").table("Why each is open").column("key")


def test_exit_codes_are_those_of_the_page() -> None:
    """The table of exit codes is the command's own, in its words."""
    listed = rows("docs/reference/command/index.md", "Exit codes", "code", "meaning")
    assert [(str(code), meaning) for code, meaning in EXIT_CODES.items()] == listed


COMMAND_PAGES = [page(f"docs/reference/command/{name}.md") for name in ("sign-in", "account", "local-plex")]


def test_every_command_is_in_a_page() -> None:
    """Each command has its section on one page, and no section is about a command that does not exist."""
    headings = [text.removeprefix("ticketstub ") for one in COMMAND_PAGES for text in one.headings()[1:]]
    assert sorted([*commands(), *(["Next"] * len(COMMAND_PAGES))]) == sorted(headings)


def commands() -> dict[str, set[str]]:
    """Return the command's commands, those of inner groups by their whole path, with the options of each."""
    return {path: _options_of(one) for path, one in every_command() if not isinstance(one, click.Group)}


def _options_of(command: click.Command) -> set[str]:
    return {
        option
        for parameter in command.params
        if parameter.param_type_name == "option"
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and option != "--help"
    }


@every("name", list(commands()))
def test_every_option_of_a_command_is_in_its_section(name: str) -> None:
    """A command's section names its options, and no others."""
    (section,) = [one.section(f"ticketstub {name}") for one in COMMAND_PAGES if f"ticketstub {name}" in one.headings()]
    named = set(re.findall(r"`(--[a-z-]+)", section))
    assert commands()[name] == named


def test_names_of_the_upgrading_page_exist() -> None:
    """What the page says that a class, function, method or attribute is called now, it is called."""
    upgrading = page("docs/how-to/migrate/upgrading.md")
    names = re.findall(r"`(\w+)`", " ".join(upgrading.table("Classes and functions").column("now")))
    assert set() == {name for name in names if name not in TOP_LEVEL and not hasattr(testing, name)}
    places: dict[str, object] = {
        "plex.auth_keys": groups.AuthKeyCalls,
        "plex.home": groups.HomeCalls,
        "plex.claims": groups.ClaimCalls,
        "plex.at(url).claims": groups.ServerClaimCalls,
    }
    for of, _, now in upgrading.table("Methods, attributes and arguments").rows:
        name = of.strip("`")
        kind = places.get(name) or getattr(testing if "Local" in name else ticketstub, name)
        assert {re.sub(r"\(.*", "", each) for each in re.findall(r"`([^`]+)`", now)} <= {*dir(kind)}, name
