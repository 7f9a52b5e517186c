"""How requests are sent: a transport for `Plex`, one for `AsyncPlex`, and adapters for your own HTTP client.

Rule: no HTTP library is loaded before the first client is made, and then only the one that it uses.
"""

from __future__ import annotations

from typing import Any, cast

from ticketstub.client.transports.base import AsyncTransport, Transport


def create_transport(client: object | None = None) -> Transport:
    """Return the transport for `Plex`. Whatever the program's own transport raises becomes a `PlexError`.

    Args:
        client: an HTTP client or a transport of the program's own, or `None` for ours.

    Raises:
        TypeError: it is something else; the message lists what is accepted.
    """
    if client is None:
        from ticketstub.client.transports.http1 import StandardTransport

        return StandardTransport()
    if not _list_library_classes(client).isdisjoint({"httpx.Client", "httpx2.Client"}):
        from ticketstub.client.transports.httpx import HttpxTransport

        return HttpxTransport(client)
    if _is_transport(client, is_async=False):
        from ticketstub.client.transports.injected import GuardedTransport

        return GuardedTransport(cast("Transport", client))
    raise TypeError(
        "Plex sends with an httpx2.Client or httpx.Client, or a transport (send, sleep, close); "
        f"{_get_class_name(client)} is none of these"
    )


def create_async_transport(client: object | None = None) -> AsyncTransport:
    """Return the transport for `AsyncPlex`; as `create_transport`.

    Args:
        client: an HTTP client or a transport of the program's own, or `None` for ours.

    Raises:
        TypeError: it is something else; the message lists what is accepted.
    """
    classes = _list_library_classes(client)
    if client is None or "aiohttp.ClientSession" in classes:
        from ticketstub.client.transports.aiohttp import AiohttpTransport

        return AiohttpTransport(cast("Any", client))
    if not classes.isdisjoint({"httpx.AsyncClient", "httpx2.AsyncClient"}):
        from ticketstub.client.transports.httpx import AsyncHttpxTransport

        return AsyncHttpxTransport(client)
    if _is_transport(client, is_async=True):
        from ticketstub.client.transports.async_injected import AsyncGuardedTransport

        return AsyncGuardedTransport(cast("AsyncTransport", client))
    raise TypeError(
        "AsyncPlex sends with an aiohttp.ClientSession, an httpx2.AsyncClient or httpx.AsyncClient, or a transport "
        f"(send, sleep, close); {_get_class_name(client)} is none of these"
    )


def _list_library_classes(client: object) -> set[str]:
    """Return the classes of an object as `library.Class`. This imports no library."""
    return {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(client).__mro__}


def _is_transport(client: object, *, is_async: bool) -> bool:
    from inspect import iscoroutinefunction  # only for a transport of the program's own

    methods = [getattr(client, name, None) for name in ("send", "sleep", "close")]
    return all(callable(method) and iscoroutinefunction(method) is is_async for method in methods)


def _get_class_name(client: object) -> str:
    return f"{type(client).__module__}.{type(client).__qualname__}"
