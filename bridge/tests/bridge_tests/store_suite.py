"""What every database must do for the bridge: import the tests from here, and give them fixtures.

`url` is the address of a new, migrated database, `clock` a clock, and `store` a `Store` on that database and clock.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import inspect, select, text

from ticketstub_bridge.people import make_handles
from ticketstub_bridge.sealing import digest, make_identifier, make_secret
from ticketstub_bridge.storage import AccessToken, Clock, Database, IssuedTokens, Person, Profile, Store, StoreError
from ticketstub_bridge.storage import migrate as migrations
from ticketstub_bridge.storage.tables import metadata

CLIENT = "films"
THREADS = 64


def make_profile(account_id: int = 1, username: str = "tom", **changes: Any) -> Profile:
    values = {
        "account_id": account_id,
        "username": username,
        "name": username.title(),
        "email": None,
        "email_verified": False,
        "picture": None,
        "roles": {"attic": "friend"},
    }
    return Profile(**(values | changes))


def sign_in(
    store: Store, account_id: int = 1, username: str = "tom", *, has_token: bool = True
) -> tuple[Person, str, str]:
    person = store.people.record_sign_in(make_profile(account_id, username), make_handles(username))
    if has_token:
        store.people.store_plex_token(person.sub, b"sealed")
    sid, secret = store.sessions.create(person.sub, "Firefox")
    return person, sid, secret


def make_code(store: Store, person: Person, sid: str, *, is_offline: bool = True, seconds: float = 60) -> str:
    code = make_secret()
    store.grants.issue_code(
        code,
        client_id=CLIENT,
        sub=person.sub,
        sid=sid,
        scope="openid offline_access",
        is_offline=is_offline,
        auth_time=5.0,
        redirect_uri="https://films.example.test/callback",
        nonce="n",
        code_challenge="c",
        code_seconds=seconds,
        grant_seconds=10000,
    )
    return code


def make_tokens() -> IssuedTokens:
    return IssuedTokens(
        access_token=make_secret(),
        refresh_token=make_secret(),
        scope="openid",
        access_seconds=600,
        refresh_seconds=30 * 86400,
    )


def find_access_token(store: Store, token: str) -> AccessToken | None:
    return store.grants.find_access_tokens([digest(token)]).get(digest(token))


def race(attempt: Callable[[int], object]) -> list[object]:
    """Make 64 attempts at once, and return what each returned."""
    gate = threading.Barrier(THREADS)

    def run(number: int) -> object:
        gate.wait()
        return attempt(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_a_person_is_found_by_account_id_alone(store: Store) -> None:
    """`sub` and handle stay when names change; another account never gets them."""
    first = store.people.record_sign_in(make_profile(1), ["tom", "tom-2"])
    renamed = store.people.record_sign_in(make_profile(1, "thomas", email="t@example.test"), ["thomas"])
    other = store.people.record_sign_in(make_profile(2), ["tom", "tom-2"])
    assert (first.sub, "tom", "Thomas") == (renamed.sub, renamed.handle, renamed.name)
    assert "tom-2" == other.handle
    assert first.sub != other.sub
    assert [first.sub] * 3 == [store.people.find(name).sub for name in ("tom", first.sub, "1")]
    assert store.people.find("nobody") is None


def test_people_who_arrive_at_once_get_different_handles(store: Store) -> None:
    """64 sign-ins of 8 accounts at once make 8 people with 8 handles."""
    people = race(lambda number: store.people.record_sign_in(make_profile(number % 8 + 1), make_handles("tom")))
    assert 8 == len({person.sub for person in people})
    assert 8 == len({person.handle for person in people})


def test_a_session_counts_while_it_is_used(store: Store, clock: Clock) -> None:
    """A session ends after 12 hours without use, after 30 days, or when it is ended."""
    person, sid, secret = sign_in(store)
    assert sid == store.sessions.find(secret).sid
    assert store.sessions.find(secret[:-1] + "A") is None
    for _ in range(3):
        clock.offset += 5 * 3600
        assert store.sessions.find(secret)
    store.people.record_check(person.sub, make_profile())
    clock.offset += 12 * 3600 + 1
    assert store.sessions.find(secret) is None
    _, sid, secret = sign_in(store)
    assert store.endings.end_session(sid, ())
    assert not store.endings.end_session(sid, ())
    assert store.sessions.find(secret) is None
    _, _, secret = sign_in(store)
    for _ in range(30 * 4 + 1):
        clock.offset += 6 * 3600
        store.people.record_check(person.sub, make_profile())
        store.sessions.find(secret)
    assert store.sessions.find(secret) is None


def test_a_renewed_session_has_another_secret(store: Store, clock: Clock) -> None:
    """A new approval replaces the secret and the time, and keeps the session."""
    _, sid, secret = sign_in(store)
    clock.offset += 100
    renewed = store.sessions.renew(sid)
    assert store.sessions.find(secret) is None
    session = store.sessions.find(renewed)
    assert (sid, True) == (session.sid, session.age < 50)
    store.endings.end_session(sid, ())
    assert store.sessions.renew(sid) is None


@pytest.mark.parametrize(("has_token", "hours"), [(True, 30), (False, 6)])
def test_a_membership_counts_for_a_time(store: Store, clock: Clock, has_token: bool, hours: int) -> None:
    """Without a check a membership counts for `recheck` and `grace`; if nobody can ask, for `recheck`."""
    person, sid, secret = sign_in(store, has_token=has_token)
    tokens = make_tokens()
    assert store.grants.redeem_code(store.grants.find_code(make_code(store, person, sid), CLIENT), tokens)
    for _ in range(hours):
        assert store.sessions.find(secret)
        assert store.grants.find_refresh_token(tokens.refresh_token, CLIENT)
        clock.offset += 3600
    clock.offset += 1
    assert store.sessions.find(secret) is None
    assert store.grants.find_refresh_token(tokens.refresh_token, CLIENT) is None
    store.people.record_check(person.sub, make_profile())
    assert store.grants.find_refresh_token(tokens.refresh_token, CLIENT)


def test_a_lost_membership_ends_everything(store: Store) -> None:
    """A loss is recorded once, forgets the Plex token, and is not undone by a check that was under way."""
    person, sid, secret = sign_in(store)
    tokens = make_tokens()
    store.grants.redeem_code(store.grants.find_code(make_code(store, person, sid), CLIENT), tokens)
    assert store.people.record_loss(person.sub)
    assert not store.people.record_loss(person.sub)
    store.people.record_check(person.sub, make_profile())
    assert store.sessions.find(secret) is None
    assert find_access_token(store, tokens.access_token) is None
    assert store.people.get(person.sub).plex_token is None


def test_each_check_is_claimed_once(store: Store, clock: Clock) -> None:
    """Of several replicas, one asks for each person who is due; nobody else is asked about."""
    for number in range(1, 6):
        sign_in(store, number, f"person{number}")
    assert [] == store.people.claim_checks(store.freshness)
    clock.offset += 6 * 3600 + 1
    claims = race(lambda _: [person.sub for person in store.people.claim_checks(store.freshness, 2)])
    claimed = [sub for each in claims for sub in each]
    assert 5 == len(claimed) == len(set(claimed))
    clock.offset += 61
    assert store.people.claim_checks(store.freshness)


def test_a_transaction_belongs_to_its_browser(store: Store, clock: Clock) -> None:
    """A return in another browser ends the transaction; an expired one is refused."""
    for browser, seconds, is_taken in (("mine", 0, True), ("other", 0, False), ("mine", 301, False)):
        transaction_id = make_identifier()
        store.transactions.begin(transaction_id, "mine", {"a": "ä"}, b"pending")
        clock.offset += seconds
        taken = store.transactions.take_return(transaction_id, browser)
        assert is_taken == (taken is not None)
        assert store.transactions.take_return(transaction_id, "mine") is None
    assert store.transactions.take_return("unknown", "mine") is None


def test_a_transaction_step_by_step(store: Store) -> None:
    """A transaction is returned, signed in and finished, each once and in this order."""
    store.transactions.begin("t", "mine", {"client_id": "films"}, b"pending")
    assert not store.transactions.sign_in("t", "sid")
    assert b"pending" == store.transactions.take_return("t", "mine").pending
    assert store.transactions.sign_in("t", "sid")
    assert not store.transactions.sign_in("t", "other")
    assert store.transactions.find("t", "other", "sid") is None
    assert store.transactions.find("t", "mine", "other") is None
    assert {"client_id": "films"} == store.transactions.find("t", "mine", "sid").request
    assert store.transactions.finish("t", "mine")
    assert not store.transactions.finish("t", "mine")
    assert store.transactions.find("t", "mine", "sid") is None


def test_one_of_many_returns_is_taken(store: Store) -> None:
    """Of 64 returns at once one is taken."""
    store.transactions.begin("t", "mine", {}, b"pending")
    assert 1 == sum(each is not None for each in race(lambda _: store.transactions.take_return("t", "mine")))


def test_a_code_belongs_to_its_application_and_expires(store: Store, clock: Clock) -> None:
    """A code is found by its application for a minute; codes that do not exist are not."""
    person, sid, _ = sign_in(store)
    code = make_code(store, person, sid)
    assert store.grants.find_code(code, "books") is None
    assert store.grants.find_code(make_secret(), CLIENT) is None
    found = store.grants.find_code(code, CLIENT)
    assert (person.sub, "n", "c", 5.0) == (
        found.grant.person.sub,
        found.nonce,
        found.code_challenge,
        found.grant.auth_time,
    )
    clock.offset += 61
    assert store.grants.find_code(code, CLIENT) is None
    assert not store.grants.redeem_code(found, make_tokens())


def test_a_second_redemption_revokes_the_first(store: Store) -> None:
    """The second use of a code, however it comes, ends what the first gave."""
    person, sid, _ = sign_in(store)
    code = make_code(store, person, sid)
    found, tokens = store.grants.find_code(code, CLIENT), make_tokens()
    assert store.grants.redeem_code(found, tokens)
    assert find_access_token(store, tokens.access_token)
    assert store.grants.find_code(code, CLIENT) is None
    assert find_access_token(store, tokens.access_token) is None
    assert store.grants.find_refresh_token(tokens.refresh_token, CLIENT) is None


def test_one_of_many_redemptions_of_a_code_wins(store: Store) -> None:
    """Of 64 redemptions of one code at once exactly one wins, and the others end what it gave."""
    person, sid, _ = sign_in(store)
    found = store.grants.find_code(make_code(store, person, sid), CLIENT)
    tokens = [make_tokens() for _ in range(THREADS)]
    results = race(lambda number: store.grants.redeem_code(found, tokens[number]))
    assert 1 == results.count(True)
    assert [] == [each for each in tokens if find_access_token(store, each.access_token)]


def test_one_of_many_refreshes_wins(store: Store) -> None:
    """Of 64 uses of one refresh token at once exactly one wins, and the others end the grant."""
    person, sid, _ = sign_in(store)
    first = make_tokens()
    store.grants.redeem_code(store.grants.find_code(make_code(store, person, sid), CLIENT), first)
    found = store.grants.find_refresh_token(first.refresh_token, CLIENT)
    tokens = [make_tokens() for _ in range(THREADS)]
    results = race(lambda number: store.grants.rotate(found, tokens[number]))
    assert 1 == results.count(True)
    assert [] == [each for each in [first, *tokens] if find_access_token(store, each.access_token)]
    assert [] == [each for each in tokens if store.grants.find_refresh_token(each.refresh_token, CLIENT)]


def test_an_ended_grant_gives_nothing(store: Store) -> None:
    """A code whose grant ended in the meantime, by a sign-out, is not redeemed."""
    person, sid, _ = sign_in(store)
    found = store.grants.find_code(make_code(store, person, sid, is_offline=False), CLIENT)
    store.endings.end_session(sid, ())
    tokens = make_tokens()
    assert not store.grants.redeem_code(found, tokens)
    assert find_access_token(store, tokens.access_token) is None


def test_access_tokens_are_read_together(store: Store, clock: Clock) -> None:
    """Of many access tokens asked for at once each that counts is found, with its own person, scope and expiry."""
    issued = [make_tokens() for _ in range(20)]
    for number, tokens in enumerate(issued):
        person, sid, _ = sign_in(store, number, f"person{number}")
        code = store.grants.find_code(make_code(store, person, sid), CLIENT)
        assert code
        seconds = 60 if number % 2 else 300 + 10 * number
        store.grants.redeem_code(code, structs.replace(tokens, scope=f"openid s{number}", access_seconds=seconds))
    for number in range(0, 20, 3):
        store.grants.revoke(issued[number].access_token, CLIENT)
    clock.offset += 100
    digests = {digest(tokens.access_token): number for number, tokens in enumerate(issued)}
    found = store.grants.find_access_tokens([*digests, digest("unknown")])
    by_expiry = sorted(found, key=lambda each: found[each].expires_at)
    assert [2, 4, 8, 10, 14, 16] == [digests[each] for each in by_expiry]
    for each, token in found.items():
        number = digests[each]
        access = token.access
        assert (CLIENT, number, f"openid s{number}") == (access.client_id, access.person.account_id, access.scope)
    assert {} == store.grants.find_access_tokens([])


def test_what_a_token_gives_is_the_same_until_it_changes(store: Store) -> None:
    """An access token gives the same object again until something that Plex says about the person changes."""
    person, sid, _ = sign_in(store)
    tokens = make_tokens()
    store.grants.redeem_code(store.grants.find_code(make_code(store, person, sid), CLIENT), tokens)
    found = [find_access_token(store, tokens.access_token).access]
    changes = ({"name": "T"}, {"email": "t@example.test"}, {"email_verified": True}, {"picture": "p"}, {"roles": {}})
    said: dict[str, object] = {}
    for change in changes:
        said |= change
        store.people.record_check(person.sub, make_profile(**said))
        found += [find_access_token(store, tokens.access_token).access for _ in range(2)]
    assert 1 + len(changes) == len(set(found))
    assert said == {name: getattr(found[-1].person, name) for name in said}
    other = make_tokens()
    store.grants.redeem_code(store.grants.find_code(make_code(store, person, sid), CLIENT), other)
    assert found[-1] == find_access_token(store, other.access_token).access


def test_revocation(store: Store) -> None:
    """An access token is revoked alone, a refresh token with its grant, and only by their own application."""
    person, sid, _ = sign_in(store)
    first = make_tokens()
    store.grants.redeem_code(store.grants.find_code(make_code(store, person, sid), CLIENT), first)
    assert not store.grants.revoke(first.access_token, "books")
    assert not store.grants.revoke(first.refresh_token, "books")
    assert store.grants.revoke(first.access_token, CLIENT)
    assert find_access_token(store, first.access_token) is None
    second = make_tokens()
    assert store.grants.rotate(store.grants.find_refresh_token(first.refresh_token, CLIENT), second)
    assert store.grants.revoke(second.refresh_token, CLIENT)
    assert find_access_token(store, second.access_token) is None
    assert not store.grants.revoke(make_secret(), CLIENT)


def test_what_a_sign_out_ends(store: Store) -> None:
    """A session's end spares offline grants; a person's end spares nothing. Each tells each application once."""
    person, sid, _ = sign_in(store)
    online, offline = make_tokens(), make_tokens()
    for tokens, is_offline in ((online, False), (offline, True)):
        store.grants.redeem_code(
            store.grants.find_code(make_code(store, person, sid, is_offline=is_offline), CLIENT), tokens
        )
    store.endings.end_session(sid, {CLIENT})
    assert find_access_token(store, online.access_token) is None
    assert find_access_token(store, offline.access_token)
    assert [(CLIENT, person.sub, sid)] == [
        (each.client_id, each.sub, each.sid) for each in store.endings.claim_messages(CLIENT, 9)
    ]
    assert 0 == store.endings.end_person(person.sub, {CLIENT})
    assert find_access_token(store, offline.access_token) is None
    assert 2 == store.endings.count_messages()


def test_each_message_is_claimed_once(store: Store, clock: Clock) -> None:
    """Of several replicas one sends a message; one that it never sends is sent by another later."""
    for number in range(1, 5):
        person, sid, _ = sign_in(store, number, f"person{number}")
        make_code(store, person, sid)
        store.endings.end_session(sid, {CLIENT})
    claimed = [each.id for messages in race(lambda _: store.endings.claim_messages(CLIENT, 1)) for each in messages]
    assert 4 == len(claimed) == len(set(claimed))
    assert [] == store.endings.claim_messages(CLIENT, 9)
    assert [] == store.endings.list_due_clients()
    store.endings.finish_message(claimed[0])
    store.endings.postpone_message(claimed[1], 600)
    clock.offset += 31
    assert [CLIENT] == store.endings.list_due_clients()
    assert [] == store.endings.claim_messages("books", 9)
    again = store.endings.claim_messages(CLIENT, 9)
    assert set(claimed[2:]) == {each.id for each in again}


def test_one_key_is_current(store: Store, clock: Clock) -> None:
    """Of several replicas that make a first key one succeeds; a replaced key stays published for the overlap."""
    results = race(lambda number: store.keys.add_first(f"kid{number}", "RS256", b"sealed", "{}"))
    assert 1 == results.count(True)
    (first,) = store.keys.list_published()
    assert store.keys.replace_current("next", "RS256", b"sealed", "{}", overlap=1000)
    assert [("next", True), (first.kid, False)] == [(each.kid, each.is_current) for each in store.keys.list_published()]
    clock.offset += 1001
    assert ["next"] == [each.kid for each in store.keys.list_published()]


def test_consents_add_up(store: Store) -> None:
    """A consent covers what was consented to before."""
    person, _, _ = sign_in(store)
    assert frozenset() == store.consents.get_scope(person.sub, CLIENT)
    store.consents.give(person.sub, CLIENT, frozenset({"openid", "email"}))
    store.consents.give(person.sub, CLIENT, frozenset({"openid", "profile"}))
    assert {"openid", "email", "profile"} == store.consents.get_scope(person.sub, CLIENT)
    assert frozenset() == store.consents.get_scope(person.sub, "books")


def test_events(store: Store) -> None:
    """Events are listed in their order, the newest last."""
    for number in range(5):
        store.events.add("tested", detail=str(number))
    assert ["3", "4"] == [each.detail for each in store.events.list_newest(2)]


def test_another_key_is_refused_by_name(store: Store) -> None:
    """A database remembers the key that it was first used with."""
    store.database.check_key("one")
    store.database.check_key("one")
    with pytest.raises(StoreError, match=r"bridge\.key is not the key of this database"):
        store.database.check_key("two")


def test_replicas_that_first_start_at_once_agree_on_the_key(url: str) -> None:
    """Each of 64 first starts with the same key succeeds, and of two keys one is refused by name."""
    with ExitStack() as stack:
        replicas = [Database(url, connections=1) for _ in range(THREADS)]
        for each in replicas:
            stack.callback(each.close)
            each.get_time()  # connected: what follows is the race

        def check(number: int) -> str:
            key = ("one", "two")[number % 2]
            try:
                replicas[number].check_key(key)
            except StoreError:
                return "refused"
            return key

        counts = Counter(race(check))
        assert THREADS // 2 == counts["refused"]
        assert [THREADS // 2] == [counts[key] for key in ("one", "two") if counts[key]]


def test_old_rows_are_deleted(store: Store, clock: Clock) -> None:
    """What no longer counts goes, and nothing else does."""
    person, sid, secret = sign_in(store)
    tokens = make_tokens()
    store.grants.redeem_code(store.grants.find_code(make_code(store, person, sid), CLIENT), tokens)
    store.transactions.begin("t", "mine", {}, b"pending")
    store.events.add("tested")
    store.delete_old()
    assert store.sessions.find(secret)
    assert find_access_token(store, tokens.access_token)
    clock.offset += 100 * 86400
    store.delete_old()
    with store.database.read() as connection:
        left = {table.name for table in metadata.sorted_tables if connection.execute(select(table).limit(1)).first()}
    assert {"people"} == left - {"meta"}


def test_the_migrations_make_the_tables(store: Store) -> None:
    """The tables in the database are those of the code, column by column and index by index."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert [] == compare_metadata(context, metadata)


def test_a_newer_schema_is_accepted_and_an_older_one_refused(store: Store) -> None:
    """Code of the version before keeps working beside a later migration; without migrations nothing works."""
    with store.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.database.check_schema()
    with store.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(StoreError, match="was not migrated"):
        store.database.check_schema()


SECOND_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("people", sa.Column("nickname", sa.Text()))
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
"""


def test_old_code_works_beside_a_later_migration(store: Store, url: str, tmp_path: Path) -> None:
    """While a later version migrates the database, this one goes on; and the migration keeps what was there."""
    person, sid, secret = sign_in(store)
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent / "migrations", folder)
    (folder / "versions" / "0002_later.py").write_text(SECOND_MIGRATION)
    with ThreadPoolExecutor(2) as pool:  # two replicas of the later version start at once
        assert [None, None] == list(pool.map(lambda _: migrations.migrate(url, folder=folder), range(2)))
    store.database.check_schema()
    assert sid == store.sessions.find(secret).sid
    tokens = make_tokens()
    assert store.grants.redeem_code(store.grants.find_code(make_code(store, person, sid), CLIENT), tokens)
    assert sign_in(store, 2, "newcomer")
    with store.database.read() as connection:
        assert [None, None] == list(connection.execute(text("SELECT nickname FROM people")).scalars())


def test_a_failed_migration_changes_nothing(store: Store, url: str, tmp_path: Path) -> None:
    """A migration that fails half-way leaves the database as it was."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent / "migrations", folder)
    (folder / "versions" / "0002_later.py").write_text(SECOND_MIGRATION + "    raise RuntimeError('half-way')\n")
    with pytest.raises(RuntimeError, match="half-way"):
        migrations.migrate(url, folder=folder)
    with store.database.read() as connection:
        assert "0001" == connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        assert not inspect(connection).has_table("later")


def test_digests_are_all_that_is_stored(store: Store) -> None:
    """Cookies, codes and tokens are in the database as digests only."""
    person, sid, secret = sign_in(store)
    code = make_code(store, person, sid)
    tokens = make_tokens()
    store.grants.redeem_code(store.grants.find_code(code, CLIENT), tokens)
    with store.database.read() as connection:
        rows = [str(tuple(row)) for table in metadata.sorted_tables for row in connection.execute(select(table))]
    for each in (secret, code, tokens.access_token, tokens.refresh_token):
        assert not any(str(each) in row for row in rows)
        assert any(digest(str(each)) in row for row in rows)
