"""The snippets and rows of the Python reference page (package `plex_api`), with one changed import."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.client.conftest import Script, reply
from tests.client.scripts import head_of
from tests.client.transports.hostile import closed_port
from tests.local_plex.asking import ATTIC, MIRA, TOM_ON_ATTIC
from tests.samples.reading import sample
from ticketstub import RedirectRefused, Retry, Unauthorized, Unreachable
from ticketstub.compat import REPLACEMENTS, UnsupportedArgument, plex_api
from ticketstub.compat.plex_api.models import errors, operations
from ticketstub.compat.plex_api.utils import BackoffStrategy, RetryConfig, convert_retry

Serve = Callable[..., Script]

WRONG = "no-such-token-aaaaaa"
JSON: Any = {"Content_Type": "application/json"}
ONCE = RetryConfig("none", BackoffStrategy(1, 50, 1.1, 100), retry_connection_errors=False)


def client(server_url: str, **given: Any) -> plex_api.PlexAPI:
    return plex_api.PlexAPI(**{"access_token": MIRA, "server_url": server_url} | given)


def test_transient_token_as_on_the_page(attic: str) -> None:
    """The snippet for get transient token runs. Like the page, it compares the result with None."""
    place = urlsplit(attic)

    s = plex_api.PlexAPI(
        access_token=MIRA,
        x_plex_client_identifier="Postman",
        ip=place.hostname,
        port=str(place.port),
    )

    res = s.authentication.get_transient_token(
        type=operations.GetTransientTokenQueryParamType.DELEGATION, scope=operations.Scope.ALL
    )

    assert res is not None
    assert (200, "application/json") == (res.status_code, res.content_type)
    assert res.raw_response.text.startswith('{"MediaContainer":')


def test_source_as_on_the_page(attic: str) -> None:
    """The snippet for get source connection information runs. Like the page, it compares the result with None."""
    place = urlsplit(attic)

    s = plex_api.PlexAPI(
        access_token=MIRA,
        x_plex_client_identifier="Postman",
        ip=place.hostname,
        port=str(place.port),
    )

    res = s.authentication.get_source_connection_information(source=f"server://{ATTIC}")

    assert res is not None
    assert (200, ATTIC) == (res.status_code, res.source.client_identifier)


@pytest.mark.parametrize("name", ["type", "type_"])
def test_type_may_be_named_as_on_the_page_or_in_the_releases(attic: str, name: str) -> None:
    """The argument is `type` on the page and `type_` in the releases. Both are accepted, as enum members or as text."""
    kind = operations.GetTransientTokenQueryParamType.DELEGATION
    with client(attic) as s:
        members: Any = {name: kind, "scope": operations.Scope.ALL}
        texts: Any = {name: "delegation", "scope": "all"}
        assert 200 == s.authentication.get_transient_token(**members).status_code
        assert 200 == s.authentication.get_transient_token(**texts).status_code
        assert 200 == s.authentication.get_transient_token(kind, operations.Scope.ALL).status_code


@pytest.mark.parametrize("given", [{}, {"type": "delegation"}, {"scope": "all"}])
def test_type_and_scope_are_required(attic: str, given: dict[str, Any]) -> None:
    """Both parameters are required."""
    with client(attic) as s, pytest.raises(TypeError, match="scope="):
        s.authentication.get_transient_token(**given)


def test_invalid_values_are_refused_before_anything_is_sent(serve: Serve) -> None:
    """An unknown type or scope, or a source without its prefix, is a ValueError."""
    server = serve()
    with client(server.url) as s:
        with pytest.raises(ValueError, match="elsewhere"):
            s.authentication.get_transient_token(type="delegation", scope="elsewhere")
        with pytest.raises(ValueError, match="other"):
            s.authentication.get_transient_token(type="other", scope="all")
        with pytest.raises(ValueError, match="server://"):
            s.authentication.get_source_connection_information(source=ATTIC)
    assert [] == server.came


def test_request(serve: Serve) -> None:
    """The token and the identifier are sent as headers to the server that was named with them."""
    server = serve(**{"security/token": reply(sample("transient_token.json"), **JSON)})
    with client(server.url, x_plex_client_identifier="Postman") as s:
        found = s.authentication.get_transient_token(type="delegation", scope="all")
    line, fields = head_of(server.came[0])
    assert "POST /security/token?type=delegation&scope=all HTTP/1.1" == line
    assert (MIRA, "Postman") == (fields["x-plex-token"], fields["x-plex-client-identifier"])
    assert "transient" == (found.token.kind if found.token else None)


def test_result_in_xml(serve: Serve) -> None:
    """The raw response has the attributes that programs use of requests, and the result has the parsed value."""
    server = serve(**{"security/resources": reply(sample("source.xml"), Content_Type="application/xml", X_Word="seen")})
    with client(server.url) as s:
        res = s.authentication.get_source_connection_information(source=f"server://{ATTIC}")
    raw = res.raw_response
    assert (200, "seen", "seen", "application/xml") == (
        raw.status_code,
        raw.headers["X-Word"],
        raw.headers.get("x-word"),
        res.content_type,
    )
    assert (sample("source.xml"), sample("source.xml").decode()) == (raw.content, raw.text)
    assert (ATTIC, 2) == (res.source.client_identifier, len(res.source.connections))


ROWS: dict[str, tuple[type[errors.SDKError], Callable[[plex_api.Authentication], object]]] = {
    "get_transient_token": (
        errors.GetTransientTokenResponseBody,
        lambda group: group.get_transient_token(type="delegation", scope="all"),
    ),
    "get_source_connection_information": (
        errors.GetSourceConnectionInformationResponseBody,
        lambda group: group.get_source_connection_information(source=f"server://{ATTIC}"),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_401_json(documented: str, row: str) -> None:
    """A 401 in JSON raises the class of the page with the listed errors. It is an SDKError, as in the releases."""
    typed, call = ROWS[row]
    with client(documented, access_token=WRONG) as s, pytest.raises(typed) as caught:
        call(s.authentication)
    assert isinstance(caught.value, errors.SDKError)
    error: Any = caught.value  # its class is one of two
    assert [(1001, 401)] == [(one.code, one.status) for one in error.errors]
    assert (401, 401, '{"errors":[{') == (error.status_code, error.raw_response.status_code, error.body[:12])
    assert isinstance(error.__cause__, Unauthorized)


@pytest.mark.parametrize("row", ROWS)
def test_401_as_observed(attic: str, row: str) -> None:
    """A 401 as a web page raises SDKError, since the class of the page is for JSON."""
    typed, call = ROWS[row]
    with client(attic, access_token=WRONG) as s, pytest.raises(errors.SDKError) as caught:
        call(s.authentication)
    assert not isinstance(caught.value, typed)
    assert (401, "text/html") == (caught.value.status_code, caught.value.raw_response.headers["Content-Type"])
    assert "<html" in caught.value.body


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_4xx_to_5xx(serve: Serve, row: str, status: int) -> None:
    """Every other status from 400 on raises SDKError, also in JSON, with message, status, body and response."""
    path = {"get_transient_token": "security/token", "get_source_connection_information": "security/resources"}[row]
    body = b'{"errors":[{"code":1999,"message":"No","status":%d}]}' % status
    server = serve(**{path: reply(body, status, **JSON)})
    with client(server.url, retry_config=ONCE) as s, pytest.raises(errors.SDKError) as caught:
        ROWS[row][1](s.authentication)
    assert errors.SDKError is type(caught.value)
    assert ("No", status, body.decode()) == (caught.value.message, caught.value.status_code, caught.value.body)
    assert f"No: Status {status}" == str(caught.value)


def test_200_with_a_web_page(serve: Serve) -> None:
    """A web page instead of the result raises SDKError."""
    server = serve(**{"security/token": reply(b"<html></html>", Content_Type="text/html")})
    with client(server.url) as s, pytest.raises(errors.SDKError) as caught:
        s.authentication.get_transient_token(type="delegation", scope="all")
    assert 200 == caught.value.status_code


def test_no_response() -> None:
    """Without a response, Unreachable is raised instead of an error of requests."""
    with client(f"http://127.0.0.1:{closed_port()}", retry_config=ONCE) as s, pytest.raises(Unreachable):
        s.authentication.get_transient_token(type="delegation", scope="all")


def test_token_may_be_a_callable(attic: str) -> None:
    """A callable that returns the token is called before each request."""
    given = iter([MIRA, TOM_ON_ATTIC])
    with client(attic, access_token=lambda: next(given)) as s:
        for _ in range(2):
            s.authentication.get_transient_token(type="delegation", scope="all")
    assert [] == list(given)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"ip": "192.0.2.7"}, "http://192.0.2.7:32400"),
        ({"ip": "192.0.2.7", "server_idx": 0, "port": "8443", "protocol": "https"}, "https://192.0.2.7:8443"),
        ({"ip": "192.0.2.7", "protocol": plex_api.ServerProtocol.HTTPS}, "https://192.0.2.7:32400"),
        ({"server_url": "http://192.0.2.8:1/", "ip": "192.0.2.7"}, "http://192.0.2.8:1"),
        (
            {"server_url": "{protocol}://{ip}", "url_params": {"protocol": "http", "ip": "192.0.2.8"}},
            "http://192.0.2.8",
        ),
    ],
)
def test_address(given: dict[str, Any], address: str) -> None:
    """The address is server_url with url_params, or is made of protocol, ip and port with the page's defaults."""
    with plex_api.PlexAPI(access_token=MIRA, **given) as s:
        assert address in repr(s)


def test_no_default_address() -> None:
    """The private default address of the releases is not used: a call without an address names the arguments."""
    with plex_api.PlexAPI(access_token=MIRA, x_plex_client_identifier="Postman") as s:
        with pytest.raises(ValueError, match="server_url="):
            s.authentication.get_transient_token(type="delegation", scope="all")
        with pytest.raises(ValueError, match="ip='host'"):
            s.authentication.get_source_connection_information(source=f"server://{ATTIC}")


def test_unsupported_arguments() -> None:
    """server_idx must be 0, and a session of requests is refused with an error that names supported clients."""
    with pytest.raises(ValueError, match="server_idx must be 0"):
        plex_api.PlexAPI(access_token=MIRA, server_idx=1)

    class Session:
        """The name of the client class of requests."""

        def send(self) -> None: ...

    with pytest.raises(UnsupportedArgument, match=r"httpx2\.Client"):
        plex_api.PlexAPI(access_token=MIRA, client=Session())


def test_own_httpx_client(attic: str) -> None:
    """An httpx client is used and stays open."""
    import httpx

    with httpx.Client() as own:
        with client(attic, client=own) as s:
            assert 200 == s.authentication.get_transient_token(type="delegation", scope="all").status_code
        assert not own.is_closed


def test_the_group_alone_keeps_the_connections(attic: str) -> None:
    """A program may keep the group and drop the client, since these releases have no close()."""
    group = client(attic).authentication
    for _ in range(2):
        assert 200 == group.get_transient_token(type="delegation", scope="all").status_code


@pytest.mark.parametrize("name", ["server", "plex", "library"])
def test_missing_names(name: str) -> None:
    """Other groups, operations and names raise AttributeErrors that name the replacement."""
    with client("http://192.0.2.7:32400") as s:
        assert not hasattr(s, name)
        with pytest.raises(AttributeError, match=r"ticketstub\.MediaServer\.get"):
            getattr(s, name)
        with pytest.raises(AttributeError, match=r"ticketstub.Plex.server_information\(\)"):
            getattr(s.authentication, "get_server_capabilities")  # noqa: B009  # type checkers would report it
    for module in (plex_api, errors, operations):
        with pytest.raises(AttributeError, match="only the operations of the Authentication reference pages"):
            getattr(module, "GetServerCapabilitiesResponseBody")  # noqa: B009  # as above


def test_models_by_attribute() -> None:
    """`plex_api.models` is an attribute of the package, as in the releases."""
    assert errors is plex_api.models.errors
    assert operations is plex_api.models.operations


def test_named_replacements_exist() -> None:
    """Each replacement that an error names exists."""
    import ticketstub

    for replacement in REPLACEMENTS.values():
        owner, _, method = replacement.removesuffix("()").partition(".")
        assert callable(getattr(getattr(ticketstub, owner), method))


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"error":"x"}', b'{"errors":{}}', b'{"errors":["x"]}'])
def test_odd_bodies_of_a_refusal(serve: Serve, body: bytes) -> None:
    """A 401 in JSON whose body lists no errors raises the class of the page, without errors."""
    server = serve(**{"security/token": reply(body, 401, **JSON)})
    with client(server.url) as s, pytest.raises(errors.GetTransientTokenResponseBody) as caught:
        s.authentication.get_transient_token(type="delegation", scope="all")
    assert not caught.value.errors


def test_a_redirect_to_another_server_is_refused(serve: Serve) -> None:
    """The releases follow a redirect to another server with the token; here it raises SDKError."""
    server = serve(**{"security/token": reply(b"", 302, Location="http://192.0.2.7/security/token")})
    with client(server.url) as s, pytest.raises(errors.SDKError) as caught:
        s.authentication.get_transient_token(type="delegation", scope="all")
    assert 302 == caught.value.status_code
    assert isinstance(caught.value.__cause__, RedirectRefused)


def test_errors_show_no_secret(serve: Serve) -> None:
    """Text, repr, traceback, attributes and pickle of an error do not contain the token, even if it was echoed."""
    secret = "cAnArY-7f3kQ2vTz8Lm1"
    body = json.dumps({"errors": [{"code": 1001, "message": f"no {secret}", "status": 401}]}).encode()
    server = serve(**{"security/token": reply(body, 401, **JSON)})
    with client(server.url, access_token=secret) as s:
        with pytest.raises(errors.SDKError) as caught:
            s.authentication.get_transient_token(type="delegation", scope="all")
        assert secret not in repr(s)
    error = caught.value
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # pickled just now
    assert (type(error), error.message, 401, "") == (type(again), again.message, again.status_code, again.body)
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + error.message
    assert secret not in f"{shown} {error.raw_response!r} {error.headers!r}"


def test_results_show_no_secret(attic: str) -> None:
    """The `repr` of a result and of its attributes contains no token."""
    with client(attic) as s:
        token = s.authentication.get_transient_token(type="delegation", scope="all")
        source = s.authentication.get_source_connection_information(source=f"server://{ATTIC}")
    assert token.token
    assert source.source.access_token
    for secret in (token.token.reveal(), source.source.access_token.reveal()):
        assert secret not in f"{token!r} {source!r} {token.raw_response!r} {vars(token)} {vars(source)}"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"server_url": "http://{host}:1/", "url_params": {"host": "192.0.2.8"}}, "http://192.0.2.8:1"),
        ({"ip": "192.0.2.7"}, "http://192.0.2.7:32400"),
        ({"ip": "192.0.2.7", "protocol": plex_api.ServerProtocol.HTTPS, "port": "1"}, "https://192.0.2.7:1"),
    ],
)
def test_address_of_the_constructor(given: dict[str, Any], address: str) -> None:
    """The address is server_url with the names in braces replaced, or is made of protocol, ip and port."""
    with plex_api.PlexAPI(access_token=MIRA, **given) as s:
        assert address in repr(s)


@pytest.mark.parametrize(
    ("config", "retry"),
    [
        (RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 100), retry_connection_errors=False), (7, 0.001, {429})),
        (
            RetryConfig(
                "backoff",
                BackoffStrategy(1000, 30000, 2, 300000),
                retry_connection_errors=True,
                status_codes_override=["503"],
            ),
            (9, 1.0, {503}),
        ),
        (
            RetryConfig(
                "backoff", BackoffStrategy(0, 0, 1, 0), retry_connection_errors=True, status_codes_override=["5XX"]
            ),
            (1, 0.001, set(range(500, 600))),
        ),
        (ONCE, (1, Retry().backoff, Retry().statuses)),
    ],
)
def test_convert_retry(config: RetryConfig, retry: tuple[int, float, set[int]]) -> None:
    """The result has as many doubling waits as fit into the elapsed time, and the statuses of the override."""
    attempts, backoff, statuses = retry
    assert Retry(attempts=attempts, backoff=backoff, statuses=frozenset(statuses)) == convert_retry(config)


def test_retry_configuration_is_used(serve: Serve) -> None:
    """429 is retried as configured."""
    quick = RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 100), retry_connection_errors=False)
    found = reply(sample("source.xml"), Content_Type="application/xml")
    server = serve(**{"security/resources": [reply(b"", 429), found]})
    with client(server.url, retry_config=quick) as s:
        assert 200 == s.authentication.get_source_connection_information(source=f"server://{ATTIC}").status_code
