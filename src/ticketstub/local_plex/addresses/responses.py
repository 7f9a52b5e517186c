"""What the listeners of addresses send that is not the media server's: another server, a login page, a redirect.

Rule: a response is a function of the request's head. None of them looks at a token.
"""

from __future__ import annotations

import re
from hashlib import sha1
from http import HTTPStatus

from ticketstub.local_plex.http.request import Headers
from ticketstub.local_plex.http.response import LOCAL_PLEX_HEADER, MEDIA_SERVER_HEADERS, MEDIA_SERVER_HTML_HEADERS
from ticketstub.models import Identity
from ticketstub.protocol.codec import Format
from ticketstub.protocol.error_bodies import write_error_page
from ticketstub.protocol.media_server import GetIdentity

LOGIN_PATH = "/login"
"""The path to which a redirect leads."""
DRIPPED_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml;charset=utf-8\r\n\r\n<MediaContainer "
"""The beginning of a response that never ends; spaces follow."""

_LOGIN_PAGE = (
    b"<!doctype html><title>Router</title><h1>Router</h1><p>Sign in to use this network. (A local stand-in, not a "
    b'router.)</p><form method="post"><input name="password" type="password"><button>Sign in</button></form>'
)
_WANTS_JSON = re.compile(rb"(?im)^accept:[^\r\n]*\bapplication/json\b")


def derive_other_identifier(machine_identifier: str) -> str:
    """Return the machine identifier of the other server that answers in place of this one."""
    return sha1(f"other than {machine_identifier}".encode(), usedforsecurity=False).hexdigest()


def write_other_server(head: bytes, machine_identifier: str, version: str) -> bytes:
    """Write the response of another media server: its own identity, and 401 for everything else."""
    path = parse_path(head)
    if path != GetIdentity.http.path:
        body = write_error_page(HTTPStatus.UNAUTHORIZED, is_root=path == "/")
        return write_response(HTTPStatus.UNAUTHORIZED, MEDIA_SERVER_HTML_HEADERS, body)
    identity = Identity(machine_identifier=derive_other_identifier(machine_identifier), version=version, claimed=True)
    form = Format.JSON if _WANTS_JSON.search(head) else Format.XML
    return write_response(HTTPStatus.OK, MEDIA_SERVER_HEADERS[form], GetIdentity().write(identity, form))


def write_login_page() -> bytes:
    """Write the response of a router or captive portal: 200 and a web page, whatever was requested."""
    return write_response(HTTPStatus.OK, [(b"content-type", b"text/html; charset=utf-8")], _LOGIN_PAGE)


def write_redirect(head: bytes, base_url: str) -> bytes:
    """Write a redirect to a login page on the same listener; for that page's path, the page."""
    if parse_path(head) == LOGIN_PATH:
        return write_login_page()
    return write_response(HTTPStatus.FOUND, [(b"location", f"{base_url}{LOGIN_PATH}".encode())], b"")


def parse_path(head: bytes) -> str:
    """Return the path of a request, without its query; empty if it has none."""
    parts = head.partition(b"\r\n")[0].split(b" ")
    return parts[1].partition(b"?")[0].decode("latin-1") if len(parts) > 1 else ""


def write_response(status: HTTPStatus, headers: Headers, body: bytes) -> bytes:
    """Write a response after which the connection is closed."""
    own_name, own_value = LOCAL_PLEX_HEADER
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}".encode(),
        *(name + b": " + value for name, value in headers),
        f"{own_name}: {own_value}".encode(),
        b"content-length: %d" % len(body),
        b"connection: close",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
