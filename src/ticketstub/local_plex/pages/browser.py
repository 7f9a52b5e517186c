"""The browser that sent a request: its cookie, its session, and proofs that a form is its own.

Rule: a cookie is 256 random bits without meaning. The store has a digest of each cookie that is signed in. Signing in
or out and switching users each create a new cookie, so a planted cookie never becomes signed in. Over TLS the cookie is
`Secure` and its name starts with `__Host-`: no page without TLS and no other host can plant one. A form contains an
HMAC of the cookie, and the browser must say that the form comes from this site. Browsers share cookies between ports,
so the cookie's name contains the instance's id.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from hmac import compare_digest

import msgspec

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.storage.base import AccountRow

SESSION_LIFETIME = 12 * 3600
"""Seconds after which a session ends, used or not (our choice)."""

_COOKIE_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch


class BrowserSession:
    """The browser of one request.

    Attributes:
        account: who is signed in, once `load_account` has run.
        switched_by: the account that switched to that one, if any.
        new_cookie: the `Set-Cookie` value to send, if the cookie changes.
    """

    __slots__ = ("_cookie_value", "_instance", "_request", "account", "new_cookie", "switched_by")

    def __init__(self, instance: Instance, request: IncomingRequest) -> None:
        self._instance = instance
        self._request = request
        self.account: AccountRow | None = None
        self.switched_by: int | None = None
        self.new_cookie: str | None = None
        self._cookie_value = self._read_cookie()
        if not self._cookie_value:
            self._set_cookie(secrets.token_urlsafe(32))

    def make_proof(self, *facts: object) -> str:
        """Return a proof, for this browser only, that this site stated these facts."""
        text = msgspec.json.encode([self._cookie_value, *(str(fact) for fact in facts)]).decode()
        return self._instance.keys.digest(f"page {text}").hex()

    def is_valid_proof(self, proof: str, *facts: object) -> bool:
        """Tell whether this site stated these facts to this browser."""
        return compare_digest(proof.encode("utf-8", "replace"), self.make_proof(*facts).encode())

    def is_same_origin(self) -> bool:
        """Tell whether the browser says that the request comes from a page of this site."""
        site = self._request.get_header(b"sec-fetch-site")
        if self._request.get_header(b"origin"):
            return self._request.has_own_origin and site in {b"", b"same-origin"}
        return site == b"same-origin"

    @property
    def session_digest(self) -> bytes:
        """The digest of the browser's session."""
        return self._compute_digest(self._cookie_value)

    async def load_account(self) -> None:
        """Load the account that is signed in."""
        session = await self._instance.store.sessions.find(self.session_digest, self._instance.now())
        if session:
            self.account = await self._instance.store.find_account_by_id(session.account_id)
            self.switched_by = session.switched_by

    async def sign_in(self, account: AccountRow, verification_step: int | None) -> bool:
        """Sign in to an account; `False` if the code was already used or the account is disabled."""
        create = self._instance.store.sessions.create
        return await self._replace(partial(create, account_id=account.id, verification_step=verification_step))

    async def switch_user(self, account_id: int, passcode_hash: str | None) -> bool:
        """Switch to another user of the Home, whose passcode has this hash; `False` if that is no longer allowed."""
        return await self._replace(
            partial(
                self._instance.store.sessions.switch_user,
                account_id=account_id,
                switched_by=self.switched_by or (self.account.id if self.account else None),
                passcode_hash=passcode_hash,
            )
        )

    async def _replace(self, create: Callable[..., Awaitable[bool]]) -> bool:
        """Call `create` for a session with a new cookie, in place of the present one; return what it returns."""
        value, now = secrets.token_urlsafe(32), self._instance.now()
        is_created = await create(
            digest=self._compute_digest(value),
            now=now,
            expires_at=now + SESSION_LIFETIME,
            replaced_digest=self.session_digest,
        )
        if is_created:
            self._set_cookie(value)
        return is_created

    async def sign_out(self) -> None:
        """End the session."""
        await self._instance.store.sessions.delete(self.session_digest, self._instance.now())
        self._set_cookie(secrets.token_urlsafe(32))
        self.account = None

    def _compute_digest(self, value: str) -> bytes:
        return self._instance.keys.digest(f"session {value}")

    def _set_cookie(self, value: str) -> None:
        self._cookie_value = value
        secure = "; Secure" if self._request.is_tls else ""
        self.new_cookie = f"{self._cookie_name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"

    @property
    def _cookie_name(self) -> str:
        return f"{'__Host-' if self._request.is_tls else ''}ticketstub-{self._instance.keys.id}"

    def _read_cookie(self) -> str:
        """Return the cookie that was sent, or `""` if none is well-formed."""
        for pair in self._request.get_header(b"cookie").decode("latin-1").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._cookie_name and _COOKIE_PATTERN(value):
                return value
        return ""
