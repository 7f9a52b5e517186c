"""The control API: the tester's commands over HTTP, for programs in any language, and its key.

Rule: it has a port of its own, and answers nothing without its key, which is compared in constant time. A request that
a browser sends for another site's page is refused even with the key, and no response lets another origin read it. The
key file has mode 0600 and is written atomically; a file that others can read, a link, or a key that could be guessed is
refused. Bodies are JSON objects; an unknown member is an error, so that typing mistakes are noticed. Errors
are `{"error": "…"}`: 400 an invalid argument, 401 no key, 403 a browser, 404 no such thing, 409 too late.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from hmac import compare_digest
from http import HTTPStatus
from pathlib import Path

import msgspec

from ticketstub import private_files
from ticketstub.local_plex.api.principal import BUSY_ERRORS
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
_MIN_KEY_LENGTH = 32
_MAX_KEY_FILE_BYTES = 4096


class ControlSite:
    """The control port.

    Args:
        controller: runs the commands.
        key: the key that `Authorization: Bearer …` must contain.
        documents: functions that answer GET requests for further paths, such as the OpenAPI document's.
    """

    def __init__(
        self, controller: Controller, key: Secret, documents: Mapping[str, Callable[[], OutgoingResponse]]
    ) -> None:
        self.default_format = Format.JSON
        self.has_trace_headers = False
        self.busy_errors = BUSY_ERRORS
        self._commands = ControlCommands(controller)
        self._key = key.reveal().encode()
        self._documents = documents

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request."""
        if request.get_header(b"origin") or request.get_header(b"sec-fetch-site") not in {b"", b"none", b"same-origin"}:
            return _build_error(403, "the control API is not for web pages")
        scheme, _, key = request.get_header(b"authorization").partition(b" ")
        if not compare_digest(key, self._key) or scheme.lower() != b"bearer":
            return _build_error(
                401,
                "the key is missing or wrong: Authorization: Bearer KEY",
                (b"www-authenticate", b'Bearer realm="control"'),
            )
        if request.method == "GET" and (answer_document := self._documents.get(request.path)):
            return answer_document()
        methods = COMMANDS.get(request.path.rstrip("/"))
        if methods is None:
            return _build_error(404, "there is no such command: GET /control/v1 lists them")
        request.path_template = request.path.rstrip("/")
        command = methods.get(request.method)
        if command is None:
            return _build_error(405, "this command takes another method", (b"allow", ", ".join(methods).encode()))
        return await self._execute(command, request)

    def write_refusal(
        self,
        refusal: Refusal,
        request: IncomingRequest,  # noqa: ARG002  # every refusal looks alike here
    ) -> OutgoingResponse:
        """Write the refusal of a request that was not read to its end: its body is not JSON, or too long."""
        return _build_error(refusal.status or 500, refusal.message)

    async def _execute(self, command: ControlCommand, request: IncomingRequest) -> OutgoingResponse:
        if request.method in {"POST", "PUT", "PATCH"} and request.body_parameters and not request.json_body:
            return _build_error(415, "a command takes a JSON object: Content-Type: application/json")
        try:
            result = await command.execute(self._commands, request.json_body)
        except LookupError as error:
            return _build_error(404, str(error.args[0]))
        except (TooLate, StoreConflict) as error:
            return _build_error(409, str(error))
        except ValueError as error:  # includes WorldError
            return _build_error(400, str(error))
        if result is None:
            return OutgoingResponse(204, _HEADERS[1:], b"")
        payload = {command.result_name: result} if command.result_name else result
        return OutgoingResponse(200, _HEADERS, msgspec.json.encode(payload, enc_hook=Secret.reveal))


def _build_error(status: int, message: str, *extra_headers: tuple[bytes, bytes]) -> OutgoingResponse:
    content = {"error": message or HTTPStatus(status).phrase}
    return OutgoingResponse(status, [*_HEADERS, *extra_headers], msgspec.json.encode(content))


class KeyFileError(Exception):
    """The control API's key cannot be used; the message says why, without the key."""


def load_or_create_key(path: Path) -> Secret:
    """Read the key from a file, or create the file with a new key.

    Raises:
        KeyFileError: the file cannot be read or created, others can read it, it is a link, or its key is too short.
    """
    try:
        try:
            content = private_files.read(path, _MAX_KEY_FILE_BYTES)
        except FileNotFoundError:
            private_files.write(path, f"{secrets.token_urlsafe(_MIN_KEY_LENGTH)}\n".encode())
            # Another process may have created one at the same time: the file decides.
            content = private_files.read(path, _MAX_KEY_FILE_BYTES)
    except private_files.UnsafePermissionsError as error:
        raise KeyFileError(f"{path} {error}: run chmod 600 on it") from None
    except private_files.UnsafeFileError as error:
        raise KeyFileError(f"{path} {error}") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read or created: {error.strerror}") from None
    return parse_key(content.decode("ascii", "replace"), path, ": remove it to get a new one")


def parse_key(text: str, source: Path | str, advice: str = "") -> Secret:
    """Check a key.

    Args:
        text: the key; whitespace around it is ignored.
        source: where it is from, such as the name of an environment variable, for the error message.
        advice: the end of the error message.

    Raises:
        KeyFileError: the key is too short or has characters that a key cannot have.
    """
    key = text.strip()
    if len(key) < _MIN_KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise KeyFileError(f"{source} holds no key of {_MIN_KEY_LENGTH} or more printable characters{advice}")
    return Secret(key)
