"""The disk is full in the middle of sign-ins: nothing is promised without a stored byte, or honoured twice."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx2 as httpx
import pytest

from bridge_tests.bridges import FILMS, SECRET, basic, get_query
from bridge_tests.browsing import Application, Browser, find_form
from bridge_tests.processes import ServedBridge, run_bridge_command
from ticketstub.testing import LocalPlexController

ROUNDS = int(os.environ.get("BRIDGE_DISK_ROUNDS", "12"))
LONG = 'keep_plex_token = false\nlifetimes = { access_token = "6h", code = "1h" }'


class Disk(Protocol):
    """A place for a bridge's files whose space a test can take away and give back."""

    folder: Path

    def fill(self, served: ServedBridge) -> None:
        """Leave no room."""

    def free(self, served: ServedBridge) -> None:
        """Give room again."""


class SmallDisk:
    """A file system of eight MiB, enough for the database and its write-ahead log; what fills it is one more file.

    Mounting it takes the rights of root.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, served: ServedBridge) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 512)
            except OSError:
                pass

    def free(self, served: ServedBridge) -> None:
        self._ballast.unlink()


class LimitedFiles:
    """A limit of one byte on the files that the process writes, its log too: every write fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, served: ServedBridge) -> None:
        resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def free(self, served: ServedBridge) -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(served.pid, resource.RLIMIT_FSIZE, unlimited)


@contextmanager
def mount_disk(folder: Path) -> Iterator[SmallDisk]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system takes the rights of root; the limit on files is tested instead")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=["small", "limited"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "limited":
        (tmp_path / "bridge").mkdir()
        yield LimitedFiles(tmp_path / "bridge")
        return
    with mount_disk(tmp_path / "bridge") as small:
        yield small


@pytest.fixture
def served(disk: Disk, local_plex: LocalPlexController, tmp_path: Path) -> Iterator[ServedBridge]:
    served = ServedBridge(local_plex, disk.folder, top=LONG)
    served.log = tmp_path / "log"  # on another disk
    served.start()
    yield served
    served.kill()


class Ledger:
    """What an application was told about each code and refresh token."""

    def __init__(self, served: ServedBridge) -> None:
        self._served = served
        self.honoured: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.live: list[dict[str, str]] = []

    async def post(self, path: str, form: dict[str, str]) -> httpx.Response:
        async with self._served.http(timeout=30) as http:
            answer = await http.post(path, data=form, headers=basic("films", SECRET))
        self.statuses[answer.status_code] += 1
        return answer

    async def redeem(self, form: dict[str, str]) -> dict[str, str] | None:
        """Exchange a code or refresh token; `None` if it was refused, or the bridge could not."""
        answer = await self.post("/token", form)
        assert answer.status_code in {200, 400, 503}, answer.text
        if answer.status_code != 200:
            assert (answer.status_code == 503) == ("temporarily_unavailable" in answer.text)
            return None
        self.honoured[form.get("code") or form["refresh_token"]] += 1
        return dict(answer.json())

    async def count_live(self) -> int:
        """Return how many access tokens that were given count."""
        async with self._served.http() as http:
            answers = [
                await http.get("/userinfo", headers={"Authorization": f"Bearer {each['access_token']}"})
                for each in self.live
            ]
        return sum(each.status_code == 200 for each in answers)


async def get_code(served: ServedBridge, browser: Browser) -> dict[str, str]:
    """Get a code in a session; returns the form that redeems it."""
    films = Application(served, scope="openid offline_access")
    answer = await browser.sign_in_again(films.make_url())
    return {
        "grant_type": "authorization_code",
        "code": get_query(answer)["code"],
        "redirect_uri": FILMS,
        "code_verifier": films.verifier,
    }


async def test_a_full_disk_stores_nothing_and_promises_nothing(served: ServedBridge, disk: Disk) -> None:
    """While nothing can be stored, every write is answered by 503; then what was refused works, and only once."""
    browser = Browser(served)
    await browser.sign_in(Application(served, scope="openid offline_access").make_url())
    ledger, codes = Ledger(served), []
    for _ in range(ROUNDS):
        forms = [await get_code(served, browser) for _ in range(3)]
        codes += forms
        kept = await ledger.redeem(forms[0])
        assert kept is not None
        ledger.live.append(kept)
        refresh = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]}
        disk.fill(served)
        while True:  # what is free within the database's own pages is used up first
            late = await get_status(browser, Application(served, scope="openid offline_access").make_url())
            assert late in {303, 503}
            if late == 503:
                break
        await asyncio.gather(ledger.redeem(forms[1]), ledger.redeem(forms[1]))
        ledger.live += [each for each in [await ledger.redeem(forms[2]), await ledger.redeem(refresh)] if each]
        revoked = await ledger.post("/revoke", {"token": kept["access_token"]})
        assert revoked.status_code in {200, 503}
        async with served.http() as http:
            assert 200 == (await http.get("/livez")).status_code
            headers = {"Authorization": f"Bearer {kept['access_token']}"}
            expected = 401 if revoked.status_code == 200 else 200
            assert expected == (await http.get("/userinfo", headers=headers)).status_code
        if revoked.status_code == 200:
            ledger.live.remove(kept)
        disk.free(served)
        for form in (forms[2], refresh):
            if not ledger.honoured[form.get("code") or form["refresh_token"]]:
                again = await ledger.redeem(form)
                assert again is not None, "what was refused for want of room works when there is room"
                ledger.live.append(again)
    assert len(ledger.live) == await ledger.count_live()
    for form in codes:
        if ledger.honoured[form["code"]]:
            assert await ledger.redeem(form) is None
    assert {1} == set(ledger.honoured.values())
    assert ledger.statuses[503] >= ROUNDS
    print(f"{ledger.statuses[503]} times 503, {len(ledger.live)} live, {sum(ledger.honoured.values())} redeemed")


async def get_status(browser: Browser, url: str) -> int:
    return (await browser.get(url)).status_code


async def test_signing_out_on_a_full_disk_is_not_claimed(served: ServedBridge, disk: Disk) -> None:
    """A sign-out or sign-in that cannot be stored says so; the page never says otherwise, and later it works."""
    browser, films = Browser(served), Application(served)
    await browser.sign_in(films.make_url())
    page = find_form(await browser.get("/account"), "/account")
    newcomer = Browser(served)
    back = newcomer.approve(await newcomer.go_to_plex(films.make_url()), "mira_quill")
    disk.fill(served)
    for _ in range(5000):
        if await get_status(browser, films.make_url()) == 503:
            break
    answer = await browser.submit(page, all="yes")
    assert (503, False) == (answer.status_code, "You are signed out" in answer.text)
    refused = await newcomer.get(back)
    assert 503 == refused.status_code
    assert "set-cookie" not in refused.headers
    disk.free(served)
    assert "You are signed in" in (await browser.get("/account")).text
    assert "You are signed out" in (await browser.submit(page, all="yes")).text
    assert "You are signed in" not in (await browser.get("/account")).text
    assert await films.redeem(await Browser(served).sign_in(films.make_url()))


async def test_a_bridge_does_not_start_on_a_full_disk(disk: Disk, local_plex: LocalPlexController) -> None:
    """Without room for its tables the bridge says so in a sentence, and starts when there is room."""
    if not isinstance(disk, SmallDisk):
        pytest.skip("a limit can be set only on a process that runs")
    served = ServedBridge(local_plex, disk.folder)
    disk.fill(served)
    result = run_bridge_command("serve", "--folder", str(disk.folder))
    assert 1 == result.returncode
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert "full" in result.stderr or "space" in result.stderr or "I/O" in result.stderr
    disk.free(served)
    served.log = disk.folder.parent / "log"
    served.start()
    served.kill()
