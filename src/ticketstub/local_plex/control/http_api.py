"""The control API: the tester's verbs over HTTP, for programs in any language.

Rule: a port of its own, and nothing without its key, which is compared in constant time before a body is looked at
any further. A request that a browser sends for a page of another site is refused whatever it knows, and no answer
lets another origin read it. Bodies are JSON objects; an unknown member is an error, so that a typing mistake is seen.
Errors are `{"error": "…"}`: 400 what cannot be, 401 no key, 403 a browser, 404 no such thing, 409 too late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hmac import compare_digest
from http import HTTPStatus

import msgspec

from ticketstub.local_plex.control.commands import COMMANDS, ControlCommands, TooLate
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.control.declaration import ControlCommand
from ticketstub.local_plex.http.request import Headers, IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.storage.base import StoreConflict
from ticketstub.protocol.codec import Format
from ticketstub.refusals import Refusal
from ticketstub.tokens import Secret

_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Origin"),
]
_SAME_SITE = frozenset({b"", b"none", b"same-origin"})
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


class ControlSite:
    """The control port.

    Args:
        controller: does what is asked.
        key: what `Authorization: Bearer …` must hold.
        documents: what answers GET at further paths, such as the OpenAPI document's.
    """

    def __init__(
        self, controller: Controller, key: Secret, documents: Mapping[str, Callable[[], OutgoingResponse]]
    ) -> None:
        self.default_format = Format.JSON
        self.has_trace_headers = False
        self.busy_errors: tuple[type[Exception], ...] = ()
        self._commands = ControlCommands(controller)
        self._key = key.reveal().encode()
        self._documents = documents

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request."""
        if (refusal := self._check_access(request)) is not None:
            return refusal
        if request.method == "GET" and (answer_document := self._documents.get(request.path)):
            return answer_document()
        methods = COMMANDS.get(request.path.rstrip("/"))
        if methods is None:
            return _build_error(404, "there is no such verb: GET /control/v1 lists them")
        request.path_template = request.path.rstrip("/")
        command = methods.get(request.method)
        if command is None:
            return _build_error(405, "this verb takes another method", [(b"allow", ", ".join(methods).encode())])
        return await self._execute(command, request)

    def write_refusal(
        self,
        refusal: Refusal,
        request: IncomingRequest,  # noqa: ARG002
    ) -> OutgoingResponse:  # every refusal looks alike here
        """Write what was refused before it got here: a body that is no JSON, or too long."""
        return _build_error(refusal.status or 500, refusal.message)

    def _check_access(self, request: IncomingRequest) -> OutgoingResponse | None:
        """Refuse a browser's request for another site's page (403), and whoever has not the key (401)."""
        if request.get_header(b"origin") or request.get_header(b"sec-fetch-site") not in _SAME_SITE:
            return _build_error(403, "the control API is not for web pages")
        scheme, _, key = request.get_header(b"authorization").partition(b" ")
        if not compare_digest(key, self._key) or scheme.lower() != b"bearer":
            return _build_error(401, "the key is missing or wrong: Authorization: Bearer KEY", _CHALLENGE)
        return None

    async def _execute(self, command: ControlCommand, request: IncomingRequest) -> OutgoingResponse:
        if request.method in _BODY_METHODS and request.body_parameters and not request.json_body:
            return _build_error(415, "a verb takes a JSON object: Content-Type: application/json")
        try:
            result = await command.execute(self._commands, request.json_body)
        except LookupError as error:
            return _build_error(404, str(error.args[0]))
        except (TooLate, StoreConflict) as error:
            return _build_error(409, str(error))
        except ValueError as error:  # WorldError, too
            return _build_error(400, str(error))
        if result is None:
            return OutgoingResponse(204, _HEADERS[1:], b"")
        payload = {command.result_name: result} if command.result_name else result
        return OutgoingResponse(200, _HEADERS, msgspec.json.encode(payload, enc_hook=Secret.reveal))


_CHALLENGE: Headers = [(b"www-authenticate", b'Bearer realm="control"')]


def _build_error(status: int, message: str, extra_headers: Headers | None = None) -> OutgoingResponse:
    body = msgspec.json.encode({"error": message or HTTPStatus(status).phrase})
    return OutgoingResponse(status, [*_HEADERS, *(extra_headers or [])], body)
