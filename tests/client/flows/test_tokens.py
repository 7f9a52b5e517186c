"""Tokens: their sources, refusals, and the places where they are never sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.flows.stepping import ATTIC, HERE, PONG, TOKEN, TRANSIENT, Stepper, base, failed, refusal
from ticketstub.client.config import CallSettings, merge_options, with_server, with_token
from ticketstub.client.flows.request import Invoke
from ticketstub.errors import (
    CredentialsError,
)
from ticketstub.messages import Response
from ticketstub.protocol.account import Ping
from ticketstub.protocol.call import Call
from ticketstub.protocol.media_server import GetIdentity, RawRequest
from ticketstub.refusals import Forbidden, Unauthorized
from ticketstub.tokens import Token


class Source:
    """A token source that returns these tokens, and records the refused ones."""

    def __init__(self, *tokens: str | Token | None) -> None:
        self.tokens = list(tokens)
        self.told: list[Token] = []

    def __call__(self) -> str | Token | None:
        return self.tokens.pop(0)

    def refused(self, token: Token) -> None:
        self.told.append(token)


def asked(step: Any) -> object:
    """Perform an `Invoke` as a driver does."""
    assert type(step) is Invoke
    return step.callback()


def sourced(source: Source) -> CallSettings:
    return with_token(CallSettings(plex_tv=HERE, server=ATTIC), source)


def test_source_is_asked_for_each_request() -> None:
    """A callable is called before each try, and its text becomes the token."""
    source = Source("token-of-the-first-x", "token-of-the-second-")
    stepper = Stepper([asked, refusal(503), asked, PONG])
    stepper.run(Ping(), sourced(source))
    assert ["token-of-the-first-x", "token-of-the-second-"] == [sent.headers["X-Plex-Token"] for sent in stepper.sent]
    assert [] == source.told


def test_source_is_told_and_asked_once_more() -> None:
    """A source learns of its refused token, and a new one is tried once, without a wait."""
    source = Source("old", "new")
    stepper = Stepper([asked, refusal(401), asked, asked, PONG])
    assert True is stepper.run(Ping(), sourced(source))
    assert [Token("old")] == source.told
    assert (["old", "new"], []) == ([sent.headers["X-Plex-Token"] for sent in stepper.sent], stepper.slept)


@pytest.mark.parametrize("second", ["old", None], ids=["the same", "none"])
def test_source_without_a_new_token(second: str | None) -> None:
    """If the source has no other token, the refusal is raised and nothing more is sent."""
    source = Source("old", second)
    stepper = Stepper([asked, refusal(401), asked, asked])
    failed(stepper, Ping(), sourced(source), Unauthorized)
    assert ([Token("old")], 1) == (source.told, len(stepper.sent))


def test_source_whose_new_token_is_refused_too() -> None:
    """A second refusal is raised."""
    stepper = Stepper([asked, refusal(401), asked, asked, refusal(401)])
    failed(stepper, Ping(), sourced(Source("old", "new")), Unauthorized)
    assert 2 == len(stepper.sent)


def test_post_is_not_repeated_with_a_new_token() -> None:
    """The source learns of a refused POST, which is not sent again."""
    source = Source("old", "new")
    stepper = Stepper([asked, refusal(401), asked, asked])
    failed(stepper, TRANSIENT, sourced(source), Unauthorized)
    assert ([Token("old")], 1) == (source.told, len(stepper.sent))


def test_forbidden_is_no_refused_token() -> None:
    """A 403 says nothing about the token: the source does not learn of it."""
    source = Source("old")
    failed(Stepper([asked, refusal(403)]), Ping(), sourced(source), Forbidden)
    assert [] == source.told


def test_source_is_not_asked_where_no_token_goes() -> None:
    """A call that needs no token does not call the source."""
    stepper = Stepper([Response(200, {}, b'{"MediaContainer":{"machineIdentifier":"x"}}')])
    stepper.run(GetIdentity(), sourced(Source()))
    assert 1 == len(stepper.steps)


def test_source_without_token() -> None:
    """A source without a token: nothing is sent to plex.tv; a media server may accept its own network."""
    stepper = Stepper([asked])
    failed(stepper, Ping(), sourced(Source(None)), CredentialsError)
    assert [] == stepper.sent
    open_one = Stepper([asked, Response(200, {}, b"x")])
    open_one.run(RawRequest(path="/"), sourced(Source(None)))
    assert "X-Plex-Token" not in open_one.sent[0].headers


@pytest.mark.parametrize(("given", "kind"), [(5, TypeError), ("mira@example.test", ValueError), ("a\r\nb", ValueError)])
def test_source_of_something_else(given: object, kind: type[Exception]) -> None:
    """A source that returns anything else is a TypeError, and nothing is sent."""
    stepper = Stepper([lambda _step: given])
    with pytest.raises(kind):
        stepper.run(Ping(), sourced(Source()))
    assert [] == stepper.sent


UNSENDABLE = {
    "no token at all": (Ping(), CallSettings(plex_tv=HERE)),
    "a transient token for plex.tv": (Ping(), with_token(CallSettings(plex_tv=HERE), "transient-5b7e1c90")),
    "a media server's local token for plex.tv": (Ping(), with_token(CallSettings(plex_tv=HERE), "local-5b7e1c90-2d4f")),
    "a token of another origin": (Ping(), with_token(CallSettings(plex_tv=HERE), Token("x", origin="https://plex.tv"))),
    "an address without its token": (Ping(), merge_options(base(), {"base_url": "http://127.0.0.1:9"})),
    "an account's token for a media server": (
        TRANSIENT,
        with_token(CallSettings(plex_tv=HERE, server=ATTIC), Token("x", origin=HERE)),
    ),
}


@pytest.mark.parametrize(("call", "settings"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_token_that_does_not_belong(call: Call[Any], settings: CallSettings) -> None:
    """A token that does not belong to the call's address is an error, and nothing is sent."""
    stepper = Stepper([])
    failed(stepper, call, settings, CredentialsError)
    assert [] == stepper.sent


def test_call_without_its_address() -> None:
    """A call without an address is a ValueError."""
    for call, settings in ((TRANSIENT, CallSettings(plex_tv=HERE)), (Ping(), with_server(base(), ATTIC, TOKEN))):
        with pytest.raises(ValueError, match="this call goes to"):
            Stepper([]).run(call, settings)
