"""Who is in a local Plex and how they sign in: what `serve` prints and its start page shows.

Rule: accounts and their codes are the database's. Passwords, passcodes and tokens are those of the world, for the
database has only hashes, and are left out once they no longer work. Nothing secret is in a summary unless asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING

import msgspec

from ticketstub.errors import printable
from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.domain.verification_codes import SECONDS, current_code
from ticketstub.local_plex.world.schema import WorldAccount, WorldManaged
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.local_plex.domain.instance import Instance
    from ticketstub.local_plex.domain.passwords import Passwords
    from ticketstub.local_plex.storage.base import AccountRow
    from ticketstub.local_plex.storage.members import HomeRow
    from ticketstub.local_plex.world.schema import World

MOST = 20
"""How many accounts are shown; the others are counted."""


class AccountSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An account as a person needs it to try the local Plex by hand.

    `ways` says by what it signs in. The secrets are `None` unless the summary was made with them; `code` is current.
    """

    id: int
    name: str
    username: str
    email: str
    ways: tuple[str, ...]
    password: Secret | None = None
    passcode: Secret | None = None
    code: Secret | None = None
    token: Token | None = None
    server_tokens: tuple[tuple[str, Token], ...] = ()


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of a local Plex: how many there are, the first of them, and how long their codes are current.

    `homes` has the names of the Homes that these are in, and of each one's members.
    """

    count: int = 0
    accounts: tuple[AccountSummary, ...] = ()
    homes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    seconds: int = 30


class Overview:
    """Summarises one local Plex.

    Args:
        world: its world.
        secrets: whether secrets are shown: yes for the demonstration, for another world only if its owner said so.
        invented: whether the world is the demonstration: its secrets may be shown to any client.
    """

    def __init__(self, world: World, *, secrets: bool, invented: bool) -> None:
        self.world = world
        self.secrets = secrets
        self.invented = invented
        self.at_start = Summary()
        """The summary of the moment in which the local Plex started."""
        self._known: dict[int, WorldAccount | WorldManaged] = {account.id: account for account in world.accounts}
        self._known |= {managed.id: managed for home in world.homes for managed in home.managed}
        self._works: dict[tuple[str, str], bool] = {}
        self._all_work = False

    async def begin(self, instance: Instance, *, seeded: bool) -> None:
        """Make the first summary.

        Args:
            instance: the local Plex.
            seeded: whether its database was made of this world a moment ago, so that all passwords are right.
        """
        self._all_work = seeded
        self.at_start = await self.summarise(instance, secrets=self.secrets)
        self._all_work = False

    def knows(self, account_id: int) -> bool:
        """Tell whether an account is one of the world."""
        return account_id in self._known

    async def summarise(self, instance: Instance, *, secrets: bool) -> Summary:
        """Summarise the accounts as they are now."""
        count, rows = await self._rows(instance)
        accounts = [await self._account(instance, row, secrets=secrets) for row in rows]
        found = [home for row in rows if (home := await instance.store.homes.of(row.id))]
        homes = {home.id: (printable(home.name), tuple(_members(home))) for home in found}
        seconds = SECONDS - instance.now() % SECONDS
        return Summary(count=count, accounts=tuple(accounts), homes=tuple(homes.values()), seconds=seconds)

    async def _rows(self, instance: Instance) -> tuple[int, list[AccountRow]]:
        """Return how many accounts there are, and the first ones: those of the world, in its order, then others."""
        count, others = await instance.store.list_accounts(MOST)
        first = [row for number in [*self._known][:MOST] if (row := await instance.store.account(number))]
        return count, [*first, *(row for row in others if not self.knows(row.id))][:MOST]

    async def _account(self, instance: Instance, row: AccountRow, *, secrets: bool) -> AccountSummary:
        known, record = self._known.get(row.id), row.record
        passcode = await instance.store.homes.passcode_hash(row.id)
        token = await _if_alive(instance, row, known.token) if known else None
        summary = AccountSummary(
            id=row.id,
            name=printable(record.friendly_name or record.title or record.username or str(row.id)),
            username=printable(record.username or ""),
            email=printable(record.email or ""),
            ways=tuple(_ways(row, passcode, token)),
        )
        if not secrets or known is None:
            return summary
        password = known.password if isinstance(known, WorldAccount) else None
        return msgspec.structs.replace(
            summary,
            password=await self._if_it_works(instance.passwords, row.password_hash, password),
            passcode=await self._if_it_works(instance.passwords, passcode, known.passcode),
            code=Secret(code) if (code := current_code(instance.keys, row, instance.now())) else None,
            token=token,
            server_tokens=tuple([pair async for pair in self._server_tokens(instance, row)]),
        )

    async def _server_tokens(self, instance: Instance, row: AccountRow) -> AsyncGenerator[tuple[str, Token]]:
        """Yield the tokens that the world gave the account for media servers of others."""
        for server in self.world.media_servers:
            for share in server.shares:
                if token := await _if_alive(instance, row, share.token):
                    yield server.name, token

    async def _if_it_works(self, passwords: Passwords, stored: str | None, secret: Secret | None) -> Secret | None:
        """Return a password or passcode of the world unless it was changed since."""
        if stored is None or secret is None:
            return None
        pair = (stored, secret.reveal())
        if pair not in self._works:
            try:
                self._works[pair] = self._all_work or await passwords.verify(stored, secret)
            except Overloaded:  # not known now, and no reason to fail
                return None
        return secret if self._works[pair] else None


def _members(home: HomeRow) -> Iterable[str]:
    for member in home.members:
        record = member.account.record
        name = printable(record.username or record.title or str(member.account.id))
        kind = "administrator" if member.admin else "guest" if record.guest else ""
        kind = kind or ("managed" if record.restricted else "")
        yield f"{name} ({kind})" if kind else name


def _ways(row: AccountRow, passcode: str | None, token: Token | None) -> Iterable[str]:
    facts: tuple[tuple[object, str], ...] = (
        (row.record.restricted, "managed user"),
        (row.password_hash, "password"),
        (row.sealed_verification, "verification code"),
        (passcode, "passcode"),
        (token, f"token {token}"),  # by its fingerprint
        (row.disabled, "disabled"),
    )
    return (text for there, text in facts if there)


async def _if_alive(instance: Instance, row: AccountRow, token: Token | None) -> Token | None:
    if token is None:
        return None
    found = await instance.store.find_token(instance.keys.digest(token.reveal()), instance.now())
    return token if found is not None and found.account_id == row.id else None
