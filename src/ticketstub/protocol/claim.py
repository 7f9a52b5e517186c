"""Claiming a media server: the claim token, its exchange, and the server's own two calls.

Rule: as all of wire/, role-blind. A claim token signs nobody in: it adds a server to an account. Source: observed in
public clients and images.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from ticketstub.messages import Response
from ticketstub.models import Account, Model
from ticketstub.protocol.call import Call, HttpSpec, ReplyCodec, read_reply, write_reply
from ticketstub.protocol.codec import Format, to_builtins, to_json, write_document
from ticketstub.protocol.legacy_account import LEGACY_ACCOUNT_REPLY
from ticketstub.tokens import Secret, Token


class _ClaimToken(Model, frozen=True, kw_only=True):
    token: Token | None = None


class ClaimStatus(Model, frozen=True, kw_only=True):
    """How a media server stands with plex.tv: `MyPlex` on the wire. The token is the owner's for that server."""

    auth_token: Token | None = None
    username: str | None = None
    mapping_state: str | None = None
    mapping_error: str | None = None
    mapping_error_message: str | None = None
    sign_in_state: str | None = None
    public_address: str | None = None
    public_port: int | None = None
    private_address: str | None = None
    private_port: int | None = None
    subscription_features: str | None = None
    subscription_active: bool | None = None
    subscription_state: str | None = None


class GetClaimToken(Call[Token], frozen=True, kw_only=True):
    """Get a claim token: `GET /api/claim/token.json`, 200, always JSON; it lives for four minutes (observed)."""

    http = HttpSpec("GET", "/api/claim/token.json", "get_claim_token", mark="observed")

    def read(self, response: Response) -> Token:
        return cast("Token", read_reply(_ClaimToken, response, ("token",)).token)

    def write(self, value: Token, form: Format) -> bytes:
        return to_json({"token": value.reveal()})


class ExchangeClaim(Call[Account], frozen=True, kw_only=True):
    """Exchange a claim token for a server's own token, as the server: `POST /api/claim/exchange`, 200 (observed)."""

    http = HttpSpec(
        "POST",
        "/api/claim/exchange",
        "exchange_claim",
        needs_token=False,
        retryable=False,
        mark="observed",
        reply=LEGACY_ACCOUNT_REPLY,
    )

    token: Secret

    def write(self, value: Account, form: Format) -> bytes:
        """Write the account with the server's token: in XML as the older API, in JSON at the top level (assumed)."""
        return super().write(value, form) if form is Format.XML else write_reply("user", value, form)


def _write_claim_status(value: ClaimStatus, form: Format) -> bytes:
    return write_document("MyPlex", to_builtins(value, include_nulls=False), form, wrap_json=True)


_CLAIM_STATUS_REPLY = ReplyCodec(
    partial(read_reply, ClaimStatus, any_of=("sign_in_state", "username", "mapping_state")), _write_claim_status
)


class ClaimServer(Call[ClaimStatus], frozen=True, kw_only=True):
    """Hand a claim token to a media server that nobody owns yet: `POST /myplex/claim`, 200 (observed).

    It takes one only from its own machine or network.
    """

    http = HttpSpec(
        "POST",
        "/myplex/claim",
        "claim_server",
        base="server",
        needs_token=False,
        retryable=False,
        mark="observed",
        reply=_CLAIM_STATUS_REPLY,
    )

    token: Secret


class GetClaimStatus(Call[ClaimStatus], frozen=True, kw_only=True):
    """Ask a media server how it stands with plex.tv: `GET /myplex/account`, 200; the owner only (observed)."""

    http = HttpSpec(
        "GET", "/myplex/account", "claimed_server", base="server", mark="observed", reply=_CLAIM_STATUS_REPLY
    )


class UnclaimServer(Call[ClaimStatus], frozen=True, kw_only=True):
    """Take a media server out of its owner's account: `DELETE /myplex/account`, 200; the owner only (observed)."""

    http = HttpSpec(
        "DELETE",
        "/myplex/account",
        "unclaim_server",
        base="server",
        retryable=False,
        mark="observed",
        reply=_CLAIM_STATUS_REPLY,
    )
