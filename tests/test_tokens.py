"""Secrets and tokens: they never print themselves, and text that is not a token is recognized."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from typing import Any

import msgspec
import pytest

from tests.tables import every
from ticketstub.tokens import Secret, Token

LEAKS: list[Any] = [pickle.dumps, json.dumps, msgspec.json.encode, iter, bytes, len]
TEXT = "Xk3mPz_9Q-vT7rLb2NfW"


def test_token_shows_its_fingerprint() -> None:
    """A token prints six digits of its SHA-256 and no part of itself."""
    six = hashlib.sha256(TEXT.encode()).hexdigest()[:6]
    token = Token(TEXT)
    assert six == token.fingerprint
    assert (f"<Token #{six}>", f"#{six}", f"#{six}") == (repr(token), str(token), f"{token}")


def test_password_shows_nothing() -> None:
    """A password or code prints no fingerprint, from which it could be guessed."""
    for text in ("hunter2", "123456", ""):
        assert ("<Secret>", "…", "…") == (repr(Secret(text)), str(Secret(text)), f"{Secret(text)}")
    assert not hasattr(Secret("x"), "fingerprint")


def test_reveal_is_the_only_way() -> None:
    """Only `reveal` returns the text: there is no attribute dictionary, pickle, JSON or iteration."""
    for secret in (Secret("hunter2"), Token(TEXT)):
        assert secret.reveal() in ("hunter2", TEXT)
        assert not hasattr(secret, "__dict__")
        for leak in LEAKS:
            with pytest.raises(TypeError) as caught:
                leak(secret)
            assert secret.reveal() not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_not_pickled(protocol: int) -> None:
    """No pickle protocol accepts a secret, alone or in a container."""
    for thing in (Token(TEXT), [Secret("x")], {"token": Token(TEXT)}):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(thing, protocol)


def test_copy() -> None:
    """A secret is immutable, so a copy is the secret itself."""
    token = Token(TEXT, origin="https://plex.tv")
    assert token is copy.copy(token) is copy.deepcopy(token) is copy.deepcopy([token])[0]


def test_equality_and_hash() -> None:
    """Secrets with the same text are equal and have the same hash; a text is not equal to a secret."""
    assert Token(TEXT) == Token(f" {TEXT}\n") == Token.from_wire(TEXT)
    assert Token(TEXT) != Token(TEXT[:-1])
    assert TEXT != Token(TEXT)
    assert 1 == len({Token(TEXT), Token(TEXT, origin="https://plex.tv")})
    assert Secret("é\udc80") == Secret("é\udc80")
    assert (True, False) == (bool(Secret("x")), bool(Secret("")))


KINDS = {
    TEXT: "opaque",
    "-k3mPz_9Q-vT7rLb2NfW": "opaque",
    "--------------------": "unknown",
    "transient-5b7e1c90-2d4f-4a63-9e18-c0d7a4f2b631": "transient",
    "local-5b7e1c90-2d4f-4a63-9e18-c0d7a4f2b631": "local",
    "eyJraWQiOiJ4In0.eyJpc3MiOiJ4In0.c2ln": "jwt",
    "eyJraWQiOiJ4In0.eyJpc3MiOiJ4In0": "unknown",
    "short": "unknown",
}


@every("text", list(KINDS))
def test_kind(text: str) -> None:
    """The kind follows from the text, also if it starts with a hyphen."""
    assert KINDS[text] == Token(text).kind


def test_kind_of_a_claim() -> None:
    """A received claim token has the kind `claim`."""
    assert "claim" == Token.from_wire("claim-A1b2C3d4E5f6G7h8I9j0").kind


MISTAKES = {
    "": "empty",
    "  \n": "empty",
    "mira@example.test": "e-mail address",
    "claim-A1b2C3d4E5f6G7h8I9j0": "claim token",
    f"X-Plex-Token: {TEXT}": "whole X-Plex-Token header",
    f"x-plex-token={TEXT}": "whole X-Plex-Token header",
    f"{TEXT} {TEXT}": "no spaces or line breaks",
    f"{TEXT}\r\nX-Evil: 1": "no spaces or line breaks",
    "Xk3mPz\x00": "no spaces or line breaks",
    "Xk3mPé": "ASCII",
}


@every("text", list(MISTAKES))
def test_mistakes(text: str) -> None:
    """Text that is not a token is a ValueError that says what it looks like and repeats none of it."""
    with pytest.raises(ValueError, match=MISTAKES[text]) as caught:
        Token(text)
    for part in ("mira", "A1b2", TEXT, "Evil", "Xk3m"):
        assert part not in str(caught.value)


@pytest.mark.parametrize("given", [None, 5, b"Xk3m", ["x"]])
def test_wrong_type(given: object) -> None:
    """Anything but text is a TypeError that names the type."""
    for kind in (Secret, Token):
        with pytest.raises(TypeError, match=f"not {type(given).__name__}"):
            kind(given)  # type: ignore[arg-type]  # the mistake itself


def test_from_wire() -> None:
    """A token received from Plex is accepted without any check."""
    assert "x y" == Token.from_wire("x y").reveal()
    assert "https://plex.tv" == Token.from_wire(TEXT, "https://plex.tv").origin
