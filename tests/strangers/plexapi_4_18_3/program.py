"""python-plexapi (PlexAPI 4.18.3) as its users call it.

One JSON request a line comes in, one JSON outcome a line goes out. The library has Plex's addresses built in; its
documented `session=` argument takes a requests session, and this one sends what is for plex.tv to the local Plex. Where
no address of one is given (`plex_tv` is null), it is called without: as its users do.
"""

import json
import sys

import plexapi
import requests
from plexapi.myplex import MyPlexAccount, MyPlexJWTLogin, MyPlexPinLogin
from plexapi.server import PlexServer
from requests.adapters import HTTPAdapter
from surface import OF_ACCOUNT, OF_SERVER

BEGUN = {}
"""The sign-ins that were begun, by name: they go on with a later request."""

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
    if plex_tv is None:
        return None
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


def headers_for(ask):
    return {**plexapi.BASE_HEADERS, "X-Plex-Client-Identifier": ask.get("client", plexapi.X_PLEX_IDENTIFIER)}


def jwt_login(ask, session, **more):
    """Make a login with the key pair of this name, which is made the first time."""
    login = MyPlexJWTLogin(session=session, headers=headers_for(ask), **more)
    pair = BEGUN.get(ask["key"])
    if pair is None:
        login.generateKeypair()
        BEGUN[ask["key"]] = (login._privateKey, login._publicKey)
    else:
        login._privateKey, login._publicKey = pair
    return login


def waited(login):
    """Wait for a login as its users do, and tell what came."""
    won = login.waitForLogin()
    return {
        "done": won,
        "expired": login.expired,
        "token": getattr(login, "jwtToken", None) or getattr(login, "token", None),
    }


def signing_in(ask, session):
    """What takes several requests: PINs and device keys."""
    match ask["call"]:
        case "pin_begin":
            login = BEGUN[ask["name"]] = MyPlexPinLogin(session=session, headers=headers_for(ask), oauth=ask["oauth"])
            url = login.oauthUrl(ask.get("forward")) if ask["oauth"] else None
            return {"code": login._code or login.pin, "url": url}
        case "pin_check":
            login = BEGUN[ask["name"]]
            return {"done": login.checkLogin(), "expired": login.expired, "token": login.token}
        case "pin_run":
            BEGUN[ask["name"]].run(timeout=ask.get("timeout", 10))
            return {}
        case "pin_wait":
            return waited(BEGUN[ask["name"]])
        case "jwt_begin":
            login = BEGUN[ask["name"]] = jwt_login(ask, session, oauth=ask["oauth"])
            login.run(timeout=10)
            return {"code": login._code, "url": login.oauthUrl() if ask["oauth"] else None}
        case "jwt_register":
            login = jwt_login(ask, session, token=ask["token"])
            login.registerDevice()
            return {"token": login.refreshJWT(), "verified": login.verifyJWT()}
        case "jwt_refresh":
            login = jwt_login(ask, session, jwtToken=ask["token"])
            return {"before": login.verifyJWT(), "token": login.refreshJWT(), "claims": login.decodedJWT}


def home(ask, account):
    match ask["call"]:
        case "users":
            return {
                user.title: {"id": user.id, "home": user.home, "servers": [share.name for share in user.servers]}
                for user in account.users()
            }
        case "user_token":
            return {"token": account.user(ask["user"]).get_token(ask["identifier"])}
        case "switch":
            return described(account.switchHomeUser(ask["user"], pin=ask.get("passcode")))
        case "set_passcode":
            account.setPin(ask["passcode"], ask.get("current"))
        case "remove_passcode":
            account.removePin(ask["current"])
        case "set_managed_passcode":
            account.setManagedUserPin(ask["user"], ask["passcode"])
        case "remove_managed_passcode":
            account.removeManagedUserPin(ask["user"])
    return {}


def devices(ask, account):
    match ask["call"]:
        case "devices":
            return {
                device.clientIdentifier: {
                    "name": device.name,
                    "id": device.id,
                    "token": device.token,
                    "provides": device.provides,
                }
                for device in account.devices()
            }
        case "remove_device":
            account.device(clientId=ask["identifier"]).delete()
            return {}
        case "sign_out":
            account.signout()
            return {}
        case "claim_token":
            return {"token": account.claimToken()}
        case "link":
            account.link(ask["code"])
            return {}
        case "public_address":
            return {"address": account.publicIP()}


def server(ask, session):
    plex = PlexServer(ask["server"], ask["token"], session=session)
    if ask["call"] in OF_SERVER:
        return OF_SERVER[ask["call"]](ask | {"session": session}, plex)
    match ask["call"]:
        case "server_accounts":
            return {"accounts": [(one.id, one.name) for one in plex.systemAccounts()]}
        case "server_devices":
            return {"devices": [one.name for one in plex.systemDevices()]}
        case "server_clients":
            return {"clients": [one.title for one in plex.clients()]}
        case "server_statistics":
            return {"statistics": len(plex.resources())}
        case "server_account":
            return {"username": plex.account().username, "state": plex.account().signInState}


def done(ask, session):
    call = ask["call"]
    if call in OF_ACCOUNT:
        return OF_ACCOUNT[call](ask, MyPlexAccount(token=ask["token"], session=session))
    if call.startswith(("pin_", "jwt_")):
        return signing_in(ask, session)
    if call.startswith("server_"):
        return server(ask, session)
    if call in {"users", "user_token", "switch"} or call.endswith("_passcode"):
        return home(ask, MyPlexAccount(token=ask["token"], session=session))
    if call in {"devices", "remove_device", "sign_out", "claim_token", "link", "public_address"}:
        return devices(ask, MyPlexAccount(token=ask["token"], session=session))
    return of_account(ask, session)


def of_account(ask, session):
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
            return {"servers": {one.name: resource_of(one) for one in account.resources() if "server" in one.provides}}
        case "connect":
            # `ssl=False`: of each connection, the plain address, and no name below plex.direct to look up.
            account = MyPlexAccount(token=ask["token"], session=session)
            server = account.resource(ask["name"]).connect(ssl=ask.get("ssl", False), timeout=5)
            return known(server) | {"url": server._baseurl}
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
