"""plexauth 0.0.6 as Home Assistant uses it, and then PlexAPI 4.18.3 with the token that it brought.

One JSON request a line comes in, one JSON outcome a line goes out. Both have Plex's addresses built in; both take a
session, and these send what is for plex.tv to the local Plex. Where no address of one is given (`plex_tv` is null),
they are as their users have them, but that aiohttp's trusts the environment.
"""

import asyncio
import json
import sys

import aiohttp
import requests
from plexapi.myplex import MyPlexAccount
from plexauth import PlexAuth
from requests.adapters import HTTPAdapter
from yarl import URL

PAYLOAD = {
    "X-Plex-Device-Name": "Home",
    "X-Plex-Version": "2026.11.0",
    "X-Plex-Product": "Home Assistant",
    "X-Plex-Device": "Linux",
    "X-Plex-Platform": "Home Assistant",
    "X-Plex-Model": "Plex OAuth",
}
PLEX_TV = ("https://plex.tv", "https://clients.plex.tv")
BEGUN = {}


class Elsewhere(HTTPAdapter):
    """Sends what is for one origin to another."""

    def __init__(self, origin, other):
        super().__init__()
        self.origin = origin
        self.other = other

    def send(self, request, **options):
        request.url = self.other + request.url.removeprefix(self.origin)
        return super().send(request, **options)


def elsewhere(plex_tv):
    if plex_tv is None:
        return aiohttp.ClientSession(trust_env=True)

    async def send(request, handler):
        request.url = URL(plex_tv).join(request.url.relative())
        return await handler(request)

    return aiohttp.ClientSession(middlewares=(send,))


def account_for(token, plex_tv):
    if plex_tv is None:
        return MyPlexAccount(token=token)
    session = requests.Session()
    session.trust_env = False
    for origin in PLEX_TV:
        session.mount(origin, Elsewhere(origin, plex_tv))
    return MyPlexAccount(token=token, session=session)


async def done(ask):
    match ask["call"]:
        case "begin":
            auth = PlexAuth(dict(PAYLOAD), elsewhere(ask["plex_tv"]), {"Origin": "http://homeassistant.example:8123"})
            await auth.initiate_auth()
            BEGUN["auth"] = auth
            return {"url": auth.auth_url(ask["forward"]), "client": auth.client_identifier}
        case "poll":
            return {"token": await BEGUN["auth"].request_auth_token()}
        case "token":
            return {"token": await BEGUN["auth"].token(10)}
        case "close":
            await BEGUN["auth"]._session.close()
            return {}
        case "set_up":
            # What Home Assistant does with a token: the account, its servers, one of them, its users, a token for it.
            account = account_for(ask["token"], ask["plex_tv"])
            servers = [(one.name, one.clientIdentifier) for one in account.resources() if "server" in one.provides]
            server = account.resource(ask["server"]).connect(ssl=ask.get("ssl", False), timeout=10)
            return {
                "username": account.username,
                "servers": servers,
                "accounts": [one.name for one in server.systemAccounts() if one.name],
                "users": [user.title for user in account.users()],
                "clients": [one.title for one in server.clients()],
                "transient": server.createToken(),
                "version": server.version,
            }


async def main():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            outcome = {"result": await done(json.loads(line))}
        except Exception as error:
            outcome = {"raised": type(error).__name__, "message": str(error)}
        print(json.dumps(outcome), flush=True)


asyncio.run(main())
