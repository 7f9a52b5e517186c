"""A media server's responses from a real media server upstream.

Rule: the client's token and the upstream's are kept apart. The client's token is removed from the request, or the
request is refused. The upstream's token is sent in one header field only, and is replaced in every response. Only the
listed header fields pass, and redirects are not followed. A failure of the upstream is a 502 or 504 that says why, and
never a 401, which would end sign-ins. Without an accepted token nothing is forwarded. The upstream must be on this
machine or in a private network unless the world allows others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from ticketstub.dns import alook_up
from ticketstub.local_plex.content.recording import Recorder
from ticketstub.local_plex.content.replies import MAX_BODY_BYTES, build_headers, render_page, set_logged_path
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.redaction.known_secrets import ARCHIVE_SIGNATURES, HiddenSecret, KnownSecrets
from ticketstub.local_plex.world.schema import WorldMediaServer
from ticketstub.refusals import BadRequest

if TYPE_CHECKING:
    from aiohttp import ClientResponse

_REQUEST_HEADERS = frozenset({b"accept", b"accept-language", b"range", b"user-agent"})
_RESPONSE_HEADERS = ("Cache-Control", "Content-Range", "Accept-Ranges", "Last-Modified", "X-Plex-Container-Total-Size")
_READ_METHODS = frozenset({"GET"})  # and HEAD, which is handled as GET
_RANGE_TYPES = ("image/", "video/", "audio/")
"""Types of which ranges are forwarded: a token split over two ranges of a text would go unnoticed."""
_READABLE_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})
_EMBEDDED_TOKEN = re.compile(  # a token in an address within a parameter, percent-encoded any number of times
    r"(?P<before>^|[?&]|%(?:25)*(?:3F|26))x(?:-|%(?:25)*2D)plex(?:-|%(?:25)*2D)token(?:=|%(?:25)*3D)[\w.~-]*",
    re.IGNORECASE | re.ASCII,
)
_log = logging.getLogger("ticketstub.local_plex")


class UpstreamError(Exception):
    """The upstream gave no response that can be forwarded; the message says why.

    Attributes:
        status: the status for the client.
        is_unreachable: whether the upstream could not be reached, or did not answer in time.
    """

    def __init__(self, status: int, reason: str, *, is_unreachable: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.is_unreachable = is_unreachable


class UpstreamResponse(NamedTuple):
    """A response of the upstream; header names are in title case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Upstream:
    """A media server upstream.

    Args:
        server: its address and token, and what may be forwarded, from the world.
        recorder: writes its responses into a folder.
        seconds: the limit for a whole request.
    """

    def __init__(self, server: WorldMediaServer, recorder: Recorder | None = None, *, seconds: float = 15.0) -> None:
        self._server = server
        self._token = server.upstream_token.reveal() if server.upstream_token else ""
        self._token_headers = {"X-Plex-Token": self._token} if self._token else {}
        self._known_secrets = KnownSecrets((self._token,))
        self._recorder = recorder
        self._seconds = seconds

    async def answer(self, request: IncomingRequest, token: str) -> OutgoingResponse:
        """Forward a request; `token` is the client's, empty if it needed none. May raise `BadRequest`."""
        set_logged_path(request, token)
        if not token:
            return render_page(401, "Requests without a token are not forwarded upstream.")
        if request.method not in _READ_METHODS and not self._server.upstream_writes:
            return render_page(
                405, "Only GET and HEAD are forwarded upstream. To forward others, set upstream_writes in the world."
            )
        if request.declared_length and request.expects_body:
            return render_page(501, "Requests with a body are not forwarded upstream.")
        try:
            response = await self._forward(request, token)
            if self._recorder is not None and request.method in _READ_METHODS and response.status == 200:
                await asyncio.to_thread(_record, self._recorder, request, response, token)
            return await asyncio.to_thread(self._build_answer, response, token)
        except UpstreamError as error:
            return render_page(error.status, str(error))
        except HiddenSecret:
            return render_page(
                502, f"{self._server.upstream} answers with its token in a form that cannot be replaced."
            )

    async def _forward(self, request: IncomingRequest, token: str) -> UpstreamResponse:
        target, headers = self.build_target(request, token), self._build_request_headers(request, token)
        response = await self.fetch(request.method, target, headers)
        is_media = response.headers.get("Content-Type", "").lower().startswith(_RANGE_TYPES)
        if response.status == 206 and "range" in headers and not is_media:
            del headers["range"]
            return await self.fetch(request.method, target, headers)
        return response

    def build_target(self, request: IncomingRequest, token: str) -> str:
        """Return path and query for the upstream, without token parameters, also in addresses within parameters.

        Raises:
            BadRequest: the client's token is in another place or form, or the target is no path.
        """
        path, query = request.raw_target
        parameters = "&".join(filter(None, map(_strip_token, query.split("&"))))
        target = f"{path}?{parameters}" if parameters else path
        if not path.startswith("/") or KnownSecrets((token,)).is_found_in(target):
            raise BadRequest
        return target

    async def get(self, target: str, accept: str) -> UpstreamResponse:
        """Request a path and query with the upstream's own token; raises `UpstreamError`."""
        return await self.fetch("GET", target, {"Accept": accept, **self._token_headers})

    async def fetch(self, method: str, target: str, headers: Mapping[str, str]) -> UpstreamResponse:
        """Send one request to the upstream; raises `UpstreamError`."""
        import aiohttp  # loaded only if there is an upstream

        address = self._server.upstream
        try:
            async with asyncio.timeout(self._seconds):
                return await self._send(method, target, headers)
        except TimeoutError:
            raise UpstreamError(
                504, f"{address} did not answer within {self._seconds:g} seconds.", is_unreachable=True
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamError(
                502,
                f"{address} cannot be asked: {_describe_error(error)}.",
                is_unreachable=not isinstance(error, ValueError),
            ) from None

    async def _send(self, method: str, target: str, headers: Mapping[str, str]) -> UpstreamResponse:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar
        from yarl import URL

        parts = urlsplit(self._server.upstream)
        host = parts.hostname or ""
        authority = await self._resolve_address(host, parts.port or (443 if parts.scheme == "https" else 80))
        url = URL(f"{parts.scheme}://{authority}{target}", encoded=True)
        if (url.scheme, url.authority) != (parts.scheme, authority):
            raise UpstreamError(502, "This path would lead to another host.")
        async with (
            ClientSession(cookie_jar=DummyCookieJar(), trust_env=False) as session,
            session.request(
                method,
                url,
                timeout=ClientTimeout(total=self._seconds, connect=5.0),
                headers={**headers, "Host": parts.netloc, "Accept-Encoding": "identity"},
                allow_redirects=False,
                server_hostname=host if parts.scheme == "https" else None,
            ) as response,
        ):
            return await self._read_response(response)

    async def _resolve_address(self, host: str, port: int) -> str:
        """Look the host up once and return the address to connect to; raises `UpstreamError` if it is a public one."""
        found = await alook_up(host, port)
        address = min((ip_address(each.ip) for each in found), key=lambda each: each.version)
        if not self._server.upstream_outside and not (address.is_loopback or address.is_private):
            raise UpstreamError(
                502, f"{host} is in no private network: upstream_outside in a world, or --outside, allows it."
            )
        return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"

    async def _read_response(self, response: ClientResponse) -> UpstreamResponse:
        address, status = self._server.upstream, response.status
        if status in {401, 403}:
            refused = "refuses the token" if self._token else "needs a token, and none was given"
            remedy = "check upstream_token in the world, or the token given to `ticketstub record`"
            raise UpstreamError(502, f"{address} {refused} ({status}): {remedy}.")
        if 300 <= status < 400 and status != 304:
            raise UpstreamError(502, f"{address} redirects elsewhere; redirects are not followed.")
        if response.headers.get("Content-Encoding", "").strip().lower() not in _READABLE_ENCODINGS:
            raise UpstreamError(502, f"{address} answers in an encoding that cannot be searched for secrets.")
        body = b""
        while len(body) <= MAX_BODY_BYTES and not response.content.at_eof():
            body += await response.content.read(MAX_BODY_BYTES + 1 - len(body))
        if len(body) > MAX_BODY_BYTES:
            raise UpstreamError(
                502, f"{address} answers with more than {MAX_BODY_BYTES} bytes, the most that is forwarded."
            )
        if body.startswith(ARCHIVE_SIGNATURES) and self._token:
            raise UpstreamError(502, f"{address} answers with an archive, in which its token could be hidden.")
        return UpstreamResponse(status, {name.title(): text for name, text in response.headers.items()}, body)

    def _build_request_headers(self, request: IncomingRequest, token: str) -> dict[str, str]:
        """Return the header fields to forward, without those that contain the client's token."""
        secret = KnownSecrets((token,))
        return {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in request.headers.items()
            if name in _REQUEST_HEADERS or (name.startswith(b"x-plex-") and name != b"x-plex-token")
            if not secret.is_found_in(value) and not secret.is_found_in(name)
        } | self._token_headers

    def _build_answer(self, response: UpstreamResponse, token: str) -> OutgoingResponse:
        """Build the client's response, with its own token in place of the upstream's."""
        fields = [
            (name.lower().encode(), text.encode("latin-1", "replace"))
            for name in _RESPONSE_HEADERS
            if (text := response.headers.get(name)) is not None and not self._known_secrets.is_found_in(text)
        ]
        media_type = response.headers.get("Content-Type", "application/octet-stream")
        if self._known_secrets.is_found_in(media_type):
            media_type = "application/octet-stream"
        return OutgoingResponse(
            response.status,
            build_headers(media_type, fields),
            self._known_secrets.replace(response.body, token.encode()),
        )


def _record(recorder: Recorder, request: IncomingRequest, response: UpstreamResponse, token: str) -> None:
    """Record a response, or log that it is not recorded; the log never contains the query."""
    if recorder.record(request, response.headers.get("Content-Type", ""), response.body, (token,)) is None:
        _log.warning(
            "%s is not recorded: it contains a secret that cannot be replaced", recorder.scrub(request.path_template)
        )


def _strip_token(parameter: str) -> str:
    """Return a query parameter without tokens: empty if it is one, else without those of addresses in its value."""
    name, equals, text = parameter.partition("=")
    plain = name
    for _ in range(4):
        plain = unquote(plain)
    return "" if plain.lower() == "x-plex-token" else name + equals + _EMBEDDED_TOKEN.sub(r"\g<before>", text)


def _describe_error(error: Exception) -> str:
    """Say why there is no response, without the library's own text: it contains addresses and internal names."""
    import aiohttp

    reasons: tuple[tuple[type[Exception], str], ...] = (
        (socket.gaierror, "the name could not be looked up"),
        (ssl.CertificateError, "its certificate is not trusted"),
        (ssl.SSLError, "the TLS handshake failed"),
        (aiohttp.ClientSSLError, "the TLS handshake failed"),
        (OSError, os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else ""),
        (aiohttp.ClientConnectionError, "it closed the connection without an answer"),
    )
    found = (reason for kind, reason in reasons if reason and isinstance(error, kind))
    return next(found, "the address or the answer cannot be read")
