"""Ending sessions: by the person, by an application, by the administrator; and telling the applications.

Rule: an application's request ends a session without a question only if it proves, by an ID token of this bridge, that
it belongs to that session. The browser is sent only to a registered address. Telling applications never delays anybody.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from ticketstub_bridge.config import Client
from ticketstub_bridge.core import Bridge
from ticketstub_bridge.observing import log, log_failure
from ticketstub_bridge.provider import append_parameters
from ticketstub_bridge.requests import (
    get_bridge,
    get_browser,
    get_cookie_name,
    get_session,
    is_own_form,
    needs_cookies,
    read_form,
    read_query,
    redirect,
    set_cookie,
)
from ticketstub_bridge.sealing import make_identifier
from ticketstub_bridge.storage import LogoutMessage
from ticketstub_bridge.storage.endings import LONGEST_WAIT

BACKCHANNEL_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_TOKEN_SECONDS = 120
_SECONDS = 5.0
"""How long an application may take to answer a message."""
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = (5.0, 30.0, 120.0, LONGEST_WAIT)
_AT_ONCE = 8
"""Messages that are on their way to one application at most."""


def end_session(bridge: Bridge, sid: str) -> bool:
    """End a session and what was given in it, and tell the applications; returns whether it was active. Blocks."""
    is_ended = bridge.store.endings.end_session(sid, bridge.told_clients)
    if is_ended:
        bridge.store.events.add("signed_out", detail=sid)
    return is_ended


def end_person(bridge: Bridge, sub: str, reason: str) -> int:
    """End all sessions and grants of a person, also offline ones; returns the number of sessions. Blocks."""
    ended = bridge.store.endings.end_person(sub, bridge.told_clients)
    bridge.store.events.add(reason, sub=sub)
    log(reason, sub=sub, sessions=ended)
    return ended


async def log_out(request: Request) -> Response:
    """Answer an application's logout request (OpenID Connect RP-Initiated Logout), or the person's own."""
    bridge, session = get_bridge(request), await get_session(request)
    parameters = await read_form(request) if request.method == "POST" else read_query(request)
    values, (browser, is_new) = parameters.values, get_browser(request)
    claims = await bridge.run(bridge.keys.verify, values["id_token_hint"]) if "id_token_hint" in values else None
    is_valid, client = _find_client(bridge, values, claims)
    if needs_cookies(request) and claims is None and "id_token_hint" not in values and not parameters.repeated:
        # Without its cookie nobody knows whether there is a session to ask about.
        query = urlencode({name: value for name, value in values.items() if name != "form_token"})
        return redirect(f"/logout?{query}")
    if parameters.repeated or ("id_token_hint" in values and claims is None) or not is_valid:
        return bridge.pages.render_message(
            "Not signed out",
            ["The application's request to sign you out is not valid. You can sign out on the page of your sessions."],
            links=[("/account", "My sessions")],
            status=400,
        )
    return_url = _find_return_url(client, values)
    is_confirmed = request.method == "POST" and is_own_form(request, values, browser, "log-out")
    is_proven = claims is not None and session is not None and claims.get("sid") == session.sid
    if session is not None and not is_proven and not is_confirmed:
        page = bridge.pages.render(
            "log_out.html",
            leads_on_to=return_url,
            client_name=client.name if client else None,
            person=session.person,
            hidden_fields={name: value for name, value in values.items() if name != "form_token"},
            form_token=bridge.sealer.make_form_token(browser, "log-out"),
        )
        if is_new:
            set_cookie(bridge, page, "browser", browser)
        return page
    if session is not None:
        await bridge.run(end_session, bridge, session.sid)
    elif claims is not None and isinstance(sid := claims.get("sid"), str):
        await bridge.run(end_session, bridge, sid)  # another browser's, which the application proves to be in
    if return_url is not None:
        response: Response = redirect(return_url)
    else:
        problem = _describe_problem(client) if "post_logout_redirect_uri" in values else None
        status = 400 if problem else 200
        response = bridge.pages.render("signed_out.html", status=status, return_url=None, problem=problem)
    cookie = get_cookie_name(bridge, "session")
    if cookie in request.cookies:
        response.delete_cookie(cookie, path="/", secure=bridge.config.is_https, httponly=True)
    return response


def _find_client(bridge: Bridge, values: dict[str, str], claims: dict[str, Any] | None) -> tuple[bool, Client | None]:
    """Return whether a logout request does not contradict itself, and its application, if it names one."""
    audience, named = (claims or {}).get("aud"), values.get("client_id")
    if claims is not None and (claims.get("iss") != bridge.config.url or (named and named != audience)):
        return False, None
    client_id = named or audience
    return True, bridge.config.clients.get(client_id) if isinstance(client_id, str) else None


def _find_return_url(client: Client | None, values: dict[str, str]) -> str | None:
    url = values.get("post_logout_redirect_uri")
    if client is None or url is None or url not in client.post_logout_redirect_uris:
        return None
    return append_parameters(url, {"state": values["state"]}) if "state" in values else url


def _describe_problem(client: Client | None) -> str:
    """Say why nobody is sent to the address that a logout request names."""
    if client is None:
        return "The application that asked for this did not say which one it is, so nothing leads back to it."
    return (
        f"{client.name} asked to send you back to an address that is not registered for it. Its administrator can "
        "add the exact address to post_logout_redirect_uris in bridge.toml."
    )


async def keep_delivering(bridge: Bridge) -> None:
    """Send logout messages as they become due. A slow application delays its own messages, and no others."""
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(deliver_logouts(bridge))
            await asyncio.sleep(_LOOK_SECONDS)


async def deliver_logouts(bridge: Bridge) -> None:
    """Send the logout messages that are due, except to applications to which others are on their way."""
    try:
        found = await bridge.run(bridge.store.endings.list_due_clients)
        due = [each for each in found if each not in bridge.notified_clients]
        bridge.notified_clients.update(due)
        await asyncio.gather(*(_deliver_to(bridge, each) for each in due))
    except Exception as error:  # noqa: BLE001  # the next round may succeed
        log_failure("logouts_not_delivered", error)


async def _deliver_to(bridge: Bridge, client_id: str) -> None:
    """Send the messages for one application that are due, a few at a time."""
    try:
        while messages := await bridge.run(bridge.store.endings.claim_messages, client_id, _AT_ONCE):
            await asyncio.gather(*(_deliver(bridge, each) for each in messages))
    finally:
        bridge.notified_clients.discard(client_id)


async def _deliver(bridge: Bridge, message: LogoutMessage) -> None:
    client = bridge.config.clients.get(message.client_id)
    if client is None or client.backchannel_logout_uri is None:
        await bridge.run(bridge.store.endings.finish_message, message.id)
        return
    token = await bridge.run(_make_logout_token, bridge, client, message)
    try:
        with bridge.metrics.logout_seconds.labels(client.id).time():
            async with asyncio.timeout(_SECONDS):
                status = await bridge.send_logout(client.backchannel_logout_uri, token)
    except Exception as error:  # noqa: BLE001  # whatever an application's server does, the others are told too
        log_failure("logout_not_delivered", error, client=client.id)
        status = 0
    if status in {200, 204}:
        bridge.metrics.logouts.labels("delivered").inc()
        await bridge.run(bridge.store.endings.finish_message, message.id)
        return
    is_last = message.attempts >= len(_RETRY_SECONDS) or 400 <= status < 500
    bridge.metrics.logouts.labels("given_up" if is_last else "postponed").inc()
    if is_last:
        log("logout_given_up", logging.WARNING, client=client.id, status=status)
        await bridge.run(bridge.store.endings.finish_message, message.id)
    else:
        seconds = _RETRY_SECONDS[message.attempts]
        await bridge.run(bridge.store.endings.postpone_message, message.id, seconds)


def _make_logout_token(bridge: Bridge, client: Client, message: LogoutMessage) -> str:
    now = int(bridge.database.get_time())
    claims = {
        "iss": bridge.config.url,
        "aud": client.id,
        "iat": now,
        "exp": now + _TOKEN_SECONDS,
        "jti": make_identifier(),
        "sub": message.sub,
        "sid": message.sid,
        "events": {BACKCHANNEL_EVENT: {}},
    }
    return bridge.keys.sign(claims, client.signing, kind="logout+jwt")
