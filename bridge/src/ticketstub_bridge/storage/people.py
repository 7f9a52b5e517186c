"""The people who have signed in.

Rule: a person is found by the account id that plex.tv gave, never by a name or an address. `sub` and the handle are
assigned once and stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, case, exists, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from ticketstub_bridge.sealing import make_identifier
from ticketstub_bridge.storage.database import MAX_ERROR, Database
from ticketstub_bridge.storage.tables import grants, people, sessions

_CLAIM_SECONDS = 60
_decode_roles = msgspec.json.Decoder(dict[str, str]).decode


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What Plex says about a person at a sign-in or a check.

    Attributes:
        account_id: the id of the Plex account.
        username: the user name, else the title; the first handle is made from it.
        name: the name for people.
        email: the address, if there is one.
        email_verified: whether Plex confirmed it.
        picture: the address of a picture.
        roles: the role at each server, by its slug.
    """

    account_id: int
    username: str
    name: str
    email: str | None
    email_verified: bool
    picture: str | None
    roles: Mapping[str, str]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What applications may learn about a person, and what decides who may come in."""

    sub: str
    account_id: int
    handle: str
    name: str
    email: str | None
    email_verified: bool
    picture: str | None
    roles: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.sub}>"


class Person(Identity, frozen=True, kw_only=True):
    """A person as they are stored."""

    plex_token: bytes | None
    checked_at: float
    lost_at: float | None
    signed_in_at: float

    def get_user_id(self) -> str:
        """Return the `sub`; Authlib asks for it."""
        return self.sub


class Freshness(msgspec.Struct, frozen=True):
    """How long an answer of Plex about a membership is good, in seconds.

    Attributes:
        recheck: after this time, Plex is asked again.
        grace: how much longer it is good while Plex cannot be asked.
    """

    recheck: float
    grace: float

    def is_member(self, now: ColumnElement[float]) -> ColumnElement[bool]:
        """Whether a person's membership still counts. Without a Plex token nobody can ask, so there is no grace."""
        good_for = case(
            (people.c.plex_token.is_(None), literal(self.recheck)), else_=literal(self.recheck + self.grace)
        )
        can_be_asked_again = or_(people.c.plex_token.is_not(None), people.c.checked_at <= now + MAX_ERROR)
        return and_(people.c.lost_at.is_(None), people.c.checked_at > now - good_for, can_be_asked_again)


IDENTITY_COLUMNS: Sequence[ColumnElement[Any]] = [people.c[name] for name in Identity.__struct_fields__]
"""The columns that `make_identity` needs."""

_PERSON_COLUMNS: Mapping[str, ColumnElement[Any]] = {name: people.c[name] for name in Person.__struct_fields__}


def make_identity(*values: Any) -> Identity:  # noqa: ANN401  # what columns contain
    """Return the identity of the values of `IDENTITY_COLUMNS`."""
    fields: dict[str, Any] = dict(zip(Identity.__struct_fields__, values, strict=True))
    fields["roles"] = _decode_roles(fields["roles"])
    return Identity(**fields)


def read_person(row: Row[Any]) -> Person:
    """Return the person of a row that has the columns of a person."""
    found = row._mapping  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it is public in SQLAlchemy
    values: dict[str, Any] = {name: found[column] for name, column in _PERSON_COLUMNS.items()}
    values["roles"] = _decode_roles(values["roles"])
    return Person(**values)


class PersonStore:
    """Operations on people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_sign_in(self, profile: Profile, handles: Iterable[str]) -> Person:
        """Create or update the person of an account.

        Args:
            profile: what Plex says.
            handles: handles for a new person, in order of preference; it must not end.
        """
        for handle in handles:
            try:
                with self._database.write() as connection:
                    now = self._database.now()
                    values = _get_values(profile) | {"checked_at": now, "signed_in_at": now, "lost_at": None}
                    known = update(people).where(people.c.account_id == profile.account_id).values(values)
                    row = connection.execute(known.returning(people)).one_or_none()
                    if row is None:
                        new = values | {"sub": make_identifier(), "handle": handle, "created_at": now}
                        row = connection.execute(
                            people.insert().values(account_id=profile.account_id, **new).returning(people)
                        ).one()
                    return read_person(row)
            except IntegrityError:  # the handle is taken, or another replica has just stored this account
                continue
        raise AssertionError("there is always another handle")

    def store_plex_token(self, sub: str, sealed: bytes | None) -> None:
        """Keep a person's Plex token, sealed; `None` forgets it."""
        with self._database.write() as connection:
            connection.execute(update(people).where(people.c.sub == sub).values(plex_token=sealed))

    def record_check(self, sub: str, profile: Profile) -> None:
        """Store that Plex confirmed a membership just now."""
        with self._database.write() as connection:
            connection.execute(
                update(people)
                .where(people.c.sub == sub, people.c.lost_at.is_(None))
                .values(_get_values(profile) | {"checked_at": self._database.now(), "check_claimed_at": None})
            )

    def record_loss(self, sub: str) -> bool:
        """Store that a membership is over, and forget the Plex token; returns whether that was new."""
        with self._database.write() as connection:
            lost = (
                update(people)
                .where(people.c.sub == sub, people.c.lost_at.is_(None))
                .values(lost_at=self._database.now(), plex_token=None, roles="{}")
            )
            return connection.execute(lost).rowcount == 1

    def claim_checks(self, freshness: Freshness, limit: int = 10) -> list[Person]:
        """Choose people whose membership must be asked again, each for one replica at a time."""
        now = self._database.now()
        due = and_(
            people.c.lost_at.is_(None),
            people.c.plex_token.is_not(None),
            or_(people.c.checked_at <= now - freshness.recheck, people.c.checked_at > now + MAX_ERROR),
            or_(
                people.c.check_claimed_at.is_(None),
                people.c.check_claimed_at < now - _CLAIM_SECONDS,
                people.c.check_claimed_at > now + MAX_ERROR,
            ),
        )
        is_signed_in = or_(
            exists().where(sessions.c.sub == people.c.sub, sessions.c.ended_at.is_(None)),
            exists().where(grants.c.sub == people.c.sub, grants.c.ended_at.is_(None), grants.c.expires_at > now),
        )
        with self._database.write() as connection:
            found = connection.execute(select(people.c.sub).where(due, is_signed_in).limit(limit)).scalars().all()
            claim = update(people).where(people.c.sub.in_(found), due).values(check_claimed_at=now).returning(people)
            return [read_person(row) for row in connection.execute(claim)]

    def get(self, sub: str) -> Person | None:
        """Return a person by `sub`."""
        with self._database.read() as connection:
            row = connection.execute(select(people).where(people.c.sub == sub)).one_or_none()
            return read_person(row) if row is not None else None

    def find(self, name: str) -> Person | None:
        """Return a person by handle, `sub` or account id, as an administrator may name them."""
        matches = [people.c.handle == name.casefold(), people.c.sub == name]
        if name.isascii() and name.isdecimal() and len(name) < 19:
            matches.append(people.c.account_id == int(name))
        with self._database.read() as connection:
            row = connection.execute(select(people).where(or_(*matches)).limit(1)).one_or_none()
            return read_person(row) if row is not None else None

    def list_all(self) -> list[Person]:
        """List everybody, by handle."""
        with self._database.read() as connection:
            return [read_person(row) for row in connection.execute(select(people).order_by(people.c.handle))]


def _get_values(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "email": profile.email,
        "email_verified": profile.email_verified,
        "picture": profile.picture,
        "roles": msgspec.json.encode(dict(profile.roles)).decode(),
    }
