"""Finding the best address of a media server: a race between its addresses, which the identity decides.

Rule: no token is sent before the address has proved to be this media server: it answers `/identity`, without a token
and without a redirect, under a certificate for its name, with the machine identifier that plex.tv lists. Then the
server's own token is checked on that address only, or, if that does not answer, on another one that has proved to be
the server. The address that worked last time on this network starts first, and plex.tv is asked only if it does not
answer at once. The others follow one after the other. A better address is waited for if it has had no more time than a
worse one needed. One time limit covers everything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import NamedTuple, cast

from ticketstub.client.config import CallSettings
from ticketstub.client.flows.candidates import (
    MAX_RUNNING,
    Candidate,
    ConnectOptions,
    list_candidates,
    may_dial,
    rank_candidates,
)
from ticketstub.client.flows.home import list_resources
from ticketstub.client.flows.known_servers import (
    choose_server,
    drop_deadline,
    find_known,
    forget_server,
    make_settings,
    remember,
)
from ticketstub.client.flows.probe import (
    find_sources,
    get_server_name,
    look_up_name,
    make_route,
    make_server_error,
    probe,
    report_failure,
)
from ticketstub.client.flows.request import (
    Detach,
    Finished,
    Flow,
    FlowContext,
    Invoke,
    NextFinished,
    RunShared,
    Start,
    run_blocking,
    send_call,
)
from ticketstub.credentials.store import KnownServer
from ticketstub.dns import parse_plex_direct
from ticketstub.errors import (
    CredentialsError,
    PlexError,
    ServerNotFound,
    TimedOut,
    Unreachable,
)
from ticketstub.messages import split_url
from ticketstub.models import Resource
from ticketstub.protocol.media_server import GetServerInformation
from ticketstub.protocol.resource import GetResources
from ticketstub.refusals import ServerError, Unauthorized
from ticketstub.routes import AddressReport, RouteReason, ServerRoute

HEAD_START = 0.3
"""Seconds that the remembered address has before any other is tried."""
MAX_INTERVAL = 0.25
MIN_INTERVAL = 0.1
"""The most and the fewest seconds between the starts of two addresses."""
START_SPAN = 0.3
"""Seconds within which all addresses are started, unless that would be less than `MIN_INTERVAL` apart."""
ADMISSION_HEAD_START = 1.0
"""Seconds that the check of the token on one address has before it begins on another one, too."""
GRACE = 0.1
"""Seconds that a better address has more than a worse one needed."""
RELAY_DELAY = 2.0
"""Seconds after which relays are tried although direct addresses have not failed yet."""
STORE_WAIT = 0.5
"""Seconds for which `connect` waits until what worked is stored. Storing it goes on afterwards."""
BETTER_WAIT = 15.0
"""Seconds for which better addresses are tried in the background."""


class _Verified(NamedTuple):
    """An address that has proved to be the server, and how many seconds that took."""

    candidate: Candidate
    seconds: float


def connect(options: ConnectOptions, context: FlowContext) -> Flow[CallSettings]:
    """Return the settings for the best address of a media server, with the server's own token.

    Raises:
        ServerNotFound: the account has no such server; `AmbiguousServer` if it has several.
        ServerUnreachable: no address answered as this server in time.
        CredentialsError: plex.tv lists no token for the server.
        Unauthorized: the server refused the token that plex.tv lists for it.
    """
    create = partial(_connect, options, context)
    if options.on_better:
        return (yield from create())
    server = options.server
    target = server if isinstance(server, str) else (server.client_identifier, server.access_token)
    key = ("connect", target, options.allow_http, options.max_wait, id(context.settings))
    return cast("CallSettings", (yield RunShared(key, create)))


def _connect(options: ConnectOptions, context: FlowContext) -> Flow[CallSettings]:
    race = Race(options, context)
    settings = yield from race.run()
    later = drop_deadline(context)
    if not race.is_listed:
        yield Detach(refresh(race.query, later))
    if options.on_better and (better := race.list_better(settings)):
        yield Detach(_watch_for_better(race, better, options.on_better, later))
    return settings


class Race:
    """The search for the best address of one media server."""

    def __init__(self, options: ConnectOptions, context: FlowContext) -> None:
        self._options = options
        self._context = context
        self._clock = context.clock.monotonic
        self._started_at = self._clock()
        deadline = context.settings.deadline
        self._deadline = min(self._started_at + options.max_wait, inf if deadline is None else deadline)
        self._network_name = ""
        self._known: KnownServer | None = None
        server = options.server
        self.query = server if isinstance(server, str) else server.client_identifier or ""
        self._resource = Resource()
        self._is_offline = False
        self._listing: int | None = None
        self._listing_error: PlexError | None = None
        self.is_listed = False
        self._waiting: list[Candidate] = []
        self._running: dict[int, tuple[Candidate, float]] = {}
        self._lookups: dict[int, Candidate] = {}
        self._looked_up: set[str] = set()
        self._attempted: list[Candidate] = []
        self._verified: list[_Verified] = []
        self._admissions: dict[int, Candidate] = {}
        self._last_admission = float("-inf")
        self._seen: set[tuple[str, str | None]] = set()
        self._reports: dict[tuple[str, str | None], AddressReport] = {}
        self._interval = MAX_INTERVAL
        self._next_start = self._started_at
        self._last_start = float("-inf")

    def run(self) -> Flow[CallSettings]:
        """Run the race and return the settings for the winner; see `connect`."""
        yield from self._prepare()
        while True:
            now = self._clock()
            if now >= self._deadline or not (yield from self._start_due(now)):
                raise self._make_error()
            finished = cast("Finished | None", (yield NextFinished(self._get_delay())))
            if finished and (settings := (yield from self._note(finished))):
                yield from self._remember(settings)
                return settings

    def _prepare(self) -> Flow[None]:
        """Find out what is known, and start with that, or by asking plex.tv."""
        self._network_name = yield from run_blocking(self._options.network.describe)
        self._known = find_known(self.query, self._context)
        if isinstance(self._options.server, Resource):
            self.is_listed = True
            yield from self._add_candidates(self._options.server)
        elif self._known and self._known.resource.access_token:
            yield from self._add_candidates(self._known.resource)

    def _add_candidates(self, resource: Resource) -> Flow[None]:
        """Add the addresses of a resource that are not in the race yet."""
        if resource.access_token is None:
            raise CredentialsError(
                f"plex.tv lists no token for {get_server_name(resource)}",
                hint="if your Plex Home user has a passcode, call media_server_token(passcode=…) once first",
            )
        self._resource = resource
        found, rejected = list_candidates(resource, allow_http=self._options.allow_http)
        sources = yield from find_sources(found, self._options.network)
        remembered = self._known.routes.get(self._network_name) if self._known else None
        ranked = rank_candidates(found, remembered, sources)
        for report in rejected:
            self._reports.setdefault((report.url, None), report)
        new = [each for each in ranked if (each.url, each.address) not in self._seen]
        self._seen |= {(each.url, each.address) for each in new}
        self._waiting = sorted([*self._waiting, *new], key=lambda each: each.order)
        direct = sum(not each.is_relay for each in self._waiting)
        self._interval = max(MIN_INTERVAL, min(MAX_INTERVAL, START_SPAN / max(1, direct - 1)))

    def _choose(self, now: float) -> _Verified | None:
        """Return the address to use, unless a better one, or the check on another, still deserves to be waited for."""
        if not self._verified or (self._admissions and now < self._last_admission + ADMISSION_HEAD_START):
            return None
        best = min(self._verified, key=lambda each: each.candidate.order)
        return None if now < self._get_end_of_grace(best) else best

    def _get_end_of_grace(self, verified: _Verified) -> float:
        """Return until when a better address than this one is waited for."""
        starts = (started for candidate, started in self._running.values() if candidate.order < verified[0].order)
        return max((started + verified.seconds + GRACE for started in starts), default=float("-inf"))

    def _start_due(self, now: float) -> Flow[bool]:
        """Start what is due, and return whether anything is left to wait for."""
        if winner := self._choose(now):
            self._verified.remove(winner)
            number = yield Start(self._check_token(winner, self._deadline))
            self._admissions[cast("int", number)] = winner.candidate
            self._last_admission = now
        if self._may_list(now):
            self._listing = cast("int", (yield Start(list_resources(GetResources(), self._context))))
        if self._next_start <= now and (candidate := self._pop_next(now)):
            attempt = probe(candidate, self.identifier, self._context, self._deadline)
            self._running[cast("int", (yield Start(attempt)))] = candidate, now
            self._attempted.append(candidate)
            self._last_start = now
            self._next_start = now + (HEAD_START if candidate.is_remembered else self._interval)
        elif self._next_start <= now and not (self._verified or self._admissions):
            yield from self._start_lookups()
        is_waiting = self._running or self._lookups or self._listing or self._verified or self._admissions
        return bool(is_waiting or self._waiting)

    def _may_list(self, now: float) -> bool:
        """Return whether plex.tv is to be asked now: the remembered address, if any, has had its head start."""
        if self.is_listed or self._listing is not None:
            return False
        running = [candidate for candidate, _ in self._running.values()]
        has_head_start = any(each.is_remembered for each in (*running, *self._waiting, *self._admissions.values()))
        return not has_head_start or now >= self._started_at + HEAD_START

    def _pop_next(self, now: float) -> Candidate | None:
        if not self._waiting or len(self._running) >= MAX_RUNNING:
            return None
        are_direct_over = not (self._running or self._lookups) and (self.is_listed or self._listing_error is not None)
        if self._waiting[0].is_relay and not are_direct_over and now < self._started_at + RELAY_DELAY:
            return None
        return self._waiting.pop(0)

    def _start_lookups(self) -> Flow[None]:
        """Look up the names below plex.direct whose own address does not answer: a hosts file may say otherwise."""
        for candidate in self._attempted:
            origin, _ = split_url(candidate.url)
            is_new = candidate.url not in self._looked_up
            self._looked_up.add(candidate.url)
            if not is_new or parse_plex_direct(origin.host) is None:
                continue
            number = cast("int", (yield Start(look_up_name(origin.host, origin.port, self._deadline))))
            self._lookups[number] = candidate

    def _get_delay(self) -> float:
        """Return the seconds until something is due, if nothing ends before."""
        moments = [self._deadline]
        if self._waiting and len(self._running) < MAX_RUNNING:
            is_relay = self._waiting[0].is_relay
            moments.append(max(self._next_start, self._started_at + RELAY_DELAY if is_relay else 0.0))
        if not self.is_listed and self._listing is None:
            moments.append(self._started_at + HEAD_START)
        if len(self._looked_up) < len(self._attempted):
            moments.append(self._next_start)
        for each in self._verified:
            moments += [self._get_end_of_grace(each), self._last_admission + ADMISSION_HEAD_START]
        now = self._clock()
        return max(0.0, min([moment for moment in moments if moment > now], default=now) - now)

    def _note(self, finished: Finished) -> Flow[CallSettings | None]:
        """Note what a flow that was started has found; return the settings if that is an address to use."""
        number, value, error = finished
        if error is not None and not isinstance(error, PlexError):
            raise error
        if self._admissions.pop(number, None):
            if error is not None:
                raise error
            return cast("CallSettings | None", value)
        if number == self._listing:
            yield from self._note_listing(cast("tuple[Resource, ...]", value), error)
        elif candidate := self._lookups.pop(number, None):
            addresses = [] if error else cast("list[str]", value)
            self._add_alternatives(candidate, addresses)
        elif number in self._running:
            candidate, started = self._running.pop(number)
            if error is None:
                self._verified.append(_Verified(candidate, self._clock() - started))
            else:
                self._reports[candidate.url, candidate.address] = report_failure(candidate, error)
                self._next_start = min(self._next_start, self._last_start + MIN_INTERVAL)
        return None

    def _note_listing(self, resources: tuple[Resource, ...], error: PlexError | None) -> Flow[None]:
        """Take the server from plex.tv's list; without the list, go on with what is known."""
        self._listing = None
        self.is_listed = True
        if error is not None:
            self._listing_error = error
            self._is_offline = isinstance(error, Unreachable | ServerError)
            if self._known is None or self._known.resource.access_token is None:
                raise error
            return
        try:
            resource = choose_server(resources, self.query)
        except ServerNotFound:
            if self._known is not None:
                yield from forget_server(self._known, self._context)
            raise
        if self._known is not None and resource.client_identifier != self._known.resource.client_identifier:
            yield from forget_server(self._known, self._context)
            self._start_over()
        yield from self._add_candidates(resource)

    def _start_over(self) -> None:
        """Drop all that was found out about another server, which had the name before."""
        self._known = None
        self._waiting, self._verified, self._attempted = [], [], []
        self._running, self._lookups, self._admissions = {}, {}, {}
        self._seen, self._looked_up, self._reports = set(), set(), {}

    def _add_alternatives(self, candidate: Candidate, addresses: list[str]) -> None:
        """Add the addresses that a look-up gave for a name, if they are others than the name contains."""
        for address in addresses[:MAX_RUNNING]:
            if (candidate.url, address) not in self._seen and may_dial(candidate, address):
                self._seen.add((candidate.url, address))
                self._waiting.insert(0, candidate._replace(address=address, order=max(0, candidate.order)))

    def admit(self, winner: _Verified, deadline: float) -> Flow[CallSettings | None]:
        """Check the server's token on an address that has proved to be the server, and remember the address.

        Returns:
            The settings for it, or `None` if it does not accept requests.
        """
        if settings := (yield from self._check_token(winner, deadline)):
            yield from self._remember(settings)
        return settings

    def _check_token(self, winner: _Verified, deadline: float) -> Flow[CallSettings | None]:
        """Return the flow that checks the server's token on an address that has proved to be the server.

        The token is fixed before the flow begins: by then, the race may be about another server of the same name.

        Returns:
            The settings for it, or `None` if it does not accept requests.
        """
        settings = make_settings(self._context, self._resource, self._make_route(winner))
        return self._send_check(winner.candidate, settings, deadline, self._reports)

    def _send_check(
        self,
        candidate: Candidate,
        settings: CallSettings,
        deadline: float,
        reports: dict[tuple[str, str | None], AddressReport],
    ) -> Flow[CallSettings | None]:
        context = self._context._replace(settings=settings).with_attempts(1, deadline)
        try:
            yield from send_call(GetServerInformation(), context)
        except Unauthorized as refusal:
            refusal.hint = refusal.hint or "is the server still shared with this account?"
            raise
        except CredentialsError:
            raise
        except PlexError as error:
            reports[candidate.url, candidate.address] = report_failure(candidate, error)
            return None
        return settings

    def _remember(self, settings: CallSettings) -> Flow[None]:
        """Remember what worked, without waiting long for the store: its user may have to unlock a keyring first."""
        if settings.route is None or settings.route.is_relay:
            return
        flow = remember(self._resource, settings.route, self._network_name, self._known, self._context)
        number = yield Start(flow)
        deadline = self._clock() + STORE_WAIT
        while finished := cast("Finished | None", (yield NextFinished(deadline - self._clock()))):
            if finished.number == number:
                return

    def _make_route(self, winner: _Verified) -> ServerRoute:
        candidate, seconds = winner
        is_best = not any(each.order < candidate.order for each, _ in self._running.values())
        reason: RouteReason = "remembered" if candidate.is_remembered else "best" if is_best else "first"
        return make_route(candidate, self._resource, seconds, reason=reason, is_offline=self._is_offline)

    @property
    def identifier(self) -> str:
        """The machine identifier that an address must prove."""
        return self._resource.client_identifier or ""

    def list_better(self, settings: CallSettings) -> list[Candidate]:
        """Return the addresses that are better than the winner and have not failed."""
        chosen = next((each for each in self._attempted if settings.route and each.url == settings.route.url), None)
        if chosen is None:
            return []
        others = [*(each for each, _ in self._running.values()), *self._admissions.values(), *self._waiting]
        return [each for each in others if each.rank < chosen.rank]

    def _make_error(self) -> PlexError:
        """Make the error for a race without a winner, with a report of each address."""
        if self._listing_error is not None and not self._is_offline:
            return self._listing_error  # it says more: the sign-in is over
        if self._listing is not None and self._known is None:
            origin = split_url(self._context.issuer)[0]
            return TimedOut(f"{origin} did not answer in the time allowed", reason="no_answer")
        for candidate in [*(each for each, _ in self._running.values()), *self._admissions.values()]:
            report = candidate.report("no_answer", "it did not answer in the time allowed")
            self._reports[candidate.url, candidate.address] = report
        for candidate in self._waiting:
            self._reports.setdefault((candidate.url, candidate.address), candidate.report("not_tried", "no time left"))
        return make_server_error(self._resource, tuple(self._reports.values()))


def refresh(query: str, context: FlowContext) -> Flow[None]:
    """Ask plex.tv again for a server that was found from memory, and remember or forget it accordingly."""
    known = find_known(query, context)
    resources = yield from list_resources(GetResources(), context)
    try:
        resource = choose_server(resources, query)
    except ServerNotFound:
        if known:
            yield from forget_server(known, context)
        return
    yield from remember(resource, None, "", known, context)


def _watch_for_better(
    race: Race, candidates: list[Candidate], on_better: Callable[[CallSettings], object], context: FlowContext
) -> Flow[None]:
    """Try better addresses for a while, and offer the first that proves to be the server."""
    deadline = context.clock.monotonic() + BETTER_WAIT
    running: dict[int, tuple[Candidate, float]] = {}
    for candidate in candidates[:MAX_RUNNING]:
        number = yield Start(probe(candidate, race.identifier, context, deadline))
        running[cast("int", number)] = candidate, context.clock.monotonic()
    while running:
        finished = cast("Finished | None", (yield NextFinished(deadline - context.clock.monotonic())))
        if finished is None:
            return
        candidate, started = running.pop(finished.number)
        if finished.error is None:
            verified = _Verified(candidate, context.clock.monotonic() - started)
            if settings := (yield from race.admit(verified, deadline)):
                yield Invoke(partial(on_better, settings))
                return
