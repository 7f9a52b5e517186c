"""The generated SDKs among the strangers: the releases, the ways in which each is called, the calls each offers.

Rule: facts about what is published, found by running it; nothing here depends on the local Plex.
"""

from dataclasses import dataclass, field

import pytest

from tests.strangers.processes import LocalPlex, Outcome, Stranger

PLEX_TV_CALLS = {"sign_in", "token_details", "resources"}
SERVER_CALLS = {"transient_token", "source"}


@dataclass(frozen=True)
class Kind:
    """One published client: the folder it lives in, its ways to make a call, and the calls it offers."""

    folder: str
    ways: tuple[str, ...]
    offers: frozenset[str]
    typed_errors: frozenset[str] = field(default_factory=frozenset)
    """The calls on which it tells a documented 400 or 401 from any other failure."""
    keeps_answers: bool = True
    """Whether the answers of a media server can be had from it at all."""


KINDS = (
    # The two releases at the ends of the Python page's line. They have classes for a documented 401 and never raise
    # them: any 4xx is found to be an SDKError first.
    Kind(folder="plexpy_0_6_6", ways=("sync",), offers=frozenset(SERVER_CALLS)),
    Kind(folder="plexpy_0_9_0", ways=("sync",), offers=frozenset(SERVER_CALLS)),
    Kind(
        folder="plexpy_0_30_0",
        ways=("sync", "async"),
        offers=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
        typed_errors=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
    ),
    Kind(
        folder="plexpy_0_36_3",
        ways=("sync", "async"),
        offers=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
        typed_errors=frozenset(PLEX_TV_CALLS),
    ),
    Kind(
        folder="plexjs_0_35_1",
        ways=("method", "function"),
        offers=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
        typed_errors=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
        keeps_answers=False,
    ),
    Kind(
        folder="plexjs_0_39_0",
        ways=("method", "function"),
        offers=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
        typed_errors=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
        keeps_answers=False,
    ),
    Kind(folder="plexjs_0_43_0", ways=("method", "function"), offers=frozenset(SERVER_CALLS)),
    # Nearest to the Go page's releases of those that the module index has. It gives no result for the two calls to a
    # media server, but leaves the response unread for its user.
    Kind(
        folder="plexgo_0_20_0",
        ways=("security", "security_source"),
        offers=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
        typed_errors=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
    ),
    Kind(
        folder="plexgo_0_29_0",
        ways=("security", "security_source"),
        offers=frozenset(PLEX_TV_CALLS | SERVER_CALLS),
        typed_errors=frozenset(PLEX_TV_CALLS),
    ),
    # No SDK: what one sends and how it reads, see its program.
    Kind(
        folder="raw_requests",
        ways=("plexjava",),
        offers=frozenset(SERVER_CALLS | {"sign_in", "token_details"}),
        typed_errors=frozenset(SERVER_CALLS | {"sign_in", "token_details"}),
    ),
)


@dataclass(frozen=True)
class Caller:
    """One stranger, called one way, beside the local Plex that it talks to."""

    kind: Kind
    way: str
    stranger: Stranger
    plex: LocalPlex

    @property
    def two_factor_account(self) -> dict[str, str]:
        """An account with a verification secret that only this way of calling signs in to (a code is good once)."""
        return self.plex.accounts[("mira_quill", "nora_field")[self.kind.ways.index(self.way)]]

    def ask(self, call: str, **arguments: object) -> Outcome:
        """Make one call; `server` is a media server's name or address."""
        server = arguments.get("server")
        if isinstance(server, str):
            arguments["server"] = self.plex.servers.get(server, server)
        return self.stranger.ask(call, how=self.way, plex_tv=self.plex.plex_tv, **arguments)

    def result(self, call: str, **arguments: object) -> Outcome:
        """Make one call that has to succeed, and return what the SDK's user finds in its result."""
        outcome = self.ask(call, **arguments)
        assert "result" in outcome, outcome
        return outcome["result"]


def callers(*, offering: str, keeping: bool = False) -> pytest.MarkDecorator:
    """Run a test once for every stranger that offers this call (and `keeping` answers), and every way to make it."""
    kinds = [kind for kind in KINDS if offering in kind.offers and (kind.keeps_answers or not keeping)]
    ways = [(kind, way) for kind in kinds for way in kind.ways]
    names = [f"{kind.folder}-{way}" for kind, way in ways]
    return pytest.mark.parametrize("caller", ways, ids=names, indirect=True)
