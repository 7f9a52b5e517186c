"""Requests as plexjava and plexcsharp send them, byte for byte, where the SDKs themselves cannot be had.

One JSON request a line comes in, one JSON outcome a line goes out; `method` is the SDK. Rule: a request holds what the
SDK and its language's own HTTP library write, in their order and no more, and an answer is read by the SDK's own rule
about status and content type; nothing is decided by what the local Plex does. Standard library only. Where no address
of plex.tv is given (`plex_tv` is null), it is Plex's own, by https, through the proxy that the environment names.

* plexjava 0.16.0: java.net.http offers HTTP/2 with every request by http (`Upgrade: h2c`); `rememberMe=false` is
  always there.
* plexcsharp 0.2.0: no `Accept`; parameters are not percent-encoded. It has no errors: a 401 in JSON becomes an object,
  everything else is left to whoever reads `RawResponse`. `token_in` is `header` (default) or `query`: releases differ.
"""

import json
import os
import socket
import sys
from collections.abc import Callable
from http.client import HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, quote_plus, urlencode, urlsplit

IDENTIFIER = "Postman"  # the pages' own
FIELDS = {
    "clientName": "X-Plex-Product",
    "deviceNickname": "X-Plex-Device",
    "clientVersion": "X-Plex-Version",
    "platform": "X-Plex-Platform",
}
OPERATIONS = {
    "transient_token": "GetTransientToken",
    "source": "GetSourceConnectionInformation",
    "token_details": "GetTokenDetails",
    "sign_in": "PostUsersSignInData",
}
TIME_LIMIT = 10

Ask = dict[str, Any]
Pairs = list[tuple[str, str]]


def parameters(ask: Ask) -> Pairs:
    if ask["call"] == "transient_token":
        return [("type", "delegation"), ("scope", "all")]
    return [("source", ask["source"])] if ask["call"] == "source" else []


def form(ask: Ask) -> Pairs:
    """The sign-in's form in the order of its fields."""
    pairs = [("login", ask["login"]), ("password", ask["password"])]
    pairs.append(("rememberMe", str(ask.get("remember_me", False)).lower()))
    if "verification_code" in ask:
        pairs.append(("verificationCode", ask["verification_code"]))
    return pairs


def token(ask: Ask) -> Pairs:
    return [("X-Plex-Token", ask["token"])] if ask["call"] != "sign_in" and ask.get("token") else []


def plexjava(ask: Ask, host: str) -> tuple[str, Pairs, bytes]:
    """Its request object names the device; the HTTP library's own header fields come first."""
    signing_in = ask["call"] == "sign_in"
    body = urlencode(form(ask)).encode() if signing_in else b""
    stack = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Content-Length", str(len(body))),
        ("Host", host),
        ("HTTP2-Settings", "AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA"),
        ("Upgrade", "h2c"),
    ]
    if address(ask).scheme == "https":  # there the offer is made with TLS
        stack = stack[1:3]
    own = [("Accept", "application/json")]
    if signing_in:
        own.append(("Content-Type", "application/x-www-form-urlencoded"))
    own.append(("user-agent", "speakeasy-sdk/java 0.16.0 2.585.2 0.0.3 dev.plexapi.sdk"))
    if signing_in:
        device = [(FIELDS[field], value) for field, value in ask.get("device", {}).items()]
        own += [("X-Plex-Client-Identifier", IDENTIFIER), *device]
    return urlencode(parameters(ask)), stack + own + token(ask), body


def plexcsharp(ask: Ask, host: str) -> tuple[str, Pairs, bytes]:
    """Two operations, both without `Accept` and without a client identifier, whatever it was built with."""
    fields = [("Host", host), ("user-agent", "speakeasy-sdk/csharp 0.2.0 2.281.2 0.0.3 Plex-API")]
    query = "&".join(f"{name}={value}" for name, value in parameters(ask))
    if ask.get("token_in") == "query":
        return f"{query}&X-Plex-Token={quote_plus(ask['token'])}", fields, b""
    return query, fields + token(ask), b""


SDKS: dict[str, Callable[[Ask, str], tuple[str, Pairs, bytes]]] = {
    "plexjava": plexjava,
    "plexcsharp": plexcsharp,
}
PATHS = {"transient_token": "/security/token", "source": "/security/resources"}
PLEX_TV_PATHS = {"token_details": "/api/v2/user", "sign_in": "/api/v2/users/signin"}


def address(ask: Ask) -> SplitResult:
    """Where the request goes to."""
    return urlsplit((ask["plex_tv"] or "https://plex.tv") if ask["call"] in PLEX_TV_PATHS else ask["server"])


def opened(place: SplitResult) -> socket.socket:
    """Connect, by https through the proxy."""
    if place.scheme == "http":
        return socket.create_connection((place.hostname, place.port), TIME_LIMIT)
    proxy = urlsplit(os.environ["https_proxy"])
    connection = HTTPSConnection(proxy.hostname or "", proxy.port, timeout=TIME_LIMIT)
    connection.set_tunnel(place.hostname or "", place.port or 443)
    connection.connect()
    return connection.sock


def exchanged(ask: Ask) -> tuple[int, str, str]:
    """Send the request and return the answer's status, content type and text."""
    call = ask["call"]
    base = address(ask)
    query, fields, body = SDKS[ask["how"]](ask, base.netloc)
    target = base.path + (PLEX_TV_PATHS | PATHS)[call] + (f"?{query}" if query else "")
    method = "POST" if call == "sign_in" else "GET"
    head = "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields), ""))
    with opened(base) as connection:
        # In two writes, as both libraries do where there is a body.
        connection.sendall(head.encode())
        connection.sendall(body)
        answer = HTTPResponse(connection, method=method)
        answer.begin()
        content_type = answer.headers.get("Content-Type", "").partition(";")[0]
        return answer.status, content_type, answer.read().decode()


def read(call: str, text: str) -> object:
    """What the SDK's user finds: in its account, or in the response that it keeps."""
    found = json.loads(text)
    if call in PLEX_TV_PATHS:
        return {"username": found["username"], "email": found["email"], "id": found["id"], "token": found["authToken"]}
    container = found["MediaContainer"]
    if call == "transient_token":
        return {"token": container["token"]}
    device = container["Device"]
    return {
        "name": device["name"],
        "client_identifier": device["clientIdentifier"],
        "token": device["accessToken"],
        "connections": [connection["uri"] for connection in device["Connection"]],
    }


def raised(ask: Ask, status: int, content_type: str, text: str) -> str | None:
    """The error by the rule of plexjava, or None."""
    call = ask["call"]
    if call in PLEX_TV_PATHS and status == (201 if call == "sign_in" else 200):
        return None if content_type == "application/json" else "SDKError"
    if call in PATHS and status == 200:
        return None
    if status in {400, 401} and content_type == "application/json":
        return OPERATIONS[call] + {400: "BadRequest", 401: "Unauthorized"}[status]
    return "SDKError"


def outcome(ask: Ask) -> Ask:
    try:
        status, content_type, text = exchanged(ask)
    except OSError as error:
        return {"raised": type(error).__name__, "message": str(error)}
    facts = {"status": status, "content_type": content_type, "body": text}
    if ask["how"] == "plexcsharp":
        typed = json.loads(text) if status == 401 and content_type == "application/json" else None
        if status != 200:
            return facts | {"object": typed}
    elif name := raised(ask, status, content_type, text):
        codes = [] if name == "SDKError" else [error["code"] for error in json.loads(text)["errors"]]
        return facts | {"raised": name, "codes": codes}
    try:
        return facts | {"result": read(ask["call"], text)}
    except json.JSONDecodeError as error:
        return facts | {"unreadable": str(error)}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(outcome(json.loads(line))), flush=True)
