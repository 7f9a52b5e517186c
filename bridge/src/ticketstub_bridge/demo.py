"""`ticketstub bridge demo` and `run`: a local Plex and a bridge on this computer, with an application or your program.

Rule: everything is on loopback; people and secrets are made up. The application signs people in as any application
would: by the bridge's discovery document, with S256, state and nonce. The bridge is `localhost` and the others are
`127.0.0.1`, because cookies do not tell ports apart.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import click
import uvicorn
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ticketstub.testing import World, local_plex
from ticketstub_bridge.pages import STATIC_FILES
from ticketstub_bridge.running import RunningBridge, run_bridge
from ticketstub_bridge.serving import open_listener

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Demo application</title>
<link rel="stylesheet" href="/pages.css">
<main id="main"><h1>Demo application</h1><div class="ticket">{body}</div></main>
"""


def run_demo(port: int) -> None:
    """Run the demonstration until Ctrl-C.

    Args:
        port: the bridge's port; 0 takes a free one.
    """
    world = World.demo()
    with open_listener("127.0.0.1:0") as listener, local_plex(world) as plex:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with run_bridge(plex, [f"{url}/callback"], port=port) as bridge:
            click.echo(f"Local Plex    {plex.url}\nBridge        {bridge.url}\nApplication   {url}\n")
            click.echo(f"Open {url} and sign in. At the local Plex, use one of these people:\n")
            for account in world.accounts:
                password = account.password.reveal() if account.password else "none"  # made up, and for this
                click.echo(f"  {account.username:<12} password {password}")
            click.echo("\nmira_quill owns the server, it is shared with tom, and juno_vale has no access.")
            click.echo(f"Mira needs a verification code, too: {_name_command()} code mira_quill --demo")
            click.echo("Ctrl-C ends everything.")
            config = uvicorn.Config(create_demo_app(bridge, url), log_level="error", lifespan="off")
            uvicorn.Server(config).run([listener])


def _name_command() -> str:
    """Return how to call `ticketstub` in this shell, whose search path may not have this environment."""
    return "ticketstub" if shutil.which("ticketstub") else f"{os.path.relpath(sys.executable)} -m ticketstub"


def run_program(
    command: tuple[str, ...], redirect_uris: list[str], *, world: Path | None = None, person: str | None = None
) -> int:
    """Run a program beside a local Plex and a bridge, and return its exit code.

    Args:
        command: the program and its arguments. BRIDGE_ISSUER and further variables name the bridge.
        redirect_uris: the addresses of its application; the first one is also BRIDGE_REDIRECT_URI.
        world: the file of the local Plex's people; by default the demonstration's.
        person: who is signed in without a page.
    """
    with local_plex(world) as plex, run_bridge(plex, redirect_uris) as bridge:
        bridge.person = person
        env = os.environ | plex.env | bridge.env | {"BRIDGE_REDIRECT_URI": redirect_uris[0]}
        return subprocess.run(command, env=env, check=False).returncode  # noqa: S603  # what the user asked for


def create_demo_app(bridge: RunningBridge, url: str) -> Starlette:
    """Return an application that signs people in.

    Args:
        bridge: the bridge.
        url: the application's address.
    """
    begun: dict[str, dict[str, str]] = {}
    discovery_url = f"{bridge.url}/.well-known/openid-configuration"

    async def show_start(_request: Request) -> Response:
        return _render('<div><p>Nobody is signed in here.</p></div><div class="tear"></div><form method="post" '
                       'action="/sign-in"><button class="main">Sign in with Plex</button></form>')  # fmt: skip

    async def begin(_request: Request) -> Response:
        state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        begun[state] = {"verifier": verifier, "nonce": nonce}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        parameters = {
            "response_type": "code",
            "client_id": bridge.client_id,
            "redirect_uri": f"{url}/callback",
            "scope": "openid profile email groups",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        response = RedirectResponse(f"{bridge.url}/authorize?{urlencode(parameters)}", 303)
        response.set_cookie("state", state, httponly=True, samesite="lax")
        return response

    async def finish(request: Request) -> Response:
        query, state = request.query_params, request.cookies.get("state", "")
        known = begun.pop(state, None)
        if known is None or query.get("state") != state or query.get("iss") != bridge.url:
            return _render("<div><p>This sign-in was not begun in this browser.</p></div>", 400)
        if "code" not in query:
            return _render(f"<div><p>Not signed in: {html.escape(query.get('error', ''))}.</p></div>", 403)
        claims = await _redeem(query["code"], known)
        rows = "".join(
            f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd></div>"
            for name, value in claims.items()
        )
        return _render(f'<div><p class="app">Signed in as {html.escape(str(claims.get("name")))}</p>'
                       f'<dl class="facts">{rows}</dl></div><div class="tear"></div>'
                       f'<div><p><a href="{bridge.url}/account">My sessions at the bridge</a></p></div>')  # fmt: skip

    async def _redeem(code: str, known: dict[str, str]) -> dict[str, Any]:
        async with aiohttp.ClientSession(auth=aiohttp.BasicAuth(bridge.client_id, bridge.client_secret)) as http:
            metadata = await (await http.get(discovery_url)).json()
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": f"{url}/callback",
                "code_verifier": known["verifier"],
            }
            tokens = await (await http.post(metadata["token_endpoint"], data=form)).json()
            keys = KeySet.import_key_set(await (await http.get(metadata["jwks_uri"])).json())
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        registry = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": bridge.url},
            aud={"essential": True, "value": bridge.client_id},
            nonce={"essential": True, "value": known["nonce"]},
            exp={"essential": True},
        )
        registry.validate(claims)
        return claims

    async def show_style(_request: Request) -> Response:
        content, media_type = STATIC_FILES["pages.css"]
        return Response(content, media_type=media_type)

    return Starlette(
        routes=[
            Route("/", show_start),
            Route("/sign-in", begin, methods=["POST"]),
            Route("/callback", finish),
            Route("/pages.css", show_style),
        ]
    )


def _render(body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(body=body), status)
