"""A local Plex with its model, and the comparison of the two.

Rule: the local Plex is asked over its routes whether a token is valid, and the model by its own functions. After each
step every token whose state has changed is tried on every route, and a few others in turn.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.local_plex.asking import ATTIC, START, Answered, Clock
from tests.local_plex.family import IDS
from tests.local_plex.test_auth_keys import Key
from tests.local_plex.whole import PASSWORD, PLEX_TV, Browser, Change, Whole
from tests.security.stage import device_jwt, household
from tests.stateful.model import MANAGED, OWN, SERVERS, Held, Model, Pin

TELLS = OWN | {"server"}
MOST_WRONG = 4
A_FEW = 3

Standing = tuple[object, ...]


class Checked(RuleBasedStateMachine):
    """A local Plex on a database in a file, with its model; `change` introduces a defect."""

    change: ClassVar[Change | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        db = f"sqlite:///{Path(self.folder.name) / 'plex.db'}"
        self.plex = Whole(household(), db=db, clock=Clock(START), change=type(self).change)
        self.plex.__enter__()
        self.model = Model(START)
        self.texts: dict[Held, str] = {}
        self.browsers: dict[Held, Browser] = {}
        self.shown: dict[Pin, dict[str, Any]] = {}
        self.signs: dict[Held | Pin, Key] = {}
        self.passwords: dict[str, str] = {}
        self.wrong: dict[str, int] = {}
        self.stood: dict[Held, Standing] = {}
        self.number = 0

    def teardown(self) -> None:
        self.plex.__exit__()
        self.folder.cleanup()

    @invariant()
    def a_token_stands_as_the_model_says(self) -> None:
        held = [*self.texts, *self.browsers]
        stands = {one: self.standing(one) for one in held}
        changed = [one for one in held if self.stood.get(one) != stands[one]]
        self.number += 1
        others = [held[(self.number * A_FEW + index) % len(held)] for index in range(A_FEW)] if held else []
        self.stood = stands
        for one in [*changed, *others]:
            assert stands[one] == self.seen(one), f"{one} stands otherwise"

    def standing(self, held: Held) -> Standing:
        """Return what each route should answer."""
        model = self.model
        if held.kind == "session":
            return (200 if model.good(held) else 303,)
        told, own = model.on_plex_tv(held, TELLS), model.on_plex_tv(held, OWN)
        levels = {"owner": 200, "shared": 403, None: 401}
        return (
            (told, IDS[held.owner] if told == 200 else None),
            legacy(own) if own != 200 else 200 if held.owner == "mira" else 404,
            *(levels[model.on_server(held, at)] for at in SERVERS),
        )

    def seen(self, held: Held) -> Standing:
        """Return what each route answers."""
        if held.kind == "session":
            return (self.browsers[held].get("/account").status,)
        text, plex = self.texts[held], self.plex
        user, shared, *accounts = plex.at_once(
            [
                plex.request("GET", "/api/v2/user", text),
                plex.request("GET", f"/api/servers/{ATTIC}/shared_servers", text),
                *(plex.request("GET", "/accounts", text, at=at) for at in SERVERS),
            ]
        )
        return (
            (user.status, user.json["id"] if user.status == 200 else None),
            shared.status,
            *(answer.status for answer in accounts),
        )

    def restart(self) -> None:
        self.plex.restart()

    def ask(self, method: str, target: str, token: Held | None = None, **more: Any) -> Answered:
        return self.plex.ask(method, target, self.texts[token] if token else None, **({"at": PLEX_TV} | more))

    def known(self, held: Held, text: str) -> Held:
        """Remember the text of a token that was just issued."""
        self.texts[held] = text
        return held

    def next(self) -> int:
        self.number += 1
        return self.number

    def password(self, name: str) -> str:
        return self.passwords.get(name, PASSWORD)

    def may_err(self, what: str) -> bool:
        """Count a failure, as long as it stays below the limits, which have their own tests."""
        self.wrong[what] = self.wrong.get(what, 0) + 1
        return self.wrong[what] <= MOST_WRONG

    def signed(self, key: Key, client: str) -> str:
        """Sign a device JWT with a new nonce."""
        return device_jwt(self.plex, key, client)

    def devices(self, owner: str) -> dict[str, int]:
        """Return the ids of an account's devices by client identifier."""
        rows = self.plex.run(self.plex.instance.store.devices.list_devices(IDS[owner], self.plex.instance.now()))
        return {row.client.client_identifier: row.id for row in rows}

    def removal_of(self, status: int, owner: str, leaves: str) -> int:
        """Return how a removal from the Home is answered: its administrator removes anybody, others only themselves."""
        if status != 200:
            return status
        if owner == leaves:
            return 403 if owner in MANAGED or owner not in self.model.home else 200
        return 200 if leaves in self.model.home else 404


def legacy(status: int) -> int:
    """Return what the legacy API answers for a status of v2."""
    return 422 if status == 401 else status
