"""Handlers for the calls of plex.tv and media servers, one file for each family of calls, with its routes.

Rule: a handler loads what it needs, lets `domain` decide, does one store operation and returns. A call that issues a
token or changes anything accepts an account's own tokens only. The older lists are always XML (observed).
"""

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import IncomingRequest, parse_whole_number
from ticketstub.local_plex.http.router import RequestContext, Route
from ticketstub.local_plex.storage.base import TokenRow
from ticketstub.refusals import Refusal

PlexTvContext = RequestContext[Instance, TokenRow]
Routes = list[Route[Instance, TokenRow]]

DEFAULT_TOKEN_KINDS: frozenset[str] = frozenset({"account", "jwt", "server"})
"""The kinds of token that plex.tv accepts unless a route says otherwise; a share's token is not among them."""

ACCOUNT_TOKEN_KINDS: frozenset[str] = frozenset({"account", "jwt"})
"""The kinds of an account's own tokens."""


def read_path_id(request: IncomingRequest, refusal: type[Refusal]) -> int:
    """Read the id in a path; raises the refusal if it is not a number."""
    number = parse_whole_number(request.path_parameters.get("id", ""))
    if number is None:
        raise refusal
    return number
