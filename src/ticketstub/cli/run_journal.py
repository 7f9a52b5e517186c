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

from ticketstub.cli.failures import WrongUsage
from ticketstub.errors import printable
from ticketstub.local_plex.intercept.proxy import Event
from ticketstub.local_plex.redaction.known_secrets import HiddenSecret

_MOST_REFUSED = 20


class RunJournal:
    """The journal of one run; its two sources are threads of their own.

    Args:
        record: gets a JSON object a line.
        verbose: whether standard error gets a line each, too.
    """

    def __init__(self, record: TextIO | None, *, verbose: bool) -> None:
        self._record = record
        self._verbose = verbose
        self._refused: dict[str, None] = {}
        if record is not None:
            from ticketstub.local_plex.redaction.scrubbing import Scrubber

            self._scrub = Scrubber().scrub
        self._lock = threading.Lock()

    def answered(self, method: str, route: str, status: int, milliseconds: float, request_id: str) -> None:
        """Note an answer of the local Plex."""
        facts = {"method": method, "route": route, "status": status, "milliseconds": round(milliseconds, 1)}
        self._note({"kind": "answer", **facts, "request_id": request_id}, f"{method} {route}  {status}")

    def connected(self, event: Event) -> None:
        """Note what became of a connection to the proxy."""
        facts = {"target": event.target, "outcome": event.outcome, "reason": event.reason or None}
        told = event.reason or event.target
        self._note({"kind": "connection", **facts}, f"{event.outcome}: {told}")
        if event.outcome in {"refused", "failed"}:
            with self._lock:
                self._refused.setdefault(told if event.outcome == "refused" else f"{event.target}: {told}")

    def sum_up(self) -> None:
        """Say on standard error what was refused, if anything was: many programs keep the reason to themselves."""
        reasons = list(self._refused)
        lines = [f"ticketstub run: {printable(reason)}" for reason in reasons[:_MOST_REFUSED]]
        if len(reasons) > _MOST_REFUSED:
            lines.append(f"ticketstub run: and {len(reasons) - _MOST_REFUSED} more")
        if lines and not self._verbose:
            _say("\n".join(lines))

    def _note(self, facts: dict[str, object], line: str) -> None:
        now = datetime.now(UTC)
        with self._lock:
            if self._record is not None:
                with suppress(OSError, ValueError, HiddenSecret):  # a full disk ends the record, not the program
                    clean = {name: self._scrub(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
                    self._record.write(json.dumps({"at": now.isoformat(timespec="milliseconds"), **clean}) + "\n")
                    self._record.flush()
            if self._verbose:
                _say(f"{now.astimezone().strftime('%H:%M:%S')}  {printable(line)}")


@contextmanager
def run_journal(file: Path | None, *, verbose: bool) -> Generator[RunJournal]:
    """Keep the journal of a run, and sum it up at its ordered end.

    Raises:
        WrongUsage: the file cannot be written.
    """
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = nullcontext() if file is None else os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8")
    except OSError as error:
        raise WrongUsage(f"{file} cannot be written: {error.strerror}") from None
    with opened as lines:
        journal = RunJournal(lines, verbose=verbose)
        yield journal
        journal.sum_up()


def _say(text: str) -> None:
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
