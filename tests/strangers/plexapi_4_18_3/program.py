"""python-plexapi (PlexAPI 4.18.3) as its users call it.

One JSON request a line comes in, one JSON outcome a line goes out. The library has Plex's addresses built in; its
documented `session=` argument takes a requests session, and this one sends what is for plex.tv to the local Plex.
"""

import json
import sys

import requests
from plexapi.myplex import MyPlexAccount
from plexapi.server import PlexServer
from requests.adapters import HTTPAdapter

PLEX_TV = ("https://plex.tv", "https://clients.plex.tv")


class Elsewhere(HTTPAdapter):
    """Sends what is for one origin to another."""

    def __init__(self, origin, other):
        super().__init__()
        self.origin = origin
        self.other = other

    def send(self, request, **options):
        request.url = self.other + request.url.removeprefix(self.origin)
        return super().send(request, **options)


def session_for(plex_tv):
    session = requests.Session()
    session.trust_env = False
    for origin in PLEX_TV:
        session.mount(origin, Elsewhere(origin, plex_tv))
    return session


def described(account):
    return {
        "username": account.username,
        "email": account.email,
        "id": account.id,
        "token": account.authenticationToken,
        "two_factor": account.twoFactorEnabled,
    }


def resource_of(one):
    return {
        "token": one.accessToken,
        "identifier": one.clientIdentifier,
        "owned": one.owned,
        "connections": [connection.httpuri for connection in one.connections],
    }


def known(server):
    return {"name": server.friendlyName, "identifier": server.machineIdentifier, "version": server.version}


def done(ask, session):
    match ask["call"]:
        case "sign_in":
            return described(
                MyPlexAccount(ask["login"], ask["password"], code=ask.get("verification_code"), session=session)
            )
        case "token_details":
            return described(MyPlexAccount(token=ask["token"], session=session))
        case "ping":
            return {"pong": MyPlexAccount(token=ask["token"], session=session).ping()}
        case "resources":
            account = MyPlexAccount(token=ask["token"], session=session)
            return {"servers": {one.name: resource_of(one) for one in account.resources()}}
        case "connect":
            # `ssl=False`: of each connection, the plain address, and no name below plex.direct to look up.
            account = MyPlexAccount(token=ask["token"], session=session)
            return known(account.resource(ask["name"]).connect(ssl=False, timeout=5))
        case "server":
            return known(PlexServer(ask["server"], ask["token"], session=session))
        case "transient_token":
            return {"token": PlexServer(ask["server"], ask["token"], session=session).createToken()}


def outcome(ask):
    try:
        return {"result": done(ask, session_for(ask["plex_tv"]))}
    except Exception as error:
        return {"raised": type(error).__name__, "message": str(error)}


for line in sys.stdin:
    print(json.dumps(outcome(json.loads(line))), flush=True)
