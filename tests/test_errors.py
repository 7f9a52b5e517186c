"""The error tree: its drawing, pickling and text, and that it shows no secret."""

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
unpickle = pickle.loads  # only used for what these tests pickled
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PlexError)] + list(
    REFUSAL_CLASSES
)


def test_tree_is_drawn() -> None:
    """The docstring of the module draws every error except the subclasses of Refusal, each below its parent."""
    drawn = re.findall(r"^([ │]*)(?:[├└]── )?([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
    names = {name for _, name in drawn if hasattr(errors, name) or hasattr(refusals, name)}
    defined = {
        kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PlexError)
    }
    assert defined | {"Refusal"} == names


def test_every_error_is_public() -> None:
    """Each error that a call can raise is public."""
    assert [] == [kind.__name__ for kind in CLASSES if getattr(ticketstub, kind.__name__, None) is not kind]


@every("kind", CLASSES)
def test_pickles_without_the_response(kind: type[PlexError]) -> None:
    """Pickling and copying keep the attributes of an error except the response, which may contain secrets."""
    error = kind("a message", response=RESPONSE, hint="do this")
    assert "cAnArY" not in repr(pickle.dumps(error))
    for again in (unpickle(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (kind, "a message", "do this", error.status, error.code, None) == (
            type(again),
            again.message,
            again.hint,
            again.status,
            again.code,
            again.response,
        )
        assert str(error) == str(again)


def test_pickles_attributes_of_subclasses() -> None:
    """Pickling keeps the attributes that a subclass adds."""
    assert 17.0 == unpickle(pickle.dumps(RateLimited(retry_after=17.0))).retry_after
    assert [False, True] == [unpickle(pickle.dumps(Unreachable("x", sent=sent))).sent for sent in (False, True)]


@every("kind", CLASSES)
def test_response_is_not_shown(kind: type[PlexError]) -> None:
    """The error has the response but shows nothing of it."""
    error = kind("a message", response=RESPONSE)
    assert RESPONSE is error.response
    assert "cAnArY" not in f"{error!r}{error}{vars(error)}{error.args}"


def test_text() -> None:
    """The text of a refusal has the message, status, code and hint; that of other errors has the message and hint."""
    assert "User could not be authenticated [401/1001]" == str(Unauthorized())
    assert "no [418]" == str(Refusal("no", status=418))
    assert "no (do this)" == str(PlexError("no", hint="do this"))


def test_defaults() -> None:
    """A refusal without arguments has the default status, code and message; with a message it has no default code."""
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
def test_sanitize_text(given: str, shown: str) -> None:
    """Control and direction characters and everything beyond 200 characters is removed from received text."""
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
def test_redact_secrets(given: str, shown: str) -> None:
    """Everything in received text that is long enough to be a token is replaced."""
    assert shown == redact_secrets(given)
