"""Device keys and renewal, stepped by hand: nonce, exchange, verification, locking, and what may fail."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest

from tests.client.flows.jwts import (
    KEY,
    NONCE,
    OTHER_SIGNER,
    SIGNER,
    WEEK,
    claims_of,
    device_jwt_of,
    exchanged,
    nonce,
    plex_jwt,
    published,
)
from tests.client.flows.stepping import HERE
from tests.client.flows.walking import NOW, OPAQUE, RESET, SLOW, UNAUTHORIZED, USER, Walker, error, ok
from tests.tables import every
from ticketstub.client.config import CallSettings, Retry
from ticketstub.client.flows.device_key import REFETCH_INTERVAL, register_key, request_jwt
from ticketstub.client.flows.request import RunBlocking, Send
from ticketstub.client.flows.session import StoredSession, keep_alive, renew
from ticketstub.credentials import Credential, MemoryStore
from ticketstub.errors import CredentialsError, MalformedReply, TimedOut, Unreachable
from ticketstub.protocol.account import GetTokenDetails, Ping, SignOut
from ticketstub.protocol.media_server import GetServerInformation
from ticketstub.refusals import Forbidden, RateLimited, Refusal, ServerError, TokenExpired, Unauthorized
from ticketstub.tokens import Token

DAY = 24 * 60 * 60.0
ONCE = CallSettings(plex_tv=HERE, retry=Retry(attempts=1))
EXPIRED = error(498, 1001, "Token expired")
PONG = ok('{"pong":true}')
OLD = plex_jwt(NOW - DAY)
NEW = plex_jwt(NOW)


def granting(walker: Walker) -> Any:
    return walker.run(lambda context: request_jwt(context, KEY))


def test_a_jwt_for_a_key() -> None:
    """Nonce, device JWT with the documented claims, exchange; Plex's JWT is verified and has its issuer as origin."""
    walker = Walker([published(), nonce(), exchanged(NEW)])
    got = granting(walker)
    assert ["get_published_keys", "get_nonce", "exchange_device_jwt"] == walker.calls
    assert all("X-Plex-Token" not in sent.headers for sent in walker.sent)
    claims = claims_of(device_jwt_of(walker.sent[2]))
    assert ("plex.tv", "demo-client-7c1f", NONCE) == (claims["aud"], claims["iss"], claims["nonce"])
    assert "username,email,friendly_name,restricted,anonymous,joinedAt" == claims["scope"]
    assert (int(NOW), int(NOW) + 300) == (claims["iat"], claims["exp"])
    assert (NEW, HERE) == (got[0].reveal(), got[0].origin)
    assert "mira_quill" == got[1].user.username


def test_the_device_jwt_is_dated_by_plexs_clock() -> None:
    """If this computer's clock is an hour off, the device JWT is dated by the nonce's response."""
    walker = Walker([published(), nonce(date="Tue, 03 Nov 2026 09:15:00 GMT"), exchanged(NEW)], wall=NOW - 4600.0)
    granting(walker)
    assert int(NOW) == claims_of(device_jwt_of(walker.sent[2]))["iat"]


@pytest.mark.parametrize(
    "failure", [error(422, 1008), error(401, 1001), RESET, SLOW], ids=["422", "401", "reset", "time-out"]
)
def test_one_more_nonce(failure: Any) -> None:
    """A nonce that was refused or may have been used is replaced once."""
    walker = Walker([published(), nonce(), failure, nonce(), exchanged(NEW)])
    assert NEW == granting(walker)[0].reveal()
    again = Walker([published(), nonce(), failure, nonce(), failure])
    with pytest.raises((Unreachable, Refusal)):
        granting(again)


def test_another_devices_key_is_not_tried_again() -> None:
    """1097 means that the key is another device's: a new nonce would not help."""
    walker = Walker([published(), nonce(), error(422, 1097)])
    walker.fails(lambda context: request_jwt(context, KEY), Refusal)


def test_a_refused_nonce_is_raised() -> None:
    """Too many nonces: the refusal is raised and the request is not repeated."""
    many = error(429, 1003, retry_after="3600")
    Walker([published(), many]).fails(lambda context: request_jwt(context, KEY), RateLimited)


FORGED = {
    "another signer under the known name": plex_jwt(signer=type(SIGNER).generate("plex-key-1")),
    "a signer that is not published": plex_jwt(signer=OTHER_SIGNER),
    "another device": plex_jwt(aud=["plex.tv", "somebody-else"]),
    "another issuer": plex_jwt(iss="https://plex.tv.example"),
    "another key": plex_jwt(thumbprint="demo-key-2"),
    "no thumbprint": plex_jwt(thumbprint=None),
    "no end": plex_jwt(exp=None),
    "over": plex_jwt(NOW - 2 * WEEK),
    "of the future": plex_jwt(NOW + 3600),
    "no JWT": OPAQUE,
}


@every("jwt", FORGED)
def test_a_jwt_that_is_not_plexs_is_not_taken(jwt: str) -> None:
    """A JWT that the published keys do not verify is not used."""
    walker = Walker([published(), nonce(), exchanged(jwt)])
    raised = walker.fails(lambda context: request_jwt(context, KEY), MalformedReply)
    assert jwt not in str(raised)


def test_an_unknown_key_is_looked_for_once_in_five_minutes() -> None:
    """A JWT signed with an unknown key fetches the keys again, at most once in five minutes."""
    walker = Walker([published(SIGNER), nonce(), exchanged(NEW)])
    granting(walker)
    walker.clock += REFETCH_INTERVAL
    rotated = plex_jwt(walker.clock + walker.wall, OTHER_SIGNER)
    walker.left = [nonce(), exchanged(rotated), published(SIGNER, OTHER_SIGNER)]
    assert rotated == granting(walker)[0].reveal()
    third = plex_jwt(walker.clock + walker.wall, type(SIGNER).generate("plex-key-3"))
    walker.left = [nonce(), exchanged(third)]
    walker.fails(lambda context: request_jwt(context, KEY), MalformedReply)
    assert 2 == walker.calls.count("get_published_keys")


def test_keys_are_fetched_before_the_nonce() -> None:
    """An outage of the published keys uses up no nonce and revokes no token."""
    broken = Walker([ok(b"", 503)] * 3)
    broken.fails(lambda context: request_jwt(context, KEY), ServerError)
    assert {"get_published_keys"} == set(broken.calls)


def test_registering() -> None:
    """A key is registered with the device's token, and only its public part is sent."""
    walker = Walker([ok(b"{}", 201)]).with_token()
    walker.run(lambda context: register_key(context, KEY))
    (sent,) = walker.sent
    assert ("POST", f"{HERE}/api/v2/auth/jwk", OPAQUE) == (sent.method, sent.url, sent.headers["X-Plex-Token"])
    assert b'"kid":"demo-key-1"' in sent.body
    assert b'"d":' not in sent.body


@pytest.mark.parametrize("answer", [error(422, 1011, "Thumbprint has already been taken"), error(422, 1999)])
def test_a_key_that_is_registered_already(answer: Any) -> None:
    """422 is no error: it may be this very key, and the exchange shows."""
    Walker([answer]).with_token().run(lambda context: register_key(context, KEY))


def test_a_lost_answer_to_a_registration() -> None:
    """A registration without a response is sent again once."""
    Walker([RESET, error(422, 1011)]).with_token().run(lambda context: register_key(context, KEY))
    Walker([RESET, RESET]).with_token().fails(lambda context: register_key(context, KEY), Unreachable)
    Walker([ok(UNAUTHORIZED, 401)]).with_token().fails(lambda context: register_key(context, KEY), Unauthorized)


def kept_in(
    walker: Walker, token: str = OLD, *, age: float = DAY, store: MemoryStore | None = None, **changes: Any
) -> StoredSession:
    """Store a sign-in that is a day old, and let the walker's client use it."""
    store = store or MemoryStore()
    given = Credential(
        issuer=HERE,
        token=Token.from_wire(token, HERE),
        device_key=KEY.dump(),
        client_identifier="demo-client-7c1f",
        created_at=NOW - age,
        expires_at=NOW - age + WEEK,
    )
    saved = store.save(msgspec.structs.replace(given, **changes), replacing=None)
    assert saved is not None
    kept = StoredSession(walker.context, store, saved, location="in memory")
    walker.with_token(kept)
    return kept


def stored(kept: StoredSession) -> Any:
    """Load what is stored."""
    return kept.store.load(HERE)


def asking(walker: Walker, call: Any = None) -> Any:
    return walker.run(lambda context: context.call(call or GetTokenDetails()))


def test_a_young_jwt_is_used_as_it_is() -> None:
    """A JWT in the first half of its life costs no request."""
    walker = Walker([ok(USER)])
    kept_in(walker)
    asking(walker)
    assert [OLD] == [sent.headers["X-Plex-Token"] for sent in walker.sent]


@pytest.mark.parametrize("age", [3.6 * DAY, 6.5 * DAY, 30 * DAY])
def test_a_jwt_is_renewed_in_time(age: float) -> None:
    """After half of its life a JWT is renewed before the next call, and the new one is stored."""
    walker = Walker([published(), nonce(), exchanged(NEW), ok(USER)])
    kept = kept_in(walker, age=age)
    asking(walker)
    assert NEW == walker.sent[-1].headers["X-Plex-Token"]
    loaded = stored(kept)
    assert (NEW, NOW, NOW + WEEK) == (loaded.token.reveal(), loaded.created_at, loaded.expires_at)
    assert (10500123, "mira_quill") == (loaded.account_id, loaded.username)


def test_chance_spreads_renewals() -> None:
    """Installations that signed in together do not renew together: the time is spread from 0.5 to 0.9 of the life."""
    walker = Walker([ok(USER)], random=1.0)
    kept_in(walker, age=6.2 * DAY)
    asking(walker)


@pytest.mark.parametrize("failure", [RESET, ok(b"", 503), error(429, 1003), ok(b"<html>")])
def test_a_renewal_that_fails_costs_nothing_while_the_old_one_lasts(failure: Any) -> None:
    """While the old JWT is valid, a failed renewal is ignored, and not tried again with the next call."""
    walker = Walker([failure, ok(USER)])
    kept_in(walker, age=6.5 * DAY)
    asking(walker)
    walker.left = [ok(USER)]
    asking(walker)
    assert [OLD, OLD] == [sent.headers["X-Plex-Token"] for sent in walker.sent if sent.call == "get_token_details"]
    walker.clock += 60.0
    walker.left = [published(), nonce(), exchanged(NEW), ok(USER)]
    asking(walker)
    assert NEW == walker.sent[-1].headers["X-Plex-Token"]


def test_498_renews_and_repeats_once() -> None:
    """498 to any call, even a non-retryable one, renews and sends it again; a second 498 is raised."""
    walker = Walker([EXPIRED, published(), nonce(), exchanged(NEW), ok(b"", 204)])
    kept_in(walker)
    asking(walker, SignOut())
    assert [OLD, NEW] == [sent.headers["X-Plex-Token"] for sent in walker.sent if sent.call == "sign_out"]
    again = Walker([EXPIRED, published(), nonce(), exchanged(NEW), EXPIRED])
    kept_in(again)
    again.fails(lambda context: context.call(GetTokenDetails()), TokenExpired)


def test_401_for_a_jwt_whose_time_is_over() -> None:
    """401 where 498 is documented renews an expired JWT, but not a valid one."""
    over = Walker([RESET, ok(UNAUTHORIZED, 401), published(), nonce(), exchanged(NEW), ok(USER)])
    kept_in(over, age=8 * DAY)
    asking(over)
    young = Walker([ok(UNAUTHORIZED, 401)])
    kept_in(young)
    young.fails(lambda context: context.call(GetTokenDetails()), Unauthorized)


def test_a_key_that_plex_no_longer_takes() -> None:
    """If the key is refused, the first refusal is raised and says that a new sign-in is needed."""
    walker = Walker([EXPIRED, published(), nonce(), error(422, 1097)])
    kept_in(walker)
    raised = walker.fails(lambda context: context.call(GetTokenDetails()), TokenExpired)
    assert "sign in again" in str(raised)


@pytest.mark.parametrize(
    ("outage", "kind"), [(RESET, Unreachable), (ok(b"", 503), ServerError), (error(429, 1003), RateLimited)]
)
def test_an_outage_during_a_needed_renewal_is_an_outage(outage: Any, kind: Any) -> None:
    """498 followed by an outage raises an error that says nothing about the token."""
    walker = Walker([EXPIRED, outage], settings=ONCE)
    kept_in(walker)
    walker.fails(lambda context: context.call(GetTokenDetails()), kind)


def test_a_renewal_is_bounded_by_the_call() -> None:
    """A renewal's requests share the time of the call that needs it."""
    walker = Walker([EXPIRED, published(), nonce(), exchanged(NEW), ok(USER)])
    kept_in(walker)
    asking(walker)
    assert {1015.0} == {step.deadline for step in walker.steps if hasattr(step, "deadline")}


def test_the_lock_is_free_afterwards() -> None:
    """The lock is free after a renewal that succeeds, fails or is abandoned."""
    for answers in ([EXPIRED, published(), nonce(), exchanged(NEW), ok(USER)], [EXPIRED, RESET]):
        walker = Walker(answers, settings=ONCE)
        kept = kept_in(walker)
        with contextlib.suppress(Unreachable):
            asking(walker)
        with kept.store.lock(HERE, timeout=0.0):
            pass
    walker = Walker()
    kept = kept_in(walker, age=6.5 * DAY)
    flow = walker.context.call(GetTokenDetails())
    step = next(flow)
    while not isinstance(step, Send):
        step = flow.send(step.work() if isinstance(step, RunBlocking) else None)
    with pytest.raises(CredentialsError), kept.store.lock(HERE, timeout=0.0):
        pass
    flow.close()
    with kept.store.lock(HERE, timeout=0.0):
        pass


def test_whoever_waits_takes_the_others_result() -> None:
    """While another renewal runs, a call waits and uses its JWT, without a request for one."""
    walker = Walker([EXPIRED])
    kept = kept_in(walker)
    turns: list[float] = []
    lock = kept.store.lock(HERE)
    lock.__enter__()

    def somebody_else() -> None:
        there = stored(kept)
        kept.store.save(msgspec.structs.replace(there, token=Token.from_wire(NEW, HERE)), replacing=there)
        lock.__exit__(None, None, None)

    def watched(context: Any) -> Any:
        flow = context.call(GetTokenDetails())
        answer = yield next(flow)
        while True:
            try:
                step = flow.send(answer) if not isinstance(answer, Exception) else flow.throw(answer)
            except StopIteration as end:
                return end.value
            if type(step).__name__ == "Sleep":
                turns.append(step.seconds)
                if len(turns) == 3:
                    somebody_else()
                    walker.left.append(ok(USER))
            try:
                answer = yield step
            except CredentialsError as failure:
                answer = failure

    walker.run(watched)
    assert [OLD, NEW] == [sent.headers["X-Plex-Token"] for sent in walker.sent]
    assert 3 == len(turns)


@pytest.mark.parametrize(("timeout", "waited"), [(5.0, 5.0), (15.0, 15.0), (60.0, 30.0)])
def test_a_lock_that_is_never_free_is_an_error(timeout: float, waited: float) -> None:
    """A necessary renewal waits for the lock as long as its call may take, and 30 s at most."""
    walker = Walker([EXPIRED], settings=CallSettings(plex_tv=HERE, timeout=timeout))
    kept = kept_in(walker)
    with kept.store.lock(HERE):
        walker.fails(lambda context: context.call(GetTokenDetails()), CredentialsError)
    assert waited <= walker.clock - 1000.0 <= waited + 1.0


class Full(MemoryStore):
    """A store on a full disk: it can read but not save."""

    full = False

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        if self.full:
            raise CredentialsError("no space is left")
        return super().save(credential, replacing=replacing)


def kept_in_full(walker: Walker, age: float = DAY) -> StoredSession:
    store = Full()
    kept = kept_in(walker, age=age, store=store)
    store.full = True
    return kept


def test_a_jwt_that_cannot_be_stored_is_used() -> None:
    """A full disk loses no sign-in: the new JWT is used, and the stored key can get others."""
    walker = Walker([EXPIRED, published(), nonce(), exchanged(NEW), ok(USER)])
    kept = kept_in_full(walker)
    asking(walker)
    assert (NEW, OLD) == (kept().reveal(), stored(kept).token.reveal())  # type: ignore[union-attr]  # it has one


def test_a_renewal_in_time_that_cannot_be_stored() -> None:
    """A full disk does not fail a call whose renewal was only due, and nothing is requested twice."""
    walker = Walker([published(), nonce(), exchanged(NEW), ok(USER)])
    kept_in_full(walker, age=4 * DAY)
    asking(walker)
    walker.left = [ok(USER)]
    asking(walker)
    assert [NEW, NEW] == [sent.headers["X-Plex-Token"] for sent in walker.sent if "X-Plex-Token" in sent.headers]


def test_renewing_aloud_says_that_it_cannot_be_stored() -> None:
    """`renew` raises that the JWT was not stored; the client uses it anyway."""
    walker = Walker([published(), nonce(), exchanged(NEW)])
    kept = kept_in_full(walker)
    walker.fails(renew, CredentialsError)
    assert NEW == kept().reveal()  # type: ignore[union-attr]  # it has one


def test_a_renewal_that_may_wait_does_not_wait_for_the_lock() -> None:
    """While a JWT is valid, another renewal delays no call."""
    walker = Walker([ok(USER)])
    kept = kept_in(walker, age=4 * DAY)
    with kept.store.lock(HERE):
        asking(walker)
    assert [] == walker.slept


def test_what_was_removed_is_not_brought_back() -> None:
    """After a sign-out in another process, the key is not used again and nothing is stored again."""
    walker = Walker([EXPIRED])
    kept = kept_in(walker)
    kept.store.remove(HERE)
    walker.fails(lambda context: context.call(GetTokenDetails()), TokenExpired)
    assert stored(kept) is None


def test_a_later_sign_in_wins_over_a_renewal() -> None:
    """A new sign-in during a renewal stays stored."""
    walker = Walker()
    kept = kept_in(walker)

    def meanwhile(_request: Any) -> Any:
        there = stored(kept)
        kept.store.save(msgspec.structs.replace(there, token=Token.from_wire(OPAQUE, HERE)), replacing=there)
        return exchanged(NEW)

    walker.left = [EXPIRED, published(), nonce(), meanwhile, ok(USER)]
    asking(walker)
    loaded = stored(kept)
    assert OPAQUE == loaded.token.reveal()
    assert OPAQUE == walker.sent[-1].headers["X-Plex-Token"]


def test_an_opaque_token_that_somebody_replaced() -> None:
    """401 to an opaque token makes the client use another process's new sign-in."""
    walker = Walker([ok(UNAUTHORIZED, 401), ok(USER)])
    kept = kept_in(walker, OPAQUE, device_key=None, expires_at=None)
    there = stored(kept)
    kept.store.save(
        msgspec.structs.replace(there, token=Token.from_wire("Qw7-Zr2_LmN8tYb4HsKd", HERE)), replacing=there
    )
    asking(walker)
    assert "Qw7-Zr2_LmN8tYb4HsKd" == walker.sent[-1].headers["X-Plex-Token"]


def test_an_opaque_token_beside_a_key_that_was_used() -> None:
    """A program that was killed between the first JWT and storing it signs in again with its key."""
    walker = Walker([ok(UNAUTHORIZED, 401), published(), nonce(), exchanged(NEW), ok(USER)])
    kept_in(walker, OPAQUE, expires_at=None)
    asking(walker)
    assert NEW == walker.sent[-1].headers["X-Plex-Token"]


def test_the_token_goes_to_the_issuer_alone() -> None:
    """A client with a stored sign-in sends its token only to the issuer, not even to its own media server."""
    walker = Walker(settings=CallSettings(plex_tv=HERE, server="http://127.0.0.1:32401"))
    kept_in(walker)
    walker.fails(lambda context: context.call(GetServerInformation()), CredentialsError)
    assert [] == walker.sent


def test_renewing_at_once() -> None:
    """`renew` gets a new JWT whether or not it is due, and returns its expiry."""
    walker = Walker([published(), nonce(), exchanged(NEW)])
    kept_in(walker)
    now = walker.run(renew)
    assert NOW + WEEK == now.expires_at.timestamp()
    assert ("mira_quill", True) == (now.username, now.has_device_key)


def test_renewing_an_opaque_token_is_a_ping() -> None:
    """`renew` pings with an opaque token, and stores when Plex accepted it."""
    walker = Walker([PONG])
    kept = kept_in(walker, OPAQUE, device_key=None, expires_at=None)
    walker.run(renew)
    assert ["ping"] == walker.calls
    assert NOW == stored(kept).checked_at


def test_renewing_fails_aloud() -> None:
    """`renew` raises every error; a client with a plain token has nothing to renew."""
    for failure, kind in ((RESET, Unreachable), (SLOW, TimedOut), (error(403, 1042), Forbidden)):
        tries = 1 if kind is Forbidden else 2  # a nonce that may be spent is replaced once
        walker = Walker([published(), *[failure] * tries], settings=ONCE)
        kept_in(walker)
        walker.fails(renew, kind)
    Walker().with_token().fails(renew, CredentialsError)


def test_keep_alive_pings_once_a_day() -> None:
    """`keep_alive` pings a day after Plex last accepted an opaque token, and returns the next time."""
    walker = Walker()
    kept_in(walker, OPAQUE, device_key=None, expires_at=None, created_at=NOW - 3600.0)
    assert DAY - 3600.0 == walker.run(keep_alive)
    walker.clock += DAY - 3600.0
    walker.left = [PONG]
    assert DAY == walker.run(keep_alive)


def test_keep_alive_renews_when_due() -> None:
    """`keep_alive` renews a JWT after half of its life, and asks to be called again within a day."""
    walker = Walker()
    kept_in(walker)
    assert DAY == walker.run(keep_alive)
    walker.clock += 3 * DAY
    walker.left = [published(), nonce(), exchanged(plex_jwt(walker.clock + walker.wall))]
    assert DAY == walker.run(keep_alive)


def test_keep_alive_of_a_given_token() -> None:
    """`keep_alive` of a client with a plain token pings each time."""
    assert DAY == Walker([PONG]).with_token().run(keep_alive)
    Walker([ok(UNAUTHORIZED, 401)]).with_token().fails(keep_alive, Unauthorized)


def test_a_ping_is_a_call_like_others() -> None:
    """A call with a stored opaque token costs one request."""
    walker = Walker([PONG])
    kept_in(walker, OPAQUE, device_key=None, expires_at=None)
    asking(walker, Ping())
    assert [OPAQUE] == [sent.headers["X-Plex-Token"] for sent in walker.sent]


def test_facts_that_are_stored_during_a_renewal_do_not_lose_it() -> None:
    """If facts about the sign-in are stored while its JWT is renewed, the new JWT is stored with them."""
    walker = Walker()
    kept = kept_in(walker)

    def meanwhile(_request: Any) -> Any:
        there = stored(kept)
        kept.store.save(msgspec.structs.replace(there, checked_at=NOW - 1.0, username="mira_new"), replacing=there)
        return exchanged(NEW)

    walker.left = [EXPIRED, published(), nonce(), meanwhile, ok(USER)]
    asking(walker)
    loaded = stored(kept)
    assert (NEW, NEW) == (loaded.token.reveal(), walker.sent[-1].headers["X-Plex-Token"])
    assert loaded == kept.credential


def test_facts_are_stored_over_those_of_another_process() -> None:
    """Facts are stored although another process has stored others since this one loaded the sign-in."""
    walker = Walker()
    kept = kept_in(walker)
    there = stored(kept)
    kept.store.save(msgspec.structs.replace(there, username="mira_new"), replacing=there)
    walker.run(lambda _: kept.update(checked_at=NOW + 5.0))
    loaded = stored(kept)
    assert ("mira_new", NOW + 5.0) == (loaded.username, loaded.checked_at)
    assert loaded == kept.credential
