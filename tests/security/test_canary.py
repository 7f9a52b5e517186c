"""C6: a secret in any argument appears nowhere but on the wire."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.conftest import DEVICE
from tests.client.doubles import Recording, usual
from tests.client.transports.hostile import Server, closed_port
from tests.examples import examples
from tests.tables import every
from ticketstub import (
    AsyncPlex,
    CredentialsError,
    CrossOriginRedirect,
    Err,
    MalformedReply,
    Ok,
    Plex,
    PlexError,
    RedirectRefused,
    Retry,
    TimedOut,
    Token,
    Unreachable,
)
from ticketstub.calls import PostUsersSignInData, RawRequest
from ticketstub.messages import Request, Response
from ticketstub.protocol import error_bodies
from ticketstub.protocol.codec import Format
from ticketstub.refusals import REFUSAL_CLASSES, Refusal

CANARY = "cAnArY-7f3kQ2vTz8Lm1"
HERE = "http://127.0.0.1:8190"


def list_forms(secret: str) -> set[str]:
    """Return what must never appear: the secret, its halves, and its usual encodings."""
    raw = secret.encode()
    packed = {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    return {secret, secret[:10], secret[-10:], quote(secret, safe=""), quote_plus(secret), raw.hex(), *packed}


def assert_not_in(*texts: str, secret: str = CANARY) -> None:
    """Assert that no text contains the secret in any form."""
    for text in texts:
        for form in list_forms(secret):
            assert form not in text


def collect_texts(error: BaseException) -> list[str]:
    """Return everything that a program or a log could print of an error, its causes and its contexts."""
    texts = ["".join(traceback.format_exception(error))]
    link: BaseException | None = error
    while link is not None:
        texts += [str(link), repr(link), repr(link.args), json.dumps(vars(link), default=repr)]
        texts += [repr(getattr(link, name, None)) for name in ("message", "hint", "status", "code", "response")]
        if isinstance(link, PlexError):
            texts.append(pickle.dumps(link).decode("latin-1"))
        link = link.__cause__ or link.__context__
    return texts


def echo_request(request: Request, status: int) -> Response:
    """Answer with everything that was sent, as a careless server would."""
    said = f"{request.url} {request.headers} {request.body.decode('latin-1')}"
    body = json.dumps({"errors": [{"code": 1999, "message": said, "status": status}]}).encode()
    return Response(status, {"x-echo": said}, body)


USES: dict[str, Callable[[Any, str], Any]] = {
    "token": lambda plex, secret: plex.authentication.get_token_details(token=secret),
    "token in XML": lambda plex, secret: plex.ping(token=secret, headers={"Accept": "application/xml"}),
    "password": lambda plex, secret: plex.authentication.post_users_sign_in_data(login="mira", password=secret),
    "code": lambda plex, secret: plex.authentication.post_users_sign_in_data(
        login="mira", password="another one", verification_code=secret
    ),
    "media server's token": lambda plex, secret: plex.at(HERE, token=secret).authentication.get_transient_token(),
    "source": lambda plex, secret: plex.at(HERE, token=secret).authentication.get_source_connection_information(
        source="server://x"
    ),
    "raw query": lambda plex, secret: plex.at(HERE, token="t" * 20).get("/x", {"X-Plex-Token": secret}),
    "raw path": lambda plex, secret: plex.at(HERE, token="t" * 20).get(f"/x?X-Plex-Token={secret}"),
    "raw body": lambda plex, secret: plex.at(HERE, token="t" * 20).request("POST", "/x", body=secret.encode()),
    "header": lambda plex, secret: plex.ping(token="t" * 20, headers={"Cookie": f"session={secret}"}),
    "token source": lambda plex, secret: plex.ping(token=lambda: secret),
}

ECHOED = (400, 401, 403, 404, 409, 418, 422, 429, 498, 500, 503)
ANSWERS: dict[str, Callable[[Request], Response]] = {
    **{f"echo {status}": partial(echo_request, status=status) for status in ECHOED},
    "echo with 200": lambda request: echo_request(request, 200),
    "web page": lambda request: Response(200, {}, f"<html>{request.url}{request.headers}</html>".encode()),
    "cut-off JSON": lambda request: Response(200, {}, f'{{"{request.headers}'.encode()),
    "broken XML": lambda request: Response(200, {}, f"<user {request.headers}".encode()),
    "redirect elsewhere": lambda request: Response(302, {"location": f"http://evil.example/?{request.headers}"}, b""),
    "redirect to itself": lambda request: Response(307, {"location": request.url}, b""),
    "broken packing": lambda request: Response(200, {"content-encoding": f"gzip {request.headers}"}, b"x"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_c6_nothing_shows_it(use: Any, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever argument contains the secret and whatever the server answers, no error, log line or warning shows it."""
    caplog.set_level(logging.DEBUG)
    transport = Recording(answer)
    plex = Plex(transport=transport, plex_tv=HERE, device=DEVICE, retry=Retry(attempts=2, backoff=0.0))
    with contextlib.suppress(Refusal, MalformedReply, RedirectRefused):
        try:
            assert_not_in(repr(use(plex, CANARY)))
        except PlexError as error:
            assert_not_in(*collect_texts(error))
            raise
    assert any(CANARY in f"{sent.url}{sent.headers}{sent.body!r}" for sent in transport.sent)
    assert_not_in(*(repr(sent) for sent in transport.sent), repr(plex), caplog.text)
    assert_not_in(*(repr(vars(record)) for record in caplog.records))


SHORT = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc"]), min_size=12, max_size=16
)


@given(secret=SHORT, status=st.sampled_from([400, 401, 422, 500]), form=st.sampled_from(Format))
@examples(60)
def test_c6_any_password(secret: str, status: int, form: Format) -> None:
    """An error shows no part of a password that the server echoes in any usual encoding."""

    def answer(_request: Request) -> Response:
        said = " | ".join(sorted(list_forms(secret) - {secret[:10], secret[-10:]}))
        return Response(status, {}, error_bodies.write_refusal(Refusal(said, status=status, code=1999), form))

    plex = Plex(transport=Recording(answer), plex_tv=HERE, device=DEVICE)
    outcome = plex.attempt(PostUsersSignInData.from_text("mira", secret))
    assert isinstance(outcome, Err)
    for text in (str(outcome.error), repr(outcome.error), repr(outcome), outcome.error.message):
        for one in list_forms(secret) - {secret[:10], secret[-10:]}:
            assert one not in text


def test_c6_over_the_wire(caplog: pytest.LogCaptureFixture) -> None:
    """Over real sockets, sync and async, refused, missing and garbled responses show nothing, nor do the logs."""
    caplog.set_level(logging.DEBUG)

    def garbled(server: Server, sock: Any) -> None:
        came = server.read(sock)
        sock.sendall(b"HTTP/1.1 200 " + came.replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n")

    def hanging(server: Server, sock: Any) -> None:
        while server.read(sock):
            pass

    output = io.StringIO()
    with (
        contextlib.redirect_stderr(output),
        contextlib.redirect_stdout(output),
        Server(garbled) as first,
        Server(hanging) as second,
    ):
        for url in (first.url, second.url, f"http://127.0.0.1:{closed_port()}"):
            for error in (_sync(url), asyncio.run(_async(url))):
                assert_not_in(*collect_texts(error))
    assert {True} == {CANARY.encode() in came for came in first.requests + second.requests}
    assert_not_in(output.getvalue(), caplog.text, *(repr(vars(record)) for record in caplog.records))


def _sync(url: str) -> PlexError:
    plex = Plex(plex_tv=url, device=DEVICE, token=CANARY, timeout=0.2, retry=Retry(attempts=1))
    with plex, pytest.raises(PlexError) as caught:
        plex.ping()
    return caught.value


async def _async(url: str) -> PlexError:
    plex = AsyncPlex(plex_tv=url, device=DEVICE, token=CANARY, timeout=0.2, retry=Retry(attempts=1))
    async with plex:
        with pytest.raises(PlexError) as caught:
            await plex.ping()
    return caught.value


OTHERS = (Unreachable, TimedOut, MalformedReply, RedirectRefused, CrossOriginRedirect, CredentialsError)
RAISED: dict[str, Callable[[], PlexError]] = {
    **{kind.__name__: kind for kind in REFUSAL_CLASSES},
    **{kind.__name__: partial(kind, "x") for kind in OTHERS},
}


@every("make", RAISED)
def test_c6_every_class(make: Callable[[], PlexError]) -> None:
    """Every class of error shows nothing of a response that contains the secret."""
    error = make()
    error.response = Response(401, {"set-cookie": CANARY}, CANARY.encode())
    try:
        raise error
    except PlexError as caught:
        assert_not_in(*collect_texts(caught))


def test_c6_values_and_outcomes() -> None:
    """Calls, models, outcomes and clients that contain the secret print without it, however they are formatted."""
    plex = Plex(transport=Recording(usual), plex_tv=HERE, device=DEVICE, token=CANARY, headers={"Cookie": CANARY})
    call = PostUsersSignInData.from_text("mira", CANARY, CANARY)
    raw = RawRequest(path=f"/x?token={CANARY}", query={"a": CANARY}, content=CANARY.encode())
    token = Token(CANARY, origin=HERE)
    outcome = plex.attempt(call)
    assert isinstance(outcome, Ok)
    for thing in (plex, plex.at(HERE, token=CANARY), call, raw, token, outcome, [token], {"token": token}):
        assert_not_in(repr(thing), str(thing), f"{thing}", "%s %r" % (thing, thing), f"{thing!r:.500}")  # noqa: UP031  # the old way, too


def test_c6_no_error_of_a_library() -> None:
    """No exception of an HTTP library, which contains whole URLs and headers, is the cause or context of an error."""
    error = _sync(f"http://127.0.0.1:{closed_port()}")
    other = asyncio.run(_async(f"http://127.0.0.1:{closed_port()}"))
    for one in (error, other):
        link: BaseException | None = one
        while link is not None:
            assert type(link).__module__.partition(".")[0] in ("ticketstub", "builtins")
            link = link.__cause__ or link.__context__
