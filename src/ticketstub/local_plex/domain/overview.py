"""The accounts of a local Plex and how to sign in to them: printed by `serve` and shown on its start page.

Rule: accounts and their codes come from the database. Passwords, passcodes and tokens come from the world, because the
database has only hashes; those that no longer work are left out. A summary contains secrets only on request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from ticketstub.errors import sanitize_text
from ticketstub.local_plex.domain.passwords import Overloaded, PasswordChecker
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.homes import HomeRow
from ticketstub.local_plex.storage.seal import VERIFICATION_PURPOSE, InstanceKeys
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World, WorldAccount, WorldManaged
from ticketstub.local_plex.world.verification_codes import STEP_SECONDS, generate_code
from ticketstub.tokens import Secret, Token

MAX_ACCOUNTS = 20
"""The largest number of accounts in a summary; the rest are only counted."""


class AccountSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a person needs to sign in to an account of the local Plex.

    The secrets are `None` unless the summary was made with them. `code` is the current verification code.
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
    """The number of accounts of a local Plex, the first of them, and how long their codes are valid.

    `homes` contains the names of these accounts' Homes, and of the members of each.
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
    clock: Callable[[], float]


class Overview:
    """Summarises one local Plex.

    Args:
        world: its world.
        show_secrets: whether to show secrets: always for the demonstration, on request for another world.
        is_demo: whether the world is the demonstration, whose secrets any client may see.
    """

    def __init__(self, world: World, *, show_secrets: bool, is_demo: bool) -> None:
        self.world = world
        self.show_secrets = show_secrets
        self.is_demo = is_demo
        self.initial_summary = InstanceSummary()
        """The summary at the start of the local Plex."""
        self._world_accounts: dict[int, WorldAccount | WorldManaged] = {
            **{account.id: account for account in world.accounts},
            **{managed.id: managed for home in world.homes for managed in home.managed},
        }
        self._verified: dict[tuple[str, str], bool] = {}

    async def create_initial_summary(self, instance: SummarySource, *, seeded: bool) -> None:
        """Create the initial summary.

        Args:
            instance: the local Plex.
            seeded: whether its database was just created from this world, so that all its passwords are right.
        """
        self.initial_summary = await self.summarise(instance, include_secrets=self.show_secrets, trust_world=seeded)

    def is_world_account(self, account_id: int) -> bool:
        """Return whether an account is one of the world's."""
        return account_id in self._world_accounts

    async def summarise(
        self, instance: SummarySource, *, include_secrets: bool, trust_world: bool = False
    ) -> InstanceSummary:
        """Summarise the accounts as they are now.

        Args:
            instance: the local Plex.
            include_secrets: whether the summary contains secrets.
            trust_world: whether all passwords and passcodes of the world are known to be right.
        """
        # The first accounts: those of the world in its order, then others.
        count, others = await instance.store.count_and_list_accounts(MAX_ACCOUNTS)
        rows = [
            row
            for number in [*self._world_accounts][:MAX_ACCOUNTS]
            if (row := await instance.store.find_account_by_id(number))
        ]
        rows = [*rows, *(row for row in others if not self.is_world_account(row.id))][:MAX_ACCOUNTS]
        found = [home for row in rows if (home := await instance.store.homes.find_home(row.id))]
        homes = {home.id: (sanitize_text(home.name), tuple(_format_members(home))) for home in found}
        return InstanceSummary(
            count=count,
            accounts=tuple(
                [
                    await self._summarise_account(
                        instance, row, include_secrets=include_secrets, trust_world=trust_world
                    )
                    for row in rows
                ]
            ),
            homes=tuple(homes.values()),
            code_seconds_left=STEP_SECONDS - int(instance.clock()) % STEP_SECONDS,
        )

    async def _summarise_account(
        self, instance: SummarySource, row: AccountRow, *, include_secrets: bool, trust_world: bool
    ) -> AccountSummary:
        world_account, record = self._world_accounts.get(row.id), row.record
        passcode = await instance.store.homes.get_passcode_hash(row.id)
        token = await _check_token(instance, row, world_account.token) if world_account else None
        facts: tuple[tuple[object, str], ...] = (
            (record.restricted, "managed user"),
            (row.password_hash, "password"),
            (row.sealed_verification, "verification code"),
            (passcode, "passcode"),
            (token, f"token {token}"),  # its fingerprint
            (row.disabled, "disabled"),
        )
        summary = AccountSummary(
            id=row.id,
            name=sanitize_text(record.friendly_name or record.title or record.username or str(row.id)),
            username=sanitize_text(record.username or ""),
            email=sanitize_text(record.email or ""),
            sign_ins=tuple(text for applies, text in facts if applies),
        )
        if not include_secrets or world_account is None:
            return summary
        password = world_account.password if isinstance(world_account, WorldAccount) else None
        return msgspec.structs.replace(
            summary,
            password=await self._check_secret(instance.passwords, row.password_hash, password, trust_world=trust_world),
            passcode=await self._check_secret(
                instance.passwords, passcode, world_account.passcode, trust_world=trust_world
            ),
            code=Secret(code) if (code := generate_current_code(instance.keys, row, int(instance.clock()))) else None,
            token=token,
            server_tokens=tuple(
                [
                    (server.name, server_token)
                    for server in self.world.media_servers
                    for share in server.shares
                    if (server_token := await _check_token(instance, row, share.token))
                ]
            ),
        )

    async def _check_secret(
        self, passwords: PasswordChecker, stored: str | None, secret: Secret | None, *, trust_world: bool
    ) -> Secret | None:
        """Return a password or passcode of the world, unless it has changed."""
        if stored is None or secret is None:
            return None
        pair = (stored, secret.reveal())
        if pair not in self._verified:
            try:
                self._verified[pair] = trust_world or await passwords.verify(stored, secret)
            except Overloaded:  # not known now, which is no reason to fail
                return None
        return secret if self._verified[pair] else None


def generate_current_code(keys: InstanceKeys, account: AccountRow, now: float) -> str | None:
    """Return an account's current verification code; `None` if it has no verification secret."""
    sealed = account.sealed_verification
    return generate_code(Secret(keys.unseal(sealed, VERIFICATION_PURPOSE)), now) if sealed is not None else None


def _format_members(home: HomeRow) -> Iterable[str]:
    for member in home.members:
        record = member.account.record
        name = sanitize_text(record.username or record.title or str(member.account.id))
        roles = {"administrator": member.is_admin, "guest": record.guest, "managed": record.restricted}
        yield next((f"{name} ({role})" for role, applies in roles.items() if applies), name)


async def _check_token(instance: SummarySource, row: AccountRow, token: Token | None) -> Token | None:
    """Return a token of the world, unless it no longer signs in to this account."""
    if token is None:
        return None
    token_row = await instance.store.find_token(instance.keys.digest(token.reveal()), int(instance.clock()))
    return token if token_row is not None and token_row.account_id == row.id else None
