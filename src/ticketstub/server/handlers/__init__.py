"""The answers to the wire's calls, a family of calls a file with its routes: load, decide, one store operation, return.

Rule: deciding is policy.py's and its neighbours'. A call that gives out a token, or changes anything, takes an
account's own tokens only. The older lists are XML whatever is accepted (observed).
"""

from ticketstub.refusals import Refusal
from ticketstub.server.instance import Instance
from ticketstub.server.requests import Asked, whole_number
from ticketstub.server.routes import Route, Visit
from ticketstub.server.store.base import TokenKind, TokenRow

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
