"""What schemathesis is told beyond its own checks: XML must be what the document says.

Rule: loaded by schemathesis itself, in a process of its own (`SCHEMATHESIS_HOOKS`).
"""

import xml.etree.ElementTree as ET
from typing import Any

import schemathesis


@schemathesis.check
def xml_has_the_root_of_the_document(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """An answer in XML can be read, and its root element is the one of the document."""
    kind = response.headers.get("content-type", [""])[0].partition(";")[0]
    if not kind.endswith("/xml") or not response.content or response.status_code == 410:
        return  # what is gone is said in a form of its own (observed), which no other answer has
    responses = case.operation.definition.raw["responses"]
    described = responses.get(str(response.status_code), responses.get("default"))
    expected = described["content"][kind]["schema"]["xml"]["name"]
    root = ET.fromstring(response.content).tag  # noqa: S314  # written by our own server a moment ago
    assert expected == root, f"<{root}> instead of <{expected}>"
