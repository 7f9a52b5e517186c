"""Makes a database of the demonstration world with many tokens more: `populate.py FILE HOW-MANY`."""

import asyncio
import sys
import time
from pathlib import Path

from ticketstub.server.keys import Keys
from ticketstub.server.passwords import Passwords
from ticketstub.server.store.base import Addition, NewToken
from ticketstub.server.store.seed import seed
from ticketstub.server.store.sqlite import SqliteStore
from ticketstub.server.world import World

database, count = Path(sys.argv[1]), int(sys.argv[2])


async def main() -> None:
    keys = Keys.for_database(database)
    store = SqliteStore(f"sqlite:///{database}")
    now = int(time.time())
    await seed(store, World.demo(), keys, Passwords(keys), now)
    texts = (keys.new_token() for _ in range(count))
    tokens = tuple(NewToken(username="tom", digest=keys.digest(t), sealed_token=keys.seal(t)) for t in texts)
    await store.add(Addition(now=now, tokens=tokens))
    await store.close()


asyncio.run(main())
