"""What a sign-in costs: from the approval at Plex to the application, the token endpoint, and a whole sign-in.

Rule: the floors are the poll's own second, the signature alone, and npm oidc-provider with the same client, whose
development pages stand for the approval. The bridge's sign-in includes what it asks the local Plex.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx2 as httpx
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey

from benchmarks.measure import Row, rounds
from benchmarks.processes import free_port, server
from bridge.benchmarks.serving import run_bridge, run_plex
from bridge_tests.bridges import BOOKS, FILMS, OTHER_SECRET, SECRET
from bridge_tests.browsing import Application, Browser
from bridge_tests.processes import ServedBridge

_ROUNDS = 9
_REDEMPTIONS = 10
_SIGNATURES = 50
_PEER = Path(__file__).parent / "oidc_provider"
_KEPT = Path(__file__).parents[2] / ".strangers" / "oidc-provider-9.13.3"
Measure = Callable[[], Awaitable[float]]


def rows() -> Iterator[Row]:
    """Measure signing in."""
    with run_plex() as plex, run_bridge(plex) as served:
        yield _approval(served)
        yield _token_endpoint(served)
        if shutil.which("npm") is None:
            print("no row for a whole sign-in beside oidc-provider: it needs Node.js and npm")
            return
        with _run_peer() as peer:
            yield _whole(served, peer)


def _turn(measure: Measure) -> Callable[[], float]:
    return lambda: asyncio.run(measure())


def _approval(served: ServedBridge) -> Row:
    async def sign_in() -> float:
        browser, films = Browser(served), Application(served)
        plex_url = await browser.go_to_plex(films.make_url())
        back = browser.approve(plex_url, "tom")
        started = time.perf_counter()
        answer = await browser.follow(await browser.get(back))
        location = answer.headers["location"] if answer.is_redirect else await browser.allow(answer)
        tokens = await films.redeem(location)
        assert (await films.userinfo(tokens["access_token"])).status_code == 200
        return (time.perf_counter() - started) * 1000

    figures = rounds({"ours": _turn(sign_in)}, _ROUNDS)
    figure = figures["ours"]
    verdict = f"{figure.median:.0f} ms, the slowest {figure.high:.0f} ms"
    return Row("from the approval at Plex to the application's claims", "ms", figures, "≤ 1 s + 300 ms", verdict)


def _token_endpoint(served: ServedBridge) -> Row:
    def redeem(client_id: str, secret: str, uri: str) -> Measure:
        async def measure() -> float:
            browser = Browser(served)
            application = Application(served, client_id, secret, uri)
            answers = [await browser.sign_in(application.make_url())]
            while len(answers) < _REDEMPTIONS:
                answers.append(await browser.sign_in_again(application.make_url()))
            started = time.perf_counter()
            for answer in answers:
                await application.redeem(answer)
            return (time.perf_counter() - started) / _REDEMPTIONS * 1000

        return measure

    def sign(algorithm: str, key: RSAKey | OKPKey) -> Callable[[], float]:
        claims = {"iss": "http://localhost", "sub": "x" * 22, "aud": "films", "nonce": "x" * 22, "name": "Tom"}

        def measure() -> float:
            started = time.perf_counter()
            for _ in range(_SIGNATURES):
                jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])
            return (time.perf_counter() - started) / _SIGNATURES * 1000

        return measure

    figures = rounds(
        {
            "ours, RS256": _turn(redeem("films", SECRET, FILMS)),
            "ours, EdDSA": _turn(redeem("books", OTHER_SECRET, BOOKS)),
            "RS256 alone": sign("RS256", RSAKey.generate_key(2048)),
            "Ed25519 alone": sign("EdDSA", OKPKey.generate_key("Ed25519")),
        },
        _ROUNDS,
    )
    verdict = ", ".join(f"{name} {figure.median:.1f} ms" for name, figure in figures.items())
    return Row("POST /token, one after the other", "ms", figures, "reported", verdict)


@contextmanager
def _run_peer() -> Generator[str]:
    if not (_KEPT / "node_modules").exists():
        _KEPT.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(_PEER / name, _KEPT)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=_KEPT, check=True)
    program = shutil.copy(_PEER / "server.mjs", _KEPT)
    port = free_port()
    with server(["node", str(program), str(port), FILMS, "films", SECRET], port):
        yield f"http://localhost:{port}"


def _whole(served: ServedBridge, peer: str) -> Row:
    async def ours() -> float:
        started = time.perf_counter()
        browser, films = Browser(served), Application(served)
        tokens = await films.redeem(await browser.sign_in(films.make_url()))
        assert (await films.userinfo(tokens["access_token"])).status_code == 200
        return (time.perf_counter() - started) * 1000

    async def theirs() -> float:
        started = time.perf_counter()
        async with (
            AsyncOAuth2Client(
                "films", SECRET, scope="openid profile email", redirect_uri=FILMS, code_challenge_method="S256"
            ) as client,
            httpx.AsyncClient() as browser,
        ):
            url, state = client.create_authorization_url(f"{peer}/auth", code_verifier="v" * 48, nonce="n")
            answer = await _walk(browser, await browser.get(url))
            tokens = await client.fetch_token(
                f"{peer}/token", authorization_response=answer, code_verifier="v" * 48, state=state
            )
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            assert (await browser.get(f"{peer}/me", headers=headers)).status_code == 200
        return (time.perf_counter() - started) * 1000

    figures = rounds({"ours": _turn(ours), "oidc-provider 9.13.3": _turn(theirs)}, _ROUNDS)
    share = figures["ours"].median / figures["oidc-provider 9.13.3"].median
    verdict = f"{share:.1f} × by medians; ours also asks the local Plex, four times"
    return Row("a whole sign-in with Authlib's client", "ms", figures, "reported", verdict)


async def _walk(browser: httpx.AsyncClient, step: httpx.Response) -> str:
    """Follow redirects and fill in the development pages, until the browser is sent to the application."""
    while True:
        if step.is_redirect:
            address = urljoin(str(step.url), step.headers["location"])
            if address.startswith(FILMS):
                return address
            step = await browser.get(address)
            continue
        form = _Form()
        form.feed(step.text)
        step = await browser.post(form.action, data=form.fields | {"login": "tom", "password": "x"})


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given["action"]
        elif tag == "input" and given.get("type") == "hidden":
            self.fields[given["name"]] = given["value"]
