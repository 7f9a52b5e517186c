"""Helpers for the tests of the façades."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.client.conftest import Script
from ticketstub import (
    Retry,
)

Serve = Callable[..., Script]
ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
OLD = "transient-5b7e1c90-2d4f-4a63-9e18-c0d7a4f2b631"
NEVER = Retry(attempts=1)
SOON = Retry(backoff=0.01)


def start(serve: Serve, path: str, *answers: bytes, **more: Any) -> Script:
    """Start a server that gives one path these answers in turn; a single answer is given for ever."""
    script = serve(**more)
    script.answers[path] = [*answers] if answers[1:] else b"".join(answers)
    return script


def head_of(request: bytes) -> tuple[str, dict[str, str]]:
    """Split a request into its request line and its header fields, with lower-case names."""
    first, *lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return first, {line.split(": ")[0].lower(): line.split(": ", 1)[1] for line in lines}
