"""The error tree: drawn, pickled, printed, and free of secrets."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

import ticketstub
from tests.tables import every
from ticketstub import errors, refusals
from ticketstub.errors import PlexError, Unreachable, redact_secrets, sanitize_text
from ticketstub.messages import Response
from ticketstub.refusals import REFUSAL_CLASSES, RateLimited, Refusal, Unauthorized

RESPONSE = Response(401, {"set-cookie": "s=cAnArY"}, b"cAnArY")
AGAIN = pickle.loads  # what was pickled here a moment ago
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PlexError)] + list(
    REFUSAL_CLASSES
)


def test_tree_is_drawn() -> None:
    """The docstring draws every error but the kinds of refusal, each below its parent."""
    drawn = re.findall(r"^([ │]*)(?:[├└]── )?([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
    names = {name for _, name in drawn if hasattr(errors, name) or hasattr(refusals, name)}
    defined = {
        kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PlexError)
    }
    assert defined | {"Refusal"} == names


def test_every_error_is_public() -> None:
    """Each error that a call can raise is a name of the package."""
    assert [] == [kind.__name__ for kind in CLASSES if getattr(ticketstub, kind.__name__, None) is not kind]


@every("kind", CLASSES)
def test_pickles_without_the_response(kind: type[PlexError]) -> None:
    """An error survives pickling and copying with its facts, and without the response, which may hold secrets."""
    error = kind("a message", response=RESPONSE, hint="do this")
    assert "cAnArY" not in repr(pickle.dumps(error))
    for again in (AGAIN(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (kind, "a message", "do this", error.status, error.code, None) == (
            type(again),
            again.message,
            again.hint,
            again.status,
            again.code,
            again.response,
        )
        assert str(error) == str(again)


def test_pickles_its_own_facts() -> None:
    """What a kind adds survives too: how long to wait, whether anything was sent."""
    assert 17.0 == AGAIN(pickle.dumps(RateLimited(retry_after=17.0))).retry_after
    assert [False, True] == [AGAIN(pickle.dumps(Unreachable("x", sent=sent))).sent for sent in (False, True)]


@every("kind", CLASSES)
def test_response_is_not_shown(kind: type[PlexError]) -> None:
    """The response is on the error and in nothing that prints of it."""
    error = kind("a message", response=RESPONSE)
    assert RESPONSE is error.response
    assert "cAnArY" not in f"{error!r}{error}{vars(error)}{error.args}"


def test_what_an_error_says() -> None:
    """A refusal says message, status and code, and what to do; another error says message and what to do."""
    assert "User could not be authenticated [401/1001]" == str(Unauthorized())
    assert "no [418]" == str(Refusal("no", status=418))
    assert "no (do this)" == str(PlexError("no", hint="do this"))


def test_defaults() -> None:
    """A refusal made without anything has the status, code and text of its row; given a text, no code is made up."""
    assert (401, 1001) == (Unauthorized().status, Unauthorized().code)
    assert (401, None) == (Unauthorized("other words").status, Unauthorized("other words").code)
    assert (403, 1009) == (Refusal(status=403, code=1009).status, Refusal(status=403, code=1009).code)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain words, and more.", "plain words, and more."),
        ("  a\r\nb\x00\x1b[2J\u202ec\u200b ", "a b [2J c"),
        ("x" * 300, "x" * 200),
        ("\ufeffBOM", "BOM"),
    ],
)
def test_printable(given: str, shown: str) -> None:
    """Foreign text loses control and direction characters, and all beyond 200 characters."""
    assert shown == sanitize_text(given)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("bad token Xk3mPz_9Q-vT7rLb2NfW!", "bad token …"),
        ("token=Xk3mPz_9Q-vT7rLb2NfW&x=1", "token=…&x=1"),
        ("fifteen letters: abcdefghijklmno", "fifteen letters: abcdefghijklmno"),
        ('"eyJraWQiOiJ4In0.eyJpc3MiOiJ4In0.c2ln"', '"…"'),
    ],
)
def test_without_secrets(given: str, shown: str) -> None:
    """Whatever is long enough to be a token is left out of foreign text."""
    assert shown == redact_secrets(given)
