"""Clients that sign in by PINs and sign out again while a local Plex is harmed, and what they were promised.

Rule: an answer is a promise, and no answer is neither yes nor no. What was promised is checked against the next start.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.faults.conftest import ANA, APPROVERS, BEN
from tests.faults.serving import HANG, Answer, Serving, ask, new_address

_TURNS = itertools.count()


@dataclass
class Ledger:
    """What the local Plex has acknowledged to clients, and what they do not know."""

    alive: set[str] = field(default_factory=set)
    """Issued tokens of clients that have not signed out."""
    ended: set[str] = field(default_factory=set)
    """Tokens whose sign-out was acknowledged."""
    linked: list[dict[str, Any]] = field(default_factory=list)
    """PINs whose approval was acknowledged."""
    doubtful: list[dict[str, Any]] = field(default_factory=list)
    """PINs whose approval got no response, or a server error."""
    refused: int = 0
    """The number of 503 responses."""
    unanswered: int = 0
    locked: int = 0
    """Approvals that were refused for too many wrong codes, because kills and failed writes may count as such."""
    wrong: list[str] = field(default_factory=list)
    """Errors that no injected fault explains."""

    @property
    def promised(self) -> int:
        """The number of acknowledged writes."""
        return len(self.linked) + len(self.ended)

    def expect(self, what: str, answer: Answer | None, *statuses: int) -> Answer | None:
        """Return an answer with one of these statuses, else `None`; any status but those and 503 is wrong."""
        if answer is None:
            self.unanswered += 1
        elif answer.status == 503:
            self.refused += 1
        elif answer.status in statuses:
            return answer
        elif (what, answer.status) == ("an approval", 429):
            self.locked += 1
        else:
            self.wrong.append(f"{what}: {answer.status}")
        return None


def sign_in_and_out(port: int, ledger: Ledger, *, leaves: bool, approver: str = ANA) -> bool:
    """Create a PIN, approve it, fetch its token, and sign out or not; return whether all of it was acknowledged."""
    where = new_address()
    made = ledger.expect("a new PIN", ask(port, "POST", "/api/v2/pins", address=where), 201)
    if made is None:
        return False
    pin = made.json
    approval = ask(port, "PUT", f"/api/v2/pins/link?code={pin['code']}", approver, address=where)
    if ledger.expect("an approval", approval, 204) is None:
        ledger.doubtful.append(pin)
        return False
    ledger.linked.append(pin)
    told = ledger.expect("a poll", ask(port, "GET", f"/api/v2/pins/{pin['id']}", address=where), 200)
    if told is None:
        return False
    token: str = told.json["authToken"]
    if not leaves:
        ledger.alive.add(token)
        return ledger.expect("a check", ask(port, "GET", "/api/v2/user", token, address=where), 200) is not None
    if ledger.expect("a sign-out", ask(port, "DELETE", "/api/v2/users/signout", token, address=where), 204) is None:
        return False
    ledger.ended.add(token)
    return ledger.expect("a check afterwards", ask(port, "GET", "/api/v2/user", token, address=where), 401) is not None


@contextmanager
def clients(serving: Serving, ledger: Ledger, count: int = 8, *, go_on: bool = False) -> Generator[threading.Event]:
    """Have that many clients at work until the `with` is over or nothing answers; yields what stops them earlier.

    Args:
        serving: whom they ask.
        ledger: where they write.
        count: how many there are.
        go_on: whether they go on after an answer that did not come.
    """
    stop = threading.Event()

    def work(number: int) -> None:
        own, leaves, approver = Ledger(), bool(number % 2), APPROVERS[next(_TURNS) % len(APPROVERS)]
        while not stop.is_set():
            unanswered = own.unanswered
            sign_in_and_out(serving.port, own, leaves=leaves, approver=approver)
            leaves = not leaves
            if own.unanswered > unanswered and not go_on:
                break
        with adding:
            _add(ledger, own)

    adding = threading.Lock()
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield stop
    finally:
        stop.set()
        for thread in threads:
            thread.join(HANG)
        assert not any(thread.is_alive() for thread in threads), "a client waits for ever"


def _add(ledger: Ledger, own: Ledger) -> None:
    ledger.alive |= own.alive
    ledger.ended |= own.ended
    ledger.linked += own.linked
    ledger.doubtful += own.doubtful
    ledger.wrong += own.wrong
    ledger.refused += own.refused
    ledger.unanswered += own.unanswered
    ledger.locked += own.locked


def assert_kept(ledger: Ledger, serving: Serving) -> None:
    """I1 to I4: nothing acknowledged is lost, nothing revoked is valid again, and nothing is issued twice."""
    assert not ledger.wrong, ledger.wrong

    def status(token: str) -> int | None:
        answer = serving.ask("GET", "/api/v2/user", token)
        return answer and answer.status

    assert {} == {token[:4]: found for token in ledger.alive if (found := status(token)) != 200}, "I1: lost"
    assert {} == {token[:4]: found for token in ledger.ended if (found := status(token)) != 401}, "I2: back"
    doubtful = [pin for pin in ledger.doubtful if _is_approved(serving, pin)]
    for pin in [*ledger.linked[-1:], *doubtful[-1:]]:  # wrong codes are counted: a few are enough
        assert _approve(serving, pin) in {404, 429}, "I3: approved twice"
    assert 401 == status("never-issued-012345x"), "I4: accepted what was never issued"
    ledger.alive.difference_update(list(ledger.alive)[:-50])  # later rounds look at the latest ones
    ledger.ended.difference_update(list(ledger.ended)[:-50])
    ledger.linked, ledger.doubtful = [], []


def _approve(serving: Serving, pin: dict[str, Any]) -> int | None:
    answer = serving.ask("PUT", f"/api/v2/pins/link?code={pin['code']}", BEN, address=new_address())
    return answer and answer.status


def _is_approved(serving: Serving, pin: dict[str, Any]) -> bool:
    answer = serving.ask("GET", f"/api/v2/pins/{pin['id']}", address=new_address())
    return answer is not None and answer.status == 200 and bool(answer.json["authToken"])
