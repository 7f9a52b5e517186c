"""The control API's verbs: path, method, what they are told, and what they tell.

Rule: each is a line of a table over one verb of the hand, with its order as a type: members, defaults, and which must
be there. What is told back holds a token or code only where that is what was asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from ticketstub.server.control.hand import Hand
from ticketstub.token import Token

PREFIX = "/control/v1"

_Call = Annotated[str, Meta(pattern=r"^\s*(\*|[A-Za-z]{3,10}) +/\S*\s*$")]
_Times = Annotated[int, Meta(ge=1)]
_Span = Annotated[float, Meta(ge=0)]

Told = TypeVar("Told", bound="Order")


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a verb is told: nothing."""


class PinOrder(Order, frozen=True, kw_only=True):
    """Which PIN, by its id or code."""

    pin: int | str


class ApproveOrder(PinOrder, frozen=True, kw_only=True):
    """Which PIN, and for whom: a user name, e-mail address or id; by default the world's first account."""

    account: str | int | None = None


class AccountOrder(Order, frozen=True, kw_only=True):
    """Which account: a user name, e-mail address or id; by default the world's first."""

    account: str | int | None = None


class TokenOrder(Order, frozen=True, kw_only=True):
    """Which token."""

    token: str


class RefuseOrder(Order, frozen=True, kw_only=True):
    """Which calls are refused, how often and how; see `Hand.refuse_next`."""

    call: _Call
    status: Annotated[int, Meta(ge=400, le=599)] = 429
    times: _Times = 1
    code: int | None = None
    message: str | None = None
    retry_after: Annotated[int, Meta(ge=0)] | None = None
    body: str | None = None
    at: str | None = None


class AnswerOrder(Order, frozen=True, kw_only=True):
    """What calls are answered with in place of Plex's own answer; see `Hand.answer_next`."""

    call: _Call
    status: Annotated[int, Meta(ge=200, le=599)] = 200
    body: str = ""
    media_type: str = "text/html"
    location: str | None = None
    times: _Times = 1
    at: str | None = None


class DelayOrder(Order, frozen=True, kw_only=True):
    """Which calls wait, how long, and how often."""

    call: _Call
    seconds: Annotated[float, Meta(ge=0, le=3600)]
    times: _Times = 1
    at: str | None = None


class ChaosOrder(Order, frozen=True, kw_only=True):
    """Which share of the calls goes wrong; 0 ends it."""

    share: Annotated[float, Meta(ge=0, le=1)]
    seed: int = 0
    longest: Annotated[float, Meta(ge=0, le=60)] = 0.5


class PlaceOrder(Order, frozen=True, kw_only=True):
    """Which place: `plex.tv`, or a media server by name."""

    place: str


class DownOrder(PlaceOrder, frozen=True, kw_only=True):
    """Which place cannot be reached, and whether it hangs in place of refusing connections."""

    hangs: bool = False


class ShareOrder(Order, frozen=True, kw_only=True):
    """Which media server, by name or machine identifier, and whose share of it."""

    media_server: str
    account: str | int


class AdvanceOrder(Order, frozen=True, kw_only=True):
    """How far the clock moves."""

    days: _Span = 0
    hours: _Span = 0
    minutes: _Span = 0
    seconds: _Span = 0


class NewAccountOrder(Order, frozen=True, kw_only=True):
    """An account, with the members that it most needs; `more` are any others of a world file's `[[account]]`."""

    username: str
    email: str | None = None
    password: str | None = None
    verification_secret: str | None = None
    more: dict[str, Any] = {}

    def described(self) -> dict[str, object]:
        """Describe it as a world file does."""
        given = {"username": self.username, "email": self.email, "password": self.password}
        given["verification_secret"] = self.verification_secret
        return {name: value for name, value in {**self.more, **given}.items() if value is not None}


class Verb(Generic[Told]):
    """A verb.

    Args:
        order: what it is told.
        do: does it; returns what is told back, or `None`.
    """

    __slots__ = ("do", "order")

    def __init__(self, order: type[Told], do: Callable[[Hand, Told], Awaitable[object]]) -> None:
        self.order = order
        self.do = do


async def _approve(hand: Hand, order: ApproveOrder) -> None:
    await hand.approve(order.pin, order.account)


async def _deny(hand: Hand, order: PinOrder) -> None:
    await hand.deny(order.pin)


async def _expire_pin(hand: Hand, order: PinOrder) -> None:
    await hand.expire(order.pin)


async def _token(hand: Hand, order: AccountOrder) -> dict[str, str]:
    return {"token": (await hand.people.token_for(order.account)).reveal()}


async def _revoke(hand: Hand, order: TokenOrder) -> None:
    await hand.revoke(Token.received(order.token))


async def _expire_token(hand: Hand, order: TokenOrder) -> None:
    await hand.expire(Token.received(order.token))


async def _refuse(hand: Hand, order: RefuseOrder) -> None:
    await hand.refuse_next(**msgspec.structs.asdict(order))


async def _answer(hand: Hand, order: AnswerOrder) -> None:
    await hand.answer_next(**msgspec.structs.asdict(order))


async def _take_down(hand: Hand, order: DownOrder) -> None:
    await hand.take_down(order.place, hangs=order.hangs)


async def _bring_up(hand: Hand, order: PlaceOrder) -> None:
    await hand.bring_up(order.place)


async def _share(hand: Hand, order: ShareOrder) -> None:
    await hand.people.share(order.media_server, order.account)


async def _unshare(hand: Hand, order: ShareOrder) -> None:
    await hand.people.unshare(order.media_server, order.account)


async def _delay(hand: Hand, order: DelayOrder) -> None:
    await hand.delay(**msgspec.structs.asdict(order))


async def _chaos(hand: Hand, order: ChaosOrder) -> None:
    await hand.chaos(**msgspec.structs.asdict(order))


async def _advance(hand: Hand, order: AdvanceOrder) -> dict[str, int]:
    return {"now": await hand.advance(**msgspec.structs.asdict(order))}


async def _clock(hand: Hand, _order: Order) -> dict[str, int]:
    return {"now": hand.instance.now()}


async def _requests(hand: Hand, _order: Order) -> dict[str, object]:
    return {"requests": list(hand.requests)}


async def _clear(hand: Hand, _order: Order) -> None:
    hand.requests.clear()


async def _add_account(hand: Hand, order: NewAccountOrder) -> dict[str, object]:
    row = await hand.people.add(order.described())
    return {"id": row.id, "uuid": row.record.uuid, "username": row.record.username, "email": row.record.email}


async def _code(hand: Hand, order: AccountOrder) -> dict[str, str]:
    return {"code": (await hand.people.code_for(order.account)).reveal()}


async def _reset(hand: Hand, _order: Order) -> None:
    await hand.reset()


async def _list(_hand: Hand, _order: Order) -> dict[str, object]:
    return {"verbs": [f"{method} {path}" for path, methods in VERBS.items() for method in methods]}


VERBS: dict[str, dict[str, Verb[Any]]] = {
    PREFIX: {"GET": Verb(Order, _list)},
    f"{PREFIX}/pins/approve": {"POST": Verb(ApproveOrder, _approve)},
    f"{PREFIX}/pins/deny": {"POST": Verb(PinOrder, _deny)},
    f"{PREFIX}/pins/expire": {"POST": Verb(PinOrder, _expire_pin)},
    f"{PREFIX}/tokens": {"POST": Verb(AccountOrder, _token)},
    f"{PREFIX}/tokens/revoke": {"POST": Verb(TokenOrder, _revoke)},
    f"{PREFIX}/tokens/expire": {"POST": Verb(TokenOrder, _expire_token)},
    f"{PREFIX}/codes": {"POST": Verb(AccountOrder, _code)},
    f"{PREFIX}/accounts": {"POST": Verb(NewAccountOrder, _add_account)},
    f"{PREFIX}/shares": {"POST": Verb(ShareOrder, _share)},
    f"{PREFIX}/shares/end": {"POST": Verb(ShareOrder, _unshare)},
    f"{PREFIX}/refusals": {"POST": Verb(RefuseOrder, _refuse)},
    f"{PREFIX}/answers": {"POST": Verb(AnswerOrder, _answer)},
    f"{PREFIX}/delays": {"POST": Verb(DelayOrder, _delay)},
    f"{PREFIX}/chaos": {"POST": Verb(ChaosOrder, _chaos)},
    f"{PREFIX}/places/down": {"POST": Verb(DownOrder, _take_down)},
    f"{PREFIX}/places/up": {"POST": Verb(PlaceOrder, _bring_up)},
    f"{PREFIX}/clock": {"GET": Verb(Order, _clock)},
    f"{PREFIX}/clock/advance": {"POST": Verb(AdvanceOrder, _advance)},
    f"{PREFIX}/requests": {"GET": Verb(Order, _requests), "DELETE": Verb(Order, _clear)},
    f"{PREFIX}/reset": {"POST": Verb(Order, _reset)},
}
"""The verbs by path and method."""
