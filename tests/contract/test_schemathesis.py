"""All that the OpenAPI document says, asked of a running local Plex by a tool that believes the document.

Rule: schemathesis runs as a program of its own, seeded, so that a run is the same each time and bounded by its counts.
Left out are checks of what the document does not claim: that nothing but 405 refuses a method, and that every value
which fits a schema is a good one (passwords, PINs and keys are not described by their schema).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.asking import MIRA
from ticketstub.server import openapi
from ticketstub.server.local_plex import LocalPlex

# These end what the run asks with; the matrix of tokens asks for them.
LAST = ("sign_out", "unclaim_server")
NOT_CLAIMED = "unsupported_method,negative_data_rejection,positive_data_acceptance,missing_required_header"


def run(document: str, url: str, accept: str, *more: str, folder: Path) -> tuple[int, str, dict[str, int]]:
    """Run schemathesis; return its exit code, its report, and how often each status was answered."""
    (folder / "schemathesis.toml").write_text("")  # nobody's own settings
    report = folder / "report.ndjson"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", document, "--url", url, "--seed", "1"),
        *("-H", f"X-Plex-Token: {MIRA}", "-H", f"Accept: {accept}", "--exclude-checks", NOT_CLAIMED),
        *("--no-color", "--report-ndjson-path", str(report), *more),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.contract.hooks", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **hooks}, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr, _statuses(report)


def _statuses(report: Path) -> dict[str, int]:
    """Count the answers, by status."""
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


@pytest.mark.parametrize(
    ("place", "accept", "phases"),
    [
        ("plex.tv", "application/json", "examples,coverage,fuzzing"),
        ("plex.tv", "application/xml", "examples,fuzzing"),
        ("media server", "application/json", "examples,coverage,fuzzing"),
        ("media server", "text/xml", "examples,coverage,fuzzing"),
    ],
)
def test_what_is_answered_is_what_the_document_says(
    place: openapi.Place, accept: str, phases: str, patient: LocalPlex, tmp_path: Path
) -> None:
    """No 5xx; statuses, content types and bodies are the document's; nothing that needs a token comes without one."""
    url = patient.url if place == "plex.tv" else patient.media_server("Attic").url
    document = openapi.document(place)
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]  # type: ignore[attr-defined]  # a document
    left_out = [word for name in LAST if name in operations for word in ("--exclude-operation-id", name)]
    more = ["--phases", phases, "--max-examples", "4", *left_out]
    code, said, statuses = run("openapi.json", url, accept, *more, folder=tmp_path)
    assert 0 == code, said[-4000:]
    assert {"200", "400", "401"} <= set(statuses), "the run did not get anywhere"
    assert len(operations) <= sum(statuses.values())


def test_a_wrong_document_is_found_out(patient: LocalPlex, tmp_path: Path) -> None:
    """The run can fail: for a document whose ping is answered with a text, in JSON and in XML."""
    document = json.loads(openapi.text("plex.tv"))
    content = document["paths"]["/api/v2/ping"]["get"]["responses"]["200"]["content"]
    content["application/json"]["schema"]["properties"]["pong"] = {"type": "string"}
    content["application/xml"]["schema"]["xml"]["name"] = "gnop"
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    for accept, complaint in (("application/json", "Response violates schema"), ("application/xml", "<gnop>")):
        more = ("--phases", "fuzzing", "--max-examples", "1", "--include-operation-id", "ping")
        code, said, _ = run("openapi.json", patient.url, accept, *more, folder=tmp_path)
        assert 1 == code, said
        assert complaint in said
