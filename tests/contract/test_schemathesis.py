"""The OpenAPI documents, checked against a running local Plex by schemathesis.

Rule: schemathesis runs as a separate program with a seed, so that runs are identical, and with bounded counts. All its
checks are on; `schemathesis.toml` has the exceptions with their reasons.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import KEY
from tests.local_plex.asking import MIRA, get
from ticketstub.local_plex.local_plex import LocalPlex, build_openapi_document
from ticketstub.local_plex.openapi.documents import ApiName

HERE = Path(__file__).parent
UNKNOWN_METHODS = "unsupported_method"
"""How a media server answers an unsupported method is unknown; a local one's 404 is assumed."""


class Contract:
    """A run of schemathesis.

    Args:
        plex: the local Plex to check.
        folder: the folder to run in.
    """

    def __init__(self, plex: LocalPlex, folder: Path) -> None:
        self._plex = plex
        self._folder = folder
        shutil.copy(HERE / "schemathesis.toml", folder)

    def run(self, document: object, url: str, *more: str) -> tuple[int, str, dict[str, int]]:
        """Run it; return its exit code, its output, and the number of responses by status."""
        (self._folder / "openapi.json").write_text(json.dumps(document))
        report = self._folder / "report.ndjson"
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url, "--seed", "1"),
            *("--no-color", "--warnings", "off", "--report-ndjson-path", str(report), *more),
        ]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environ(), capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr, _statuses(report)

    def _environ(self) -> dict[str, str]:
        hooks = {"SCHEMATHESIS_HOOKS": "tests.contract.hooks", "PYTHONPATH": str(HERE.parents[1])}
        control = {"CONTRACT_CONTROL": self._plex.control_url or "", "CONTRACT_KEY": KEY}
        return {**os.environ, **hooks, **control}


def _statuses(report: Path) -> dict[str, int]:
    """Count the responses by status."""
    counted: dict[str, int] = {}
    for line in report.read_text().splitlines() if report.exists() else ():
        for found in _found(json.loads(line)):
            counted[found] = counted.get(found, 0) + 1
    return counted


def _found(data: object) -> list[str]:
    if isinstance(data, dict):
        status = data.get("status_code")
        return [*([str(status)] if status else []), *(one for value in data.values() for one in _found(value))]
    return [one for value in data for one in _found(value)] if isinstance(data, list) else []


def as_mira(accept: str) -> tuple[str, ...]:
    """Return the options for requests as a signed-in account in a format."""
    return "-H", f"X-Plex-Token: {MIRA}", "-H", f"Accept: {accept}"


@pytest.fixture
def contract(patient: LocalPlex, tmp_path: Path) -> Contract:
    return Contract(patient, tmp_path)


@pytest.mark.parametrize(
    ("place", "accept", "phases"),
    [
        ("plex.tv", "application/json", "coverage,fuzzing,stateful"),
        ("plex.tv", "application/xml", "fuzzing"),
        ("media server", "application/json", "coverage,fuzzing"),
        ("media server", "text/xml", "coverage,fuzzing"),
    ],
)
def test_what_is_answered_is_what_the_document_says(
    place: ApiName, accept: str, phases: str, patient: LocalPlex, contract: Contract
) -> None:
    """No 5xx; statuses, content types and bodies match the document; nothing that needs a token comes without one."""
    url = patient.url if place == "plex.tv" else patient.media_server("Attic").url
    document = json.loads(build_openapi_document(place))
    more = ["--exclude-checks", UNKNOWN_METHODS] if place == "media server" else []
    code, said, statuses = contract.run(
        document, url, *as_mira(accept), "--phases", phases, "--max-examples", "4", *more
    )
    assert 0 == code, said[-4000:]
    assert {"200", "400", "401"} <= set(statuses), "the run did not get anywhere"
    assert len(document["paths"]) <= sum(statuses.values())
    assert 200 == get(patient.url, "/api/v2/user", MIRA).status, "the run ended what it asks with"


def test_the_control_api_is_what_its_document_says(patient: LocalPlex, contract: Contract) -> None:
    """Every command with the key: no 5xx, invalid arguments are refused, and nothing happens without the key."""
    options = ("-H", f"Authorization: Bearer {KEY}", "--phases", "coverage,fuzzing,stateful", "--max-examples", "4")
    code, said, statuses = contract.run(
        json.loads(build_openapi_document("control")), patient.control_url or "", *options
    )
    assert 0 == code, said[-4000:]
    assert {"200", "204", "400", "401", "404", "405"} <= set(statuses), "the run did not get anywhere"


def test_a_wrong_document_is_found_out(patient: LocalPlex, contract: Contract) -> None:
    """The run can fail: for a document with a wrong type in ping's response, in JSON and in XML."""
    document = json.loads(build_openapi_document("plex.tv"))
    content = document["paths"]["/api/v2/ping"]["get"]["responses"]["200"]["content"]
    content["application/json"]["schema"]["properties"]["pong"] = {"type": "string"}
    content["application/xml"]["schema"]["xml"]["name"] = "gnop"
    for accept, complaint in (("application/json", "Response violates schema"), ("application/xml", "<gnop>")):
        more = ("--phases", "fuzzing", "--max-examples", "1", "--include-operation-id", "ping")
        code, said, _ = contract.run(document, patient.url, *as_mira(accept), *more)
        assert 1 == code, said
        assert complaint in said
