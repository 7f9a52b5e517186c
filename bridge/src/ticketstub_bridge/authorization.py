"""Authorization requests: what is checked before anybody is asked anything, and how they are answered.

Rule: until application and redirect address are known good, the answer is a page, never a redirect. After that, errors
go to the application, with its state and this bridge's issuer (RFC 9207).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from ticketstub_bridge.config import Client
from ticketstub_bridge.core import Bridge
from ticketstub_bridge.people import may_come_in
from ticketstub_bridge.provider import OAuth2Error, ProviderRequest, append_parameters
from ticketstub_bridge.requests import Parameters
from ticketstub_bridge.storage import Session

_REFUSED_PARAMETERS = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


_has_controls = re.compile(r"[\x00-\x1f\x7f]").search


class UnknownApplication(Exception):
    """The application or its redirect address is not known, so that nobody may be sent there.

    Attributes:
        text: what to tell the person.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class AuthorizationError(Exception):
    """An error that is reported to the application.

    Attributes:
        url: its redirect address with the error.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization request that was checked.

    Attributes:
        client: the application.
        parameters: its parameters.
        scope: what may be granted.
        prompt: what it asks for.
        max_age: how old an approval at Plex may be, in seconds.
        expected_sub: the person that the application expects (id_token_hint); nobody else may be answered.
        issuer: this bridge.
    """

    client: Client
    parameters: Mapping[str, str]
    scope: str
    prompt: frozenset[str]
    max_age: int | None
    expected_sub: str | None
    issuer: str

    @property
    def redirect_uri(self) -> str:
        """Where the answer goes."""
        return self.parameters["redirect_uri"]

    @property
    def is_proven(self) -> bool:
        """Whether the answer reaches the application that asks, and no other program (RFC 8252, 8.6).

        Any program on the person's device can listen on loopback or claim a scheme, and a public client's id is known.
        """
        return self.client.secret_hash is not None or self.redirect_uri.startswith("https://")

    def make_answer(self, **parameters: str) -> str:
        """Return the redirect address with an answer."""
        return append_parameters(
            self.redirect_uri, {**parameters, "state": self.parameters.get("state"), "iss": self.issuer}
        )

    def make_error(self, error: str, description: str = "") -> str:
        """Return the redirect address with an error."""
        described = {"error_description": description} if description else {}
        return self.make_answer(error=error, **described)

    def needs_sign_in(self, session: Session | None) -> bool:
        """Whether somebody has to approve at Plex first."""
        if session is None or not self.prompt.isdisjoint({"login", "select_account"}):
            return True
        return self.max_age is not None and session.age > self.max_age

    def is_expected(self, session: Session) -> bool:
        """Whether the application may be answered about this person (OpenID Connect Core, 3.1.2.2)."""
        return self.expected_sub in {None, session.person.sub}

    def is_allowed(self, bridge: Bridge, session: Session) -> bool:
        """Whether this person may use the application."""
        return may_come_in(bridge.config, session.person.account_id, session.person.roles, self.client)


def check_authorization(bridge: Bridge, parameters: Parameters, session: Session | None) -> Authorization:
    """Check an authorization request. Blocks.

    Raises:
        UnknownApplication: nothing but a page may be shown.
        AuthorizationError: a fault that is reported to the application.
    """
    values = parameters.values
    unchecked = _read_request(bridge, parameters)

    def fail(error: str, description: str = "") -> AuthorizationError:
        return AuthorizationError(unchecked.make_error(error, description))

    if fault := next(_find_faults(parameters), None):
        raise fail(*fault)
    hint = values.get("id_token_hint")
    claims = bridge.keys.verify(hint) if hint else None
    if hint and (claims is None or claims.get("iss") != bridge.config.url):
        raise fail("invalid_request", "The id_token_hint is not an ID token of this bridge.")
    try:
        grant = bridge.provider.validate_authorization(ProviderRequest("GET", values, {}), session)
    except OAuth2Error as error:
        raise fail(error.error or "invalid_request", error.description or "") from None
    return msgspec.structs.replace(
        unchecked,
        scope=grant.granted_scope,
        max_age=int(values["max_age"]) if "max_age" in values else None,
        expected_sub=str(claims.get("sub")) if claims else None,
    )


def make_silent_error(bridge: Bridge, parameters: Parameters, error: str) -> str | None:
    """Return where to report that nothing can be answered, for a request that must show no page (`prompt=none`)."""
    try:
        request = _read_request(bridge, parameters)
    except UnknownApplication:
        return None
    return request.make_error(error) if "none" in request.prompt else None


def _read_request(bridge: Bridge, parameters: Parameters) -> Authorization:
    """Return a request of which only application and address are checked."""
    values = parameters.values
    return Authorization(
        client=_find_client(bridge, parameters),
        parameters=values if "state" not in parameters.repeated else {k: v for k, v in values.items() if k != "state"},
        scope="",
        prompt=frozenset(values.get("prompt", "").split()),
        max_age=None,
        expected_sub=None,
        issuer=bridge.config.url,
    )


def _find_faults(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a request in itself: the error and its description."""
    values = parameters.values
    if parameters.repeated:
        yield "invalid_request", "A parameter occurs more than once."
    for name, error in _REFUSED_PARAMETERS.items():
        if name in values:
            yield error, ""
    if values.get("response_type") != "code":
        yield "unsupported_response_type" if "response_type" in values else "invalid_request", ""
    if values.get("response_mode", "query") != "query":
        yield "invalid_request", "The response_mode must be query."
    if "openid" not in values.get("scope", "").split():
        yield "invalid_scope", "The scope must contain openid."
    for name in ("state", "nonce"):
        if _has_controls(values.get(name, "")):  # forms would not keep line breaks as they are
            yield "invalid_request", f"The {name} must not contain control characters."
    max_age = values.get("max_age", "0")
    if not (max_age.isascii() and max_age.isdecimal() and len(max_age) < 20):
        yield "invalid_request", "The max_age must be a whole number."


def _find_client(bridge: Bridge, parameters: Parameters) -> Client:
    values = parameters.values
    if parameters.repeated & {"client_id", "redirect_uri"}:
        raise UnknownApplication("The link names an application or an address more than once.")
    client = bridge.config.clients.get(values.get("client_id", ""))
    if client is None:
        raise UnknownApplication("The application that sent you here is not registered with this bridge.")
    if values.get("redirect_uri") not in client.redirect_uris:
        raise UnknownApplication(
            f"{client.name} asked to send you back to an address that is not registered for it. Its administrator can "
            "add the exact address to redirect_uris in bridge.toml."
        )
    return client


def issue_code(bridge: Bridge, authorization: Authorization, session: Session) -> str:
    """Return the redirect address with a new code. Blocks."""
    code = bridge.provider.issue_code(ProviderRequest("GET", authorization.parameters, {}), session)
    return authorization.make_answer(code=code)
