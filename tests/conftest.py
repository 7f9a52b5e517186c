"""What every test may ask for.

Rule: only what more than one folder of tests needs. Clocks, worlds and servers belong to the folder that uses them.
"""

import os
import shutil
from collections.abc import Callable

import pytest

pytest_plugins = ["tests.strangers.gathering"]  # here: with xdist, the first process sees no deeper conftest.py

Require = Callable[[str, str], str]


@pytest.fixture(scope="session")
def require() -> Require:
    """Find a program that not every machine has: `require("node", "install Node.js 20 or newer")` returns its path.

    On a user's machine the test is skipped and says how to get the program; where CI is set it fails, so that nothing
    is silently left untested there.
    """

    def find(tool: str, how_to_get: str) -> str:
        if found := shutil.which(tool):
            return found
        reason = f"{tool} is not on the PATH: {how_to_get}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    return find
