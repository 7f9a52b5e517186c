"""Programs written for the SDKs, with changed imports, get the same results from `ticketstub.compat`.

Rule: the programs are those of tests/strangers/, with no change but the imports, and both sides use the same local
Plex. Tokens that are new in each call are compared by their kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.strangers.conftest import Start, start_stranger, tell
from tests.strangers.environments import HERE
from ticketstub import Token

__all__ = ["start_stranger", "tell"]

pytestmark = pytest.mark.strangers

MIRA = "Xk3mPz_9Q-vT7rLb2NfW"
TOM_ON_ATTIC = "Sh1-aT9_tM5cQe3VzXrB"
DEAD = "Dd0-xX9_zZ8yWw7VvU6t"
SOURCE = "provider://tv.example.movies"
CHANGED = {
    r"^import plex_api$": "from ticketstub.compat import plex_api",
    r"^from plex_api\.": "from ticketstub.compat.plex_api.",
}
SERVER_CALLS: list[dict[str, str]] = [
    {"call": call, "server": server, "token": token, "source": SOURCE}
    for call in ("transient_token", "source")
    for server in ("Attic", "Cellar")
    for token in (MIRA, TOM_ON_ATTIC, DEAD)
] + [{"call": "source", "server": "Attic", "token": MIRA, "source": "server://unknown"}]


def load_program(folder: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Load a program with changed imports and without its loop, and return its function for one request."""
    program = (HERE / folder / "program.py").read_text("utf-8").partition("\nfor line in sys.stdin")[0]
    for written, changed in CHANGED.items():
        program = re.sub(written, changed, program, flags=re.MULTILINE)
    assert "from ticketstub.compat" in program
    namespace: dict[str, Any] = {"__name__": folder}
    exec(compile(program, folder, "exec"), namespace)  # noqa: S102  # a program of these tests
    outcome: Callable[[dict[str, Any]], dict[str, Any]] = namespace["outcome"]
    return outcome


def make_comparable(outcome: dict[str, Any], token: str | None) -> dict[str, Any]:
    """Replace a new token with its kind."""
    found = json.loads(json.dumps(outcome))
    result = found.get("result", {})
    if result.get("token") and result["token"] != token:
        result["token"] = Token.from_wire(result["token"]).kind
    return found


@pytest.mark.parametrize("ask", SERVER_CALLS, ids=lambda ask: "-".join(ask.values()))
@pytest.mark.parametrize("folder", ["plexpy_0_6_6", "plexpy_0_9_0"])
def test_plex_api(start_stranger: Start, folder: str, ask: dict[str, str]) -> None:
    """Values, statuses, errors, bodies and codes are equal, but the releases never raise the page's class for a 401."""
    stranger, plex = start_stranger(folder)
    whole: dict[str, Any] = {**ask, "how": "sync", "server": plex.servers[ask["server"]]}
    theirs = make_comparable(stranger.ask(**whole), ask["token"])
    ours = make_comparable(load_program(folder)(whole), ask["token"])
    if ours.get("raised", "").endswith("ResponseBody"):
        ours["raised"] = "SDKError"
    assert theirs == ours
