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
from ticketstub.client.flows.pending import PendingState, validate_forward_url
from ticketstub.credentials.default import StoreKind
from ticketstub.credentials.store import COMMAND_APP, DEFAULT_PROFILE, CredentialStore, Entry
from ticketstub.device import Device, build_file_name
from ticketstub.tokens import Secret

OnCode: TypeAlias = Callable[[PendingState], "object | Awaitable[object]"]
"""Shows a begun sign-in to the user; what it returns is awaited if that can be, and not looked at."""

AskCode: TypeAlias = Callable[[], "str | Secret | Awaitable[str | Secret | None] | None"]
"""Asks the user for a verification code; empty or `None` means that there is none."""


class SignInOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a sign-in.

    `login`, `password`, `ask_code`, `remember_me`: how to sign in by password. `device_key`: whether to live on one.
    `code`, `forward_url`, `on_code`, `open_browser`, `max_wait`: how a sign-in in the browser is shown, for how long.
    `app`, `profile`, `credentials`, `storage`: for which program it is kept, under which name, and where.
    `has_custom_device`: whether the program named its device itself. `identifier` makes a new client identifier.
    `show_text` shows a text to whoever sits at the terminal, and says whether anybody does.

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
    max_wait: float | None = None
    app: str = COMMAND_APP
    profile: str = DEFAULT_PROFILE
    store: CredentialStore | None = None
    storage: StoreKind = "auto"
    has_custom_device: bool = False
    make_identifier: Callable[[], str] = lambda: str(uuid4())
    show_text: Callable[[str], bool] = lambda _text: False

    def __post_init__(self) -> None:
        if (self.login is None) is not (self.password is None):
            raise ValueError("login and password go together: pass both, or neither")
        validate_forward_url(self.forward_url)
        Entry.create(PLEX_TV, self.profile, self.app)


def load_app_device(app: str, profile: str = DEFAULT_PROFILE, directory: Path | None = None) -> Device:
    """Return this installation's device for an app and a profile: `Device.load_or_use_temporary`. It reads a file.

    Raises:
        ValueError: the program's name is empty or has a control character.
    """
    device = Device.load_or_use_temporary(build_file_name(app, profile), directory=directory)
    return msgspec.structs.replace(device, product=app)
