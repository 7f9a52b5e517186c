"""A floor for the local Plex: bare Starlette on the same server, sending the same bytes with the same headers."""

import json
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

recorded = json.loads(Path(sys.argv[2]).read_text("utf-8"))
BODY = recorded["body"].encode()
HEADERS = recorded["headers"]


async def user(_request: Request) -> Response:
    return Response(BODY, headers=HEADERS)


app = Starlette(routes=[Route("/api/v2/user", user)])
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=2048)
options = uvicorn.Config(app, access_log=False, proxy_headers=False, server_header=False, log_config=None)
uvicorn.Server(options).run(sockets=[listening])
