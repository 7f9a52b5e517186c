"""A small model of tokens, independent of how the local Plex is built.

Rule: every event ends what it ends explicitly; whether a token is valid is computed at each question. Times are in
seconds. `by` is the account that switched to the owner of a token; whatever is created with such a token has it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MINUTE, DAY = 60, 24 * 3600
SERVERS = {"Attic": "mira", "Toms": "tom"}
LIVES = {"strong": 30 * MINUTE, "key": 30 * MINUTE, "link": 15 * MINUTE, "legacy": 5 * MINUTE}
MANAGED = {"pip", "bo"}
OWN = {"account", "jwt"}


@dataclass(eq=False)
class Held:
    """A token of any kind, a session, or a device key; `origin` is the token that it stands for."""

    kind: str
    owner: str
    client: str | None = None
    ends: int | None = None
    by: str | None = None
    at: str | None = None
    origin: Held | None = None
    started: int = 0
    dead: bool = False


@dataclass(eq=False)
class Pin:
    """A PIN; `parameters` is its token once it is approved."""

    client: str
    kind: str
    ends: int
    owner: str | None = None
    by: str | None = None
    denied: bool = False
    gone: bool = False
    given: Held | None = None


@dataclass
class Model:
    """All tokens, PINs and the clock."""

    now: int
    starts: int = 0
    home: set[str] = field(default_factory=lambda: {"mira", "tom", "elsa", "pip", "bo"})
    off: set[str] = field(default_factory=set)
    held: list[Held] = field(default_factory=list)
    proven: set[int] = field(default_factory=set)
    pins: list[Pin] = field(default_factory=list)
    devices: set[tuple[str, str]] = field(default_factory=set)

    def give(self, kind: str, owner: str, client: str | None = None, *, lives: int | None = None, **more: Any) -> Held:
        """Add something; whatever has a client creates a device."""
        ends = None if lives is None else self.now + lives
        made = Held(kind, owner, client, ends, started=self.starts, **more)
        self.held.append(made)
        if client is not None and kind != "session":
            self.devices.add((owner, client))
        return made

    def good(self, held: Held) -> bool:
        """Return whether a token, session or key is valid now."""
        if held.dead or held.owner in self.off or (held.ends is not None and held.ends <= self.now):
            return False
        if held.kind == "transient" and held.started != self.starts:
            return False
        return held.origin is None or self.good(held.origin)

    def on_plex_tv(self, held: Held, kinds: set[str]) -> int:
        """Return how plex.tv's v2 answers a token on a call for these kinds: 200, 401 or, for an expired JWT, 498."""
        if held.kind == "jwt" and held.ends is not None and held.ends <= self.now:
            return 498
        return 200 if held.kind in kinds and self.good(held) else 401

    def on_server(self, held: Held, at: str) -> str | None:
        """Return what a token may do on a media server: `owner`, `shared`, or nothing."""
        if not self.good(held) or (held.kind == "transient" and held.at != at):
            return None
        real = held.origin if held.kind == "transient" and held.origin else held
        if real.kind == "account" and real.owner == SERVERS[at]:
            return "owner"
        return {"share": "shared", "server": "owner"}.get(real.kind) if real.at == at else None

    def pending(self, pin: Pin) -> bool:
        """Return whether a PIN can be approved or denied."""
        return self.there(pin) and pin.owner is None and not pin.denied

    def there(self, pin: Pin) -> bool:
        """Return whether a PIN exists."""
        return not pin.gone and pin.ends > self.now

    def approve(self, pin: Pin, held: Held) -> None:
        """Link a PIN to an account; its client has a token now, or may get one for its key."""
        pin.owner, pin.by, owner = held.owner, held.by, held.owner
        self.devices.add((owner, pin.client))
        if pin.kind != "key":
            pin.given = self.give("account", owner, pin.client, by=held.by)

    def exchange(self, key: Held) -> Held:
        """Issue a JWT for a key; the first one ends the device's previous tokens."""
        if id(key) not in self.proven:
            self.proven.add(id(key))
            self.end(lambda one: one.kind == "account" and one.client == key.client and one.owner == key.owner)
        return self.give("jwt", key.owner, key.client, lives=7 * DAY, by=key.by)

    def end(self, which: Callable[[Held], bool]) -> None:
        """End everything for which this is true."""
        for one in self.held:
            one.dead = one.dead or which(one)

    def remove_device(self, owner: str, client: str) -> None:
        """End everything of a device, and what its account switched to there."""
        self.end(lambda one: one.client == client and one.owner == owner and one.kind != "session")
        self.end(lambda one: one.client == client and one.by == owner)
        self.forget_pins(lambda pin: owner in {pin.owner, pin.by} and pin.client == client)
        self.devices.discard((owner, client))

    def sign_out_everywhere(self, owner: str) -> None:
        """End every sign-in to an account and every switch from it; shares stay."""
        self.end(lambda one: one.owner == owner and one.kind not in {"share", "transient"})
        self.end(lambda one: one.by == owner)
        self.forget_pins(lambda pin: owner in {pin.owner, pin.by})

    def leave_home(self, who: str) -> None:
        """End every switch by and to a member; a managed user ends."""
        self.home.discard(who)
        self.end(lambda one: one.by is not None and (one.owner == who) != (one.by == who))
        self.forget_pins(lambda pin: pin.by is not None and (pin.owner == who) != (pin.by == who))
        if who in MANAGED:
            self.off.add(who)

    def forget_pins(self, which: Callable[[Pin], bool]) -> None:
        """Delete the PINs for which this is true."""
        for pin in self.pins:
            pin.gone = pin.gone or which(pin)
