"""What operators see: the structured log and the metrics.

Rule: a log line has no query string, no cookie, no token and no message of an exception, which might contain one. A
path is logged as its route. People are named by `sub`, applications by id.
"""

from __future__ import annotations

import json
import logging
import sys
from traceback import extract_tb

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LOGGER = logging.getLogger("ticketstub_bridge")


class Metrics:
    """The metrics of one bridge, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "ticketstub_bridge_request_seconds", "Requests.", ["route", "status"], registry=self._registry
        )
        self.sign_ins = Counter(
            "ticketstub_bridge_sign_ins", "Sign-ins at Plex, by outcome.", ["outcome"], registry=self._registry
        )
        self.tokens = Counter(
            "ticketstub_bridge_tokens", "Answers of the token endpoint.", ["grant", "outcome"], registry=self._registry
        )
        self.checks = Counter(
            "ticketstub_bridge_membership_checks", "Memberships asked again.", ["outcome"], registry=self._registry
        )
        self.logouts = Counter(
            "ticketstub_bridge_logout_messages", "Back-channel logouts.", ["outcome"], registry=self._registry
        )
        self.logout_seconds = Histogram(
            "ticketstub_bridge_logout_seconds",
            "How long applications take for a back-channel logout.",
            ["client"],
            registry=self._registry,
        )
        self.waiting = Gauge(
            "ticketstub_bridge_waiting_requests", "Requests that wait for a thread.", registry=self._registry
        )

    def render(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


def log(event: str, level: int = logging.INFO, **fields: str | float | None) -> None:
    """Write one line to the structured log.

    Args:
        event: what happened, in snake_case.
        level: how important it is.
        fields: what else is known; no secrets.
    """
    _LOGGER.log(level, event, extra={"fields": {name: value for name, value in fields.items() if value is not None}})


def log_failure(event: str, error: BaseException, **fields: str | float | None) -> None:
    """Log an error by its type and place in the code, without its message."""
    frames = extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"
    cause = type(error.__cause__).__name__ if error.__cause__ else None
    log(event, logging.ERROR, error=type(error).__name__, cause=cause, place=place, **fields)


class JsonFormatter(logging.Formatter):
    """Writes each record as one JSON object. Tracebacks of other libraries are reduced to type and place."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        is_ours = record.name == _LOGGER.name
        line: dict[str, object] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "event": record.getMessage() if is_ours or not record.exc_info else "failure",
        }
        if not is_ours:
            line["logger"] = record.name
        if record.exc_info and (error := record.exc_info[1]):
            frames = extract_tb(error.__traceback__)
            line["error"] = type(error).__name__
            line["place"] = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"
        return json.dumps(line | getattr(record, "fields", {}), ensure_ascii=True)


def set_up_log() -> None:
    """Send the log of this process to standard error; only the command that serves does this."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("sqlalchemy", "aiohttp", "authlib", "alembic", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
