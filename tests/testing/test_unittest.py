"""A local Plex in unittest, with unittest's own methods for context managers."""

from __future__ import annotations

import unittest

import pytest

from tests.local_plex.asking import get
from ticketstub.testing import LocalPlexController, local_plex

ANA = {"account": [{"username": "ana", "email": "ana@example.test"}]}


class OneEach(unittest.TestCase):
    """A local Plex for each test."""

    def setUp(self) -> None:
        self.plex = self.enterContext(local_plex(ANA))

    def test_signed_in(self) -> None:
        with self.plex.client() as client:
            assert "ana" == client.authentication.get_token_details().username

    def test_refused(self) -> None:
        self.plex.refuse_next("GET /api/v2/user", status=503)
        assert 503 == get(self.plex.url, "/api/v2/user").status


class OneForAll(unittest.TestCase):
    """One for the class, reset before each test."""

    plex: LocalPlexController

    @classmethod
    def setUpClass(cls) -> None:
        cls.plex = cls.enterClassContext(local_plex(ANA))

    def setUp(self) -> None:
        self.plex.reset()

    def test_one(self) -> None:
        self.plex.account("bo")
        assert 0 == len(self.plex.requests)

    def test_two(self) -> None:
        with pytest.raises(LookupError):
            self.plex.code_for("bo")


def test_it_runs_in_unittest() -> None:
    """`enterContext` starts it for a test and `enterClassContext` for a class; afterwards it has stopped."""
    found = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, (OneEach, OneForAll)))
    result = unittest.TestResult()
    found.run(result)
    assert (4, [], []) == (result.testsRun, result.errors, result.failures)
    with pytest.raises(RuntimeError, match="has stopped"):
        OneForAll.plex.reset()
