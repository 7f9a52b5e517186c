"""plex-api-client 0.36.3 as its users call it.

One JSON request a line comes in, one JSON outcome a line goes out; `method` is `sync` or `async`. Where no address of
plex.tv is given (`plex_tv` is null), the SDK's own default is left as it is.
"""

import asyncio
import json
import sys

from plex_api_client import PlexAPI
from plex_api_client.models import errors, operations

IDENTIFIER = "stranger-plexpy-0-36-3"


def prepared(ask):
    """The SDK's group, method and arguments for one request."""
    elsewhere = {"server_url": f"{ask['plex_tv']}/api/v2"} if ask["plex_tv"] else {}
    match ask["call"]:
        case "sign_in":
            form = {key: ask[key] for key in ("login", "password", "verification_code", "remember_me") if key in ask}
            request = {"request_body": form}
            return "authentication", "post_users_sign_in_data", {"request": request, **elsewhere}
        case "token_details":
            return "authentication", "get_token_details", {"request": {}, **elsewhere}
        case "transient_token":
            request = {"media_type": operations.QueryParamType.DELEGATION, "scope": operations.Scope.ALL}
            return "general", "create_transient_token", {"request": request}
        case "source":
            return "general", "get_source_connection_information", {"request": {"source": ask["source"]}}
        case "resources":
            wish = {"include_https": operations.IncludeHTTPS.TRUE} if ask.get("https") else {}
            return "plex", "get_server_resources", {"request": wish, **elsewhere}


def read(call, result):
    """What a user of the SDK finds in its result."""
    match call:
        case "sign_in" | "token_details":
            account = result.user_plex_account
            return {"username": account.username, "email": account.email, "id": account.id, "token": account.auth_token}
        case "transient_token":
            return {"token": result.object.media_container.token}
        case "source":
            device = result.object.media_container.device
            return {
                "name": device.name,
                "client_identifier": device.client_identifier,
                "token": device.access_token,
                "connections": [connection.uri for connection in device.connection],
            }
        case "resources":
            return {
                "servers": {one.name: one.access_token for one in result.plex_devices},
                "addresses": {one.name: [each.uri for each in one.connections] for one in result.plex_devices},
            }


def made(ask):
    return PlexAPI(
        token=ask.get("token"), client_identifier=IDENTIFIER, product="Stranger", server_url=ask.get("server")
    )


def called(ask):
    group, method, arguments = prepared(ask)
    with made(ask) as sdk:
        return getattr(getattr(sdk, group), method)(**arguments)


async def called_async(ask):
    group, method, arguments = prepared(ask)
    async with made(ask) as sdk:
        return await getattr(getattr(sdk, group), f"{method}_async")(**arguments)


def outcome(ask):
    try:
        result = asyncio.run(called_async(ask)) if ask["how"] == "async" else called(ask)
        return {"status": result.status_code, "result": read(ask["call"], result)}
    except errors.PlexAPIError as error:
        listed = getattr(getattr(error, "data", None), "errors", None) or []
        return {
            "raised": type(error).__name__,
            "status": error.status_code,
            "body": error.body,
            "codes": [one.code for one in listed],
        }
    except Exception as error:
        return {"raised": type(error).__name__, "message": str(error)}


for line in sys.stdin:
    print(json.dumps(outcome(json.loads(line))), flush=True)
