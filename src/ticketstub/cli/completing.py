"""What the shell completes beside commands and options: the names of kept profiles.

Rule: it reads names alone: no secret, no keyring, no network. Whatever goes wrong completes nothing and says nothing.
"""

from __future__ import annotations


def profiles(incomplete: str) -> list[str]:
    """List the names of kept profiles that begin so."""
    try:
        from ticketstub.cli.keeping import names

        return sorted({entry.profile for entry in names() if entry.profile.startswith(incomplete)})
    except Exception:  # noqa: BLE001  # a traceback would be completed into the command line
        return []
