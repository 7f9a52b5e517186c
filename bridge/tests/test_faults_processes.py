"""kill -9 in the middle of sign-ins: what was promised holds, and nothing one-time happens twice."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import httpx2 as httpx
import pytest

from bridge_tests.bridges import FILMS, SECRET, basic, get_query
from bridge_tests.browsing import Application, Browser
from bridge_tests.processes import ServedBridge
from bridge_tests.replicas import DATABASES, run_replicas
from ticketstub.testing import LocalPlexController

SIGN_INS = int(os.environ.get("BRIDGE_SIGN_INS", "300"))
AT_ONCE = 6
KILL_EACH = 20  # sign-ins between two kills
LIFETIMES_TOP = 'keep_plex_token = false\nlifetimes = { access_token = "6h", code = "1h" }'


class Ledger:
    """What the bridge has acknowledged, and what is not known because the answer never came."""

    def __init__(self) -> None:
        self.honoured: Counter[str] = Counter()
        self.codes: list[dict[str, str]] = []
        self.used: list[str] = []
        self.live: list[dict[str, str]] = []
        self.revoked: list[dict[str, str]] = []
        self.unknown = 0
        self.finished = 0


class Applications:
    """An application that signs people in although replicas die.

    Args:
        replicas: the replicas; each request goes to any of them.
        ledger: what is noted.
        chance: chooses.
    """

    def __init__(self, replicas: list[ServedBridge], ledger: Ledger, chance: random.Random) -> None:
        self._replicas = replicas
        self._ledger = ledger
        self._chance = chance

    async def post(self, path: str, form: dict[str, str]) -> httpx.Response:
        """Send a form until an answer comes that is no 503."""
        while True:
            served = self._chance.choice(self._replicas)
            try:
                async with served.http(timeout=20) as http:
                    answer = await http.post(path, data=form, headers=basic("films", SECRET))
            except httpx.HTTPError:
                self._ledger.unknown += 1
            else:
                if answer.status_code != 503:
                    return answer
            await asyncio.sleep(0.1)

    async def redeem(self, form: dict[str, str]) -> dict[str, str] | None:
        """Redeem a code or refresh token, and count it if that was acknowledged."""
        answer = await self.post("/token", form)
        if answer.status_code != 200:
            assert (400, "invalid_grant") == (answer.status_code, answer.json()["error"]), answer.text
            return None
        self._ledger.honoured[form.get("code") or form["refresh_token"]] += 1
        return dict(answer.json())

    async def get_code(self) -> dict[str, str]:
        """Sign a person in; returns the form that redeems the code."""
        while True:
            served = self._chance.choice(self._replicas)
            films = Application(served, scope="openid offline_access")
            try:
                answer = await Browser(served).sign_in(films.make_url(), self._chance.choice(["tom", "mira_quill"]))
            except (httpx.HTTPError, AssertionError):  # it was killed, or answers 503: the person begins again
                self._ledger.unknown += 1
                await asyncio.sleep(0.1)
                continue
            form = {"grant_type": "authorization_code", "code": get_query(answer)["code"], "redirect_uri": FILMS}
            return form | {"code_verifier": films.verifier}

    async def sign_in(self) -> None:
        """Sign a person in, redeem, refresh, and for one in three revoke."""
        ledger, form = self._ledger, await self.get_code()
        ledger.codes.append(form)
        if tokens := await self.redeem(form):
            ledger.used.append(tokens["refresh_token"])
            refreshed = await self.redeem({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
            if refreshed and self._chance.random() < 1 / 3:
                await self.post("/revoke", {"token": refreshed["refresh_token"]})
                ledger.revoked.append(refreshed)
            elif refreshed:
                ledger.live.append(refreshed)
        ledger.finished += 1


async def kill_often(replicas: list[ServedBridge], ledger: Ledger, chance: random.Random) -> int:
    """Kill a replica again and again, at any moment of what it does, until all sign-ins are finished."""
    kills, due = 0, KILL_EACH
    while ledger.finished < SIGN_INS:
        await asyncio.sleep(chance.uniform(0.01, 0.2))
        if ledger.finished >= due:
            served = chance.choice(replicas)
            served.kill()
            await asyncio.to_thread(served.start)
            kills, due = kills + 1, ledger.finished + KILL_EACH
    return kills


@pytest.mark.parametrize("kind", DATABASES)
async def test_kill_9_during_300_sign_ins(kind: str, local_plex: LocalPlexController, tmp_path: Path) -> None:
    """No code and no refresh token is honoured twice, no revoked token at all, and no acknowledged one is lost."""
    ledger, chance = Ledger(), random.Random(7)
    with run_replicas(kind, 2 if kind == "postgresql" else 1, local_plex, tmp_path, LIFETIMES_TOP) as replicas:
        applications = Applications(replicas, ledger, chance)
        limit = asyncio.Semaphore(AT_ONCE)

        async def sign_in() -> None:
            async with limit:
                await applications.sign_in()

        async with asyncio.TaskGroup() as group:
            killing = group.create_task(kill_often(replicas, ledger, chance))
            for _ in range(SIGN_INS):
                group.create_task(sign_in())
        assert killing.result() >= SIGN_INS // KILL_EACH // 2

        async def get_state(tokens: dict[str, str], served: ServedBridge) -> int:
            async with served.http(timeout=60) as http:
                header = {"Authorization": f"Bearer {tokens['access_token']}"}
                return (await http.get("/userinfo", headers=header)).status_code

        for served in replicas:
            assert {200} == {await get_state(tokens, served) for tokens in ledger.live}
            assert {401} == {await get_state(tokens, served) for tokens in ledger.revoked}
        for tokens in ledger.revoked:
            assert (
                await applications.redeem({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
                is None
            )
        for form in [*ledger.codes, *({"grant_type": "refresh_token", "refresh_token": each} for each in ledger.used)]:
            if ledger.honoured[form.get("code") or form["refresh_token"]]:
                assert await applications.redeem(form) is None
    assert {1} == set(ledger.honoured.values())
    assert len(ledger.live) + len(ledger.revoked) > SIGN_INS // 2
    print(f"{kind}: {killing.result()} kills, {ledger.unknown} requests without an answer, {len(ledger.live)} live")
