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
from ticketstub.local_plex.content.fallback import MOST, page, typed
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.redaction.known_secrets import ARCHIVES, HiddenSecret, KnownSecrets
from ticketstub.local_plex.world.schema import WorldMediaServer
from ticketstub.refusals import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse

    from ticketstub.local_plex.content.recording import Recorder

_UP = frozenset({b"accept", b"accept-language", b"range", b"user-agent"})
_DOWN = ("Cache-Control", "Content-Range", "Accept-Ranges", "Last-Modified", "X-Plex-Container-Total-Size")
_READS = frozenset({"GET"})  # and HEAD, which is asked as GET
_PIECES_OF = ("image/", "video/", "audio/")
"""Types of which a part is passed on: in two parts of a text, half a token each would go unnoticed."""
_OPEN = frozenset({"", "identity", "gzip", "deflate"})
_WITHIN = re.compile(  # a token in an address within a parameter, percent-encoded however often
    r"(?P<before>^|[?&]|%(?:25)*(?:3F|26))x(?:-|%(?:25)*2D)plex(?:-|%(?:25)*2D)token(?:=|%(?:25)*3D)[\w.~-]*",
    re.IGNORECASE | re.ASCII,
)
_SECONDS = 15.0
_CONNECTS_WITHIN = 5.0
_log = logging.getLogger("ticketstub.local_plex")


class UpstreamFailed(Exception):
    """The upstream gave no answer that can be passed on; the message says why, the status is what is answered.

    Attributes:
        is_silence: whether it could not be reached, or did not answer in time.
    """

    def __init__(self, status: int, why: str, *, is_silence: bool = False) -> None:
        super().__init__(why)
        self.status = status
        self.is_silence = is_silence


class Received(NamedTuple):
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
        self, server: WorldMediaServer, recorder: Recorder | None = None, *, seconds: float = _SECONDS
    ) -> None:
        self._base = server.upstream
        self._token = server.upstream_token.reveal() if server.upstream_token else ""
        self._secret = KnownSecrets((self._token,))
        self._outside = server.upstream_outside
        self._writes = server.upstream_writes
        self._recorder = recorder
        self._seconds = seconds

    async def answer(self, asked: Asked, token: str) -> Answer:
        """Pass a request on and its answer back; `token` is that of whoever asks."""
        if not token:
            return page(401, "Only who has a token is passed on upstream.")
        if asked.method not in _READS and not self._writes:
            return page(
                405, "Only GET and HEAD are passed on upstream; upstream_writes in the world passes on the rest."
            )
        if asked.declared_length and asked.takes_body:
            return page(501, "A request with a body is not passed on upstream.")
        try:
            found = await self._asked(asked, token)
        except UpstreamFailed as failed:
            return page(failed.status, str(failed))
        if self._recorder is not None and asked.method in _READS and found.status == 200:
            await asyncio.to_thread(_record, self._recorder, asked, found, token)
        try:
            return await asyncio.to_thread(self._down, found, token)
        except HiddenSecret:
            return page(502, f"{self._base} answers with its token in a form that cannot be replaced.")

    async def _asked(self, asked: Asked, token: str) -> Received:
        """Ask for what somebody asked; raises `UpstreamFailed`, or `BadRequest` as `target`."""
        target, headers = self.target(asked, token), self._headers(asked, token)
        found = await self.fetch(asked.method, target, headers)
        is_of_pictures = found.headers.get("Content-Type", "").lower().startswith(_PIECES_OF)
        if found.status == 206 and "range" in headers and not is_of_pictures:
            del headers["range"]
            return await self.fetch(asked.method, target, headers)
        return found

    def target(self, asked: Asked, token: str) -> str:
        """Write path and query for upstream, without parameters that are a token, also in an address within one.

        Raises:
            BadRequest: the asker's token stands there in another place or form, or the target is no path.
        """
        path, query = asked.raw_target
        kept = "&".join(pair for pair in map(_without_token, query.split("&")) if pair)
        target = f"{path}?{kept}" if kept else path
        if not path.startswith("/") or KnownSecrets((token,)).found_in(target):
            raise BadRequest
        return target

    async def ask(self, target: str, accept: str) -> Received:
        """Ask for this path and query, as itself; raises `UpstreamFailed`."""
        token = {"X-Plex-Token": self._token} if self._token else {}
        return await self.fetch("GET", target, {"Accept": accept, **token})

    async def fetch(self, method: str, target: str, headers: Mapping[str, str]) -> Received:
        """Ask the upstream once; raises `UpstreamFailed`."""
        import aiohttp  # only what has an upstream needs it

        try:
            async with asyncio.timeout(self._seconds):
                return await self._fetched(method, target, headers)
        except TimeoutError:
            why = f"{self._base} did not answer within {self._seconds:g} seconds."
            raise UpstreamFailed(504, why, is_silence=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            is_silence = not isinstance(error, ValueError)
            why = f"{self._base} cannot be asked: {_reason(error)}."
            raise UpstreamFailed(502, why, is_silence=is_silence) from None

    async def _fetched(self, method: str, target: str, headers: Mapping[str, str]) -> Received:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar
        from yarl import URL

        parts = urlsplit(self._base)
        host = parts.hostname or ""
        at = await self._address(host, parts.port or (443 if parts.scheme == "https" else 80))
        name = host if parts.scheme == "https" else None
        url = URL(f"{parts.scheme}://{at}{target}", encoded=True)
        if (url.scheme, url.authority) != (parts.scheme, at):
            raise UpstreamFailed(502, "This path would lead to another host.")
        everything = {**headers, "Host": parts.netloc, "Accept-Encoding": "identity"}
        waiting = ClientTimeout(total=self._seconds, connect=_CONNECTS_WITHIN)
        async with (
            ClientSession(cookie_jar=DummyCookieJar(), timeout=waiting, trust_env=False) as session,
            session.request(method, url, headers=everything, allow_redirects=False, server_hostname=name) as response,
        ):
            return await self._read(response)

    async def _address(self, host: str, port: int) -> str:
        """Look the host up once and return the address that is asked; raises `UpstreamFailed` for one outside."""
        found = await alook_up(host, port)
        address = min((ip_address(each.ip) for each in found), key=lambda each: each.version)
        if not self._outside and not (address.is_loopback or address.is_private):
            raise UpstreamFailed(
                502, f"{host} is in no private network: upstream_outside in a world, or --outside, allows it."
            )
        return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"

    async def _read(self, response: ClientResponse) -> Received:
        status = response.status
        if status in {401, 403}:
            raise UpstreamFailed(502, f"{self._base} refuses the token ({status}): in a world that is upstream_token.")
        if 300 <= status < 400 and status != 304:
            raise UpstreamFailed(502, f"{self._base} redirects elsewhere, which is not followed.")
        if response.headers.get("Content-Encoding", "").strip().lower() not in _OPEN:
            raise UpstreamFailed(502, f"{self._base} answers in an encoding that cannot be looked into.")
        body = await response.content.read(MOST + 1)
        while len(body) <= MOST and not response.content.at_eof():
            body += await response.content.read(MOST + 1 - len(body))
        if len(body) > MOST:
            raise UpstreamFailed(502, f"{self._base} answers with more than {MOST} bytes, the most that is passed on.")
        if body.startswith(ARCHIVES) and self._token:
            raise UpstreamFailed(502, f"{self._base} answers with an archive: its token could be in there unseen.")
        return Received(status, {name.title(): text for name, text in response.headers.items()}, body)

    def _headers(self, asked: Asked, token: str) -> dict[str, str]:
        """Choose the header fields that go up; none that holds the asker's token."""
        found: dict[str, str] = {}
        secret = KnownSecrets((token,))
        for name, value in asked.headers.items():
            passes = name in _UP or (name.startswith(b"x-plex-") and name != b"x-plex-token")
            if passes and not secret.found_in(value) and not secret.found_in(name):
                found[name.decode("latin-1")] = value.decode("latin-1")
        return found | ({"X-Plex-Token": self._token} if self._token else {})

    def _down(self, found: Received, token: str) -> Answer:
        """Write what comes down, with the asker's token wherever the upstream's stands."""
        kept = {name: text for name in _DOWN if (text := found.headers.get(name)) is not None}
        fields = [
            (name.lower().encode(), text.encode("latin-1", "replace"))
            for name, text in kept.items()
            if not self._secret.found_in(text)
        ]
        media_type = found.headers.get("Content-Type", "application/octet-stream")
        if self._secret.found_in(media_type):
            media_type = "application/octet-stream"
        return Answer(found.status, typed(media_type, fields), self._secret.replace(found.body, token.encode()))


def _record(recorder: Recorder, asked: Asked, found: Received, token: str) -> None:
    """Write an answer into the folder, or say that it is not written; the query is not said."""
    if recorder.keep(asked, found.headers.get("Content-Type", ""), found.body, (token,)) is None:
        _log.warning("%s is not recorded: a secret in it cannot be replaced", recorder.scrub(asked.template))


def _without_token(pair: str) -> str:
    """Return a parameter as it may go up: empty where it is a token, without the token of an address in its value."""
    name, equals, text = pair.partition("=")
    plain = name
    for _ in range(4):
        plain = unquote(plain)
    return "" if plain.lower() == "x-plex-token" else name + equals + _WITHIN.sub(r"\g<before>", text)


def _reason(error: Exception) -> str:
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
