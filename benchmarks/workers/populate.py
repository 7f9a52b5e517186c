"""Adds many tokens to a database of the demonstration world, which it makes if need be: `populate.py FILE HOW-MANY`.

A file beside it, `.tokens`, lists some of them: more than the local Plex caches.
"""

import asyncio
import sys
import time
from pathlib import Path

from ticketstub.local_plex.domain.passwords import PasswordChecker
from ticketstub.local_plex.storage.accounts import insert_token
from ticketstub.local_plex.storage.database import Transaction
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World

database, count = Path(sys.argv[1]), int(sys.argv[2])
LISTED = 10_000


async def main() -> None:
    keys = InstanceKeys.load_or_create(database)
    store = SqliteStore(f"sqlite:///{database}")
    now = int(time.time())
    await seed(store, World.demo(), keys, PasswordChecker().hash_or_remember, now)
    texts = [keys.generate_token() for _ in range(count)]
    database.with_suffix(".tokens").write_text("\n".join(texts[:LISTED]), "utf-8")
    tom = await store.find_account_by_login("tom")
    assert tom is not None

    def keep(transaction: Transaction) -> None:
        for text in texts:
            digest, sealed = keys.digest(text), keys.seal(text)
            insert_token(transaction, digest=digest, sealed=sealed, kind="account", account_id=tom.id, now=now)

    await store.run_in_transaction(keep)
    await store.close()


asyncio.run(main())
