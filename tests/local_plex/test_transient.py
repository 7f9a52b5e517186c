"""Transient tokens: their rights, and everything that ends them."""

from pathlib import Path

import pytest

from tests.local_plex.asking import MIRA, PASSWORDS, START, TOM_ON_ATTIC, Clock, get, sign_in, transient
from tests.local_plex.conftest import Start
from ticketstub.local_plex.domain.media_servers import TransientTokens
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.refusals import ServerError
from ticketstub.testing import LocalPlexController, local_plex

HOURS = 3600
SOURCE = "/security/resources?source=provider://tv.example.movies"


def alive(url: str, token: str) -> bool:
    return get(url, "/library/sections", token).status == 200


def test_same_access_as_the_token_that_made_it(attic: str) -> None:
    """The owner's token gets sources, a guest's does not, and a derived token has the rights of its origin."""
    owners, shared = transient(attic, MIRA), transient(attic, TOM_ON_ATTIC)
    again, shared_again = transient(attic, owners), transient(attic, shared)
    statuses = [get(attic, SOURCE, token).status for token in (owners, again, shared, shared_again)]
    assert [200, 200, 403, 403] == statuses


def test_the_token_of_a_source_is_one_too(attic: str) -> None:
    """`/security/resources` returns a transient token with the caller's rights, not the caller's own token."""
    token = get(attic, SOURCE, MIRA).json["MediaContainer"]["Device"]["accessToken"]
    assert token.startswith("transient-")
    assert alive(attic, token)
    assert 200 == get(attic, SOURCE, token).status


def test_it_ends_after_48_hours(start: Start) -> None:
    """S16: valid a second before 48 hours have passed, and not at that time or later."""
    clock = Clock()
    attic = start(clock=clock).media_server("Attic").url
    token = transient(attic, MIRA)
    clock.now = START + 48 * HOURS - 1
    assert alive(attic, token)
    clock.now = START + 48 * HOURS
    assert not alive(attic, token)
    clock.now = START + 48 * HOURS + 1
    assert not alive(attic, token)
    assert alive(attic, MIRA)


def test_one_made_by_another_lives_no_longer(start: Start) -> None:
    """S16: neither a further token nor a source extends the life of a transient token."""
    clock = Clock()
    attic = start(clock=clock).media_server("Attic").url
    first = transient(attic, MIRA)
    clock.now = START + 47 * HOURS
    second = transient(attic, first)
    third = get(attic, SOURCE, second).json["MediaContainer"]["Device"]["accessToken"]
    clock.now = START + 48 * HOURS - 1
    assert [True, True, True] == [alive(attic, token) for token in (first, second, third)]
    clock.now = START + 48 * HOURS
    assert [False, False, False] == [alive(attic, token) for token in (first, second, third)]


def test_it_ends_with_the_server(tmp_path: Path, start: Start) -> None:
    """S16: a restart ends transient tokens and no others (documented)."""
    from tests.local_plex.asking import world

    database = f"sqlite:///{tmp_path}/plex.db"
    with local_plex(world(), db=database) as before:
        kept = sign_in(before.url, "mira_quill", PASSWORDS["mira_quill"]).json["authToken"]
        token = transient(before.media_server("Attic").url, kept)
    after = start(db=database)
    assert not alive(after.media_server("Attic").url, token)
    assert alive(after.media_server("Attic").url, kept)


def test_it_ends_with_the_token_it_was_made_from(start: Start) -> None:
    """A transient token ends with the account's token behind it, also through another transient one."""
    clock = Clock()
    plex = start(clock=clock)
    attic = plex.media_server("Attic").url
    account = sign_in(plex.url, "mira_quill", PASSWORDS["mira_quill"], rememberMe="true").json["authToken"]
    clock.now = START + 14 * 24 * HOURS - 10
    first = transient(attic, account)
    second = transient(attic, first)
    assert [True, True] == [alive(attic, token) for token in (first, second)]
    clock.now += 10
    assert [False, False] == [alive(attic, token) for token in (first, second)]


def test_it_is_one_server_s_own(plex: LocalPlexController, attic: str) -> None:
    """It works only on the server that issued it: not on another of the same owner, not on plex.tv."""
    token = transient(attic, MIRA)
    assert not alive(plex.media_server("Documented").url, token)
    assert 401 == get(plex.url, "/api/v2/user", token).status


def test_there_are_so_many_and_no_more(start: Start) -> None:
    """Too many are refused (503), and no valid one ends; expired ones make room."""
    clock = Clock()
    attic = start(clock=clock, settings=Settings(max_transient_tokens=3)).media_server("Attic").url
    tokens = [transient(attic, MIRA) for _ in range(3)]
    refused = get(attic, "/security/token?type=delegation&scope=all", MIRA)
    assert (503, "1") == (refused.status, refused.headers["retry-after"])
    assert [True, True, True] == [alive(attic, token) for token in tokens]
    clock.now += 48 * HOURS
    assert alive(attic, transient(attic, MIRA))


def test_one_that_is_ended_makes_room() -> None:
    """A revoked or expired token no longer counts."""
    tokens = TransientTokens(InstanceKeys.create_ephemeral(), 1)
    first = tokens.issue(b"a", expires_at=100, now=0)
    assert tokens.revoke(first.reveal(), 1)
    assert not tokens.revoke(first.reveal(), 1)
    second = tokens.issue(b"a", expires_at=10, now=1)
    assert tokens.find(second.reveal(), 10) is None
    tokens.issue(b"b", expires_at=100, now=10)


def test_expired_ones_make_room_whichever_they_are() -> None:
    """Expired tokens make room, whatever their age; the oldest do not."""
    tokens = TransientTokens(InstanceKeys.create_ephemeral(), 2)
    long, short = tokens.issue(b"a", expires_at=100, now=0), tokens.issue(b"a", expires_at=10, now=0)
    with pytest.raises(ServerError):
        tokens.issue(b"a", expires_at=100, now=9)
    tokens.issue(b"a", expires_at=100, now=10)
    assert tokens.find(long.reveal(), 11) is not None
    assert tokens.find(short.reveal(), 11) is None
