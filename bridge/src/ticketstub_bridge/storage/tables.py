"""The tables of the bridge's database.

Rule: nothing here is secret in itself. Codes, tokens and cookies are stored as digests; Plex tokens, signing keys and
pending sign-ins are sealed under bridge.key. Times are seconds since 1970. The migrations create the same tables (a
test compares them).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

meta = Table("meta", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False))

people = Table(
    "people",
    metadata,
    Column("sub", String(40), primary_key=True),
    Column("account_id", BigInteger, nullable=False, unique=True),
    Column("handle", String(80), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("email_verified", Boolean, nullable=False),
    Column("picture", Text),
    Column("roles", Text, nullable=False),  # JSON: the role at each server's slug
    Column("plex_token", LargeBinary),
    Column("checked_at", Double, nullable=False),
    Column("check_claimed_at", Double),
    Column("lost_at", Double),
    Column("created_at", Double, nullable=False),
    Column("signed_in_at", Double, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("sid", String(40), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("sub", ForeignKey("people.sub", ondelete="CASCADE"), nullable=False, index=True),
    Column("auth_time", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("browser", Text, nullable=False),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("state", String(12), nullable=False),  # pending, returned, signed_in, done, burned
    Column("browser_digest", String(64), nullable=False),
    Column("request", Text, nullable=False),  # JSON: the parameters of the authorization request
    Column("pending", LargeBinary),
    Column("sid", String(40)),
    Column("expires_at", Double, nullable=False, index=True),
)

consents = Table(
    "consents",
    metadata,
    Column("sub", ForeignKey("people.sub", ondelete="CASCADE"), primary_key=True),
    Column("client_id", String(100), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("given_at", Double, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("sub", ForeignKey("people.sub", ondelete="CASCADE"), nullable=False, index=True),
    Column("sid", String(40), nullable=False, index=True),
    Column("scope", Text, nullable=False),
    Column("is_offline", Boolean, nullable=False),
    Column("auth_time", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("ended_at", Double),
)

codes = Table(
    "codes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("grant_id", ForeignKey("grants.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("redirect_uri", Text, nullable=False),
    Column("nonce", Text),
    Column("code_challenge", String(128)),
    Column("expires_at", Double, nullable=False),
    Column("redeemed_at", Double),
)

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("grant_id", ForeignKey("grants.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("scope", Text, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("grant_id", ForeignKey("grants.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("expires_at", Double, nullable=False, index=True),
    Column("used_at", Double),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("algorithm", String(10), nullable=False),
    Column("current", String(10), unique=True),  # the algorithm, while this is the key that signs with it
    Column("private", LargeBinary, nullable=False),
    Column("public", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
)

logouts = Table(
    "logouts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("sub", String(40), nullable=False),
    Column("sid", String(40), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double, nullable=False, index=True),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("sub", String(40)),
    Column("client_id", String(100)),
    Column("detail", Text, nullable=False),
    Index("events_at", "at"),
)
