"""What userinfo has answered about access tokens, for a moment.

Rule: an answer is used again only while this process has written nothing since before it was read, under the same
configuration, and for a second at most. So what this process revokes is revoked at once, and what another replica
revokes is revoked here within that second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec

from ticketstub_bridge.config import Config
from ticketstub_bridge.people import make_claims, may_come_in
from ticketstub_bridge.storage import AccessToken, Database

MAX_AGE = 1.0
"""Seconds that an answer is used at most."""

_MAX_ENTRIES = 20_000


class Answer(msgspec.Struct, frozen=True, gc=False):  # there are thousands, and none is in a cycle
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

    def get(self, token_digest: str, config: Config) -> Answer | None:
        """Return what was answered about an access token a moment ago, if that still counts."""
        answer = self._answers.get(token_digest)
        if answer is None or answer.config is not config or answer.writes != self._database.writes:
            return None
        return answer if self._database.clock.steady() < answer.until else None

    def read(
        self, digests: Collection[str], config: Config, find: Callable[[Collection[str]], Mapping[str, AccessToken]]
    ) -> dict[str, Answer]:
        """Find out what to answer about access tokens; those that do not count are left out. Blocks.

        Args:
            digests: the digests of the access tokens.
            config: the configuration.
            find: reads them from the database.
        """
        clock, writes = self._database.clock, self._database.writes
        began, now = clock.steady(), clock()
        answers: dict[str, Answer] = {}
        for token_digest, token in find(digests).items():
            client, person = config.clients.get(token.client_id), token.person
            if client is None or not may_come_in(config, person.account_id, person.roles, client):
                continue
            is_open_id = "openid" in token.scope.split()
            content = msgspec.json.encode(make_claims(person, client, token.scope)) if is_open_id else None
            answers[token_digest] = Answer(content, config, writes, began + min(MAX_AGE, token.expires_at - now))
        if len(self._answers) >= _MAX_ENTRIES:
            self._answers.clear()
        self._answers |= answers
        return answers
