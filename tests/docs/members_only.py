"""The application of docs/how-to/members-only.md: its module, and a world with a member and a stranger.

Rule: the application is loaded from the file that the page shows, and set up by the environment as the page says.
"""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest

from tests.docs.pages import ROOT
from ticketstub import Plex
from ticketstub.testing import LocalPlexController

APPLICATION = ROOT / "docs" / "how-to" / "members-only" / "members.py"
SITE = "https://club.example.test"
ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
MIRA = 10500123
PASSWORD = "paper-lantern-42"
WORLD: dict[str, Any] = {
    "account": [
        {"username": "mira_quill", "email": "mira@example.test", "password": PASSWORD, "id": MIRA},
        {"username": "tom", "email": "tom@example.test", "password": PASSWORD},
        {"username": "walt", "email": "walt@example.test", "password": PASSWORD},
    ],
    "media_server": [
        {"name": "Attic", "owner": "mira_quill", "machine_identifier": ATTIC, "share": [{"account": "tom"}]},
        {"name": "Shed", "owner": "walt"},
    ],
}


def load(plex_tv: str, environment: pytest.MonkeyPatch, site: str = SITE) -> Any:
    """Load the application as a process with these addresses would."""
    settings = {
        "SITE_URL": site,
        "PLEX_TV": plex_tv,
        "PLEX_SERVER": ATTIC,
        "PLEX_OWNER": str(MIRA),
        "PLEX_CLIENT_IDENTIFIER": "5f6c2a0e-8b7d-4f0c-9d52-6a1e3c4b7d90",
        "SESSION_SECRET": "only for these tests",
    }
    for name, value in settings.items():
        environment.setenv(name, value)
    spec = spec_from_file_location("members", APPLICATION)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forge_resources(plex: LocalPlexController, *, name: bool, identifier: bool) -> str:
    """Return what plex.tv lists for walt, with his own server called as Attic is, or with Attic's identifier."""
    with Plex(plex_tv=plex.url, token=plex.token_for("walt")) as walt:
        listed: Any = walt.at(plex.url, token=walt.token).get("/api/v2/resources").json()
    (shed,) = listed
    forged = shed | ({"name": "Attic"} if name else {}) | ({"clientIdentifier": ATTIC} if identifier else {})
    return json.dumps([forged])
