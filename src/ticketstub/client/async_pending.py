# sign_in.py is generated from this file by scripts/make_sync.py.
"""A begun sign-in as an object: shown to the user, kept as text, finished here or in another process.

Rule: what it does is in client/flows/pin.py. It stores nothing beyond itself unless it is given a store.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from ticketstub.client.flows.pin import PendingPin, PendingState, load_pending_pin
from ticketstub.tracebacks import hide_locals

if TYPE_CHECKING:
    from ticketstub.client.async_plex import AsyncPlex
    from ticketstub.client.flows.session import StoredSession
    from ticketstub.credentials import CredentialStore
    from ticketstub.crypto import DeviceKey


@hide_locals
class AsyncPendingSignIn(PendingState):
    """A sign-in that waits for the user's approval; `AsyncPlex.begin_sign_in` begins one."""

    def __init__(self, plex: AsyncPlex, pin: PendingPin, *, device_key: DeviceKey | None = None) -> None:
        super().__init__(pin)
        self._plex = plex
        self._key = device_key
        self._session: StoredSession | None = None

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
        return cls(client, load_pending_pin(data, client.plex_tv, device_key), device_key=device_key)

    async def is_done(self) -> bool:
        """Ask Plex once whether the user has approved, without waiting; `finish` needs no further question then.

        Plex may give the token only once: call `finish` on this very object when it is true.

        Raises:
            PinExpired, Denied: there is nothing to wait for any more. Other errors of the call mean: ask again later.
        """
        from ticketstub.client.flows.pin import poll_once

        if self._session is None:
            self._session = await self._plex.run_flow(partial(poll_once, self._pin, self._key))
        return self._session is not None

    async def finish(
        self,
        *,
        max_wait: float | None = None,
        store: CredentialStore | None = None,
        app: str | None = None,
        profile: str = "default",
    ) -> AsyncPlex:
        """Wait for the approval and return a client that is signed in; it asks Plex once a second.

        An outage does not end the wait: not a 429, a 5xx, a lost connection, a page in place of an answer.

        Args:
            max_wait: after how many seconds to stop waiting; by default the PIN's own time.
            store: where to keep the sign-in; by default nowhere.
            app: for which program; by default the product that the sign-in's device names, as in `AsyncPlex.sign_in`.
            profile: under which name.

        Raises:
            PinExpired, Denied, GaveUp: no approval came.
            Unauthorized, BadRequest, Refusal: Plex does not take the question itself.
        """
        from ticketstub.client.flows.pin import wait_for_approval
        from ticketstub.client.flows.session import save_session
        from ticketstub.credentials.store import COMMAND_APP

        if self._session is None:
            self._session = await self._plex.run_flow(
                partial(wait_for_approval, self._pin, self._key, max_wait=max_wait)
            )
        session = self._session
        if store is not None:
            app = app or session.device.product or COMMAND_APP
            session = await self._plex.run_flow(
                partial(save_session, session, store, app, profile, previous_status="none")
            )
        return self._plex.with_options(token=session, device=session.device)
