"""What `ticketstub run` tells about its run: lines on standard error, JSON lines in a file, and what was refused.

Rule: it has hosts, methods, routes, statuses and times; a secret in one of these, and what a recording has no public
address of, is not written. The program's own output is left alone: nothing is written between its lines unless it was
asked for.
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
from typing import TextIO

from ticketstub.cli.failures import InvalidUsage
from ticketstub.errors import sanitize_text
from ticketstub.local_plex.intercept.proxy import ConnectionEvent
from ticketstub.local_plex.redaction.known_secrets import HiddenSecret

_MAX_REASONS = 20


class RunLog:
    """The journal of one run; its two sources are threads of their own.

    Args:
        record: gets a JSON object a line.
        verbose: whether standard error gets a line each, too.
    """

    def __init__(self, record: TextIO | None, *, verbose: bool) -> None:
        self._record = record
        self._verbose = verbose
        self._refusal_reasons: dict[str, None] = {}
        if record is not None:
            from ticketstub.local_plex.redaction.scrubbing import Scrubber

            self._scrub = Scrubber().scrub
        self._lock = threading.Lock()

    def log_answer(self, method: str, route: str, status: int, milliseconds: float, request_id: str) -> None:
        """Note an answer of the local Plex."""
        fields = {"method": method, "route": route, "status": status, "milliseconds": round(milliseconds, 1)}
        self._write_entry({"kind": "answer", **fields, "request_id": request_id}, f"{method} {route}  {status}")

    def log_connection(self, event: ConnectionEvent) -> None:
        """Note what became of a connection to the proxy."""
        fields = {"target": event.target, "outcome": event.outcome, "reason": event.reason or None}
        description = event.reason or event.target
        self._write_entry({"kind": "connection", **fields}, f"{event.outcome}: {description}")
        if event.outcome in {"refused", "failed"}:
            with self._lock:
                self._refusal_reasons.setdefault(
                    description if event.outcome == "refused" else f"{event.target}: {description}"
                )

    def print_summary(self) -> None:
        """Say on standard error what was refused, if anything was: many programs keep the reason to themselves."""
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
                with suppress(OSError, ValueError, HiddenSecret):  # a full disk ends the record, not the program
                    scrubbed = {
                        name: self._scrub(value) if isinstance(value, str) else value for name, value in fields.items()
                    }
                    self._record.write(json.dumps({"at": now.isoformat(timespec="milliseconds"), **scrubbed}) + "\n")
                    self._record.flush()
            if self._verbose:
                _print_to_stderr(f"{now.astimezone().strftime('%H:%M:%S')}  {sanitize_text(line)}")


@contextmanager
def open_run_log(file: Path | None, *, verbose: bool) -> Generator[RunLog]:
    """Keep the journal of a run, and sum it up at its ordered end.

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
