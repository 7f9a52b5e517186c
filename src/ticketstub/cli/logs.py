"""Logs of `ticketstub serve` and `ticketstub run`: lines on the terminal, JSON lines in a file, and what was refused.

Rule: a log contains hosts, methods, routes, statuses and times, and no secret. What a recording has no public address
for is not written. `run` leaves the program's own output alone: it writes between its lines only if asked to.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ticketstub.cli import output
from ticketstub.cli.errors import InvalidUsage
from ticketstub.errors import sanitize_text
from ticketstub.local_plex.redaction.known_secrets import HiddenSecret
from ticketstub.local_plex.redaction.scrubbing import Scrubber

if TYPE_CHECKING:
    from ticketstub.local_plex.intercept.proxy import ConnectionEvent  # `serve` needs no proxy

_MAX_REASONS = 20


class AccessLog:
    """Prints a line for each answer: time, method, route, status, milliseconds. Output that is closed is ignored."""

    def __init__(self) -> None:
        out = output.create_console()
        self._colours = out.color_system is not None and not out.no_color

    def write(self, method: str, route: str, status: int, milliseconds: float, _request_id: str) -> None:
        """Print the line of one answer."""
        status_text = f"\x1b[{31 if status >= 400 else 32}m{status}\x1b[0m" if self._colours else str(status)
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        with suppress(OSError, ValueError):
            print(
                f"{now}  {sanitize_text(method):<6} {sanitize_text(route)}  {status_text}  {milliseconds:.1f} ms",
                flush=True,
            )


class RunLog:
    """The log of one run, written by two threads: the local Plex and the proxy.

    Args:
        record: receives one JSON object a line.
        verbose: whether standard error also receives a line for each entry.
    """

    def __init__(self, record: TextIO | None, *, verbose: bool) -> None:
        self._record = record
        self._verbose = verbose
        self._refusal_reasons: dict[str, None] = {}
        self._scrub = Scrubber().scrub
        self._lock = threading.Lock()

    def log_answer(self, method: str, route: str, status: int, milliseconds: float, request_id: str) -> None:
        """Log an answer of the local Plex."""
        fields = {"method": method, "route": route, "status": status, "milliseconds": round(milliseconds, 1)}
        self._write_entry({"kind": "answer", **fields, "request_id": request_id}, f"{method} {route}  {status}")

    def log_connection(self, event: ConnectionEvent) -> None:
        """Log what happened to a connection to the proxy."""
        fields = {"target": event.target, "outcome": event.outcome, "reason": event.reason or None}
        description = event.reason or event.target
        self._write_entry({"kind": "connection", **fields}, f"{event.outcome}: {description}")
        if event.outcome in {"refused", "failed"}:
            reason = description if event.outcome == "refused" else f"{event.target}: {description}"
            self._refusal_reasons.setdefault(reason)

    def print_summary(self) -> None:
        """Print what was refused to standard error: many programs do not show the reason."""
        reasons = list(self._refusal_reasons)
        lines = [f"ticketstub run: {sanitize_text(reason)}" for reason in reasons[:_MAX_REASONS]]
        if len(reasons) > _MAX_REASONS:
            lines.append(f"ticketstub run: and {len(reasons) - _MAX_REASONS} more")
        if lines and not self._verbose:
            _print_to_stderr("\n".join(lines))

    def _write_entry(self, fields: dict[str, object], line: str) -> None:
        now = datetime.now(UTC)
        with self._lock:
            if self._record is not None:
                with suppress(OSError, ValueError, HiddenSecret):  # a full disk ends the log, not the program
                    scrubbed = {
                        name: self._scrub(value) if isinstance(value, str) else value for name, value in fields.items()
                    }
                    self._record.write(json.dumps({"at": now.isoformat(timespec="milliseconds"), **scrubbed}) + "\n")
                    self._record.flush()
            if self._verbose:
                _print_to_stderr(f"{now.astimezone().strftime('%H:%M:%S')}  {sanitize_text(line)}")


@contextmanager
def open_run_log(file: Path | None, *, verbose: bool) -> Generator[RunLog]:
    """Open the log of a run, and print its summary when the run ends without an error.

    Raises:
        InvalidUsage: the file cannot be written.
    """
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        stream = nullcontext() if file is None else os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8")
    except OSError as error:
        raise InvalidUsage(f"{file} cannot be written: {error.strerror}") from None
    with stream as file_stream:
        log = RunLog(file_stream, verbose=verbose)
        yield log
        log.print_summary()


def _print_to_stderr(text: str) -> None:
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
