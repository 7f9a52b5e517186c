"""Who is in a local Plex and how they sign in: what `serve` prints and its start page shows.

Rule: accounts and their codes are the database's. Passwords, passcodes and tokens are those of the world, for the
database has only hashes, and are left out once they no longer work. Nothing secret is in a summary unless asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from ticketstub.errors import sanitize_text
from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.storage.seal import VERIFICATION_PURPOSE, InstanceKeys
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import WorldAccount, WorldManaged
from ticketstub.local_plex.world.verification_codes import STEP_SECONDS, generate_code
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.local_plex.domain.passwords import PasswordChecker
    from ticketstub.local_plex.storage.base import AccountRow
    from ticketstub.local_plex.storage.homes import HomeRow
    from ticketstub.local_plex.world.schema import World

MAX_ACCOUNTS = 20
"""How many accounts are shown; the others are counted."""


class AccountSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An account as a person needs it to try the local Plex by hand.

    `sign_ins` says by what it signs in. The secrets are `None` unless the summary was made with them; `code`
    is current.
    """

    id: int
    name: str
    username: str
    email: str
    sign_ins: tuple[str, ...]
    password: Secret | None = None
    passcode: Secret | None = None
    code: Secret | None = None
    token: Token | None = None
    server_tokens: tuple[tuple[str, Token], ...] = ()


class InstanceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of a local Plex: how many there are, the first of them, and how long their codes are current.

    `homes` has the names of the Homes that these are in, and of each one's members.
    """

    count: int = 0
    accounts: tuple[AccountSummary, ...] = ()
    homes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    code_seconds_left: int = 30


class SummarySource(Protocol):
    """What an overview reads of an `Instance`."""

    store: SqliteStore
    keys: InstanceKeys
    passwords: PasswordChecker

    def now(self) -> int:
        """Return the whole seconds since 1970."""


class Overview:
    """Summarises one local Plex.

    Args:
        world: its world.
        show_secrets: whether secrets are shown: yes for the demonstration, for another world only if its owner said so.
        is_demo: whether the world is the demonstration: its secrets may be shown to any client.
    """

    def __init__(self, world: World, *, show_secrets: bool, is_demo: bool) -> None:
        self.world = world
        self.show_secrets = show_secrets
        self.is_demo = is_demo
        self.initial_summary = InstanceSummary()
        """The summary of the moment in which the local Plex started."""
        self._world_accounts: dict[int, WorldAccount | WorldManaged] = {
            account.id: account for account in world.accounts
        }
        self._world_accounts |= {managed.id: managed for home in world.homes for managed in home.managed}
        self._verified: dict[tuple[str, str], bool] = {}
        self._trust_world = False

    async def create_initial_summary(self, instance: SummarySource, *, seeded: bool) -> None:
        """Make the first summary.

        Args:
            instance: the local Plex.
            seeded: whether its database was made of this world a moment ago, so that all passwords are right.
        """
        self._trust_world = seeded
        self.initial_summary = await self.summarise(instance, include_secrets=self.show_secrets)
        self._trust_world = False

    def is_world_account(self, account_id: int) -> bool:
        """Tell whether an account is one of the world."""
        return account_id in self._world_accounts

    async def summarise(self, instance: SummarySource, *, include_secrets: bool) -> InstanceSummary:
        """Summarise the accounts as they are now."""
        count, rows = await self._list_rows(instance)
        accounts = [await self._summarise_account(instance, row, include_secrets=include_secrets) for row in rows]
        found = [home for row in rows if (home := await instance.store.homes.find_home(row.id))]
        homes = {home.id: (sanitize_text(home.name), tuple(_format_members(home))) for home in found}
        seconds = STEP_SECONDS - instance.now() % STEP_SECONDS
        return InstanceSummary(
            count=count, accounts=tuple(accounts), homes=tuple(homes.values()), code_seconds_left=seconds
        )

    async def _list_rows(self, instance: SummarySource) -> tuple[int, list[AccountRow]]:
        """Return how many accounts there are, and the first ones: those of the world, in its order, then others."""
        count, others = await instance.store.list_accounts(MAX_ACCOUNTS)
        first = [
            row
            for number in [*self._world_accounts][:MAX_ACCOUNTS]
            if (row := await instance.store.find_account_by_id(number))
        ]
        return count, [*first, *(row for row in others if not self.is_world_account(row.id))][:MAX_ACCOUNTS]

    async def _summarise_account(
        self, instance: SummarySource, row: AccountRow, *, include_secrets: bool
    ) -> AccountSummary:
        world_account, record = self._world_accounts.get(row.id), row.record
        passcode = await instance.store.homes.get_passcode_hash(row.id)
        token = await _check_token(instance, row, world_account.token) if world_account else None
        summary = AccountSummary(
            id=row.id,
            name=sanitize_text(record.friendly_name or record.title or record.username or str(row.id)),
            username=sanitize_text(record.username or ""),
            email=sanitize_text(record.email or ""),
            sign_ins=tuple(_list_sign_ins(row, passcode, token)),
        )
        if not include_secrets or world_account is None:
            return summary
        password = world_account.password if isinstance(world_account, WorldAccount) else None
        return msgspec.structs.replace(
            summary,
            password=await self._check_secret(instance.passwords, row.password_hash, password),
            passcode=await self._check_secret(instance.passwords, passcode, world_account.passcode),
            code=Secret(code) if (code := generate_current_code(instance.keys, row, instance.now())) else None,
            token=token,
            server_tokens=tuple([pair async for pair in self._iter_server_tokens(instance, row)]),
        )

    async def _iter_server_tokens(self, instance: SummarySource, row: AccountRow) -> AsyncGenerator[tuple[str, Token]]:
        """Yield the tokens that the world gave the account for media servers of others."""
        for server in self.world.media_servers:
            for share in server.shares:
                if token := await _check_token(instance, row, share.token):
                    yield server.name, token

    async def _check_secret(
        self, passwords: PasswordChecker, stored: str | None, secret: Secret | None
    ) -> Secret | None:
        """Return a password or passcode of the world unless it was changed since."""
        if stored is None or secret is None:
            return None
        pair = (stored, secret.reveal())
        if pair not in self._verified:
            try:
                self._verified[pair] = self._trust_world or await passwords.verify(stored, secret)
            except Overloaded:  # not known now, and no reason to fail
                return None
        return secret if self._verified[pair] else None


def _format_members(home: HomeRow) -> Iterable[str]:
    for member in home.members:
        record = member.account.record
        name = sanitize_text(record.username or record.title or str(member.account.id))
        kind = "administrator" if member.is_admin else "guest" if record.guest else ""
        kind = kind or ("managed" if record.restricted else "")
        yield f"{name} ({kind})" if kind else name


def _list_sign_ins(row: AccountRow, passcode: str | None, token: Token | None) -> Iterable[str]:
    facts: tuple[tuple[object, str], ...] = (
        (row.record.restricted, "managed user"),
        (row.password_hash, "password"),
        (row.sealed_verification, "verification code"),
        (passcode, "passcode"),
        (token, f"token {token}"),  # by its fingerprint
        (row.disabled, "disabled"),
    )
    return (text for applies, text in facts if applies)


async def _check_token(instance: SummarySource, row: AccountRow, token: Token | None) -> Token | None:
    if token is None:
        return None
    token_row = await instance.store.find_token(instance.keys.digest(token.reveal()), instance.now())
    return token if token_row is not None and token_row.account_id == row.id else None


def generate_current_code(keys: InstanceKeys, account: AccountRow, now: float) -> str | None:
    """Return an account's code of now; `None` where it asks for no codes."""
    sealed = account.sealed_verification
    return generate_code(Secret(keys.unseal(sealed, VERIFICATION_PURPOSE)), now) if sealed is not None else None
