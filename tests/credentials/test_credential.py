"""The credential: what it accepts, what it shows, and that its tokens have the issuer as their origin."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from typing import Any

import msgspec
import pytest

from tests.credentials.conftest import JWT, OTHER_ISSUER, PLEX_TV, SECRETS, SERVER, make_credential
from tests.docs.pages import page
from tests.tables import every
from ticketstub.credentials import Credential, Entry
from ticketstub.tokens import Secret, Token


def test_it_belongs_to_an_origin_and_a_profile() -> None:
    """The URL of an issuer is cut to its origin. The profile is `default` by default."""
    assert Entry(PLEX_TV, "default") == Credential(issuer="https://PLEX.tv:443/api/v2").entry
    assert Entry(OTHER_ISSUER, "work") == Credential(issuer=OTHER_ISSUER, profile="work").entry


def test_l9_tokens_know_the_issuer() -> None:
    """L9: both tokens have the issuer as their origin, and the caller's own token is unchanged."""
    mine = Token(JWT)
    kept = make_credential(token=mine)
    assert kept.token
    assert kept.server_token
    assert (PLEX_TV, PLEX_TV, None) == (kept.token.origin, kept.server_token.origin, mine.origin)


@pytest.mark.parametrize("name", ["token", "server_token"])
def test_l9_another_origins_token_is_a_mistake(name: str) -> None:
    """L9: a token that another origin issued is a ValueError."""
    theirs: dict[str, Any] = {name: Token(SERVER, origin=OTHER_ISSUER)}
    with pytest.raises(ValueError, match="another origin") as caught:
        make_credential(**theirs)
    assert SERVER not in str(caught.value)


BAD_PROFILES = ["", "a/b", "..\\x", "a b", "a\n", "é", "x" * 65, "a\0"]
BAD_ISSUERS = ["", "plex.tv", "ftp://plex.tv", "https://", "https://u:p@plex.tv", "https://plex.tv:x"]


@every("profile", BAD_PROFILES)
def test_invalid_profile(profile: str) -> None:
    """A profile name has 1 to 64 letters, digits, dots, hyphens and underscores."""
    with pytest.raises(ValueError, match="profile's name"):
        Credential(issuer=PLEX_TV, profile=profile)


@pytest.mark.parametrize("issuer", BAD_ISSUERS)
def test_invalid_issuer(issuer: str) -> None:
    """An issuer is an http or https URL."""
    with pytest.raises(ValueError, match="address"):
        Credential(issuer=issuer)


@pytest.mark.parametrize("token", ["", "a\r\nb", "é"])
def test_invalid_token(token: str) -> None:
    """A token that cannot be sent in a header is not stored."""
    with pytest.raises(ValueError, match="cannot be sent in a header"):
        Credential(issuer=PLEX_TV, token=Token.from_wire(token))


@every("moment", [float("nan"), float("inf"), float("-inf")])
@every("name", ["created_at", "expires_at", "checked_at", "signed_out_at"])
def test_invalid_time(name: str, moment: float) -> None:
    """Times are finite: JSON has no others, and a comparison with nan is never true."""
    facts: dict[str, Any] = {name: moment}
    with pytest.raises(ValueError, match="finite"):
        make_credential(**facts)


def test_c6_it_shows_no_secret() -> None:
    """C6: the text, format, copy, error, pickle and JSON of a credential show no secret."""
    kept = make_credential()
    shown = [
        repr(kept),
        str(kept),
        f"{kept}",
        f"{kept!r:.2000}",
        "%s" % kept,  # noqa: UP031  # the old way, too
        repr([kept]),
        repr(copy.deepcopy(kept)),
    ]
    shown += [repr(msgspec.structs.asdict(kept)), repr(msgspec.structs.astuple(kept))]
    for leak in (pickle.dumps, json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError) as caught:
            leak(kept)
        shown += traceback.format_exception(caught.value)
    for text in shown:
        for secret in SECRETS:
            assert secret not in text
    assert "<Secret>" in repr(kept)
    assert repr(Token(JWT)) in repr(kept)


def test_the_page_names_every_field() -> None:
    """The documentation explains each field and no other."""
    told = page("docs/reference/credentials.md").table("What is stored").column("field")
    assert [field.name for field in msgspec.structs.fields(Credential)] == told


def test_it_does_not_change() -> None:
    """A credential is immutable."""
    kept = make_credential()
    with pytest.raises(AttributeError):
        kept.username = "x"  # type: ignore[misc]  # the mistake itself
    assert kept == make_credential() != make_credential(device_key=Secret("x"))
