"""What somebody wants who calls `sign_in`, checked before anything is sent.

Rule: plain data, and the naming of this installation's device; the flow that fulfils it is in sign_in.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import msgspec

from ticketstub.client.config import PLEX_TV
from ticketstub.client.flows.browser import OpenBrowser
from ticketstub.client.flows.pending import Begun, checked_forward_url
from ticketstub.credentials.default import Storage
from ticketstub.credentials.store import COMMAND, DEFAULT_PROFILE, Credentials, Entry
from ticketstub.device import Device, file_name
from ticketstub.tokens import Secret

OnCode: TypeAlias = Callable[[Begun], "object | Awaitable[object]"]
"""Shows a begun sign-in to the user; what it returns is awaited if that can be, and not looked at."""

AskCode: TypeAlias = Callable[[], "str | Secret | Awaitable[str | Secret | None] | None"]
"""Asks the user for a verification code; empty or `None` means that there is none."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a sign-in.

    `login`, `password`, `ask_code`, `remember_me`: how to sign in by password. `device_key`: whether to live on one.
    `code`, `forward_url`, `on_code`, `open_browser`, `give_up`: how a sign-in in the browser is shown, for how long.
    `app`, `profile`, `credentials`, `storage`: for which program it is kept, under which name, and where.
    `own_device`: whether the program named its device itself. `identifier` makes a new client identifier. `tell` shows
    a text to whoever sits at the terminal, and says whether anybody does.

    Raises:
        ValueError: it does not fit together, or a name or address is none.
    """

    login: str | None = None
    password: Secret | None = None
    ask_code: AskCode | None = None
    remember_me: bool = False
    device_key: bool = False
    code: bool = False
    forward_url: str | None = None
    on_code: OnCode | None = None
    open_browser: bool | OpenBrowser = True
    give_up: float | None = None
    app: str = COMMAND
    profile: str = DEFAULT_PROFILE
    credentials: Credentials | None = None
    storage: Storage = "auto"
    own_device: bool = False
    identifier: Callable[[], str] = lambda: str(uuid4())
    tell: Callable[[str], bool] = lambda _text: False

    def __post_init__(self) -> None:
        if (self.login is None) is not (self.password is None):
            raise ValueError("login and password go together: pass both, or neither")
        checked_forward_url(self.forward_url)
        Entry.of(PLEX_TV, self.profile, self.app)


def installation(app: str, profile: str = DEFAULT_PROFILE, directory: Path | None = None) -> Device:
    """Return this installation's device for a program and a profile, as `Device.remembered_or_new`. It reads a file.

    Raises:
        ValueError: the program's name is empty or has a control character.
    """
    device = Device.remembered_or_new(file_name(app, profile), directory=directory)
    return msgspec.structs.replace(device, product=app)
