"""`python -m ticketstub` runs the command `ticketstub`."""

from __future__ import annotations

from ticketstub.cli import main

if __name__ == "__main__":
    main()
