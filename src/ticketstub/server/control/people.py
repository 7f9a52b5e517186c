"""The people of a local Plex in a tester's hand: accounts, their tokens and codes, and who may use which media server.

Rule: as in hand.py. An account is named by user name, e-mail address or id, and is the world's first where none is
named; a media server by its name or machine identifier. What is made lasts until the next reset.
"""

from __future__ import annotations

from collections.abc import Mapping

from ticketstub.server.instance import Instance
from ticketstub.server.keys import VERIFICATION
from ticketstub.server.store.base import AccountRow, Addition, DeviceRow, MediaServerRow, NewShare, SignIn
from ticketstub.server.store.seed import seed
from ticketstub.server.verification import code_at
from ticketstub.server.world import World
from ticketstub.token import Secret, Token

DEVICE = DeviceRow(client_identifier="ticketstub-hand", product="Ticketstub", name="The tester's hand")
"""Whose the tokens are that `token_for` gives."""
NUMBERS = range(2**63)
"""What a number of an account or PIN can be: a database holds no greater ones."""


class People:
    """The accounts of one local Plex.

    Args:
        instance: that one.
        world: what it was seeded with.
    """

    def __init__(self, instance: Instance, world: World) -> None:
        self._instance = instance
        self._world = world

    async def find(self, name: str | int | None = None) -> AccountRow:
        """Return an account; by default the world's first.

        Raises:
            LookupError: there is none.
        """
        if name is None and not self._world.accounts:
            raise LookupError("the world has no account")
        wanted = self._world.accounts[0].username if name is None else name
        store = self._instance.store
        if isinstance(wanted, int):
            row = await store.account(wanted) if wanted in NUMBERS else None
        else:
            row = await store.find_account(wanted)
        if row is None:
            known = ", ".join(account.username for account in self._world.accounts)
            raise LookupError(f"there is no such account; the world has {known or 'none'}")
        return row

    async def add(self, described: Mapping[str, object]) -> AccountRow:
        """Add an account.

        Args:
            described: as `[[account]]` of a world file has it; the e-mail address may be left out.

        Raises:
            WorldError: the description is faulty.
            StoreConflict: its id, user name or address is somebody else's.
        """
        named = {"email": f"{described.get('username', '')}@example.test", **described}
        world, instance = World.from_dict({"account": [named]}), self._instance
        await seed(instance.store, world, instance.keys, instance.passwords, instance.now())
        return await self.find(world.accounts[0].username)

    async def set_password(self, account_id: int, password: Secret) -> None:
        """Give an account another password; its tokens stay."""
        row, passwords = await self.find(account_id), self._instance.passwords
        if row.password_hash is None:
            raise ValueError("this account has no password: make another one that has")
        if not passwords.verify_now(row.password_hash, password):
            new = passwords.hash_now(password)
            await self._instance.store.replace_password_hash(account_id, row.password_hash, new)

    async def code_for(self, account: str | int | None = None) -> Secret:
        """Return an account's verification code of now. Each works once: `advance(seconds=30)` leads to the next.

        Raises:
            LookupError: there is no such account, or it asks for no codes.
        """
        row = await self.find(account)
        if row.sealed_verification is None:
            raise LookupError("this account asks for no verification codes")
        secret = Secret(self._instance.keys.unseal(row.sealed_verification, VERIFICATION))
        return Secret(code_at(secret, self._instance.now()))

    async def token_for(self, account: str | int | None = None) -> Token:
        """Make a token of an account's own, as a sign-in of `DEVICE` would.

        Raises:
            LookupError: there is no such account, or it is disabled.
        """
        row, instance = await self.find(account), self._instance
        text = instance.keys.new_token()
        signed_in = await instance.store.sign_in(
            SignIn(
                account_id=row.id,
                device=DEVICE,
                digest=instance.keys.digest(text),
                sealed_token=instance.keys.seal(text),
                now=instance.now(),
            )
        )
        if not signed_in:
            raise LookupError("this account is disabled")
        return Token.received(text)

    async def share(self, media_server: str, account: str | int | None) -> None:
        """Share a media server with an account; with one that has it already, anew: its token there is another one.

        Raises:
            LookupError: there is no such media server or account.
            ValueError: nobody owns the server, or the account does.
        """
        server, row = await self._server(media_server), await self.find(account)
        if server.owner_id is None or server.owner_id == row.id:
            raise ValueError("a media server is shared by its owner, with somebody else")
        keys, text = self._instance.keys, self._instance.keys.new_token()
        new = NewShare(
            machine_identifier=server.machine_identifier,
            username=row.record.username or row.record.title or "",
            account_id=row.id,
            digest=keys.digest(text),
            sealed_token=keys.seal(text),
            known=True,
        )
        await self._end_share(server, row)
        await self._instance.store.add(Addition(now=self._instance.now(), shares=(new,)))

    async def unshare(self, media_server: str, account: str | int | None) -> None:
        """End a share: the account's token for the server dies, and the server is not listed any more.

        Raises:
            LookupError: there is no such share.
        """
        if not await self._end_share(await self._server(media_server), await self.find(account)):
            raise LookupError("this media server is not shared with this account")

    async def _end_share(self, server: MediaServerRow, guest: AccountRow) -> bool:
        instance = self._instance
        for share in await instance.store.users.shares(guest.id):
            if share.machine_identifier == server.machine_identifier and share.guest.id == guest.id:
                digest = instance.keys.digest(instance.keys.unseal(share.sealed_token))
                return await instance.store.revoke_token(digest, instance.now())
        return False

    async def _server(self, name: str) -> MediaServerRow:
        for row in await self._instance.store.media_servers():
            if name in {row.name, row.machine_identifier}:
                return row
        raise LookupError("no media server has this name")
