"""One instance across an application: threads, tasks and forked workers."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client.conftest import DEVICE
from tests.local_plex.asking import MIRA, TOM
from tests.sdk_pages.ledger import Row, shows
from tests.sdk_pages.stage import Stage, ask
from ticketstub import AsyncPlex, Plex

TOKENS = {MIRA: "mira_quill", TOM: "tom"}
EACH = [*TOKENS] * 20


@shows
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of a fork beside threads: the test's subject
def test_one_instance(stage: Stage, row: Row) -> None:
    """One client serves many users at once, each with the reply to their own request, also in a forked worker."""
    given: dict[str, Any] = {"device": DEVICE, "plex_tv": stage.wire().url, "token": MIRA}
    if stage.facade == "sync":
        _threads_and_a_worker(Plex(**given), stage)
    else:
        _tasks_and_a_worker(AsyncPlex(**given), stage)


def _threads_and_a_worker(plex: Plex, stage: Stage) -> None:
    with plex, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda token: ask(plex, "details", token=token).username, EACH))
        assert [TOKENS[token] for token in EACH] == found
        assert 8 >= stage.wire().connections
        _in_a_worker(lambda: ask(plex, "details").username)
        assert "mira_quill" == ask(plex, "details").username


def _tasks_and_a_worker(plex: AsyncPlex, stage: Stage) -> None:
    async def all_at_once() -> list[str]:
        return [account.username for account in await asyncio.gather(*(ask(plex, "details", token=t) for t in EACH))]

    async def once() -> str:
        return (await ask(plex, "details")).username

    async def close() -> None:
        await plex.close()

    with asyncio.Runner() as runner:
        assert [TOKENS[token] for token in EACH] == runner.run(all_at_once())
        _in_a_worker(lambda: asyncio.run(once()))
        assert "mira_quill" == runner.run(once())
        runner.run(close())


def _in_a_worker(username: Any) -> None:
    """Make a call in a forked process."""
    if not hasattr(os, "fork"):
        return
    if (child := os.fork()) == 0:
        try:
            os._exit(0 if username() == "mira_quill" else 1)
        finally:
            os._exit(2)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
