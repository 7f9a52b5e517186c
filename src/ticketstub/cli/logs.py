"""Logs of `ticketstub serve` and `ticketstub run`: lines on the terminal, JSON lines in a file, and what was refused.

Rule: a log contains hosts, methods, routes, statuses and times, and no secret. An entry with a secret that cannot be
replaced is left out of the file. `run` prints among the program's own output only with --verbose.
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

from ticketstub.cli.errors import InvalidUsage
from ticketstub.errors import sanitize_text
from ticketstub.local_plex.redaction.known_secrets import HiddenSecret
from ticketstub.local_plex.redaction.scrubbing import Scrubber

if TYPE_CHECKING:
    from ticketstub.local_plex.intercept.proxy import ConnectionEvent  # `serve` needs no proxy

_MAX_REASONS = 20


def print_answer(
    use_colours: bool, method: str, route: str, status: int, milliseconds: float, _request_id: str
) -> None:
    """Print the line of one answer: time, method, route, status, milliseconds. Output that is closed is ignored."""
    status_text = f"\x1b[{31 if status >= 400 else 32}m{status}\x1b[0m" if use_colours else str(status)
    _print_line(
        f"{datetime.now().astimezone():%H:%M:%S}  {sanitize_text(method):<6} {sanitize_text(route)}"
        f"  {status_text}  {milliseconds:.1f} ms"
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
        self._write_entry(
            {
                "kind": "answer",
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": round(milliseconds, 1),
                "request_id": request_id,
            },
            f"{method} {route}  {status}",
        )

    def log_connection(self, event: ConnectionEvent) -> None:
        """Log what happened to a connection to the proxy."""
        description = event.reason or event.target
        self._write_entry(
            {"kind": "connection", "target": event.target, "outcome": event.outcome, "reason": event.reason or None},
            f"{event.outcome}: {description}",
        )
        if event.outcome in {"refused", "failed"}:
            self._refusal_reasons.setdefault(
                description if event.outcome == "refused" else f"{event.target}: {description}"
            )

    def print_summary(self) -> None:
        """Print what was refused to standard error: many programs do not show the reason."""
        lines = [sanitize_text(reason) for reason in self._refusal_reasons]
        if len(lines) > _MAX_REASONS:
            lines[_MAX_REASONS:] = [f"and {len(lines) - _MAX_REASONS} more"]
        if lines and not self._verbose:
            _print_line("\n".join(f"ticketstub run: {line}" for line in lines), sys.stderr)

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
                _print_line(f"{now.astimezone():%H:%M:%S}  {sanitize_text(line)}", sys.stderr)


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


def _print_line(text: str, stream: TextIO | None = None) -> None:
    with suppress(OSError, ValueError):
        print(text, file=stream, flush=True)
