"""The 44 error rows: the class that a response raises, and access to the response itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from tests.client.conftest import reply
from tests.client.scripts import NEVER, Serve, start
from tests.local_plex.asking import MIRA, TOM_ON_ATTIC
from tests.sdk_pages.ledger import Row, operations, shows
from tests.sdk_pages.stage import Stage, ask, call
from ticketstub import BadRequest, Err, Forbidden, NotFound, RateLimited, Refusal, Response, ServerError, Unauthorized
from ticketstub.calls import GetSourceConnectionInformation, GetTokenDetails, GetTransientToken, TransientTokenScope

DEAD = "Xk3mPz_9Q-vT7rLb2NfX"
LONG = {"X-Note": "x" * 20_000}


class Unheard(Enum):
    """A call with a value that no server knows."""

    OF = "of"


class Unprefixed(GetSourceConnectionInformation, frozen=True, kw_only=True):
    """A call that sends a source without its prefix, which the library refuses to."""

    def __post_init__(self) -> None:
        """Check nothing."""


class Garbled(GetTokenDetails, frozen=True, kw_only=True):
    """A call whose query is not valid percent-encoding."""

    def build_target(self) -> str:
        """Write the invalid target."""
        return f"{self.http.path}?name=%zz"


class Deleting(GetTokenDetails, frozen=True, kw_only=True):
    """A call that plex.tv accepts with another method only."""

    http = GetTokenDetails.http._replace(method="DELETE")


Provoke = Callable[[Stage, Any], object]

# What a program that uses the methods cannot send is sent as a call of the test's own.
BAD: dict[str, tuple[type[Refusal], Provoke]] = {
    "transient": (
        BadRequest,
        lambda _, plex: plex.send(GetTransientToken(type=Unheard.OF, scope=TransientTokenScope.ALL)),  # type: ignore[arg-type]  # the mistake itself
    ),
    "source": (BadRequest, lambda _, plex: plex.send(Unprefixed(source="client-identifier"))),
    "details": (
        BadRequest,
        lambda _, plex: plex.send(Garbled()),
    ),
    "sign-in": (BadRequest, lambda _, plex: ask(plex, "sign-in", login="")),
}


def refused(stage: Stage, plex: Any, provoke: Provoke) -> tuple[Refusal, Response]:
    """Provoke a refusal, and compare its response with what the page says."""
    with pytest.raises(Refusal) as caught:
        provoke(stage, plex)
    error, response = caught.value, caught.value.response
    assert response
    assert (True, error.status) == (bool(error.message), response.status)
    assert str(len(response.body)) == response.headers["content-length"]
    return error, response


def as_documented(row: Row, stage: Stage, error: Refusal, response: Response) -> None:
    """Compare a 400 or 401 with the page's row; on `/security/*` it is JSON in one mode only."""
    as_page_says = stage.mode == "documented" or not row.ours.unconfirmed
    assert int(row.status) == response.status
    assert (row.content_type if as_page_says else "text/html") == response.headers["content-type"].partition(";")[0]
    if as_page_says:
        assert error.code == json.loads(response.body)["errors"][0]["code"]
    else:
        assert (None, True) == (error.code, f"<h1>{row.status} ".encode() in response.body)


@shows
def test_bad_request(stage: Stage, row: Row) -> None:
    """An incomplete request raises BadRequest, from JSON and from HTML, with its response."""
    kind, provoke = BAD[row.operation]
    error, response = refused(stage, stage.client(), provoke)
    as_documented(row, stage, error, response)
    assert isinstance(error, BadRequest)
    assert (kind if error.code else BadRequest) is type(error)


@shows
def test_unauthorized(stage: Stage, row: Row) -> None:
    """A revoked token or a wrong password raises Unauthorized, from JSON and from HTML, with its response."""
    given = {"password": "not-the-password"} if row.operation == "sign-in" else {"token": DEAD}
    error, response = refused(stage, stage.client(), lambda _, plex: ask(plex, row.operation, **given))
    as_documented(row, stage, error, response)
    assert Unauthorized is type(error)


def elsewhere(operation: str) -> Provoke:
    """Call below a path that does not exist."""
    name = "plex.tv" if operation in {"details", "sign-in"} else "Attic"
    return lambda stage, plex: ask(plex, operation, base_url=f"{stage.wire(name).url}/elsewhere", token=MIRA)


# What the local Plex refuses beyond 400 and 401: status, our class, and how to get it.
REAL: dict[str, list[tuple[int, type[Refusal], Provoke]]] = {
    "transient": [
        (404, NotFound, elsewhere("transient")),
        (431, Refusal, lambda _, plex: ask(plex, "transient", headers=LONG)),
    ],
    "source": [
        (403, Forbidden, lambda stage, plex: ask(plex.at(stage.wire("Attic").url, token=TOM_ON_ATTIC), "source")),
        (404, NotFound, lambda _, plex: ask(plex, "source", source="provider://nobody-knows-it")),
        (431, Refusal, lambda _, plex: ask(plex, "source", headers=LONG)),
    ],
    "details": [
        (404, NotFound, elsewhere("details")),
        (405, Refusal, lambda _, plex: plex.send(Deleting())),
        (431, Refusal, lambda _, plex: ask(plex, "details", headers=LONG)),
    ],
    "sign-in": [
        (404, NotFound, elsewhere("sign-in")),
        (413, Refusal, lambda _, plex: ask(plex, "sign-in", password="x" * 20_000)),
        (431, Refusal, lambda _, plex: ask(plex, "sign-in", headers=LONG)),
    ],
}

# What it does not answer is answered by a script: status, content type, body, our class.
PAGE, XML = b"<html><body>no</body></html>", b'<errors><error code="1999" message="no" status="418"/></errors>'
SCRIPTED: list[tuple[int, str, bytes, type[Refusal]]] = [
    (402, "text/plain", b"no", Refusal),
    (418, "application/xml", XML, Refusal),
    (429, "application/json", b'{"errors":[{"code":1003,"message":"no","status":429}]}', RateLimited),
    (451, "image/png", b"\x89PNG\r\n\x1a\n\x00", Refusal),
    (500, "text/html", PAGE, ServerError),
    (503, "application/xml", XML, ServerError),
    (504, "application/octet-stream", b"", ServerError),
    (599, "application/json", b"{", ServerError),
]


@shows
def test_any_other(stage: Stage, row: Row, serve: Serve) -> None:
    """Any other status of 400 or above raises the matching refusal, whatever its media type, with its response."""
    client = stage.client(retry=NEVER)
    for status, kind, provoke in REAL[row.operation]:
        error, _ = refused(stage, client, provoke)
        assert (status, kind) == (error.status, type(error))
    said = [reply(body, status, Content_Type=form, Retry_After="7") for status, form, body, _ in SCRIPTED]
    script = start(serve, operations()[row.operation].request.partition(" ")[2], *said)
    client = stage.scripted(script, retry=NEVER)
    for status, content_type, body, kind in SCRIPTED:
        error, response = refused(stage, client, lambda _, plex: ask(plex, row.operation))
        assert (status, kind, 7.0) == (error.status, type(error), error.retry_after)
        assert (content_type, body) == (response.headers["content-type"], response.body)


@shows
def test_unauthorized_in_any_format(stage: Stage, row: Row, serve: Serve) -> None:
    """A 401 raises Unauthorized as JSON, XML, HTML, plain text or without a body, for each operation of the page."""
    code = b'{"errors":[{"code":1001,"message":"no","status":401}]}'
    xml = b'<errors><error code="1001" message="no" status="401"/></errors>'
    for body in (code, xml, PAGE, b"no", b""):
        script = serve()
        script.answers = {"/security/token": reply(body, 401), "/security/resources": reply(body, 401)}
        for operation in ("transient", "source"):
            outcome = stage.scripted(script).attempt(call(operation))
            assert (Err, Unauthorized, body) == (type(outcome), type(outcome.error), outcome.response.body)
