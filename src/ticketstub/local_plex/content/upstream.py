"""A media server's answers from another one upstream.

Rule: two tokens that never meet. The asker's token is dropped or refused on the way up; the upstream's goes up in one
header field and nowhere else, and is replaced in whatever comes down. Of header fields only the listed ones pass,
redirects are not followed, and what the upstream does wrong is a 502 or 504 that says what, never a 401: that would end
sign-ins. Without a token that somebody was given nothing goes up. Only this machine and private networks are asked
unless the world says otherwise. All ours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from ticketstub.dns import alook_up
from ticketstub.local_plex.content.fallback import MAX_BODY_BYTES, build_headers, render_page
from ticketstub.local_plex.content.reply_names import set_path_template
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.redaction.known_secrets import ARCHIVE_SIGNATURES, HiddenSecret, KnownSecrets
from ticketstub.local_plex.world.schema import WorldMediaServer
from ticketstub.refusals import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse

    from ticketstub.local_plex.content.recording import Recorder

_REQUEST_HEADERS = frozenset({b"accept", b"accept-language", b"range", b"user-agent"})
_RESPONSE_HEADERS = ("Cache-Control", "Content-Range", "Accept-Ranges", "Last-Modified", "X-Plex-Container-Total-Size")
_READ_METHODS = frozenset({"GET"})  # and HEAD, which is asked as GET
_RANGE_TYPES = ("image/", "video/", "audio/")
"""Types of which a part is passed on: in two parts of a text, half a token each would go unnoticed."""
_READABLE_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})
_EMBEDDED_TOKEN = re.compile(  # a token in an address within a parameter, percent-encoded however often
    r"(?P<before>^|[?&]|%(?:25)*(?:3F|26))x(?:-|%(?:25)*2D)plex(?:-|%(?:25)*2D)token(?:=|%(?:25)*3D)[\w.~-]*",
    re.IGNORECASE | re.ASCII,
)
_TIMEOUT_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_log = logging.getLogger("ticketstub.local_plex")


class UpstreamError(Exception):
    """The upstream gave no answer that can be passed on; the message says why, the status is what is answered.

    Attributes:
        is_silence: whether it could not be reached, or did not answer in time.
    """

    def __init__(self, status: int, reason: str, *, is_unreachable: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.is_unreachable = is_unreachable


class UpstreamResponse(NamedTuple):
    """What the upstream answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Upstream:
    """A media server upstream.

    Args:
        server: its address and token, and what is passed on, as the world has them.
        recorder: writes what comes from it into a folder.
        seconds: how long it may take in all.
    """

    def __init__(
        self, server: WorldMediaServer, recorder: Recorder | None = None, *, seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        self._base_url = server.upstream
        self._token = server.upstream_token.reveal() if server.upstream_token else ""
        self._known_secrets = KnownSecrets((self._token,))
        self._allows_public = server.upstream_outside
        self._allows_writes = server.upstream_writes
        self._recorder = recorder
        self._seconds = seconds

    async def answer(self, request: IncomingRequest, token: str) -> OutgoingResponse:
        """Pass a request on and its answer back; `token` is that of whoever asks."""
        set_path_template(request, token)
        if not token:
            return render_page(401, "Only who has a token is passed on upstream.")
        if request.method not in _READ_METHODS and not self._allows_writes:
            return render_page(
                405, "Only GET and HEAD are passed on upstream; upstream_writes in the world passes on the rest."
            )
        if request.declared_length and request.expects_body:
            return render_page(501, "A request with a body is not passed on upstream.")
        try:
            response = await self._forward(request, token)
        except UpstreamError as error:
            return render_page(error.status, str(error))
        if self._recorder is not None and request.method in _READ_METHODS and response.status == 200:
            await asyncio.to_thread(_record, self._recorder, request, response, token)
        try:
            return await asyncio.to_thread(self._build_answer, response, token)
        except HiddenSecret:
            return render_page(502, f"{self._base_url} answers with its token in a form that cannot be replaced.")

    async def _forward(self, request: IncomingRequest, token: str) -> UpstreamResponse:
        """Ask for what somebody asked; raises `UpstreamError`, or `BadRequest` as `target`."""
        target, headers = self.build_target(request, token), self._build_headers(request, token)
        response = await self.fetch(request.method, target, headers)
        is_media = response.headers.get("Content-Type", "").lower().startswith(_RANGE_TYPES)
        if response.status == 206 and "range" in headers and not is_media:
            del headers["range"]
            return await self.fetch(request.method, target, headers)
        return response

    def build_target(self, request: IncomingRequest, token: str) -> str:
        """Write path and query for upstream, without parameters that are a token, also in an address within one.

        Raises:
            BadRequest: the asker's token stands there in another place or form, or the target is no path.
        """
        path, query = request.raw_target
        parameters = "&".join(pair for pair in map(_strip_token, query.split("&")) if pair)
        target = f"{path}?{parameters}" if parameters else path
        if not path.startswith("/") or KnownSecrets((token,)).is_found_in(target):
            raise BadRequest
        return target

    async def get(self, target: str, accept: str) -> UpstreamResponse:
        """Ask for this path and query, as itself; raises `UpstreamError`."""
        token = {"X-Plex-Token": self._token} if self._token else {}
        return await self.fetch("GET", target, {"Accept": accept, **token})

    async def fetch(self, method: str, target: str, headers: Mapping[str, str]) -> UpstreamResponse:
        """Ask the upstream once; raises `UpstreamError`."""
        import aiohttp  # only what has an upstream needs it

        try:
            async with asyncio.timeout(self._seconds):
                return await self._send(method, target, headers)
        except TimeoutError:
            reason = f"{self._base_url} did not answer within {self._seconds:g} seconds."
            raise UpstreamError(504, reason, is_unreachable=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            is_unreachable = not isinstance(error, ValueError)
            reason = f"{self._base_url} cannot be asked: {_describe_error(error)}."
            raise UpstreamError(502, reason, is_unreachable=is_unreachable) from None

    async def _send(self, method: str, target: str, headers: Mapping[str, str]) -> UpstreamResponse:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar
        from yarl import URL

        parts = urlsplit(self._base_url)
        host = parts.hostname or ""
        authority = await self._resolve_address(host, parts.port or (443 if parts.scheme == "https" else 80))
        server_name = host if parts.scheme == "https" else None
        url = URL(f"{parts.scheme}://{authority}{target}", encoded=True)
        if (url.scheme, url.authority) != (parts.scheme, authority):
            raise UpstreamError(502, "This path would lead to another host.")
        all_headers = {**headers, "Host": parts.netloc, "Accept-Encoding": "identity"}
        client_timeout = ClientTimeout(total=self._seconds, connect=_CONNECT_SECONDS)
        async with (
            ClientSession(cookie_jar=DummyCookieJar(), timeout=client_timeout, trust_env=False) as session,
            session.request(
                method, url, headers=all_headers, allow_redirects=False, server_hostname=server_name
            ) as response,
        ):
            return await self._read_response(response)

    async def _resolve_address(self, host: str, port: int) -> str:
        """Look the host up once and return the address that is asked; raises `UpstreamError` for one outside."""
        found = await alook_up(host, port)
        address = min((ip_address(each.ip) for each in found), key=lambda each: each.version)
        if not self._allows_public and not (address.is_loopback or address.is_private):
            raise UpstreamError(
                502, f"{host} is in no private network: upstream_outside in a world, or --outside, allows it."
            )
        return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"

    async def _read_response(self, response: ClientResponse) -> UpstreamResponse:
        status = response.status
        if status in {401, 403}:
            raise UpstreamError(
                502, f"{self._base_url} refuses the token ({status}): in a world that is upstream_token."
            )
        if 300 <= status < 400 and status != 304:
            raise UpstreamError(502, f"{self._base_url} redirects elsewhere, which is not followed.")
        if response.headers.get("Content-Encoding", "").strip().lower() not in _READABLE_ENCODINGS:
            raise UpstreamError(502, f"{self._base_url} answers in an encoding that cannot be looked into.")
        body = await response.content.read(MAX_BODY_BYTES + 1)
        while len(body) <= MAX_BODY_BYTES and not response.content.at_eof():
            body += await response.content.read(MAX_BODY_BYTES + 1 - len(body))
        if len(body) > MAX_BODY_BYTES:
            raise UpstreamError(
                502, f"{self._base_url} answers with more than {MAX_BODY_BYTES} bytes, the most that is passed on."
            )
        if body.startswith(ARCHIVE_SIGNATURES) and self._token:
            raise UpstreamError(502, f"{self._base_url} answers with an archive: its token could be in there unseen.")
        return UpstreamResponse(status, {name.title(): text for name, text in response.headers.items()}, body)

    def _build_headers(self, request: IncomingRequest, token: str) -> dict[str, str]:
        """Choose the header fields that go up; none that holds the asker's token."""
        found: dict[str, str] = {}
        secret = KnownSecrets((token,))
        for name, value in request.headers.items():
            is_forwarded = name in _REQUEST_HEADERS or (name.startswith(b"x-plex-") and name != b"x-plex-token")
            if is_forwarded and not secret.is_found_in(value) and not secret.is_found_in(name):
                found[name.decode("latin-1")] = value.decode("latin-1")
        return found | ({"X-Plex-Token": self._token} if self._token else {})

    def _build_answer(self, response: UpstreamResponse, token: str) -> OutgoingResponse:
        """Write what comes down, with the asker's token wherever the upstream's stands."""
        values = {name: text for name in _RESPONSE_HEADERS if (text := response.headers.get(name)) is not None}
        fields = [
            (name.lower().encode(), text.encode("latin-1", "replace"))
            for name, text in values.items()
            if not self._known_secrets.is_found_in(text)
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
    """Write an answer into the folder, or say that it is not written; the query is not said."""
    if recorder.record(request, response.headers.get("Content-Type", ""), response.body, (token,)) is None:
        _log.warning("%s is not recorded: a secret in it cannot be replaced", recorder.scrub(request.path_template))


def _strip_token(parameter: str) -> str:
    """Return a parameter as it may go up: empty where it is a token, without the token of an address in its value."""
    name, equals, text = parameter.partition("=")
    plain = name
    for _ in range(4):
        plain = unquote(plain)
    return "" if plain.lower() == "x-plex-token" else name + equals + _EMBEDDED_TOKEN.sub(r"\g<before>", text)


def _describe_error(error: Exception) -> str:
    """Say why nothing came, without text of the library's: that holds addresses, and names nobody knows."""
    import aiohttp

    if isinstance(error, socket.gaierror):
        return "the name could not be looked up"
    if isinstance(error, ssl.CertificateError):
        return "its certificate is not trusted"
    if isinstance(error, (ssl.SSLError, aiohttp.ClientSSLError)):
        return "TLS could not be agreed on"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, aiohttp.ClientConnectionError):
        return "it closed the connection without an answer"
    return "the address or the answer cannot be read"
