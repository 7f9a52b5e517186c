"""Home users, tokens that media servers accept, and signing out, stepped by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.flows.jwts import KEY, WEEK, plex_jwt
from tests.client.flows.stepping import HERE
from tests.client.flows.walking import NOW, OPAQUE, RESET, UNAUTHORIZED, USER, Walker, error, ok
from tests.tables import every
from ticketstub.client.config import CallSettings, Retry
from ticketstub.client.flows.home import get_media_server_token, list_resources, switch_home_user
from ticketstub.client.flows.membership import can_reach
from ticketstub.client.flows.session import StoredSession, sign_out
from ticketstub.credentials import Credential, MemoryStore
from ticketstub.errors import MalformedReply, SignInFailed, Unreachable
from ticketstub.models import Account, HomeUser, Resource
from ticketstub.protocol.resource import GetResources
from ticketstub.refusals import PasscodeRequired, ServerError, Unauthorized
from ticketstub.tokens import Secret, Token

JWT = plex_jwt(NOW)
SWITCHED = "aB4_tuRq81-ZxPmK0nEv"
ONCE = CallSettings(plex_tv=HERE, retry=Retry(attempts=1))
REFUSED = ok(UNAUTHORIZED, 401)
PASSCODE = error(403, 1041, "A valid PIN is required to perform this action")
BECAME = ok(f'{{"id":10500123,"uuid":"3f9c2b7a5d1e8f04","authToken":"{SWITCHED}"}}', 201)
WHO = ok(USER)
USERS = ok(
    '{"id":778899,"name":"Quill home","users":['
    '{"id":10500123,"uuid":"3f9c2b7a5d1e8f04","title":"mira_quill","username":"mira_quill","email":"mira@example.test",'
    '"friendlyName":"Mira","admin":true,"protected":true},'
    '{"id":10500456,"uuid":"b71d04e96c2fa835","title":"Pip","username":null,"email":null,"friendlyName":"Pip"},'
    '{"id":10500789,"uuid":"c71d04e96c2fa835","title":"Guest","username":null},'
    '{"id":10500790,"uuid":"d71d04e96c2fa835","title":"guest","username":null}]}'
)


def living(token: str, *answers: object, **changes: Any) -> tuple[Walker, StoredSession]:
    """Let a walker's client use a stored sign-in."""
    walker = Walker(answers, settings=ONCE)
    given = Credential(
        issuer=HERE,
        token=Token.from_wire(token, HERE),
        client_identifier="demo-client-7c1f",
        created_at=NOW,
        device_key=KEY.dump() if token.startswith("eyJ") else None,
        expires_at=NOW + WEEK if token.startswith("eyJ") else None,
    )
    store = MemoryStore()
    saved = store.save(msgspec.structs.replace(given, **changes), replacing=None)
    assert saved is not None
    kept = StoredSession(walker.context, store, saved, location="in memory")
    walker.with_token(kept)
    return walker, kept


def stored(kept: StoredSession) -> Any:
    """Load what is stored."""
    return kept.store.load(HERE)


def server_token(walker: Walker, passcode: Any = None) -> Any:
    return walker.run(lambda context: get_media_server_token(passcode, context))


@pytest.mark.parametrize("user", ["Pip", "pip", "b71d04e96c2fa835", 10500456, "10500456"])
def test_switching(user: Any) -> None:
    """A Home user is found by title, uuid or id, ignoring case, and switched to by its uuid."""
    walker = Walker([USERS, BECAME]).with_token()
    account = walker.run(lambda context: switch_home_user(user, None, context))
    assert f"{HERE}/api/v2/home/users/b71d04e96c2fa835/switch" == walker.sent[1].url
    assert (SWITCHED, HERE) == (account.auth_token.reveal(), account.auth_token.origin)


@pytest.mark.parametrize("user", ["mira_quill", "MIRA@example.test", "Mira"])
def test_switching_with_a_passcode(user: str) -> None:
    """The passcode is sent as `pin`, from text or a `Secret`."""
    for passcode in ("1234", Secret("1234")):
        walker = Walker([USERS, BECAME]).with_token()
        walker.run(partial(switch_home_user, user, passcode))
        assert f"{HERE}/api/v2/home/users/3f9c2b7a5d1e8f04/switch?pin=1234" == walker.sent[1].url


def test_switching_to_a_user_at_hand() -> None:
    """A `HomeUser` is not looked up again."""
    walker = Walker([BECAME]).with_token()
    walker.run(lambda context: switch_home_user(HomeUser(id=10500456), None, context))
    assert f"{HERE}/api/v2/home/users/10500456/switch" == walker.sent[0].url


@pytest.mark.parametrize(
    ("user", "said"), [("Nobody", "no user of that name"), ("", "no user of that name"), ("Guest", "several users")]
)
def test_no_such_user_or_several(user: str, said: str) -> None:
    """If no user or two match, nothing is switched, and the error says which."""
    walker = Walker([USERS]).with_token()
    raised = walker.fails(lambda context: switch_home_user(user, None, context), SignInFailed)
    assert said in str(raised)
    assert raised.hint


def test_the_passcode_is_wrong() -> None:
    """403 with 1041 means a missing or wrong passcode; it is tried once."""
    walker = Walker([USERS, PASSCODE]).with_token()
    raised = walker.fails(lambda context: switch_home_user("Mira", "9999", context), PasscodeRequired)
    assert "9999" not in f"{raised!r}{raised}"


def test_an_opaque_token_is_for_media_servers_too() -> None:
    """An account's own media servers accept its opaque token."""
    assert OPAQUE == server_token(living(OPAQUE, WHO)[0]).reveal()


def test_a_token_beside_a_jwt() -> None:
    """For a JWT, switching to the current user gives an opaque token, which is stored with it."""
    walker, kept = living(JWT, WHO, BECAME)
    assert SWITCHED == server_token(walker).reveal()
    assert f"{HERE}/api/v2/home/users/3f9c2b7a5d1e8f04/switch" == walker.sent[1].url
    loaded = stored(kept)
    assert (JWT, SWITCHED, HERE) == (loaded.token.reveal(), loaded.server_token.reveal(), loaded.server_token.origin)


def test_the_token_beside_is_used_while_it_lives() -> None:
    """The stored token is used again if plex.tv still accepts it; otherwise there is a new switch."""
    walker, _ = living(JWT, WHO, server_token=Token.from_wire("Qw7-Zr2_LmN8tYb4HsKd", HERE))
    assert "Qw7-Zr2_LmN8tYb4HsKd" == server_token(walker).reveal()
    walker, kept = living(JWT, REFUSED, WHO, BECAME, server_token=Token.from_wire("Qw7-Zr2_LmN8tYb4HsKd", HERE))
    assert SWITCHED == server_token(walker, "1234").reveal()
    assert walker.sent[-1].url.endswith("/switch?pin=1234")
    assert SWITCHED == stored(kept).server_token.reveal()


def test_a_switch_that_gives_a_jwt_again() -> None:
    """A token that media servers would refuse is not returned."""
    walker, _ = living(JWT, WHO, ok(f'{{"id":1,"authToken":"{JWT}"}}', 201))
    walker.fails(lambda context: get_media_server_token(None, context), MalformedReply)


def listing(*tokens: str | None) -> Any:
    rows = (
        f'{{"name":"S{number}","provides":"server","clientIdentifier":"m{number}","odd":1,"connections":"none",'
        f'"accessToken":{"null" if token is None else chr(34) + token + chr(34)}}}'
        for number, token in enumerate(tokens)
    )
    return ok(f"[{','.join(rows)}]")


def listed(walker: Walker) -> Any:
    return walker.run(lambda context: list_resources(GetResources(), context))


def tokens(found: Any) -> list[str | None]:
    return [one.access_token and one.access_token.reveal() for one in found]


def test_resources_with_an_opaque_token() -> None:
    """With an opaque token the list is one request, and its tokens stay unchanged."""
    walker, _ = living(OPAQUE, listing(OPAQUE, "Qw7-Zr2_LmN8tYb4HsKd", None))
    assert [OPAQUE, "Qw7-Zr2_LmN8tYb4HsKd", None] == tokens(listed(walker))


def test_resources_with_a_jwt() -> None:
    """A JWT for own servers is replaced; shared servers' tokens stay; problems of the reply are still reported."""
    walker, _ = living(JWT, listing(JWT, "Qw7-Zr2_LmN8tYb4HsKd", None, JWT), WHO, BECAME)
    found = listed(walker)
    assert [SWITCHED, "Qw7-Zr2_LmN8tYb4HsKd", None, SWITCHED] == tokens(found)
    assert found[0].problems == found[1].problems != ()


@given(st.lists(st.sampled_from([None, JWT, SWITCHED, "Qw7-Zr2_LmN8tYb4HsKd", OPAQUE])), st.booleans())
def test_no_server_is_given_a_jwt(access: list[str | None], protected: bool) -> None:
    """Whatever plex.tv lists, no server's token is a JWT, and every other token stays unchanged."""
    further = [WHO, PASSCODE if protected else BECAME] if JWT in access else []
    walker, _ = living(JWT, listing(*access) if access else ok("[]"), *further)
    instead = None if protected else SWITCHED
    assert [instead if token == JWT else token for token in access] == tokens(listed(walker))


def test_resources_of_a_protected_user() -> None:
    """If a passcode is needed, own servers have no token instead of one that they refuse."""
    walker, _ = living(JWT, listing(JWT, "Qw7-Zr2_LmN8tYb4HsKd"), WHO, PASSCODE)
    assert [None, "Qw7-Zr2_LmN8tYb4HsKd"] == tokens(listed(walker))


def test_resources_in_an_outage() -> None:
    """A failure to get the other token is an error, not a server without a token."""
    walker, _ = living(JWT, listing(JWT), WHO, ok(b"", 503))
    walker.fails(lambda context: list_resources(GetResources(), context), ServerError)


MIRA = Account(id=10500123)
OWN = Resource(name="Attic", client_identifier="9b1f", provides="server", owned=True)
SHARED = Resource(name="Friend Box", client_identifier="0123", provides="server", owned=False, owner_id=10500321)
PLAYER = Resource(name="Phone", client_identifier="p1", provides="client,player", owned=True)


@every(
    ("server", "owned", "owner", "reached"),
    [
        ("Attic", None, None, True),
        ("9b1f", None, None, True),
        ("attic", None, None, False),
        ("Attic", True, None, True),
        ("Attic", False, None, False),
        ("Attic", None, 10500123, True),
        ("Attic", None, 10500321, False),
        ("Friend Box", None, None, True),
        ("0123", False, 10500321, True),
        ("0123", True, None, False),
        ("0123", None, 10500123, False),
        ("Phone", None, None, False),
        ("p1", None, None, False),
        ("", None, None, False),
    ],
)
def test_reaching(server: str, owned: bool | None, owner: int | None, reached: bool) -> None:
    """A media server is found by its exact name or identifier and its owner; a player never is."""
    assert reached is can_reach(MIRA, [OWN, SHARED, PLAYER], server, owned=owned, owner=owner)


GONE = ok(b"", 204)


def test_signing_out() -> None:
    """The token is revoked at Plex first, and then removed."""
    walker, kept = living(OPAQUE, GONE)
    walker.run(sign_out)
    assert [("DELETE", OPAQUE)] == [(sent.method, sent.headers["X-Plex-Token"]) for sent in walker.sent]
    assert stored(kept) is None


def test_signing_out_ends_both_tokens() -> None:
    """The opaque token stored with a JWT is revoked too."""
    walker, kept = living(JWT, GONE, GONE, server_token=Token.from_wire(SWITCHED, HERE))
    walker.run(sign_out)
    assert [SWITCHED, JWT] == [sent.headers["X-Plex-Token"] for sent in walker.sent]
    assert stored(kept) is None


def test_signing_out_with_a_dead_token() -> None:
    """A token that Plex no longer knows is removed."""
    walker, kept = living(OPAQUE, REFUSED)
    walker.run(sign_out)
    assert stored(kept) is None


@pytest.mark.parametrize(("answer", "kind"), [(RESET, Unreachable), (ok(b"", 503), ServerError)])
def test_what_still_lives_stays_kept(answer: Any, kind: Any) -> None:
    """If Plex cannot be reached, everything stays stored, so that it can be revoked later."""
    walker, kept = living(OPAQUE, answer)
    walker.fails(sign_out, kind)
    assert OPAQUE == stored(kept).token.reveal()


def test_a_later_sign_in_is_not_forgotten() -> None:
    """A later sign-in under this profile stays."""
    walker, kept = living(OPAQUE)

    def meanwhile(_request: Any) -> Any:
        there = stored(kept)
        kept.store.save(msgspec.structs.replace(there, token=Token.from_wire(SWITCHED, HERE)), replacing=there)
        return GONE

    walker.left = [meanwhile]
    walker.run(sign_out)
    assert SWITCHED == stored(kept).token.reveal()


def test_a_renewed_jwt_is_the_same_sign_in() -> None:
    """If another process renewed the JWT meanwhile, that JWT is revoked and its sign-in removed."""
    walker, kept = living(JWT, GONE)
    there = stored(kept)
    newer = plex_jwt(NOW + 60)
    kept.store.save(msgspec.structs.replace(there, token=Token.from_wire(newer, HERE)), replacing=there)
    walker.run(sign_out)
    assert [newer] == [sent.headers["X-Plex-Token"] for sent in walker.sent]
    assert stored(kept) is None


def test_signing_out_a_given_token() -> None:
    """A client with a plain token revokes it; nothing is stored."""
    Walker([GONE]).with_token().run(sign_out)
    limited = Walker([error(401, 1031)], settings=ONCE).with_token()
    with pytest.raises(Unauthorized):
        limited.run(sign_out)
