"""The clients that the commands use: as which device, where to, with a token that was given or a sign-in that is kept.

Rule: the command is a user of the library like any other; it reaches Plex through `Plex` alone. A kept token goes to
its issuer, and to a media server only if plex.tv lists that server's own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.cli import get_version, prompts
from ticketstub.cli.failures import CommandError, wrap_value_errors
from ticketstub.errors import CredentialsError

if TYPE_CHECKING:
    from ticketstub.cli.stores import StoredCredential
    from ticketstub.client.flows.request import Flow, FlowContext
    from ticketstub.client.flows.session import StoredSession
    from ticketstub.client.plex import MediaServer, Plex
    from ticketstub.device import Device
    from ticketstub.tokens import Token

PRODUCT = "Ticketstub"


class ConnectionOptions(NamedTuple):
    """What the options say about reaching Plex: where, for how long, as whom, with which kept sign-in."""

    plex_tv: str
    timeout: float
    client_identifier: str | None
    profile: str | None = None

    @property
    def issuer(self) -> str:
        """The origin of plex.tv or of the local Plex.

        Raises:
            InvalidUsage: the address is none.
        """
        from ticketstub.client.config import normalize_base_url
        from ticketstub.messages import get_origin

        with wrap_value_errors("--plex-tv"):
            return get_origin(normalize_base_url(self.plex_tv))

    def has_stored_sign_in(self) -> bool:
        """Tell whether there is a sign-in to use where no token is given; no keyring is asked."""
        from ticketstub.cli import stores

        try:
            return stores.resolve_entry(self.issuer, self.profile) in stores.list_entries()
        except CredentialsError:
            return True  # its error is told when it is used
        except CommandError:
            return False


def create_client(connection: ConnectionOptions, token: Token | None = None, *, device: Device | None = None) -> Plex:
    """Make the client for plex.tv.

    Raises:
        InvalidUsage: an option cannot be what it is.
    """
    from ticketstub.client.plex import Plex

    device = device or resolve_device(connection.client_identifier)
    with wrap_value_errors("--plex-tv"):
        return Plex(device=device, token=token, plex_tv=connection.plex_tv, timeout=connection.timeout)


@contextmanager
def open_client(connection: ConnectionOptions, *, read_input: bool = True) -> Generator[Plex]:
    """Yield a client with the token that was given; else with the kept sign-in.

    Args:
        connection: where and with what.
        read_input: whether standard input may hold the token.

    Raises:
        InvalidUsage: there is neither, or --profile names none.
        Complaint: inside the `with`: Plex no longer takes what is kept.
    """
    if connection.profile is None and (
        given_token := prompts.read_token(connection.has_stored_sign_in, read_input=read_input)
    ):
        with create_client(connection, given_token) as client:
            yield client
        return
    from ticketstub.cli import stores

    stored = stores.require_sign_in(connection.issuer, connection.profile, or_token=True)
    with resume_client(connection, stored) as client, stores.explain_refused_token(stored):
        yield client


@contextmanager
def resume_client(connection: ConnectionOptions, stored: StoredCredential) -> Generator[Plex]:
    """Yield a client that lives on what is kept. Nothing is sent for that."""
    with create_client(
        connection, device=resolve_device(stored.credential.client_identifier or connection.client_identifier)
    ) as client:
        source = client.run_flow(partial(_restore_session, stored))
        session_client = client.with_options(token=source, device=source.device)
        if connection.client_identifier:
            session_client = session_client.with_options(client_identifier=connection.client_identifier)
        yield session_client


def _restore_session(stored: StoredCredential, caller: FlowContext) -> Flow[StoredSession]:
    from ticketstub.client.flows.request import run_blocking
    from ticketstub.client.flows.session import StoredSession

    location = yield from run_blocking(partial(stored.store.describe_location, *stored.credential.entry))
    return StoredSession(caller, stored.store, stored.credential, location=location)


@contextmanager
def open_media_server(connection: ConnectionOptions, server: str) -> Generator[tuple[MediaServer, Token]]:
    """Yield the client of one media server, and its token.

    Naming the server beside a given token vouches that the token belongs there. With a kept sign-in it is that server's
    own token, as plex.tv lists it.

    Raises:
        Complaint: the account has no server at that address.
    """
    if connection.profile is None and (given_token := prompts.read_token(connection.has_stored_sign_in)):
        with create_client(connection, given_token) as client:
            yield _create_media_server(client, server, given_token), given_token
        return
    from ticketstub.cli import stores
    from ticketstub.messages import get_origin

    with wrap_value_errors("--server"):
        origin = get_origin(server)
    stored = stores.require_sign_in(connection.issuer, connection.profile, or_token=True)
    with resume_client(connection, stored) as client:
        with stores.explain_refused_token(stored):
            server_token = _find_server_token(client, origin)
        yield _create_media_server(client, server, server_token), server_token


def _create_media_server(client: Plex, server: str, token: Token) -> MediaServer:
    with wrap_value_errors("--server"):
        return client.at(server, token=token)


def _find_server_token(client: Plex, origin: str) -> Token:
    from ticketstub.messages import get_origin

    for resource in client.resources():
        for connection in resource.connections:
            with suppress(ValueError):  # what is listed is no address
                if resource.access_token and connection.uri and get_origin(connection.uri) == origin:
                    return resource.access_token
    raise CommandError(
        "your account has no media server at this address, so no token was sent there",
        hint="take an address that `ticketstub servers` shows, or give the server's own token in TICKETSTUB_TOKEN",
    )


def resolve_device(client_identifier: str | None) -> Device:
    """Return the device with the identifier that was named, or this installation's own.

    Raises:
        InvalidUsage: the identifier is none.
    """
    from ticketstub.device import Device

    if client_identifier is None:
        return Device.load_or_use_temporary(PRODUCT, version=get_version())
    with wrap_value_errors("--client-identifier"):
        return Device.for_this_computer(client_identifier, PRODUCT, get_version())
