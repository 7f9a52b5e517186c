"""Which operations a test asks of which client: noted while it runs, told with its report.

Rule: whatever makes a client do something notes it here, in the one process that runs the test. What became of it is
the test's outcome; `gathering.py` puts the two together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Way = Literal["pointed", "run"]
"""Told the local Plex's address, by an option of its own; or within `ticketstub run`, with nothing pointed anywhere."""


@dataclass(frozen=True, order=True)
class Asked:
    """One operation of one client.

    Attributes:
        client: a stranger's folder; `raw_requests/SDK` for an SDK's requests; else a program's name.
        operation: as its program calls it.
        called: how the program was to call it (sync, async …), or nothing.
    """

    client: str
    operation: str
    way: Way
    called: str = ""


@dataclass(frozen=True)
class Result:
    """What became of one operation in one test; `why` is the test's reason for its not passing."""

    asked: Asked
    passed: bool = True
    why: str = ""


NOTED: set[Asked] = set()
"""What the test that runs has asked so far; emptied before the next one."""


def note(client: str, operation: str, way: Way, arguments: Mapping[str, object] | None = None) -> None:
    """Note an operation; its arguments tell apart what its users see as two."""
    given = arguments or {}
    if operation == "sign_in" and given.get("verification_code"):
        operation = "sign_in_with_code"
    how = str(given.get("how", ""))
    if client == "raw_requests":  # one program that stands for several SDKs, one a way
        client, how = f"{client}/{how}", ""
    NOTED.add(Asked(client, operation, way, how))
