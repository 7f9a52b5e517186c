"""One-time things through two processes at once, on both databases."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2 as httpx
import pytest

from bridge_tests.bridges import FILMS, SECRET, basic, get_query
from bridge_tests.browsing import Application, Browser
from bridge_tests.processes import ServedBridge
from bridge_tests.replicas import DATABASES, run_replicas
from ticketstub.testing import LocalPlexController

ROUNDS = int(os.environ.get("BRIDGE_ROUNDS", "200"))
REQUESTS = 64
NO_CHECKS = "keep_plex_token = false"  # a refresh then asks Plex for nothing


def make_form(films: Application, answer: str) -> dict[str, str]:
    code = get_query(answer)["code"]
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": FILMS,
        "code_verifier": films.verifier,
    }


class Race:
    """Sends the same request through all replicas at once, on connections that stay open."""

    def __init__(self, stack: AsyncExitStack, replicas: list[ServedBridge]) -> None:
        self.clients = [
            httpx.AsyncClient(base_url=each.address, timeout=120, limits=httpx.Limits(max_connections=REQUESTS // 2))
            for each in replicas
        ]
        for client in self.clients:
            stack.push_async_callback(client.aclose)

    async def redeem(self, form: dict[str, str]) -> dict[str, str]:
        """Send the form 64 times; returns the only answer with tokens."""
        headers = basic("films", SECRET)
        calls = [
            self.clients[number % len(self.clients)].post("/token", data=form, headers=headers)
            for number in range(REQUESTS)
        ]
        answers = await asyncio.gather(*calls)
        winners = [each.json() for each in answers if each.status_code == 200]
        assert 1 == len(winners)
        others = {(each.status_code, each.json()["error"]) for each in answers if each.status_code != 200}
        assert {(400, "invalid_grant")} == others
        return dict(winners[0])

    async def list_states(self, tokens: dict[str, str]) -> set[int]:
        """Ask every replica for userinfo, with an access token that it has not seen before."""
        header = {"Authorization": f"Bearer {tokens['access_token']}"}
        return {(await client.get("/userinfo", headers=header)).status_code for client in self.clients}


@pytest.mark.parametrize("kind", DATABASES)
async def test_one_of_64_redemptions_wins_through_two_processes(
    kind: str, local_plex: LocalPlexController, tmp_path: Path
) -> None:
    """Of 64 redemptions of one code through two processes one wins, and its tokens end, 200 times."""
    with run_replicas(kind, 2, local_plex, tmp_path, NO_CHECKS) as replicas:
        async with AsyncExitStack() as stack:
            race, films, browser = Race(stack, replicas), Application(replicas[0]), Browser(replicas[0])
            answer = await browser.sign_in(films.make_url())
            for _ in range(ROUNDS):
                tokens = await race.redeem(make_form(films, answer))
                assert {401} == await race.list_states(tokens)
                answer = await browser.sign_in_again(films.make_url())


@pytest.mark.parametrize("kind", DATABASES)
async def test_one_of_64_refreshes_wins_through_two_processes(
    kind: str, local_plex: LocalPlexController, tmp_path: Path
) -> None:
    """Of 64 uses of one refresh token through two processes one wins, and the grant ends, 200 times."""
    with run_replicas(kind, 2, local_plex, tmp_path, NO_CHECKS) as replicas:
        async with AsyncExitStack() as stack:
            race, browser = Race(stack, replicas), Browser(replicas[0])
            films = Application(replicas[0], scope="openid offline_access")
            answer = await browser.sign_in(films.make_url())
            for _ in range(ROUNDS):
                first = await films.redeem(answer)
                form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
                tokens = await race.redeem(form)
                assert {401} == await race.list_states(tokens)
                form["refresh_token"] = tokens["refresh_token"]
                for client in race.clients:
                    late = await client.post("/token", data=form, headers=basic("films", SECRET))
                    assert (400, "invalid_grant") == (late.status_code, late.json()["error"])
                answer = await browser.sign_in_again(films.make_url())
