"""What the adapters share: which clients they accept, how they read a URL, and how often a request is repeated.

Rule: `flows/authorization.py` decides who gets a token. A request with an `X-Plex-Token` of its own is left alone.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from ticketstub.client.flows.authorization import RefusedRequest
from ticketstub.messages import Origin, get_origin, split_url

if TYPE_CHECKING:
    from ticketstub.client.account import BaseClient
    from ticketstub.client.async_account import AsyncBaseClient

TOKEN_HEADER = "X-Plex-Token"  # noqa: S105  # its name


def require_client(plex: BaseClient | AsyncBaseClient) -> BaseClient | AsyncBaseClient:
    """Return a client of either kind.

    Raises:
        TypeError: it is something else.
    """
    from ticketstub.client.account import BaseClient
    from ticketstub.client.async_account import AsyncBaseClient

    if not isinstance(plex, BaseClient | AsyncBaseClient):  # pyright: ignore[reportUnnecessaryIsInstance]  # as in tokens
        raise TypeError(f"PlexAuth takes a Plex, MediaServer, AsyncPlex or AsyncMediaServer, not {_name(plex)}")
    return plex


def require_sync_client(plex: BaseClient | AsyncBaseClient, library: str) -> BaseClient:
    """Return a client that is not async.

    Raises:
        TypeError: it is async, or no client; the message says which library takes which client.
    """
    from ticketstub.client.account import BaseClient

    if not isinstance(plex, BaseClient):
        raise TypeError(
            f"{library} takes a Plex or MediaServer, not {_name(plex)}. "
            "AsyncPlex and AsyncMediaServer are for aiohttp and the AsyncClient of httpx"
        )
    return plex


def require_async_client(plex: BaseClient | AsyncBaseClient, library: str) -> AsyncBaseClient:
    """Return a client that is async.

    Raises:
        TypeError: it is not async, or no client; the message says which library takes which client.
    """
    from ticketstub.client.async_account import AsyncBaseClient

    if not isinstance(plex, AsyncBaseClient):
        raise TypeError(
            f"{library} takes an AsyncPlex or AsyncMediaServer, not {_name(plex)}. "
            "Plex and MediaServer are for requests and the Client of httpx"
        )
    return plex


def _name(plex: object) -> str:
    return f"{'an' if type(plex).__name__[:1] in 'AEIOUaeiou' else 'a'} {type(plex).__name__}"


def read_url(text: str, scheme: str, host: str | None, port: int | None) -> str:
    """Return a URL, or an empty text if its library would connect to another place than `split_url` reads in it.

    Args:
        text: the whole URL.
        scheme: the scheme that the library reads in it.
        host: the host that the library connects to.
        port: the port that the library connects to; `None` for the scheme's own.
    """
    with suppress(ValueError):
        origin, _ = split_url(text)
        if origin == Origin(scheme, (host or "").lower(), port or origin.default_port):
            return text
    return ""


def find_origin(url: str) -> str | None:
    """Return the origin of a URL; `None` if `split_url` does not read it."""
    with suppress(ValueError):
        return get_origin(url)
    return None


def create_base_class(*classes: tuple[str, str]) -> type:
    """Create a class with those of these bases that are installed.

    Args:
        classes: each base by its module and its name.
    """
    found: list[type] = []
    for module, name in classes:
        with suppress(ModuleNotFoundError):
            found.append(getattr(import_module(module), name))
    return type("_LibraryClass", tuple(found), {})


def require_base(created_class: type, *packages: str) -> None:
    """Check that a class of `create_base_class` has a base.

    Raises:
        ImportError: none of the packages is installed; it names what to install.
    """
    if created_class.__bases__ == (object,):
        raise ImportError(
            f"this adapter needs {' or '.join(packages)}, which is not installed: pip install {packages[0]}",
            name=packages[0],
        )


class RepeatLimit:
    """How often one request is repeated: once with a renewed token, and once to add the token after a redirect."""

    def __init__(self) -> None:
        self._renewed = False
        self._added = False

    def allows(self, refused: RefusedRequest) -> bool:
        """Return whether the request may be repeated after this refusal, and count it."""
        if refused.token is None:
            is_allowed, self._added = not self._added, True
        else:
            is_allowed, self._renewed = not self._renewed, True
        return is_allowed
