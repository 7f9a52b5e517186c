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
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.storage.base import AccountRow

SESSION_LIFETIME = 12 * 3600
"""Seconds after which a session ends, used or not (ours)."""

_COOKIE_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch
_ORIGIN_PREFIXES = (b"http://", b"https://")


class BrowserSession:
    """One browser, as one request shows it.

    Attributes:
        host: host and port of this site, as the browser names it.
        account: who is signed in, once `load_account` was asked.
        by: the account that had switched to that one, if any.
        cookie: what its cookie is from now on, where that changes.
    """

    __slots__ = ("_asked", "_cookie_value", "_instance", "account", "host", "new_cookie", "switched_by")

    def __init__(self, instance: Instance, request: IncomingRequest) -> None:
        self._instance = instance
        self._asked = request
        self.host = request.get_header(b"host").decode("latin-1")
        self.account: AccountRow | None = None
        self.switched_by: int | None = None
        self.new_cookie: str | None = None
        self._cookie_value = self._read_cookie()
        if not self._cookie_value:
            self._set_cookie(_generate_cookie_value())

    @property
    def form_token(self) -> str:
        """What a form must hold to be this browser's."""
        return self.make_proof("form")

    def make_proof(self, *facts: object) -> str:
        """Prove, to this browser and nobody else, that we said this."""
        text = msgspec.json.encode([self._cookie_value, *(str(fact) for fact in facts)]).decode()
        return self._instance.keys.digest(f"page {text}").hex()

    def is_valid_proof(self, proof: str, *facts: object) -> bool:
        """Tell whether we said this to this browser."""
        return compare_digest(proof.encode("utf-8", "replace"), self.make_proof(*facts).encode())

    def is_same_origin(self) -> bool:
        """Tell whether the request comes from a page of this site, by what the browser itself says; if nothing, no."""
        origin, site = self._asked.get_header(b"origin"), self._asked.get_header(b"sec-fetch-site")
        if site and site != b"same-origin":
            return False
        if origin:
            return origin in {scheme + self._asked.get_header(b"host") for scheme in _ORIGIN_PREFIXES}
        return bool(site)

    @property
    def session_digest(self) -> bytes:
        """The digest of its session."""
        return self._compute_digest(self._cookie_value)

    async def load_account(self) -> None:
        """Find out who is signed in."""
        session = await self._instance.store.sessions.find(self.session_digest, self._instance.now())
        self.account = await self._instance.store.find_account_by_id(session.account_id) if session else None
        self.switched_by = session.switched_by if session else None

    async def sign_in(self, account: AccountRow, verification_step: int | None) -> bool:
        """Sign an account in, in place of whoever is; `False` if the step was spent before or the account is off."""
        value, now = _generate_cookie_value(), self._instance.now()
        created = await self._instance.store.sessions.create(
            digest=self._compute_digest(value),
            account_id=account.id,
            now=now,
            expires_at=now + SESSION_LIFETIME,
            replaced_digest=self.session_digest,
            verification_step=verification_step,
        )
        return created and self._set_cookie(value)

    async def switch_user(self, account_id: int, passcode_hash: str | None) -> bool:
        """Go on as another user of the Home, whose passcode has this hash; `False` if that is no longer allowed."""
        value, now = _generate_cookie_value(), self._instance.now()
        rotated = await self._instance.store.sessions.switch_user(
            digest=self._compute_digest(value),
            account_id=account_id,
            now=now,
            expires_at=now + SESSION_LIFETIME,
            replaced_digest=self.session_digest,
            switched_by=self.switched_by or (self.account.id if self.account else None),
            passcode_hash=passcode_hash,
        )
        return rotated and self._set_cookie(value)

    async def sign_out(self) -> None:
        """End the session."""
        await self._instance.store.sessions.delete(self.session_digest, self._instance.now())
        self._set_cookie(_generate_cookie_value())
        self.account = None

    def _compute_digest(self, value: str) -> bytes:
        return self._instance.keys.digest(f"session {value}")

    def _set_cookie(self, value: str) -> Literal[True]:
        """Give the browser another cookie."""
        self._cookie_value = value
        secure = "; Secure" if self._asked.is_tls else ""
        self.new_cookie = f"{self._cookie_name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"
        return True

    @property
    def _cookie_name(self) -> str:
        return f"{'__Host-' if self._asked.is_tls else ''}ticketstub-{self._instance.keys.id}"

    def _read_cookie(self) -> str:
        """Return the cookie that was sent, if it can be one of ours."""
        for pair in self._asked.get_header(b"cookie").decode("latin-1").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._cookie_name and _COOKIE_PATTERN(value):
                return value
        return ""


def _generate_cookie_value() -> str:
    return secrets.token_urlsafe(32)
