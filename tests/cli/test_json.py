"""The output of `--json`: one format for each kind of value, and one name for each thing, in all commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from tests.cli.conftest import JUNO, MIRA, TOM, Command, text_of
from tests.cli.declared import every_command
from ticketstub import Token
from ticketstub.calls import AuthorizedDevice
from ticketstub.cli import formatting
from ticketstub.testing import LocalPlexController
from ticketstub.tokens import Secret

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").fullmatch
FINGERPRINT = re.compile("#[0-9a-f]{6}").fullmatch
TOKENS = {"token", "auth_token", "access_token", "server_token", "made_from_token"}
RENAMED = {"until", "fingerprint", "claim_token", "made_from", "max_hours", "max_minutes", "whose"}
"""Names that stood for the same as another command's."""
STEPS = [
    ["login", "--password", "--storage", "file"],
    ["login"],
    ["status"],
    ["whoami"],
    ["ping"],
    ["check"],
    ["servers"],
    ["servers", "--all"],
    ["connect", "Attic"],
    ["doctor"],
    ["resources"],
    ["renew"],
    ["token"],
    ["token", "--transient", "--server", "{attic}"],
    ["claim"],
    ["source", "server://9b1f0c7de2a84536f1c0aa57be93d2440e6671f8", "--server", "{attic}"],
    ["home", "list"],
    ["home", "switch", "juno_vale", "--as", "juno", "--storage", "file"],
    ["home", "passcode", "set", "--user", "Pip"],
    ["home", "passcode", "remove", "--user", "Pip"],
    ["devices", "list"],
    ["devices", "remove", "{device}", "--yes"],
    ["logout", "--profile", "juno"],
    ["logout", "--local"],
]
"""Every command that prints JSON, in an order in which one person could type them."""
ELSEWHERE = {"profiles", "exec"}
"""A command whose values are made by the same function as `status`'s, and one that prints JSON for errors only."""


def commands() -> list[tuple[str, ...]]:
    """List the commands that take --json."""
    return [
        tuple(path.split())
        for path, command in every_command()
        if any("--json" in parameter.opts for parameter in command.params)
    ]


def values(found: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with its key."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield name, value
            yield from values(value, name)
    elif isinstance(found, list):
        for value in found:
            yield from values(value, key)


def wrong(found: Mapping[str, Any], home: Path) -> list[tuple[str, Any]]:
    """Return the values whose format does not match their key."""
    return [(key, value) for key, value in values(found) if value is not None and not _is_right(key, value, home)]


def _is_right(key: str, value: Any, home: Path) -> bool:
    if key.endswith("_at"):
        return isinstance(value, str) and TIME(value) is not None
    if key in TOKENS:
        return isinstance(value, str) and FINGERPRINT(value) is not None
    if key == "kept":
        return value in {"file", "keyring", "memory"}
    if key == "path":
        return Path(value).is_absolute() and Path(value).is_relative_to(home)
    return isinstance(value, dict) if key in {"account", "user", "source", "checked"} else key not in RENAMED


def test_every_command_says_the_same_thing_in_the_same_way(
    command: Command, fresh: LocalPlexController, tmp_path: Path
) -> None:
    """Times are ISO 8601 in UTC, tokens are fingerprints, unknown values are null, and names agree everywhere."""
    stdin = {
        "login --password": f"mira_quill\n{text_of(MIRA.password)}\n{MIRA.code()}\n",
        "home switch": f"{text_of(JUNO.passcode)}\n",
        "home passcode set": "1234\n1234\n",
    }
    names = {"attic": fresh.media_server("Attic").url, "device": ""}
    seen: set[tuple[str, ...]] = set()
    faults: dict[str, list[tuple[str, Any]]] = {}
    for step in STEPS:
        typed = " ".join(step)
        given = next((text for beginning, text in stdin.items() if typed.startswith(beginning)), "")
        reached = [] if step[0] == "status" else ["--plex-tv", fresh.url]
        done = command(*(part.format_map(names) for part in step), "--json", *reached, stdin=given, terminal=not given)
        assert 0 == done.code, (typed, done.err)
        found = json.loads(done.out)
        faults[typed] = wrong(found, tmp_path)
        seen |= {path for path in commands() if step[: len(path)] == [*path]}
        if step == ["devices", "list"]:
            names["device"] = str(next(each["id"] for each in found["devices"] if each["name"] == "Attic"))
    assert {} == {typed: found for typed, found in faults.items() if found}
    assert {path for path in commands() if path[0] not in ELSEWHERE} == seen


class Kinds(msgspec.Struct, frozen=True):
    """One value of each kind."""

    last_seen_at: int
    moment: datetime
    naive: datetime
    file: Path
    token: Token
    pin: Secret
    unknown: None = None


def test_one_function_gives_each_kind_its_form() -> None:
    """Epoch seconds and times of any zone have the same format, and a time outside the calendar is unknown."""
    when = datetime(2026, 11, 28, 21, 0, 0, 999, tzinfo=UTC)
    elsewhere = when.astimezone(timezone(timedelta(hours=-5)))
    naive, token = when.replace(tzinfo=None), Token(text_of(TOM.token))
    made = Kinds(int(when.timestamp()), elsewhere, naive, Path("/a b"), token, Secret("1"))
    written = "2026-11-28T21:00:00Z"
    assert {
        "last_seen_at": written,
        "moment": written,
        "naive": written,
        "file": "/a b",
        "token": str(TOM.token),
        "pin": "hidden",
        "unknown": None,
    } == formatting.to_json(made)
    assert {"created_at": None, "sent": True, "count_at": False} == formatting.to_json(
        {"created_at": 10**18, "sent": True, "count_at": False}
    )
    device: Any = formatting.to_json(AuthorizedDevice(created_at=int(when.timestamp())))
    assert written == device["created_at"]
