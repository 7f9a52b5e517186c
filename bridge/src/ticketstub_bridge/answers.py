"""What userinfo has answered about access tokens, for a moment.

Rule: an answer is used again only while this process has written nothing since before it was read, under the same
configuration, and for a second at most. So what this process revokes is revoked at once, and what another replica
revokes is revoked here within that second.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ticketstub_bridge.config import Config
from ticketstub_bridge.people import make_claims, may_come_in
from ticketstub_bridge.sealing import digest
from ticketstub_bridge.storage import Database, Grant

MAX_AGE = 1.0
"""Seconds that an answer is used at most."""

_MAX_ENTRIES = 20_000


class Answer(msgspec.Struct, frozen=True):
    """The claims about the person of an access token, as JSON; `None` if its scope has no `openid`.

    `until` is by the steady clock: setting the clock prolongs nothing.
    """

    content: bytes | None
    config: Config
    writes: int
    until: float


class RecentAnswers:
    """The answers of the last second.

    Args:
        database: the database; its `writes` say when something was written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: dict[str, Answer] = {}

    def get(self, token: str, config: Config) -> Answer | None:
        """Return what was answered about an access token a moment ago, if that still counts."""
        answer = self._answers.get(digest(token))
        if answer is None or answer.config is not config or answer.writes != self._database.writes:
            return None
        return answer if self._database.clock.steady() < answer.until else None

    def read(self, token: str, config: Config, find: Callable[[str], Grant | None]) -> Answer | None:
        """Find out what to answer about an access token; `None` if it does not count. Blocks.

        Args:
            token: the access token.
            config: the configuration.
            find: reads its grant from the database.
        """
        clock, writes = self._database.clock, self._database.writes
        began, now = clock.steady(), clock()
        grant = find(token)
        client = config.clients.get(grant.client_id) if grant else None
        if grant is None or client is None:
            return None
        if not may_come_in(config, grant.person.account_id, grant.person.roles, client):
            return None
        is_open_id = "openid" in grant.scope.split()
        content = msgspec.json.encode(make_claims(grant.person, client, grant.scope)) if is_open_id else None
        answer = Answer(content, config, writes, began + min(MAX_AGE, grant.access_until - now))
        if len(self._answers) >= _MAX_ENTRIES:
            self._answers.clear()
        self._answers[digest(token)] = answer
        return answer
