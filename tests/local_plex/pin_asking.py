"""What the tests of PINs share: making, polling and linking one over HTTP, by hand."""

from collections.abc import Mapping
from typing import Any

from tests.local_plex.asking import MIRA, Answered, ask

CLIENT = "demo-client-7c1f"
JSON = {"Accept": "application/json", "X-Plex-Client-Identifier": CLIENT, "X-Plex-Product": "Demo App"}
XML = {"Accept": "application/xml", "X-Plex-Client-Identifier": CLIENT, "X-Plex-Product": "Demo App"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OVER = (404, b'{"errors":[{"code":1020,"message":"Code not found or expired"}]}')


def create(url: str, query: str = "", headers: Mapping[str, str] | None = None) -> Any:
    """Make a PIN and return its JSON."""
    made = ask(url, "POST", f"/api/v2/pins{query}", JSON | dict(headers or {}))
    assert made.status == 201, made
    return made.json


def poll(url: str, pin_id: object, query: str = "", **headers: str) -> Answered:
    """Ask how a PIN stands, in JSON, as its own client unless another is named."""
    return ask(url, "GET", f"/api/v2/pins/{pin_id}{query}", JSON | headers)


def link(url: str, code: str, token: str = MIRA, **headers: str) -> Answered:
    """Approve a PIN, asking for JSON, from a browser's own client identifier."""
    given = JSON | FORM | {"X-Plex-Token": token, "X-Plex-Client-Identifier": "demo-approver"} | headers
    return ask(url, "PUT", "/api/v2/pins/link", given, f"code={code}")


def code_of(answer: Answered) -> tuple[int, int]:
    """Return the status and the code of a refusal in JSON."""
    return answer.status, answer.json["errors"][0]["code"]


def over(answer: Answered) -> bool:
    """Tell whether an answer is the one about a PIN that is not there."""
    return (answer.status, answer.body) == OVER
