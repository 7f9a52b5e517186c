"""What schemathesis is told beyond its own checks: XML must be what the document says, and some calls end things.

Rule: loaded by schemathesis itself, in a process of its own (`SCHEMATHESIS_HOOKS`). What a call has ended is put back
by the control API.
"""

import os
import urllib.request
import xml.etree.ElementTree as ET
from typing import Any

import schemathesis

_ENDED_BY = {"sign_out": 204, "unclaim_server": 200}


@schemathesis.hook
def after_call(_context: Any, case: schemathesis.Case[Any], response: schemathesis.Response) -> None:
    """Put everything back once a call has ended what the run asks with: its token, or its media server's owner."""
    if _ENDED_BY.get(_operation(case)) == response.status_code:
        _control("/reset")


def _operation(case: schemathesis.Case[Any]) -> str:
    return str(case.operation.definition.raw.get("operationId"))


def _control(verb: str) -> None:
    fields = {"Authorization": f"Bearer {os.environ['CONTRACT_KEY']}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{os.environ['CONTRACT_CONTROL']}/control/v1{verb}", b"{}", fields)
    urllib.request.urlopen(asked).close()


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
