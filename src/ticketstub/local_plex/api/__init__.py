"""The answers to the wire's calls, a family of calls a file with its routes: load, decide, one store operation, return.

Rule: deciding is policy.py's and its neighbours'. A call that gives out a token, or changes anything, takes an
account's own tokens only. The older lists are XML whatever is accepted (observed).
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
"""The kinds of token that are an account's own."""


def read_path_id(request: IncomingRequest, refusal: type[Refusal]) -> int:
    """Read the id in a path; what is none is nobody's, and refused as such."""
    number = parse_whole_number(request.path_parameters.get("id", ""))
    if number is None:
        raise refusal
    return number
