"""The documentation of testing is correct."""

from __future__ import annotations

import msgspec
import pytest

from tests.docs.pages import page
from ticketstub.local_plex.control.commands import COMMANDS, PREFIX
from ticketstub.testing import LocalPlexController

pytest_plugins = ["pytester"]


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester) -> None:
    """Every test on the page passes when pytest runs it unchanged."""
    blocks = [block.text for block in page("docs/how-to/test/pytest.md").blocks() if "def test_" in block.text]
    count = sum(text.count("def test_") for text in blocks)
    assert 10 == count
    pytester.makeini("[pytest]\naddopts = -p no:asyncio --strict-markers\nfilterwarnings = error\n")
    pytester.makepyfile(**{f"test_{number}": text for number, text in enumerate(blocks)})
    pytester.runpytest().assert_outcomes(passed=count)


def test_every_verb_of_the_control_api_is_in_the_page() -> None:
    """Paths, methods and body members are those of the code."""
    table = page("docs/reference/control.md").table("Commands")
    written = dict(zip(table.column("command"), table.column("body"), strict=True))
    meant = {
        f"{method} {path.removeprefix(PREFIX)}".strip(): ", ".join(
            field.name if field.required else f"[{field.name}]" for field in msgspec.structs.fields(verb.arguments_type)
        )
        for path, methods in COMMANDS.items()
        for method, verb in methods.items()
    }
    assert meant == {verb.strip(): body for verb, body in written.items()}


def test_every_verb_of_the_fixture_is_in_the_page() -> None:
    """The table lists every command of the fixture, except those that the text above it describes."""
    section = page("docs/how-to/test/pytest.md").section("Commands")
    told = {"url", "media_server", "media_servers", "env", "now", "create_in_process_app"}
    names = {name for name in vars(LocalPlexController) if not name.startswith("_")} - told
    assert [] == sorted(name for name in names if f"`{name}" not in section)
