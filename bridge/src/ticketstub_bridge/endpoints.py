"""What applications ask for: discovery, tokens, userinfo, revocation, keys, WebFinger.

Rule: addresses come from the configuration, never from the request. Every error has the form that its specification
gives it. An answer about somebody is never cached.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ticketstub_bridge.answers import Answer
from ticketstub_bridge.clients import AUTH_METHODS, GRANT_TYPES
from ticketstub_bridge.core import Bridge, Overloaded
from ticketstub_bridge.keys import ALGORITHMS
from ticketstub_bridge.people import CLAIMS, SCOPES
from ticketstub_bridge.provider import ProviderRequest, Reply
from ticketstub_bridge.recheck import check_before_refresh
from ticketstub_bridge.requests import BadBody, get_bridge, read_form

ISSUER_RELATION = "http://openid.net/specs/connect/1.0/issuer"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_BEARER = re.compile(r"Bearer +([A-Za-z0-9\-._~+/]{1,200}=*)", re.IGNORECASE).fullmatch
_METADATA_SECONDS = 300
_USERINFO_HEADERS = [
    *((name.lower().encode(), value.encode()) for name, value in _NO_STORE.items()),
    (b"vary", b"Origin"),
    (b"content-type", b"application/json"),
]


def make_metadata(bridge: Bridge) -> dict[str, Any]:
    """Return what this provider can do (OpenID Connect Discovery, RFC 8414)."""
    url = bridge.config.url
    return {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "userinfo_endpoint": f"{url}/userinfo",
        "jwks_uri": f"{url}/jwks",
        "revocation_endpoint": f"{url}/revoke",
        "end_session_endpoint": f"{url}/logout",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "claims_supported": [*CLAIMS, "iss", "aud", "exp", "iat", "auth_time", "nonce", "sid", "amr", "at_hash"],
        "claim_types_supported": ["normal"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "code_challenge_methods_supported": ["S256"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "authorization_response_iss_parameter_supported": True,
    }


async def show_metadata(request: Request) -> Response:
    """Answer a discovery request."""
    return _publish(request, make_metadata(get_bridge(request)))


async def show_keys(request: Request) -> Response:
    """Publish the signing keys."""
    bridge = get_bridge(request)
    return _publish(request, {"keys": await bridge.run(bridge.keys.list_public)})


async def show_webfinger(request: Request) -> Response:
    """Say that this bridge is the issuer for a person or address (RFC 7033)."""
    bridge, query = get_bridge(request), request.query_params
    resource = " ".join(query.getlist("resource"))  # two of them are none
    if not re.fullmatch(r"(acct:[^\s@]{1,100}@|https?://)[A-Za-z0-9.\-:\[\]]{1,253}(/\S{0,500})?", resource):
        return JSONResponse({"error": "invalid_request"}, 400, {"Access-Control-Allow-Origin": "*"})
    relations = query.getlist("rel")
    is_wanted = not relations or ISSUER_RELATION in relations
    links = [{"rel": ISSUER_RELATION, "href": bridge.config.url}] if is_wanted else []
    return JSONResponse(
        {"subject": resource, "links": links},
        headers={"Access-Control-Allow-Origin": "*"},  # RFC 7033, 5
        media_type="application/jrd+json",
    )


async def issue_tokens(request: Request) -> Response:
    """Exchange a code or a refresh token for tokens."""
    bridge = get_bridge(request)
    parameters = await _read_client_form(request)
    if isinstance(parameters, Response):
        return parameters
    provider_request = ProviderRequest("POST", parameters, request.headers)
    grant_type = parameters.get("grant_type", "")
    if grant_type == "refresh_token":
        client_id = await bridge.run(bridge.provider.identify_client, provider_request)
        if client_id is not None:  # else Plex is not asked for somebody who only has a token
            await check_before_refresh(bridge, parameters.get("refresh_token", ""), client_id)
    reply = await bridge.run(bridge.provider.answer_token_request, provider_request)
    outcome = "issued" if reply.status == 200 else str(reply.body.get("error"))
    bridge.metrics.tokens.labels(grant_type if grant_type in GRANT_TYPES else "other", outcome).inc()
    return _respond_reply(request, reply)


async def revoke_token(request: Request) -> Response:
    """Revoke a token (RFC 7009)."""
    bridge = get_bridge(request)
    parameters = await _read_client_form(request)
    if isinstance(parameters, Response):
        return parameters
    provider_request = ProviderRequest("POST", parameters, request.headers)
    reply = await bridge.run(bridge.provider.answer_revocation, provider_request)
    if reply.status == 200:
        return Response(None, 200, _NO_STORE | _make_cors_headers(request))
    return _respond_reply(request, reply)


async def _read_client_form(request: Request) -> Mapping[str, str] | Response:
    """Return the parameters of an application's form, or the error to answer with."""
    try:
        form = await read_form(request)
    except BadBody as error:
        return _respond_reply(request, Reply(413 if error.status == 413 else 400, {"error": "invalid_request"}))
    if form.repeated:
        body = {"error": "invalid_request", "error_description": "A parameter occurs more than once."}
        return _respond_reply(request, Reply(400, body))
    headers = request.headers.getlist("authorization")
    if len(headers) > 1 or (headers and "client_secret" in form.values):
        body = {"error": "invalid_request", "error_description": "The client authenticates in two ways."}
        return _respond_reply(request, Reply(400, body))
    return form.values


async def show_userinfo(request: Request) -> Response:
    """Return the claims about the person of an access token."""
    token = await _find_bearer_token(request)
    if isinstance(token, Response):
        return token
    return _respond_userinfo(request, await get_bridge(request).describe_token(token) if token else None)


class UserinfoMiddleware:
    """Answers the usual request for userinfo before the routes, which would cost more than the answer.

    Args:
        app: the application, which answers all other requests.
        bridge: the bridge.
        answer_unavailable: makes the answer when the database cannot be asked.
    """

    def __init__(
        self, app: ASGIApp, bridge: Bridge, answer_unavailable: Callable[[Request, Exception], Response]
    ) -> None:
        self._app = app
        self._bridge = bridge
        self._answer_unavailable = answer_unavailable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        token = _find_plain_token(scope) if scope["type"] == "http" and scope["path"] == "/userinfo" else None
        if token is None:
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._bridge.describe_token(token)
        except (SQLAlchemyError, Overloaded) as error:
            await self._answer_unavailable(Request(scope), error)(scope, receive, send)
            return
        if answer is None or not answer.content:
            await _respond_userinfo(Request(scope), answer)(scope, receive, send)
            return
        headers = [*_USERINFO_HEADERS, (b"content-length", b"%d" % len(answer.content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})


def _find_plain_token(scope: Scope) -> str | None:
    """Return the access token of a GET request without `Origin`; a page's request (CORS) is for `show_userinfo`."""
    headers = [value for name, value in scope["headers"] if name in {b"authorization", b"origin"}]
    if scope["method"] != "GET" or len(headers) != 1:
        return None
    match = _BEARER(headers[0].decode("latin-1"))
    return match[1] if match else None


def _respond_userinfo(request: Request, answer: Answer | None) -> Response:
    if answer is None:
        return _challenge(request, 401, "invalid_token")
    if not answer.content:
        return _challenge(request, 403, "insufficient_scope")
    return Response(answer.content, headers=_NO_STORE | _make_cors_headers(request), media_type="application/json")


async def _find_bearer_token(request: Request) -> str | Response:
    """Return the access token of a request (RFC 6750, 2.1 and 2.2), empty for one that is none; or the error."""
    header = request.headers.get("authorization", "")
    is_bearer = header.partition(" ")[0].lower() == "bearer"
    match = _BEARER(header)
    form = None
    if request.method == "POST":
        try:
            form = await read_form(request)
        except BadBody as error:
            if error.status != 415:  # that is no form, so no token in it
                return _challenge(request, error.status, "invalid_request")
    if len(request.headers.getlist("authorization")) > 1:
        return _challenge(request, 400, "invalid_request")
    if form is None or "access_token" not in form.values:
        return (match[1] if match else "") if is_bearer else _challenge(request, 401, "")
    if is_bearer or "access_token" in form.repeated:
        return _challenge(request, 400, "invalid_request")
    return form.values["access_token"]


def _challenge(request: Request, status: int, error: str) -> Response:
    """Return an error in the form of RFC 6750, 3; no error code for a request without a token."""
    header = f'Bearer realm="{get_bridge(request).config.url}"'
    header += f', error="{error}"' if error else ""
    header += ', scope="openid"' if error == "insufficient_scope" else ""
    return _respond_reply(request, Reply(status, {"error": error} if error else {}, (("WWW-Authenticate", header),)))


async def answer_preflight(request: Request) -> Response:
    """Answer a browser that asks whether an application without a server may call."""
    headers = {
        **_make_cors_headers(request),
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return Response(None, 204, headers)


def answer_error(request: Request, status: int, error: str, headers: Mapping[str, str]) -> Response:
    """Answer an application with an error that is not about its request."""
    return _respond_reply(request, Reply(status, {"error": error}, tuple(headers.items())))


def _respond_reply(request: Request, reply: Reply) -> Response:
    headers = {**_NO_STORE, **dict(reply.headers), **_make_cors_headers(request)}
    return JSONResponse(dict(reply.body), reply.status, headers)


def _publish(request: Request, body: Mapping[str, Any]) -> Response:
    """Answer with what everybody may read and keep for a while."""
    headers = {"Cache-Control": f"public, max-age={_METADATA_SECONDS}", **_make_cors_headers(request)}
    return JSONResponse(dict(body), headers=headers)


def _make_cors_headers(request: Request) -> dict[str, str]:
    """Return the headers that let pages of public applications read an answer."""
    origin = request.headers.get("origin")
    is_known = origin is not None and any(
        client.secret_hash is None and origin == _get_origin(uri)
        for client in get_bridge(request).config.clients.values()
        for uri in client.redirect_uris
    )
    vary = {"Vary": "Origin"}
    if origin is None or not is_known:
        return vary
    return vary | {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "WWW-Authenticate"}


def _get_origin(url: str) -> str | None:
    """Return an address's origin as browsers write it: in lower case, without the scheme's own port."""
    parts = urlsplit(url)
    own_port = {"http": ":80", "https": ":443"}.get(parts.scheme)
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(own_port)}" if own_port else None
