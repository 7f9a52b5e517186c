"""What a request of another HTTP library needs for Plex: the client's headers and its token, if the URL may get them.

Rule: whether a URL may get them is decided here, as for every call of the client: by its origin, which `split_url`
reads. A URL that it does not read gets nothing. A refused token is replaced by the client's own token source, so a
program and its adapters share one renewal.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import NamedTuple

from ticketstub.client.config import CallSettings
from ticketstub.client.flows.request import Flow, FlowContext, RefusedToken, check_token_kind, get_token
from ticketstub.device import DEVICE_HEADERS
from ticketstub.messages import Unpicklable, get_base_origin, get_origin
from ticketstub.refusals import TokenExpired, Unauthorized
from ticketstub.tokens import Token

REFUSED_STATUSES = frozenset({401, 498})
"""The statuses by which Plex refuses a token (documented)."""

_LIBRARY_HEADERS = frozenset({"accept", "accept-encoding"})  # the library that reads the response sends its own


class Authorization(Unpicklable):
    """What is added to a request. It contains secrets, so it does not print them.

    Attributes:
        token: the token; `None` if the client has none.
    """

    __slots__ = ("_headers", "token")

    def __init__(self, headers: dict[str, str], token: Token | None) -> None:
        self._headers = headers
        self.token = token

    def build_headers(self) -> dict[str, str]:
        """Return the headers of the device, those that the program gave its client, and the token's."""
        return self._headers | ({"X-Plex-Token": self.token.reveal()} if self.token else {})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.token}>"


class RefusedRequest(NamedTuple):
    """A request that was refused with 401 or 498: its status, and the token that it was sent with, if any."""

    status: int
    token: Token | None


def authorize(url: str, refused: RefusedRequest | None, context: FlowContext) -> Flow[Authorization | None]:
    """Return what to add to a request, or to a repeated one.

    Args:
        url: the request's URL, as its library sends it.
        refused: the refusal that the request is repeated after; `None` for the first time.
        context: the client's settings and device.

    Returns:
        `None` if nothing is added: the URL's origin is not one of the client's, or the repeated request would have no
        other token.

    Raises:
        CredentialsError: a token of this kind is not accepted there; nothing was sent.
        PlexError: the token could not be renewed.
    """
    settings = context.settings
    origin = ""
    with suppress(ValueError):
        origin = get_origin(url)
    if origin not in settings.trusted_origins:
        return None
    token = yield from _choose_token(refused, context)
    if refused and (token is None or token == refused.token):
        return None
    if token:
        _check_destination(token, origin, settings)
    headers = settings.get_fixed_headers(context.device)
    return Authorization({name: headers[name] for name in headers if name.lower() not in _LIBRARY_HEADERS}, token)


def _choose_token(refused: RefusedRequest | None, context: FlowContext) -> Flow[Token | None]:
    """Return the client's token; after a refusal a different one, or `None` if there is none."""
    settings, source = context.settings, context.settings.token
    if source is None or isinstance(source, Token):
        return source
    started = context.clock.monotonic()
    deadline = min(started + settings.timeout, inf if settings.deadline is None else settings.deadline)
    if refused is None or refused.token is None:
        return (yield from get_token(source, context, deadline))
    refusal = TokenExpired() if refused.status == 498 else Unauthorized()
    return (yield from get_token(source, context, deadline, RefusedToken(refused.token, refusal)))


def _check_destination(token: Token, origin: str, settings: CallSettings) -> None:
    for service, base in (("plex.tv", settings.plex_tv), ("server", settings.server)):
        if base and get_base_origin(base) == origin:
            return check_token_kind(token, service)
    return None


def get_device_headers(context: FlowContext) -> Flow[dict[str, str]]:
    """Return the headers that describe the device."""
    yield from ()
    headers = context.settings.get_fixed_headers(context.device)
    return {name: headers[name] for name in DEVICE_HEADERS.values() if name in headers}
