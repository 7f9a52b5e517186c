"""Where the control API of a local Plex is to answer.

Rule: only names and types, so that a local Plex without a hand loads nothing of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ticketstub.token import Secret


class Control(NamedTuple):
    """Where the control API is to answer: its key, and a port; 0 takes a free one."""

    key: Secret
    port: int = 0
