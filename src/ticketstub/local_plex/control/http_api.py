"""The control API: the tester's verbs over HTTP, for programs in any language.

Rule: a port of its own, and nothing without its key, which is compared in constant time before a body is looked at
any further. A request that a browser sends for a page of another site is refused whatever it knows, and no answer
lets another origin read it. Bodies are JSON objects; an unknown member is an error, so that a typing mistake is seen.
Errors are `{"error": "…"}`: 400 what cannot be, 401 no key, 403 a browser, 404 no such thing, 409 too late.
"""

from __future__ import annotations

from hmac import compare_digest
from http import HTTPStatus

import msgspec

from ticketstub.local_plex.control.commands import COMMANDS, Commands, TooLate
from ticketstub.local_plex.control.controller import Hand
from ticketstub.local_plex.control.declaration import Command
from ticketstub.local_plex.http.request import Asked, Headers
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.openapi import documents
from ticketstub.local_plex.storage.base import StoreConflict
from ticketstub.protocol.codec import Format
from ticketstub.refusals import Refusal
from ticketstub.tokens import Secret

_FIELDS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Origin"),
]
_SAME_SITE = frozenset({b"", b"none", b"same-origin"})
_WRITES_BODY = frozenset({"POST", "PUT", "PATCH"})


class ControlSite:
    """The control port.

    Args:
        hand: does what is asked.
        key: what `Authorization: Bearer …` must hold.
    """

    def __init__(self, hand: Hand, key: Secret) -> None:
        self.default = Format.JSON
        self.traces = False
        self._commands = Commands(hand)
        self._key = key.reveal().encode()

    async def answer(self, asked: Asked) -> Answer:
        """Answer a request."""
        if (refused := self._refused(asked)) is not None:
            return refused
        if asked.path == documents.PATH and asked.method == "GET":
            return documents.answer("control")
        methods = COMMANDS.get(asked.path.rstrip("/"))
        if methods is None:
            return _error(404, "there is no such verb: GET /control/v1 lists them")
        asked.template = asked.path.rstrip("/")
        verb = methods.get(asked.method)
        if verb is None:
            return _error(405, "this verb takes another method", [(b"allow", ", ".join(methods).encode())])
        return await self._done(verb, asked)

    def refuse(self, refusal: Refusal, asked: Asked) -> Answer:  # noqa: ARG002  # every refusal looks alike here
        """Write what was refused before it got here: a body that is no JSON, or too long."""
        return _error(refusal.status or 500, refusal.message)

    def _refused(self, asked: Asked) -> Answer | None:
        """Refuse a browser's request for another site's page (403), and whoever has not the key (401)."""
        if asked.header(b"origin") or asked.header(b"sec-fetch-site") not in _SAME_SITE:
            return _error(403, "the control API is not for web pages")
        scheme, _, given = asked.header(b"authorization").partition(b" ")
        if not compare_digest(given, self._key) or scheme.lower() != b"bearer":
            return _error(401, "the key is missing or wrong: Authorization: Bearer KEY", _CHALLENGE)
        return None

    async def _done(self, done: Command, asked: Asked) -> Answer:
        if asked.method in _WRITES_BODY and asked.fields and not asked.document:
            return _error(415, "a verb takes a JSON object: Content-Type: application/json")
        try:
            result = await done.do(self._commands, asked.document)
        except LookupError as error:
            return _error(404, str(error.args[0]))
        except (TooLate, StoreConflict) as error:
            return _error(409, str(error))
        except ValueError as error:  # WorldError, too
            return _error(400, str(error))
        if result is None:
            return Answer(204, _FIELDS[1:], b"")
        told = {done.told: result} if done.told else result
        return Answer(200, _FIELDS, msgspec.json.encode(told, enc_hook=Secret.reveal))


_CHALLENGE: Headers = [(b"www-authenticate", b'Bearer realm="control"')]


def _error(status: int, message: str, more: Headers | None = None) -> Answer:
    body = msgspec.json.encode({"error": message or HTTPStatus(status).phrase})
    return Answer(status, [*_FIELDS, *(more or [])], body)
