# sign_in.py is generated from this file by scripts/make_sync.py.
"""A begun sign-in as an object: shown to the user, kept as text, finished here or in another process.

Rule: what it does is in client/flows/pin.py. It stores nothing beyond itself unless it is given a store.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from ticketstub.client.flows.pending import Begun, BegunPin, loaded
from ticketstub.tracebacks import hide_locals

if TYPE_CHECKING:
    from ticketstub.client.async_plex import AsyncPlex
    from ticketstub.client.flows.stored_session import Kept
    from ticketstub.credentials import Credentials
    from ticketstub.crypto import DeviceKey


@hide_locals
class AsyncSignIn(Begun):
    """A sign-in that waits for the user's approval; `AsyncPlex.begin_sign_in` begins one."""

    def __init__(self, plex: AsyncPlex, pin: BegunPin, *, device_key: DeviceKey | None = None) -> None:
        super().__init__(pin)
        self._plex = plex
        self._key = device_key
        self._kept: Kept | None = None

    @classmethod
    def load(cls, data: str | bytes, *, plex: AsyncPlex | None = None, device_key: DeviceKey | None = None) -> Self:
        """Take up a sign-in that `dump` wrote, here or in another process.

        Args:
            data: what `dump` returned.
            plex: the client whose connections and options are used; by default `AsyncPlex()`. The client identifier is
                that of the dump.
            device_key: the key that the sign-in was begun with, if it was.

        Raises:
            ValueError: the data is damaged, of another version, of another plex.tv than the client's, or of another
                device key; nothing was sent.
        """
        from ticketstub.client.async_plex import AsyncPlex

        client = plex or AsyncPlex()
        return cls(client, loaded(data, client.plex_tv, device_key), device_key=device_key)

    async def is_done(self) -> bool:
        """Ask Plex once whether the user has approved, without waiting; `finish` needs no further question then.

        Plex may give the token only once: call `finish` on this very object when it is true.

        Raises:
            PinExpired, Denied: there is nothing to wait for any more. Other errors of the call mean: ask again later.
        """
        from ticketstub.client.flows.pin import once

        if self._kept is None:
            self._kept = await self._plex.follow(partial(once, self._pin, self._key))
        return self._kept is not None

    async def finish(
        self,
        *,
        give_up: float | None = None,
        credentials: Credentials | None = None,
        app: str | None = None,
        profile: str = "default",
    ) -> AsyncPlex:
        """Wait for the approval and return a client that is signed in; it asks Plex once a second.

        An outage does not end the wait: not a 429, a 5xx, a lost connection, a page in place of an answer.

        Args:
            give_up: after how many seconds to stop waiting; by default the PIN's own time.
            credentials: where to keep the sign-in; by default nowhere.
            app: for which program; by default the product that the sign-in's device names, as in `AsyncPlex.sign_in`.
            profile: under which name.

        Raises:
            PinExpired, Denied, GaveUp: no approval came.
            Unauthorized, BadRequest, Refusal: Plex does not take the question itself.
        """
        from ticketstub.client.flows.pin import until_approved
        from ticketstub.client.flows.session import stored
        from ticketstub.credentials.store import COMMAND

        if self._kept is None:
            self._kept = await self._plex.follow(partial(until_approved, self._pin, self._key, give_up=give_up))
        kept = self._kept
        if credentials is not None:
            app = app or kept.device.product or COMMAND
            kept = await self._plex.follow(partial(stored, kept, credentials, app, profile, before="none"))
        return self._plex.with_options(token=kept, device=kept.device)
