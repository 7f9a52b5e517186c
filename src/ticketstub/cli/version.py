"""The version that is installed.

Rule: read from the package's metadata when asked; a checkout that is not installed has none.
"""

from __future__ import annotations


def version() -> str:
    """Return the version, or `0` with a note where nothing is installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("ticketstub")
    except PackageNotFoundError:
        return "0 (not installed)"
