"""Claiming a media server: the claim token, its exchange, and the media server's own claim calls.

Rule: the client and the local Plex use the same code (see `call`). A claim token signs nobody in; it adds a server to
an account. Source: observed in public clients and container images.
"""

from __future__ import annotations

from functools import partial

import msgspec

from ticketstub.models import Account, Model
from ticketstub.protocol.call import Call, HttpSpec, ReplyCodec, build_field_codec, read_reply, write_reply
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.legacy import LEGACY_ACCOUNT_REPLY
from ticketstub.tokens import Secret, Token


class _ClaimToken(Model, frozen=True, kw_only=True):
    token: Token | None = None


class ClaimStatus(Model, frozen=True, kw_only=True):
    """Whether a media server is claimed, and its connection to plex.tv. Named `MyPlex` on the wire.

    `auth_token` is the owner's token for the server.
    """

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
    """Get a claim token: `GET /api/claim/token.json`, 200, always JSON. It is valid for four minutes (observed)."""

    http = HttpSpec(
        "GET",
        "/api/claim/token.json",
        "get_claim_token",
        mark="observed",
        reply=ReplyCodec(
            build_field_codec(_ClaimToken, "token", "token").read,
            lambda token, _form: msgspec.json.encode({"token": token.reveal()}),
        ),
    )


class ExchangeClaim(Call[Account], frozen=True, kw_only=True):
    """Exchange a claim token for a server's own token, as the server: `POST /api/claim/exchange`, 200 (observed).

    The reply is the account with that token: in XML as in the older API, in JSON without a wrapper (assumed).
    """

    http = HttpSpec(
        "POST",
        "/api/claim/exchange",
        "exchange_claim",
        needs_token=False,
        retryable=False,
        mark="observed",
        reply=ReplyCodec(
            LEGACY_ACCOUNT_REPLY.read,
            lambda account, form: (
                LEGACY_ACCOUNT_REPLY.write(account, form) if form is Format.XML else write_reply("user", account, form)
            ),
        ),
    )

    token: Secret


_CLAIM_STATUS_REPLY = ReplyCodec(
    partial(read_reply, ClaimStatus, any_of=("sign_in_state", "username", "mapping_state")),
    lambda value, form: write_document("MyPlex", to_builtins(value, include_nulls=False), form, wrap_json=True),
)


class ClaimServer(Call[ClaimStatus], frozen=True, kw_only=True):
    """Give a claim token to an unclaimed media server: `POST /myplex/claim`, 200 (observed).

    The server accepts the token only from its own machine or network.
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
    """Get the claim status of a media server: `GET /myplex/account`, 200; owner only (observed)."""

    http = HttpSpec(
        "GET", "/myplex/account", "claimed_server", base="server", mark="observed", reply=_CLAIM_STATUS_REPLY
    )


class UnclaimServer(Call[ClaimStatus], frozen=True, kw_only=True):
    """Remove a media server from its owner's account: `DELETE /myplex/account`, 200; owner only (observed)."""

    http = HttpSpec(
        "DELETE",
        "/myplex/account",
        "unclaim_server",
        base="server",
        retryable=False,
        mark="observed",
        reply=_CLAIM_STATUS_REPLY,
    )
