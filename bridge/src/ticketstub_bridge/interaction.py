"""What a person's browser asks for: to sign in, to return from Plex, to consent, and to see and end sessions.

Rule: a GET creates nothing at Plex and decides nothing but what the person's own session allows. Each form belongs to
this bridge and this browser. A sign-in belongs to the browser that began it: its return in another one ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from ticketstub_bridge.authorization import (
    Authorization,
    AuthorizationError,
    UnknownApplication,
    check_authorization,
    issue_code,
)
from ticketstub_bridge.core import Bridge
from ticketstub_bridge.logout import end_session
from ticketstub_bridge.observing import log
from ticketstub_bridge.people import describe_scope, make_handles, may_come_in
from ticketstub_bridge.plex import Arrival, NotApproved, PlexUnavailable
from ticketstub_bridge.requests import (
    Parameters,
    get_address,
    get_bridge,
    get_browser,
    get_browser_label,
    get_session,
    is_own_form,
    needs_cookies,
    read_form,
    read_query,
    redirect,
    set_cookie,
)
from ticketstub_bridge.sealing import make_identifier
from ticketstub_bridge.storage import Person, Session

_MAX_URL = 4000  # proxies take at least this much


async def authorize(request: Request) -> Response:
    """Answer an authorization request: with a code, a page, or an error for the application."""
    bridge = get_bridge(request)
    parameters = await read_form(request) if request.method == "POST" else read_query(request)
    if needs_cookies(request) and not parameters.repeated:
        url = f"/authorize?{urlencode(parameters.values)}"
        if len(url) <= _MAX_URL:
            return redirect(url)
    session = await get_session(request)
    try:
        authorization = await bridge.run(check_authorization, bridge, parameters, session)
    except UnknownApplication as error:
        return bridge.pages.render_message("Unknown application", [error.text], status=400)
    except AuthorizationError as error:
        return redirect(error.url)
    if session is not None and not authorization.is_expected(session):
        session = None
    if "none" in authorization.prompt:
        return redirect(await bridge.run(_answer_silently, bridge, authorization, session))
    if session is None or authorization.needs_sign_in(session):
        return _show_sign_in(request, authorization, session)
    return await _proceed(request, authorization, session)


def _answer_silently(bridge: Bridge, authorization: Authorization, session: Session | None) -> str:
    """Return the answer to prompt=none, for which no page may be shown."""
    if session is None or authorization.needs_sign_in(session):
        return authorization.make_error("login_required")
    if not authorization.is_allowed(bridge, session):
        return authorization.make_error("access_denied")
    if _needs_consent(bridge, authorization, session):
        return authorization.make_error("consent_required")
    return issue_code(bridge, authorization, session)


def _needs_consent(bridge: Bridge, authorization: Authorization, session: Session) -> bool:
    if "consent" in authorization.prompt or not authorization.is_proven:
        return True
    known = bridge.store.consents.get_scope(session.person.sub, authorization.client.id)
    return not known.issuperset(authorization.scope.split())


def _show_sign_in(request: Request, authorization: Authorization | None, session: Session | None) -> Response:
    """Show the page "Continue to Plex"; its button creates the PIN."""
    bridge = get_bridge(request)
    browser, is_new = get_browser(request)
    response = bridge.pages.render(
        "continue.html",
        form_actions=bridge.pages.plex_origins,
        client_name=authorization.client.name if authorization else None,
        hidden_fields=dict(authorization.parameters) if authorization else {},
        form_token=bridge.sealer.make_form_token(browser, "sign-in"),
        person_name=session.person.name if session else None,
        cancel_url=authorization.make_error("access_denied") if authorization else None,
    )
    if is_new:
        set_cookie(bridge, response, "browser", browser)
    return response


async def _proceed(request: Request, authorization: Authorization, session: Session) -> Response:
    """Give the application its code, or ask for consent first."""
    bridge = get_bridge(request)
    if not authorization.is_allowed(bridge, session):
        return _show_not_allowed(request, authorization, session.person.name)
    if not await bridge.run(_needs_consent, bridge, authorization, session):
        return redirect(await bridge.run(issue_code, bridge, authorization, session))
    browser, is_new = get_browser(request)
    transaction_id = await bridge.run(
        bridge.store.transactions.begin_consent, browser, authorization.parameters, session.sid
    )
    response = redirect(f"/continue?{urlencode({'transaction': transaction_id})}")
    if is_new:
        set_cookie(bridge, response, "browser", browser)
    return response


def _show_not_allowed(request: Request, authorization: Authorization | None, name: str) -> Response:
    bridge = get_bridge(request)
    browser, is_new = get_browser(request)
    response = bridge.pages.render(
        "not_allowed.html",
        status=403,
        form_actions=bridge.pages.plex_origins,
        name=name,
        client_name=authorization.client.name if authorization else None,
        return_url=authorization.make_error("access_denied") if authorization else None,
        hidden_fields=dict(authorization.parameters) if authorization else {},
        form_token=bridge.sealer.make_form_token(browser, "sign-in"),
    )
    if is_new:
        set_cookie(bridge, response, "browser", browser)
    return response


async def begin_sign_in(request: Request) -> Response:
    """Create a PIN, and send the browser to Plex; the request is checked again."""
    bridge = get_bridge(request)
    form, (browser, is_new) = await read_form(request), get_browser(request)
    if is_new or not is_own_form(request, form.values, browser, "sign-in"):
        return _refuse_form(bridge)
    values = {name: value for name, value in form.values.items() if name != "form_token"}
    product = bridge.config.host
    if values:
        try:
            authorization = await bridge.run(check_authorization, bridge, _as_parameters(values), None)
        except UnknownApplication as error:
            return bridge.pages.render_message("Unknown application", [error.text], status=400)
        except AuthorizationError as error:
            return redirect(error.url)
        product = f"{authorization.client.name} at {bridge.config.host}"
    transaction_id = make_identifier()
    try:
        url, pending = await bridge.plex.begin(transaction_id, product)
    except PlexUnavailable:
        return _show_plex_unavailable(bridge)
    await bridge.run(bridge.store.transactions.begin, transaction_id, browser, values, pending)
    return redirect(url)


def _as_parameters(values: Mapping[str, str]) -> Parameters:
    return Parameters(list(values.items()))


async def return_from_plex(request: Request) -> Response:
    """Take the one return of a sign-in, and begin the session."""
    bridge = get_bridge(request)
    transaction_id = read_query(request).values.get("transaction", "")
    browser, _ = get_browser(request)
    transaction = await bridge.run(bridge.store.transactions.take_return, transaction_id, browser)
    if transaction is None or transaction.pending is None:
        bridge.metrics.sign_ins.labels("stale_return").inc()
        return bridge.pages.render_message(
            "This sign-in is over",
            [
                "It was begun in another browser, was finished already, or took longer than five minutes.",
                "If you approved something at Plex that you did not begin, remove that device there, under Settings.",
            ],
            status=400,
        )
    authorization = await _check_stored(bridge, transaction.request)
    try:
        arrival = await bridge.plex.finish(transaction.id, transaction.pending)
    except NotApproved:
        bridge.metrics.sign_ins.labels("not_approved").inc()
        return _show_retry(request, authorization, "Not approved", "Plex has no approval for this sign-in.")
    except PlexUnavailable:
        bridge.metrics.sign_ins.labels("plex_unavailable").inc()
        return _show_plex_unavailable(bridge)
    return await _welcome(request, transaction.id, authorization, arrival)


async def _check_stored(bridge: Bridge, values: Mapping[str, str]) -> Authorization | None:
    """Check a stored request again; `None` if there is none, or its application is gone."""
    if not values:
        return None
    try:
        return await bridge.run(check_authorization, bridge, _as_parameters(values), None)
    except (UnknownApplication, AuthorizationError):
        return None


def _show_retry(request: Request, authorization: Authorization | None, title: str, text: str) -> Response:
    bridge = get_bridge(request)
    link = (f"/authorize?{urlencode(authorization.parameters)}", "Try again") if authorization else ("/", "Try again")
    return bridge.pages.render_message(title, [text], links=[link], status=400)


async def _welcome(
    request: Request, transaction_id: str, authorization: Authorization | None, arrival: Arrival
) -> Response:
    """Begin the session of somebody who approved at Plex, or say why not."""
    bridge, profile = get_bridge(request), arrival.profile
    if not may_come_in(bridge.config, profile.account_id, profile.roles):
        bridge.metrics.sign_ins.labels("not_a_member").inc()
        client_id = authorization.client.id if authorization else None
        log("sign_in_refused", account=profile.account_id, client=client_id)
        await bridge.run(bridge.store.events.add, "refused", client_id=client_id, detail=str(profile.account_id))
        await bridge.plex.discard(arrival.token)
        return _show_not_allowed(request, authorization, profile.name)
    old = await get_session(request)
    person, sid, secret = await bridge.run(_record_arrival, bridge, arrival, old, request)
    if not bridge.config.keep_plex_token:
        await bridge.plex.discard(arrival.token)
    if not await bridge.run(bridge.store.transactions.sign_in, transaction_id, sid):
        await bridge.run(end_session, bridge, sid)
        return bridge.pages.render_message("This sign-in is over", ["Begin again in the application."], status=400)
    bridge.metrics.sign_ins.labels("signed_in").inc()
    log("signed_in", sub=person.sub, client=authorization.client.id if authorization else None)
    response = redirect(f"/continue?{urlencode({'transaction': transaction_id})}" if authorization else "/account")
    set_cookie(bridge, response, "session", secret, bridge.config.lifetimes.session_max)
    return response


def _record_arrival(bridge: Bridge, arrival: Arrival, old: Session | None, request: Request) -> tuple[Person, str, str]:
    """Store the person, their token and a session: a new secret in any case, a new session for another person."""
    store, label = bridge.store, get_browser_label(request)
    person = store.people.record_sign_in(arrival.profile, make_handles(arrival.profile.username))
    sealed = bridge.plex.seal_token(person.sub, arrival.token) if bridge.config.keep_plex_token else None
    store.people.store_plex_token(person.sub, sealed)
    store.events.add("signed_in", sub=person.sub, detail=f"{label}, {get_address(request)}")
    if old is not None and old.person.sub == person.sub and (secret := store.sessions.renew(old.sid)):
        return person, old.sid, secret
    if old is not None:
        end_session(bridge, old.sid)
    sid, secret = store.sessions.create(person.sub, label)
    return person, sid, secret


async def continue_sign_in(request: Request) -> Response:
    """Go on after the return from Plex, or with a consent: show the consent page, or give the application its code."""
    bridge, session = get_bridge(request), await get_session(request)
    browser, _ = get_browser(request)
    transaction_id = read_query(request).values.get("transaction", "")
    sid = session.sid if session else None
    transaction = await bridge.run(bridge.store.transactions.find, transaction_id, browser, sid) if sid else None
    authorization = await _check_stored(bridge, transaction.request) if transaction else None
    if session is None or authorization is None:
        return _show_over(bridge)
    if not authorization.is_expected(session):
        return redirect(authorization.make_error("login_required", "Somebody else has signed in."))
    if not authorization.is_allowed(bridge, session):
        return _show_not_allowed(request, authorization, session.person.name)
    if await bridge.run(_needs_consent, bridge, authorization, session):
        return bridge.pages.render(
            "consent.html",
            form_actions=bridge.pages.plex_origins,
            leads_on_to=authorization.redirect_uri,
            client_name=authorization.client.name,
            client_host=authorization.redirect_uri.partition("//")[2].partition("/")[0],
            person=session.person,
            permissions=describe_scope(authorization.scope),
            transaction=transaction_id,
            form_token=bridge.sealer.make_form_token(browser, f"consent {transaction_id}"),
            sign_in_token=bridge.sealer.make_form_token(browser, "sign-in"),
            hidden_fields=dict(authorization.parameters),
        )
    if not await bridge.run(bridge.store.transactions.finish, transaction_id, browser):
        return _show_over(bridge)
    return redirect(await bridge.run(issue_code, bridge, authorization, session))


async def decide_consent(request: Request) -> Response:
    """Take the decision of the consent page."""
    bridge, session = get_bridge(request), await get_session(request)
    form, (browser, _) = (await read_form(request)).values, get_browser(request)
    transaction_id = form.get("transaction", "")
    if session is None or not is_own_form(request, form, browser, f"consent {transaction_id}"):
        return _refuse_form(bridge)
    transaction = await bridge.run(bridge.store.transactions.find, transaction_id, browser, session.sid)
    authorization = await _check_stored(bridge, transaction.request) if transaction else None
    if authorization is None or not await bridge.run(bridge.store.transactions.finish, transaction_id, browser):
        return _show_over(bridge)
    if form.get("decision") != "allow":
        return redirect(authorization.make_error("access_denied", "The person refused."))
    if not authorization.is_allowed(bridge, session):
        return _show_not_allowed(request, authorization, session.person.name)
    sub, client_id = session.person.sub, authorization.client.id
    await bridge.run(bridge.store.consents.give, sub, client_id, frozenset(authorization.scope.split()))
    return redirect(await bridge.run(issue_code, bridge, authorization, session))


async def show_account(request: Request) -> Response:
    """Show the person's sessions."""
    bridge, session = get_bridge(request), await get_session(request)
    if session is None:
        return _show_sign_in(request, None, None)
    browser, is_new = get_browser(request)
    rows = await bridge.run(_list_sessions, bridge, session)
    response = bridge.pages.render(
        "account.html",
        person=session.person,
        sessions=rows,
        form_token=bridge.sealer.make_form_token(browser, "account"),
    )
    if is_new:
        set_cookie(bridge, response, "browser", browser)
    return response


def _list_sessions(bridge: Bridge, current: Session) -> list[dict[str, object]]:
    clients = bridge.config.clients
    return [
        {
            "sid": each.sid,
            "browser": each.browser,
            "seen_at": bridge.pages.format_time(each.seen_at),
            "is_current": each.sid == current.sid,
            "clients": [clients[name].name for name in bridge.store.sessions.list_clients(each.sid) if name in clients],
        }
        for each in bridge.store.sessions.list_active(current.person.sub)
    ]


async def end_own_sessions(request: Request) -> Response:
    """End one of the person's sessions, or all of them."""
    bridge, session = get_bridge(request), await get_session(request)
    form, (browser, _) = (await read_form(request)).values, get_browser(request)
    if session is None or not is_own_form(request, form, browser, "account"):
        return _refuse_form(bridge)
    if form.get("all"):
        await bridge.run(bridge.store.endings.end_person, session.person.sub, bridge.told_clients)
    else:
        own = {each.sid for each in await bridge.run(bridge.store.sessions.list_active, session.person.sub)}
        if (sid := form.get("sid", "")) in own:
            await bridge.run(end_session, bridge, sid)
        if sid != session.sid:
            return redirect("/account")
    return bridge.pages.render("signed_out.html", return_url=None, problem=None)


def _refuse_form(bridge: Bridge) -> Response:
    return bridge.pages.render_message(
        "This page is out of date",
        ["The form was not sent by this browser, or cookies are switched off. Begin again in the application."],
        status=403,
    )


def _show_over(bridge: Bridge) -> Response:
    return bridge.pages.render_message(
        "This sign-in is over",
        ["It was finished already, or took too long. Begin again in the application."],
        status=400,
    )


def _show_plex_unavailable(bridge: Bridge) -> Response:
    return bridge.pages.render_message(
        "Plex does not answer", ["Nobody can sign in until Plex answers again. Try again in a minute."], status=503
    )
