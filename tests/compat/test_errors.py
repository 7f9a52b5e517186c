"""The errors of 0.36.3: every row in both error modes, what was not answered, and what none of them shows."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.conftest import Script, reply
from tests.compat.calling import WAYS, ask
from tests.samples.reading import sample
from tests.server.asking import ATTIC, PASSWORDS
from tests.transports.hostile import closed_port
from ticketstub import (
    CredentialsError,
    MalformedReply,
    PlexError,
    RedirectRefused,
    Unauthorized,
    Unreachable,
    VerificationCodeRequired,
)
from ticketstub.compat import plex_api
from ticketstub.compat.plex_api_client import PlexAPI
from ticketstub.compat.plex_api_client.models import errors, operations

Serve = Callable[..., Script]

WRONG = "no-such-token-aaaaaa"
JSON: Any = {"Content_Type": "application/json; charset=utf-8"}
KIND = {"media_type": "delegation", "scope": "all"}
FORM = {"request_body": {"login": "mira_quill", "password": "not this one"}}
Row = tuple[str, dict[str, Any]]  # the path without its slash, and the request
PLEX_TV: dict[str, Row] = {
    "get_token_details": ("api/v2/user", {}),
    "post_users_sign_in_data": ("api/v2/users/signin", FORM),
}
SERVER: dict[str, Row] = {
    "create_transient_token": ("security/token", KIND),
    "get_source_connection_information": ("security/resources", {"source": f"server://{ATTIC}"}),
}
ROWS: dict[str, Row] = PLEX_TV | SERVER


def refused(way: str, name: str, server_url: str, kind: type[PlexError] = errors.PlexAPIError, **given: Any) -> Any:
    """Make a call that ends in an error, and return it."""
    group, request = "authentication" if name in PLEX_TV else "general", ROWS[name][1]
    with pytest.raises(kind) as caught:
        ask(way, {"token": WRONG}, group, name, request=request, server_url=server_url, retries=None, **given)
    return caught.value


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PLEX_TV)
def test_401_json_of_plex_tv(plex_tv: str, way: str, name: str) -> None:
    """A 401 in JSON is Unauthorized, with the listed errors, and ours behind it."""
    error = refused(way, name, plex_tv)
    assert errors.Unauthorized is type(error)
    assert [(1001, 401)] == [(one.code, one.status) for one in error.data.errors or []]
    assert (401, '{"errors":[{') == (error.status_code, error.body[:12])
    assert "application/json" == error.headers["Content-Type"].partition(";")[0]
    assert (401, error.body) == (error.raw_response.status_code, error.raw_response.text)
    assert isinstance(error.__cause__, Unauthorized)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PLEX_TV)
def test_400_json_of_plex_tv(serve: Serve, way: str, name: str) -> None:
    """A 400 in JSON is BadRequest, with the listed errors."""
    body = b'{"errors":[{"code":1000,"message":"X-Plex-Client-Identifier is missing","status":400}]}'
    server = serve(**{ROWS[name][0]: reply(body, 400, **JSON)})
    error = refused(way, name, server.url)
    assert errors.BadRequest is type(error)
    assert ["X-Plex-Client-Identifier is missing"] == [one.message for one in error.data.errors or []]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SERVER)
@pytest.mark.parametrize("mode", ["attic", "documented"])
def test_401_of_a_media_server(
    request: pytest.FixtureRequest, attic: str, documented: str, way: str, name: str, mode: str
) -> None:
    """A media server's 401 is an SDKError, as a web page and in JSON, as in the release."""
    error = refused(way, name, {"attic": attic, "documented": documented}[mode])
    assert errors.SDKError is type(error)
    assert (401, mode == "documented") == (error.status_code, error.raw_response.is_json)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ROWS)
def test_4xx_to_5xx(serve: Serve, way: str, name: str) -> None:
    """Every other status, and a 400 or 401 that is no JSON, is an SDKError."""
    path = ROWS[name][0]
    body = b'{"errors":[{"code":1999,"message":"No"}]}'
    answers = [reply(body, status, **JSON) for status in (403, 404, 422, 429, 498, 500, 503)]
    answers += [reply(sample("page_401.html"), status, Content_Type="text/html") for status in (400, 401)]
    server = serve(**{path: answers})
    kinds = {type(refused(way, name, server.url)) for _ in answers}
    assert {errors.SDKError} == kinds


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ROWS)
def test_answers_of_success_that_are_none(serve: Serve, way: str, name: str) -> None:
    """JSON that is not the answer is a ResponseValidationError with its cause; a web page is an SDKError."""
    path, status = ROWS[name][0], 201 if name == "post_users_sign_in_data" else 200
    server = serve(**{path: [reply(b"{}", status, **JSON), reply(b"<html></html>", status, Content_Type="text/html")]})
    error = refused(way, name, server.url)
    assert errors.ResponseValidationError is type(error)
    assert isinstance(error.cause, MalformedReply)
    assert errors.SDKError is type(refused(way, name, server.url))


@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_elsewhere_is_refused(serve: Serve, way: str) -> None:
    """The release follows it with the token; here it is an SDKError."""
    server = serve(**{"api/v2/user": reply(b"", 302, Location="http://192.0.2.7/api/v2/user")})
    error = refused(way, "get_token_details", server.url)
    assert (302, errors.SDKError) == (error.status_code, type(error))
    assert isinstance(error.__cause__, RedirectRefused)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ROWS)
def test_no_answer(way: str, name: str) -> None:
    """Where nothing came, it is a NoResponseError, which is no PlexAPIError."""
    error = refused(way, name, f"http://127.0.0.1:{closed_port()}", errors.NoResponseError)
    assert not isinstance(error, errors.PlexAPIError)
    assert isinstance(error.__cause__, Unreachable)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_sent_without_a_token(serve: Serve, way: str) -> None:
    """plex.tv is not asked whose token none is."""
    server = serve()
    with pytest.raises(CredentialsError, match="needs a token"):
        ask(way, {}, "authentication", "get_token_details", request={}, server_url=server.url)
    assert [] == server.came


@pytest.mark.parametrize("way", WAYS)
def test_a_missing_code_can_be_told_from_a_wrong_password(plex_tv: str, way: str) -> None:
    """The listed code says it, and so does the class of ours behind the error."""
    request = {"request_body": {"login": "vera", "password": PASSWORDS["vera"]}}
    with pytest.raises(errors.Unauthorized) as caught:
        ask(way, {}, "authentication", "post_users_sign_in_data", request=request, server_url=plex_tv)
    assert [1029] == [one.code for one in caught.value.data.errors or []]
    assert isinstance(caught.value.__cause__, VerificationCodeRequired)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"error":"x"}', b'{"errors":{}}', b'{"errors":["x"]}'])
def test_odd_bodies_of_a_refusal(serve: Serve, body: bytes) -> None:
    """What lists no errors has none, and is no less an Unauthorized."""
    server = serve(**{"api/v2/user": reply(body, 401, **JSON)})
    error = refused("sync", "get_token_details", server.url)
    assert errors.Unauthorized is type(error)
    assert not error.data.errors


def test_errors_show_no_secret(serve: Serve) -> None:
    """Text, repr, traceback, attributes and pickle of an error hold neither the token nor what the answer repeats."""
    secret = "cAnArY-7f3kQ2vTz8Lm1"
    body = json.dumps({"errors": [{"code": 1001, "message": f"no {secret}", "status": 401}]}).encode()
    server = serve(**{"api/v2/user": reply(body, 401, **JSON), "security/token": reply(body, 401, **JSON)})
    found: list[PlexError] = []
    with PlexAPI(token=secret) as sdk, pytest.raises(errors.Unauthorized) as caught:
        sdk.authentication.get_token_details(request={}, server_url=server.url)
    found.append(caught.value)
    with plex_api.PlexAPI(access_token=secret, server_url=server.url) as old:
        with pytest.raises(plex_api.models.errors.SDKError) as older:
            old.authentication.get_transient_token(type="delegation", scope="all")
        assert secret not in repr(old)
    found.append(older.value)
    for error in found:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301  # made a moment ago
        assert (type(error), error.message, 401, "") == (type(again), again.message, again.status_code, again.body)
        shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + error.message
        shown += f"{error.raw_response!r} {error.headers!r}"  # type: ignore[attr-defined]  # both kinds have them
        assert secret not in shown


def test_results_and_requests_show_no_secret(plex_tv: str, attic: str) -> None:
    """The `repr` of a result, of what is in it and of a sign-in holds no token and no password."""
    body = operations.PostUsersSignInDataRequestBody(login="tom", password=PASSWORDS["tom"], verification_code="123456")
    request = operations.PostUsersSignInDataRequest(request_body=body)
    with PlexAPI(server_url=attic) as sdk:
        res = sdk.authentication.post_users_sign_in_data(request=request, server_url=plex_tv)
    account = res.user_plex_account
    assert account is not None
    assert account.auth_token
    shown = f"{request!r} {body} {res!r} {account!r} {res.raw_response!r} {vars(res)} {sdk!r}"
    for secret in (account.auth_token, PASSWORDS["tom"], "123456"):
        assert secret not in shown
