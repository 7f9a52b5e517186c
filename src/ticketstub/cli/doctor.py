"""`ticketstub doctor`: check this computer, the network and the media servers, and say what to do.

Rule: every check ends with a sentence, whatever is broken, and is printed as soon as it ends. Nothing is stored or
changed. Checks without the network are in local_checks.py.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import click

from ticketstub.cli import addresses, local_checks, options, output
from ticketstub.cli.addresses import Outcome
from ticketstub.cli.errors import FAILED, CommandError, InvalidUsage
from ticketstub.cli.local_checks import CheckState, Diagnosis
from ticketstub.cli.options import CliCommand
from ticketstub.cli.sign_ins import ConnectionOptions, create_client, open_client
from ticketstub.errors import PlexError, Unreachable
from ticketstub.messages import Origin, Response, split_url

if TYPE_CHECKING:
    from ticketstub import Resource
    from ticketstub.credentials import Entry

_INDENT = 9
_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}
_SLIGHT_DEVIATION, _LARGE_DEVIATION = 30.0, 300.0
"""Seconds from which verification codes, and from which signatures with a device key, are refused (assumed)."""


@click.command(cls=CliCommand)
@options.allow_http
@options.max_wait
@options.pass_connection
def doctor(*, connection: ConnectionOptions, as_json: bool, allow_http: bool, max_wait: float) -> int:
    """Check this computer, the network and the media servers, and say what to do.

    Each check says ok, warning or problem. Without a sign-in or a network, the checks that need one are skipped.
    Standard input is not read. The exit code is 0 if there is no problem, else 1.
    """
    entry = connection.entry  # refuses invalid options before anything is printed
    checks: list[Diagnosis] = []
    for check in _run_checks(connection, entry, allow_http=allow_http, max_wait=max_wait):
        checks.append(check)
        if not as_json:
            _print_check(check)
    counts = Counter(check.state for check in checks)
    if as_json:
        data = {"checks": [check._asdict() for check in checks]}
        output.print_json({**data, "problems": counts["problem"], "warnings": counts["warning"]})
    else:
        print(f"\nProblems: {counts['problem']}. Warnings: {counts['warning']}.")
    return FAILED if counts["problem"] else 0


def _print_check(check: Diagnosis) -> None:
    label = (check.state, _STYLES[check.state])
    output.print_line(f"{check.name}: {check.finding}", indent=_INDENT, label=label)
    if check.advice:
        output.print_line(f"hint: {check.advice}", indent=_INDENT)
    addresses.print_reports(check.addresses, indent=_INDENT)


def _run_checks(
    connection: ConnectionOptions, entry: Entry, *, allow_http: bool, max_wait: float
) -> Iterator[Diagnosis]:
    yield local_checks.check_versions()
    yield local_checks.check_sqlite()
    yield local_checks.check_keyring(entry)
    yield local_checks.check_folder()
    yield from local_checks.check_sign_ins()
    yield local_checks.check_authorities()
    origin, _ = split_url(connection.plex_tv)
    yield local_checks.check_proxy(origin)
    with addresses.show_progress(f"Asking {origin.host}"):
        found = [check_lookup(origin, connection.timeout), *_ask_plex_tv(connection, origin)]
    yield from found
    yield from _check_servers(connection, allow_http=allow_http, max_wait=max_wait)


def check_lookup(origin: Origin, timeout: float) -> Diagnosis:
    """Check that a name can be looked up, and does not lead to this computer."""
    from ticketstub.client.transports.dial import find_proxy
    from ticketstub.dns import is_loopback, look_up, parse_ip, resolve_with_system

    name = "name look-up"
    if is_loopback(origin.host) or parse_ip(origin.host):
        return Diagnosis(name, "skipped", f"{origin.host} needs none")
    with suppress(Unreachable):
        if find_proxy(origin):
            return Diagnosis(name, "skipped", f"the proxy looks {origin.host} up")
    try:
        found = look_up(origin.host, origin.port, resolve_with_system, time.monotonic() + timeout)
    except TimeoutError:
        finding = f"no answer for {origin.host} in {timeout:g} seconds"
    except OSError:
        finding = f"{origin.host} cannot be looked up"
    else:
        addresses_found = sorted({each.ip for each in found})
        parsed = [address for each in addresses_found if (address := parse_ip(each))]
        finding = f"{origin.host} is {', '.join(addresses_found)}"
        if not all(each.is_private or each.is_unspecified for each in parsed):
            return Diagnosis(name, "ok", finding)
        advice = "does an ad blocker, the hosts file or a local Plex lead it there?"
        return Diagnosis(name, "warning", f"{finding}, which is not on the internet", advice)
    advice = "is this computer on the network? Check its name servers"
    return Diagnosis(name, "problem", finding, advice)


def _ask_plex_tv(connection: ConnectionOptions, origin: Origin) -> list[Diagnosis]:
    """Send a request without a token to plex.tv, and compare the clocks."""
    from ticketstub import Err, Retry
    from ticketstub.calls import GetPublishedKeys

    with create_client(connection, None) as client:
        started = time.time()
        result = client.attempt(GetPublishedKeys(), retry=Retry(attempts=1))
        ended = time.time()
    clock = check_clock(result.response, started, ended)
    if not isinstance(result, Err):
        milliseconds = addresses.format_milliseconds((ended - started) * 1000)
        return [Diagnosis("plex.tv", "ok", f"{origin} answers in {milliseconds}"), clock]
    error = result.error
    advice = error.hint
    if isinstance(error, Unreachable) and error.reason:
        advice = addresses.FATES[error.reason][1] if error.reason.startswith("certificate") else error.hint
    return [Diagnosis("plex.tv", "problem", error.message, advice), clock]


def check_clock(response: Response | None, started: float, ended: float) -> Diagnosis:
    """Compare this computer's clock with the Date of a response.

    Args:
        response: the response, if there was one.
        started: when the request was sent, in epoch seconds by this computer's clock.
        ended: when the response had arrived.
    """
    name, date = "clock", response.headers.get("date", "") if response else ""
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return Diagnosis(name, "skipped", "there is no time to compare it with")
    # The other clock shows whole seconds, and was read at some moment between the two.
    deviation = started - (theirs + 1) if started > theirs + 1 else min(0.0, ended - theirs)
    if abs(deviation) < 1:
        return Diagnosis(name, "ok", "it agrees with plex.tv's")
    finding = f"it is {abs(deviation):.0f} seconds {'ahead of' if deviation > 0 else 'behind'} plex.tv's"
    if abs(deviation) < _SLIGHT_DEVIATION:
        return Diagnosis(name, "ok", finding)
    advice = "set it, and let it be set by a time server: certificates, codes and device keys depend on it"
    return Diagnosis(name, "problem" if abs(deviation) >= _LARGE_DEVIATION else "warning", finding, advice)


def _check_servers(connection: ConnectionOptions, *, allow_http: bool, max_wait: float) -> list[Diagnosis]:
    """Try every address of every media server, and judge the look-ups of their names."""
    name = "media servers"
    try:
        servers, outcomes = _measure_servers(connection, allow_http=allow_http, max_wait=max_wait)
    except InvalidUsage as error:
        hint = (error.hint or "").replace(" or on standard input", "")  # which is not read here
        return [Diagnosis(name, "skipped", error.message, hint)]
    except (CommandError, PlexError) as error:
        state: CheckState = "skipped" if isinstance(error, Unreachable) else "problem"
        return [Diagnosis(name, state, error.message, error.hint)]
    if not servers:
        return [Diagnosis(name, "ok", "this account reaches none")]
    return [*_check_plex_direct(outcomes), *map(judge_server, servers, outcomes)]


def _measure_servers(
    connection: ConnectionOptions, *, allow_http: bool, max_wait: float
) -> tuple[list[Resource], list[Outcome]]:
    with open_client(connection, read_input=False) as client:
        with addresses.show_progress("Looking for media servers"):
            servers = [each for each in client.resources() if each.is_media_server]

        def ask(server: Resource) -> Outcome:
            return Outcome(reports=client.reachability(server, allow_http=allow_http, max_wait=max_wait))

        with addresses.show_progress("Connecting to media servers", len(servers)) as show:
            return servers, addresses.ask_each(servers, ask, show)


def _check_plex_direct(outcomes: list[Outcome]) -> list[Diagnosis]:
    """Judge the look-ups of names below plex.direct, of all servers."""
    name, reports = "plex.direct", [report for outcome in outcomes for report in outcome.reports]
    if faults := addresses.find_lookup_faults(reports):
        return [Diagnosis(name, "warning", text, advice) for text, advice in faults]
    if any(report.dns for report in reports):
        return [Diagnosis(name, "ok", "the servers' names lead to their addresses")]
    return [Diagnosis(name, "skipped", "no server has a name there")]


def judge_server(server: Resource, outcome: Outcome) -> Diagnosis:
    """Judge what became of a media server's addresses."""
    name, reports = f"server {server.name or server.client_identifier or '(no name)'}", outcome.reports
    reached = [report for report in reports if report.fate == "reachable"]
    if not reached:
        offline = "; plex.tv says that it is offline" if server.presence is False else ""
        reason = outcome.reason or addresses.count_fates(reports) or "plex.tv lists no address of it"
        return Diagnosis(name, "problem", f"it cannot be reached: {reason}{offline}", None, reports)
    best = reached[0]
    finding = f"{len(reached)} of {len(reports)} addresses can be used; the best is {addresses.format_kind(best)}"
    if best.kind == "relay":
        advice = "let your router forward the server's port, or connect from its own network"
        return Diagnosis(name, "warning", finding, advice, reports)
    return Diagnosis(name, "ok", finding, None, reports)
