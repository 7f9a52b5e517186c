"""The documented limits of guesses are those that count."""

from __future__ import annotations

from pathlib import Path

from ticketstub.local_plex.storage.attempts import ATTEMPT_LIMITS, AttemptKind

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "limits.md"
KINDS: dict[str, AttemptKind] = {
    "a password": "password",
    "a verification code": "verification_code",
    "a passcode": "passcode",
    "a link code": "link_code",
}
PERIODS = {300: "5 minutes", 900: "15 minutes", 3600: "an hour", 86400: "a day"}


def in_words(kind: AttemptKind) -> str:
    limit = ATTEMPT_LIMITS[kind]
    windows = ", ".join(f"{window.max_attempts} in {PERIODS[window.seconds]}" for window in limit.windows)
    return f"{windows}, then locked" if limit.lock_seconds else windows


def test_the_table_of_guesses() -> None:
    """Each row of the page says what the table in the code has, and no kind is left out."""
    lines = PAGE.read_text("utf-8").partition("<!-- limits -->")[2].strip().splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[: len(KINDS)]]
    assert [[name, in_words(kind)] for name, kind in KINDS.items()] == rows
    assert set(ATTEMPT_LIMITS) == set(KINDS.values())
