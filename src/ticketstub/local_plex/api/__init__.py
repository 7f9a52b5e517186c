"""Handlers for the calls of plex.tv and media servers, one file for each family of calls, with its routes.

Rule: a handler loads what it needs, lets `domain` decide, does one store operation and returns. A call that issues a
token or changes anything accepts an account's own tokens only. The older lists are always XML (observed).
"""

from msgspec.structs import replace

from ticketstub.crypto.jwk import InvalidKey, Jwk, read_public_key
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import IncomingRequest, parse_whole_number
from ticketstub.local_plex.http.router import RequestContext, Route
from ticketstub.local_plex.storage.base import TokenRow
from ticketstub.messages import is_object
from ticketstub.protocol.call import CallT, read_call
from ticketstub.refusals import BadRequest, Refusal
from ticketstub.tokens import Secret

PlexTvContext = RequestContext[Instance, TokenRow]
Routes = list[Route[Instance, TokenRow]]

DEFAULT_TOKEN_KINDS: frozenset[str] = frozenset({"account", "jwt", "server"})
"""The kinds of token that plex.tv accepts unless a route says otherwise. A share's is not (our choice)."""

ACCOUNT_TOKEN_KINDS: frozenset[str] = frozenset({"account", "jwt"})
"""The kinds of an account's own tokens."""


def read_path_id(request: IncomingRequest, refusal: type[Refusal]) -> int:
    """Read the id in a path; raises the refusal if it is not a number."""
    number = parse_whole_number(request.path_parameters.get("id", ""))
    if number is None:
        raise refusal
    return number


def read_call_with_secrets(call_type: type[CallT], parameters: dict[str, str], *names: str) -> CallT:
    """Read a call of which some secrets may be empty: an empty password is wrong, but not missing.

    Args:
        call_type: the call.
        parameters: the parameters of the request.
        names: the secrets that may be empty, by their names in the request.

    Raises:
        BadRequest: a required parameter is missing, or a value is invalid.
    """
    fields = zip(call_type.__struct_fields__, call_type.__struct_encode_fields__, strict=True)
    sent = {field: name for field, name in fields if name in names and name in parameters}
    call = read_call(call_type, parameters | dict.fromkeys(sent.values(), "-"))
    return replace(call, **{field: Secret(parameters[name]) for field, name in sent.items()})


def read_jwk(value: object) -> Jwk:
    """Read a public key from JSON; raises `BadRequest` (code 1004) if it is unsupported or malformed."""
    try:
        return read_public_key(value if is_object(value) else {}, allow_rsa=True)
    except InvalidKey as error:
        raise BadRequest(f"The jwk was refused: {error}", status=400, code=1004) from None
