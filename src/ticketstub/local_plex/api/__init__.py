"""The answers to the wire's calls, a family of calls a file with its routes: load, decide, one store operation, return.

Rule: deciding is policy.py's and its neighbours'. A call that gives out a token, or changes anything, takes an
account's own tokens only. The older lists are XML whatever is accepted (observed).
"""

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import Asked, whole_number
from ticketstub.local_plex.http.router import Route, Visit
from ticketstub.local_plex.storage.base import TokenKind, TokenRow
from ticketstub.refusals import Refusal

Visited = Visit[Instance, TokenRow]
Routes = list[Route[Instance, TokenRow]]

OWN: frozenset[TokenKind] = frozenset({"account", "jwt"})
"""The kinds of token that are an account's own."""


def id_in_path(asked: Asked, otherwise: type[Refusal]) -> int:
    """Read the id in a path; what is none is nobody's, and refused as such."""
    number = whole_number(asked.in_path.get("id", ""))
    if number is None:
        raise otherwise
    return number
