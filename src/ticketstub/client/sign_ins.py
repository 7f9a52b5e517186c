"""Sign-ins as data: the ways to sign in, how a client is signed in, and a sign-in that waits for approval.

Rule: no network, no clock and no credential store. A dump holds no token and no private key. The URLs are those of
Plex's own pages, or of a local Plex.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec

from ticketstub.client.config import PLEX_TV
from ticketstub.device import Device
from ticketstub.errors import sanitize_text
from ticketstub.messages import get_origin
from ticketstub.tokens import Secret, hide_locals, to_secret

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey  # loads a JOSE library

TokenStatus = Literal["none", "good", "renewed", "unchecked", "revoked", "expired", "another"]
"""The state of the stored token: there is none; it works; it was renewed; Plex could not be asked, so it is used as it
is; Plex no longer knows it; it has expired; it belongs to another account than the one that was asked for."""

SignInMethod = Literal["kept", "browser", "code", "password", "home"]
"""How a sign-in came about: it was stored; by `Browser`, `LinkCode` or `Password`; or by switching to a Home user."""

_PLEX_TV_URLS = frozenset({PLEX_TV, "https://clients.plex.tv", "https://www.plex.tv"})

OpenBrowser: TypeAlias = Callable[[str], object]
"""Opens a URL; returns `False` if that is not possible."""

ShowPending: TypeAlias = Callable[["PendingState"], "object | Awaitable[object]"]
"""Shows a pending sign-in to the user. An awaitable result is awaited; the result itself is ignored."""

AskCode: TypeAlias = Callable[[], "str | Secret | Awaitable[str | Secret | None] | None"]
"""Asks the user for a verification code; an empty answer or `None` means that there is none."""


class Browser(msgspec.Struct, frozen=True):
    """Sign in on Plex's page in a browser: the default method.

    If no browser can be opened, or no approval arrives within five seconds, `sign_in` writes the URL, the code and a QR
    code to standard error if that is a terminal, and keeps waiting. With `show`, it writes nothing.

    Args:
        show: called with the pending sign-in (`url`, `code`, `render_qr()`), to show it to the user.
        open: whether to open the browser of this computer, or a function that opens a URL.
        forward_url: where Plex sends the browser after the approval.

    Raises:
        ValueError: `forward_url` is not an http or https URL.
    """

    show: ShowPending | None = None
    open: bool | OpenBrowser = True
    forward_url: str | None = None

    def __post_init__(self) -> None:
        validate_forward_url(self.forward_url)


class LinkCode(msgspec.Struct, frozen=True):
    """Sign in with a code of 4 characters that the user types on `plex.tv/link`, on any device.

    Args:
        show: called with the pending sign-in (`code`, `link_page`, `url`), to show it to the user. Without it, the link
            page is opened in a browser, or written to standard error as for `Browser`.
        open: whether to open the browser of this computer, or a function that opens a URL; ignored with `show`.
    """

    show: ShowPending | None = None
    open: bool | OpenBrowser = True


class Password(msgspec.Struct, frozen=True):
    """Sign in with user name and password. A stored sign-in of another account is replaced.

    Args:
        login: user name or e-mail address.
        password: the password; it is not stored.
        ask_code: called for a verification code if Plex requires one, and once more if the code was wrong.
        remember_me: whether the token expires after 14 days (observed).
    """

    login: str
    password: str | Secret
    ask_code: AskCode | None = None
    remember_me: bool = False

    @hide_locals
    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "password", to_secret(self.password))


_REPLACED_KEYWORDS = {
    **dict.fromkeys(("login", "password"), "method=Password(login, password)"),
    "ask_code": "method=Password(login, password, ask_code=...)",
    "remember_me": "method=Password(login, password, remember_me=True)",
    "code": "method=LinkCode()",
    "on_code": "method=Browser(show=...) or method=LinkCode(show=...)",
    "open_browser": "method=Browser(open=...)",
    "forward_url": "method=Browser(forward_url=...)",
    "storage": "store=",
    "credentials": "store=",
    "give_up": "max_wait=",
}


def refuse_replaced_keywords(keywords: Mapping[str, object]) -> None:
    """Refuse the keywords that `sign_in` took before it had methods.

    Raises:
        TypeError: one of them was passed; the message names its replacement.
    """
    for name in sorted(keywords.keys() & _REPLACED_KEYWORDS.keys()):
        raise TypeError(f"sign_in() no longer takes {name}=: pass {_REPLACED_KEYWORDS[name]}")


class SignInState(msgspec.Struct, frozen=True, kw_only=True):
    """How a client is signed in.

    Args:
        method: how the sign-in came about (see `SignInMethod`).
        previous_status: the state of the stored token when the client was created (see `TokenStatus`).
        issuer: the origin that issued the token.
        app: the program that the sign-in is stored for.
        profile: the name that it is stored under.
        location: where it is stored, in plain words.
        client_identifier: the client identifier that the token belongs to.
        account_id: the account's id as last reported; `None` if plex.tv was not asked.
        username: the account's user name as last reported; `None` if plex.tv was not asked.
        expires_at: when the token expires; `None` if it does not, or if that is unknown. A JWT is renewed before.
        has_device_key: whether the sign-in uses a device key and JWTs.
    """

    method: SignInMethod
    previous_status: TokenStatus
    issuer: str
    app: str
    profile: str
    location: str
    client_identifier: str | None
    account_id: int | None
    username: str | None
    expires_at: datetime | None
    has_device_key: bool


class PendingPin(msgspec.Struct, frozen=True, kw_only=True):
    """A PIN, and everything needed to poll for it.

    Args:
        plex_tv: the address that created it.
        device: the device that it was created for, the only one that may poll for it.
        pin_id: its id.
        code: the code that the user types, or that is part of the URL.
        strong: whether it is opened in a browser (25 characters) instead of typed (4).
        expires_at: when it expires, in epoch seconds by Plex's clock.
        ahead: by how many seconds Plex's clock was ahead of this computer's.
        forward_url: where the browser is sent after the approval.
        kid: the name of the device key that it was created with.
    """

    plex_tv: str
    device: Device
    pin_id: int
    code: str
    strong: bool
    expires_at: Annotated[float, msgspec.Meta(lt=253402300799)]
    ahead: float = 0.0
    forward_url: str | None = None
    kid: str | None = None

    def __post_init__(self) -> None:
        get_origin(self.plex_tv)
        validate_forward_url(self.forward_url)

    __rich_repr__ = None  # type: ignore[assignment]  # msgspec's own would show rich what `__repr__` hides

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pin_id}>"


class _Dump(msgspec.Struct, frozen=True, kw_only=True, tag_field="sign_in", tag=1):
    """A dump. Its tag is the version of the format; any other is refused."""

    pin: PendingPin


class PendingState:
    """A sign-in that waits for the user's approval."""

    def __init__(self, pin: PendingPin, reason: TokenStatus = "none") -> None:
        self._pin = pin
        self._reason: TokenStatus = reason

    @property
    def url(self) -> str:
        """The page to open: the Auth App, or the link page with the code filled in (documented)."""
        from urllib.parse import quote, urlencode  # a client with a token needs no such page

        pin = self._pin
        if not pin.strong:
            return f"{self.link_page}/?pin={quote(self.code, safe='')}"
        params = {
            "clientID": pin.device.client_identifier,
            "code": pin.code,
            "context[device][product]": pin.device.product,
            "forwardUrl": pin.forward_url,
        }
        query = urlencode({name: value for name, value in params.items() if value}, quote_via=quote, safe="")
        base = "https://app.plex.tv" if pin.plex_tv in _PLEX_TV_URLS else pin.plex_tv
        return f"{base}/auth#?{query}"  # in the fragment, which no server sees (documented)

    @property
    def code(self) -> str:
        """The PIN's code: 4 characters to type on the link page, or 25 that are part of `url`."""
        return self._pin.code

    @property
    def link_page(self) -> str:
        """The page where the user types a code of 4 characters: `https://plex.tv/link`, or a local Plex's."""
        return f"{PLEX_TV if self._pin.plex_tv in _PLEX_TV_URLS else self._pin.plex_tv}/link"

    @property
    def pin_id(self) -> int:
        """The PIN's id."""
        return self._pin.pin_id

    @property
    def expires_at(self) -> datetime:
        """When the PIN expires, by Plex's clock."""
        return datetime.fromtimestamp(self._pin.expires_at, UTC)

    @property
    def reason(self) -> TokenStatus:
        """Why a sign-in is needed: the state of the stored token (see `TokenStatus`)."""
        return self._reason

    def render_qr(self, *, border: int = 1) -> str:
        """Draw `url` as a QR code in block characters, for a terminal with a dark background.

        Args:
            border: the width of the quiet zone, in modules.
        """
        from io import StringIO

        import segno  # most programs draw no QR code

        drawing = StringIO()
        segno.make(self.url, error="l", micro=False).terminal(drawing, border=border, compact=True)
        return drawing.getvalue()

    def render_text(self, *, for_link_page: bool = False) -> str:
        """Return what the user needs as text for a terminal: the URL, the code, and the URL as a QR code.

        Args:
            for_link_page: whether the user should type the code on the link page.
        """
        url, code = sanitize_text(self.url, 2000), sanitize_text(self.code)
        instructions = (
            f"type the code {code} on {sanitize_text(self.link_page, 500)}, on any device, or open:\n\n  {url}"
            if for_link_page
            else f"open this page, here or on another device:\n\n  {url}\n\n  code to compare  {code}"
        )
        return f"To sign in, {instructions}\n\n{self.render_qr()}"

    def dump(self) -> str:
        """Return the pending sign-in as JSON text that another process can load and finish.

        It holds no token and no key. But anyone who has it can get the token once the user has approved, so store it
        where only that user's browser and your program can read it, such as a signed cookie over https or a server-side
        session; never in a URL.
        """
        return msgspec.json.encode(_Dump(pin=self._pin)).decode()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} pin {self.pin_id}>"


def load_pending_pin(data: str | bytes, plex_tv: str | None, key: DeviceKey | None) -> PendingPin:
    """Read a dump for a client. A dump from a browser cannot make the client contact another server.

    Raises:
        ValueError: the dump is damaged, or has another format version, plex.tv or device key. The message does not
            quote it.
    """
    try:
        pin = msgspec.json.decode(data, type=_Dump).pin
    except (msgspec.MsgspecError, RecursionError, ValueError):  # the text of these may repeat a part of it
        raise ValueError("this is not a pending sign-in of this version, or it is damaged: begin a new one") from None
    if pin.plex_tv != plex_tv:
        raise ValueError("this sign-in was begun at another plex.tv than this client's: pass that client as plex=")
    if pin.kid != (key.kid if key else None):
        raise ValueError(
            "this is not the device key that the sign-in was begun with: pass the same device_key=, or none"
        )
    return pin


def validate_forward_url(url: str | None) -> None:
    """Check that Plex accepts a forward URL.

    Raises:
        ValueError: it is not an http or https URL. Plex would send the browser elsewhere (observed).
    """
    if url is not None:
        get_origin(url)
