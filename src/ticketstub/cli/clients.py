"""The clients that the commands use: as which device, where to, with a token that was given or a sign-in that is kept.

Rule: the command is a user of the library like any other; it reaches Plex through `Plex` alone. A kept token goes to
its issuer, and to a media server only if plex.tv lists that server's own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.cli import prompts, version
from ticketstub.cli.failures import Complaint, blaming
from ticketstub.errors import CredentialsError

if TYPE_CHECKING:
    from ticketstub.cli.sign_ins import Found
    from ticketstub.client.flows.request import Caller
    from ticketstub.client.flows.steps import Flow
    from ticketstub.client.flows.stored_session import Kept
    from ticketstub.client.plex import MediaServer, Plex
    from ticketstub.device import Device
    from ticketstub.tokens import Token

PRODUCT = "Ticketstub"


class Reach(NamedTuple):
    """What the options say about reaching Plex: where, for how long, as whom, with which kept sign-in."""

    plex_tv: str
    timeout: float
    client_identifier: str | None
    profile: str | None = None

    @property
    def issuer(self) -> str:
        """The origin of plex.tv or of the local Plex.

        Raises:
            WrongUsage: the address is none.
        """
        from ticketstub.client.config import based
        from ticketstub.messages import origin_of

        with blaming("--plex-tv"):
            return origin_of(based(self.plex_tv))

    def is_kept(self) -> bool:
        """Tell whether there is a sign-in to use where no token is given; no keyring is asked."""
        from ticketstub.cli import sign_ins

        try:
            return sign_ins.entry(self.issuer, self.profile) in sign_ins.names()
        except CredentialsError:
            return True  # its error is told when it is used
        except Complaint:
            return False


def plex(reach: Reach, token: Token | None = None, *, device: Device | None = None) -> Plex:
    """Make the client for plex.tv.

    Raises:
        WrongUsage: an option cannot be what it is.
    """
    from ticketstub.client.plex import Plex

    device = device or own_device(reach.client_identifier)
    with blaming("--plex-tv"):
        return Plex(device=device, token=token, plex_tv=reach.plex_tv, timeout=reach.timeout)


@contextmanager
def signed_in(reach: Reach, *, read_input: bool = True) -> Generator[Plex]:
    """Yield a client with the token that was given; else with the kept sign-in.

    Args:
        reach: where and with what.
        read_input: whether standard input may hold the token.

    Raises:
        WrongUsage: there is neither, or --profile names none.
        Complaint: inside the `with`: Plex no longer takes what is kept.
    """
    if reach.profile is None and (mine := prompts.token(reach.is_kept, read_input=read_input)):
        with plex(reach, mine) as client:
            yield client
        return
    from ticketstub.cli import sign_ins

    found = sign_ins.needed(reach.issuer, reach.profile, or_token=True)
    with kept(reach, found) as client, sign_ins.explained(found):
        yield client


@contextmanager
def kept(reach: Reach, found: Found) -> Generator[Plex]:
    """Yield a client that lives on what is kept. Nothing is sent for that."""
    with plex(reach, device=own_device(found.credential.client_identifier or reach.client_identifier)) as client:
        source = client.follow(partial(_taken_up, found))
        living = client.with_options(token=source, device=source.device)
        if reach.client_identifier:
            living = living.with_options(client_identifier=reach.client_identifier)
        yield living


def _taken_up(found: Found, caller: Caller) -> Flow[Kept]:
    from ticketstub.client.flows.steps import do
    from ticketstub.client.flows.stored_session import Kept

    where = yield from do(partial(found.store.where, *found.credential.entry))
    return Kept(caller, found.store, found.credential, where=where)


@contextmanager
def media_server(reach: Reach, server: str) -> Generator[tuple[MediaServer, Token]]:
    """Yield the client of one media server, and its token.

    Naming the server beside a given token vouches that the token belongs there. With a kept sign-in it is that server's
    own token, as plex.tv lists it.

    Raises:
        Complaint: the account has no server at that address.
    """
    if reach.profile is None and (mine := prompts.token(reach.is_kept)):
        with plex(reach, mine) as client:
            yield _at(client, server, mine), mine
        return
    from ticketstub.cli import sign_ins
    from ticketstub.messages import origin_of

    with blaming("--server"):
        origin = origin_of(server)
    found = sign_ins.needed(reach.issuer, reach.profile, or_token=True)
    with kept(reach, found) as client:
        with sign_ins.explained(found):
            own = _listed_token(client, origin)
        yield _at(client, server, own), own


def _at(client: Plex, server: str, token: Token) -> MediaServer:
    with blaming("--server"):
        return client.at(server, token=token)


def _listed_token(client: Plex, origin: str) -> Token:
    from ticketstub.messages import origin_of

    for resource in client.resources():
        for one in resource.connections:
            with suppress(ValueError):  # what is listed is no address
                if resource.access_token and one.uri and origin_of(one.uri) == origin:
                    return resource.access_token
    raise Complaint(
        "your account has no media server at this address, so no token was sent there",
        hint="take an address that `ticketstub servers` shows, or give the server's own token in TICKETSTUB_TOKEN",
    )


def own_device(client_identifier: str | None) -> Device:
    """Return the device with the identifier that was named, or this installation's own.

    Raises:
        WrongUsage: the identifier is none.
    """
    from ticketstub.device import Device

    if client_identifier is None:
        return Device.remembered_or_new(PRODUCT, version=version())
    with blaming("--client-identifier"):
        return Device.here(client_identifier, PRODUCT, version())
