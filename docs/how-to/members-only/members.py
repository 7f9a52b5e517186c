"""A website for the members of one Plex media server: its owner, their Home, and the friends it is shared with."""

import os
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from html import escape
from typing import Annotated, NamedTuple

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware

from ticketstub import AsyncPendingSignIn, AsyncPlex, Denied, Device, PinExpired, PlexError

SITE = os.environ["SITE_URL"].rstrip("/")  # how browsers reach this website
SERVER = os.environ["PLEX_SERVER"]  # the server's identifier: `ticketstub servers` shows it
OWNER = int(os.environ["PLEX_OWNER"])  # the id of its owner's account: `ticketstub whoami` shows it
MAX_AGE = 3600  # seconds after which a member signs in again, and the membership is checked again

device = Device(client_identifier=os.environ["PLEX_CLIENT_IDENTIFIER"], product="Members Only")
plex = AsyncPlex(device=device, plex_tv=os.environ.get("PLEX_TV", "https://plex.tv"))
clock = time.time


class Member(NamedTuple):
    """What the session cookie says about a member. The cookie is signed but can be read: it holds no token."""

    id: int
    name: str
    role: str
    expires_at: float


def require_member(request: Request) -> Member:
    """Return the member whose session this is, or refuse the request."""
    member = Member(*request.session.get("member", (0, "", "", 0)))
    if member.expires_at <= clock():
        raise HTTPException(401, "Please sign in.")
    return member


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """Close the connections to Plex when the website stops."""
    async with plex:
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)
https_only = SITE.startswith("https://")
app.add_middleware(SessionMiddleware, os.environ["SESSION_SECRET"], max_age=MAX_AGE, https_only=https_only)


@app.post("/sign-in")
async def begin_sign_in(request: Request) -> Response:
    """Send the browser to Plex, and remember in its session which sign-in it has begun."""
    state = secrets.token_urlsafe()
    pending = await plex.begin_sign_in(forward_url=f"{SITE}/plex/done?state={state}")
    request.session["begun"] = {"state": state, "pending": pending.dump()}
    return RedirectResponse(pending.url, 303)


@app.get("/plex/done")
async def finish_sign_in(request: Request, state: str) -> Response:
    """Admit the person who comes back from Plex, if this browser began the sign-in and they are a member."""
    begun = request.session.get("begun")
    if not begun or begun["state"] != state:
        raise HTTPException(403, "This sign-in was not begun in this browser.")
    pending = AsyncPendingSignIn.load(begun["pending"], plex=plex)
    if not await pending.is_done():
        raise HTTPException(403, "You have not approved the sign-in at Plex.")
    user = await pending.finish()
    try:
        account = await user.account()
        role = await account.membership(SERVER, owner=OWNER)
    finally:
        with suppress(PlexError):  # the token is not needed any more: revoke it
            await user.sign_out()
    request.session.clear()
    if role is None or account.id is None:
        raise HTTPException(403, "This Plex account is not a member.")
    request.session["member"] = Member(account.id, account.name, role, clock() + MAX_AGE)
    return RedirectResponse("/", 303)


@app.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session in this browser."""
    request.session.clear()
    return RedirectResponse("/", 303)


@app.get("/")
async def home(member: Annotated[Member, Depends(require_member)]) -> Response:
    """Show the page for members. Any other page becomes members-only with the same parameter."""
    return show_page(f"Welcome, {member.name} ({member.role})", action="sign-out", button="Sign out")


@app.exception_handler(HTTPException)
async def show_refusal(_request: Request, error: HTTPException) -> Response:
    """Say why the person is not admitted, and offer to sign in."""
    return show_page(error.detail, error.status_code)


@app.exception_handler(PlexError)
async def show_plex_error(_request: Request, error: PlexError) -> Response:
    """Admit nobody if the sign-in is over, or if Plex did not confirm the account for any other reason."""
    if isinstance(error, (PinExpired, Denied)):
        return show_page("The sign-in was declined or took too long.", 403)
    return show_page("Plex did not confirm your account. Please try again later.", 503)


def show_page(text: str, status: int = 200, *, action: str = "sign-in", button: str = "Sign in with Plex") -> Response:
    """Show a page with one sentence and one button."""
    body = f'<!doctype html><html lang="en"><title>Members only</title><h1>{escape(text)}</h1>'
    body += f'<form method="post" action="/{action}"><button>{button}</button></form>'
    return HTMLResponse(body, status, headers={"Cache-Control": "no-store"})
