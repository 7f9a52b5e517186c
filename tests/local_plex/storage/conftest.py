"""The keys and the hasher that the stores' tests share: hashing takes its time."""

from __future__ import annotations

import pytest

from ticketstub.local_plex.domain.passwords import PasswordChecker
from ticketstub.local_plex.storage.seal import InstanceKeys


@pytest.fixture(name="keys", scope="session")
def _keys():
    return InstanceKeys(b"s" * 32)


@pytest.fixture(name="passwords", scope="session")
def _passwords():
    return PasswordChecker()
