"""The browser at the other end: its cookie, its session, and what proves that a form is its own.

Rule: a cookie is 256 random bits that mean nothing by themselves; the store knows a digest of those that are signed in.
Signing in and out, and switching, each make a new one, so one that somebody planted never becomes signed in. Over TLS
it is `Secure`, and its name begins with `__Host-`: nothing without TLS, and no other host, can plant one. A form
holds an HMAC of the cookie, and a browser must say that it comes from this very site. Ports share cookies, so a name
holds the instance's id.
"""

from __future__ import annotations

import re
import secrets
from hmac import compare_digest
from typing import Literal

import msgspec

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.storage.base import AccountRow

LIFE = 12 * 3600
"""Seconds after which a session ends, used or not (ours)."""

_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch
_SCHEMES = (b"http://", b"https://")


class Browser:
    """One browser, as one request shows it.

    Attributes:
        host: host and port of this site, as the browser names it.
        account: who is signed in, once `recognise` was asked.
        by: the account that had switched to that one, if any.
        cookie: what its cookie is from now on, where that changes.
    """

    __slots__ = ("_asked", "_instance", "_value", "account", "by", "cookie", "host")

    def __init__(self, instance: Instance, asked: Asked) -> None:
        self._instance = instance
        self._asked = asked
        self.host = asked.header(b"host").decode("latin-1")
        self.account: AccountRow | None = None
        self.by: int | None = None
        self.cookie: str | None = None
        self._value = self._sent()
        if not self._value:
            self._become(_new_value())

    @property
    def form_token(self) -> str:
        """What a form must hold to be this browser's."""
        return self.proof("form")

    def proof(self, *facts: object) -> str:
        """Prove, to this browser and nobody else, that we said this."""
        text = msgspec.json.encode([self._value, *(str(fact) for fact in facts)]).decode()
        return self._instance.keys.digest(f"page {text}").hex()

    def proves(self, proof: str, *facts: object) -> bool:
        """Tell whether we said this to this browser."""
        return compare_digest(proof.encode("utf-8", "replace"), self.proof(*facts).encode())

    def is_here(self) -> bool:
        """Tell whether the request comes from a page of this site, by what the browser itself says; if nothing, no."""
        origin, site = self._asked.header(b"origin"), self._asked.header(b"sec-fetch-site")
        if site and site != b"same-origin":
            return False
        if origin:
            return origin in {scheme + self._asked.header(b"host") for scheme in _SCHEMES}
        return bool(site)

    @property
    def digest(self) -> bytes:
        """The digest of its session."""
        return self._digest(self._value)

    async def recognise(self) -> None:
        """Find out who is signed in."""
        found = await self._instance.store.sessions.find(self.digest, self._instance.now())
        self.account = await self._instance.store.account(found.account_id) if found else None
        self.by = found.by if found else None

    async def sign_in(self, account: AccountRow, step: int | None) -> bool:
        """Sign an account in, in place of whoever is; `False` if the step was spent before or the account is off."""
        value, now = _new_value(), self._instance.now()
        won = await self._instance.store.sessions.create(
            digest=self._digest(value),
            account_id=account.id,
            now=now,
            expires_at=now + LIFE,
            replaces=self.digest,
            verification_step=step,
        )
        return won and self._become(value)

    async def switch(self, account_id: int, stored: str | None) -> bool:
        """Go on as another user of the Home, whose passcode has this hash; `False` if that is no longer allowed."""
        value, now = _new_value(), self._instance.now()
        won = await self._instance.store.sessions.rotate(
            digest=self._digest(value),
            account_id=account_id,
            now=now,
            expires_at=now + LIFE,
            replaces=self.digest,
            by=self.by or (self.account.id if self.account else None),
            passcode_hash=stored,
        )
        return won and self._become(value)

    async def sign_out(self) -> None:
        """End the session."""
        await self._instance.store.sessions.end(self.digest, self._instance.now())
        self._become(_new_value())
        self.account = None

    def _digest(self, value: str) -> bytes:
        return self._instance.keys.digest(f"session {value}")

    def _become(self, value: str) -> Literal[True]:
        """Give the browser another cookie."""
        self._value = value
        secure = "; Secure" if self._asked.secure else ""
        self.cookie = f"{self._name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"
        return True

    @property
    def _name(self) -> str:
        return f"{'__Host-' if self._asked.secure else ''}ticketstub-{self._instance.keys.id}"

    def _sent(self) -> str:
        """Return the cookie that was sent, if it can be one of ours."""
        for pair in self._asked.header(b"cookie").decode("latin-1").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._name and _WELL_FORMED(value):
                return value
        return ""


def _new_value() -> str:
    return secrets.token_urlsafe(32)
