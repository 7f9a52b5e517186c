"""What a client and those derived from it share: the transport, whether it is open, what was remembered once.

Rule: nothing is opened before the first call, and nothing is used after `close`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from ticketstub.client.config import PublishedKeyCache
from ticketstub.device import Device

T = TypeVar("T")

DEFAULT_APP = "Ticketstub"


class SharedTransport(Generic[T]):
    """A transport that is made when it is first needed."""

    def __init__(self, factory: Callable[[], T]) -> None:
        self._factory = factory
        self._transport: T | None = None
        self._closed = False
        self._lock = Lock()
        self.device: Device | None = None
        self.published_keys = PublishedKeyCache()

    def get_transport(self) -> T:
        """Return the transport.

        Raises:
            RuntimeError: the client was closed.
        """
        if self._closed:
            raise RuntimeError("this client was closed; make a new one")
        return self._transport or self._create_transport()

    def _create_transport(self) -> T:
        with self._lock:  # two first calls at once must not make two
            if self._transport is None:
                self._transport = self._factory()
            return self._transport

    def mark_closed(self) -> T | None:
        """Mark it closed and return the transport, if there is one to close."""
        transport, self._transport, self._closed = self._transport, None, True
        return transport

    def load_device(self) -> Device:
        """Read this installation's own device, once for all that share the link. It reads a file."""
        self.device = Device.load_or_use_temporary(DEFAULT_APP)
        return self.device
