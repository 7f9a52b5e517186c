"""What userinfo has answered about access tokens, for a moment.

Rule: an answer is used again only while this process has written nothing since before it was read, under the same
configuration, and for a second at most. So what this process revokes is revoked at once, and what another replica
revokes is revoked here within that second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache, partial

import msgspec

from ticketstub_bridge.config import Config
from ticketstub_bridge.people import make_claims, may_come_in
from ticketstub_bridge.storage import Access, AccessToken, Database

MAX_AGE = 1.0
"""Seconds that an answer is used at most."""

_MAX_ENTRIES = 20_000
_MAX_CONTENTS = 4096


class Answer(msgspec.Struct, frozen=True, gc=False):  # there are thousands, and none is in a cycle
    """The claims about the person of an access token, as JSON; empty if its scope has no `openid`.

    `until` is by the steady clock: setting the clock prolongs nothing.
    """

    content: bytes
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
        self._config: Config | None = None
        self._describe: Callable[[Access], bytes | None] | None = None

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
        describe = self._get_describe(config)
        answers = {
            token_digest: Answer(content, config, writes, began + min(MAX_AGE, token.expires_at - now))
            for token_digest, token in find(digests).items()
            if (content := describe(token.access)) is not None
        }
        if len(self._answers) >= _MAX_ENTRIES:
            self._answers.clear()
        self._answers |= answers
        return answers

    def _get_describe(self, config: Config) -> Callable[[Access], bytes | None]:
        """Return the function that makes answers. It remembers them, as they depend on nothing but its arguments."""
        if self._describe is None or self._config is not config:
            self._config, self._describe = config, lru_cache(_MAX_CONTENTS)(partial(_describe, config))
        return self._describe


def _describe(config: Config, access: Access) -> bytes | None:
    """Return the content of an answer; `None` if the person may not come in."""
    client, person = config.clients.get(access.client_id), access.person
    if client is None or not may_come_in(config, person.account_id, person.roles, client):
        return None
    is_open_id = "openid" in access.scope.split()
    return msgspec.json.encode(make_claims(person, client, access.scope)) if is_open_id else b""
