"""plex-api-client 0.9.0 as its users call it: package `plex_api`, the release line of the Python page.

One JSON request a line comes in, one JSON outcome a line goes out; `method` is always `sync`, this release has no
other. It offers no result for its two calls: its users read `raw_response`, and so does this program. The page writes
`type=`, which this release takes only as `type_=`; with `as_on_the_page` the program calls it as the page does.
"""

import json
import sys

import plex_api
from plex_api.models import errors, operations

IDENTIFIER = "stranger-plexpy-0-9-0"


def called(ask):
    sdk = plex_api.PlexAPI(
        access_token=ask["token"], x_plex_client_identifier=IDENTIFIER, server_url=ask["server"]
    ).authentication
    if ask["call"] == "source":
        return sdk.get_source_connection_information(source=ask["source"])
    kind = operations.GetTransientTokenQueryParamType.DELEGATION
    name = "type" if ask.get("as_on_the_page") else "type_"
    return sdk.get_transient_token(**{name: kind, "scope": operations.Scope.ALL})


def read(call, result):
    """What a user of the SDK finds in the response that it keeps."""
    container = result.raw_response.json()["MediaContainer"]
    if call == "transient_token":
        return {"token": container["token"]}
    device = container["Device"]
    return {
        "name": device["name"],
        "client_identifier": device["clientIdentifier"],
        "token": device["accessToken"],
        "connections": [connection["uri"] for connection in device["Connection"]],
    }


def outcome(ask):
    try:
        result = called(ask)
        return {"status": result.status_code, "result": read(ask["call"], result)}
    except errors.SDKError as error:
        return {"raised": type(error).__name__, "status": error.status_code, "body": error.body, "codes": []}
    except (errors.GetTransientTokenResponseBody, errors.GetSourceConnectionInformationResponseBody) as error:
        codes = [int(one.code) for one in error.errors or []]
        response = error.raw_response
        return {"raised": type(error).__name__, "status": response.status_code, "body": response.text, "codes": codes}
    except Exception as error:
        return {"raised": type(error).__name__, "message": str(error)}


for line in sys.stdin:
    print(json.dumps(outcome(json.loads(line))), flush=True)
