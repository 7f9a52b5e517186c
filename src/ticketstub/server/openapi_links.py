"""How one operation leads to another in the OpenAPI documents: where the answer to one is what the next one asks for.

Rule: by operation id, with the expressions of OpenAPI's own language; a link stands in the success of the first. They
are true of JSON: such an expression points into no XML. `tests/contract` follows them.
"""

from __future__ import annotations

from typing import NamedTuple

from ticketstub.server.shapes import Schema

_SAME_CLIENT = {"X-Plex-Client-Identifier": "$request.header.X-Plex-Client-Identifier"}


class _Link(NamedTuple):
    """One link: the operation that it leads to, and its parameters or body."""

    to: str
    about: str
    parameters: dict[str, str] | None = None
    body: dict[str, str] | None = None

    def described(self) -> Schema:
        return {
            "operationId": self.to,
            "description": self.about,
            **({"parameters": self.parameters} if self.parameters else {}),
            **({"requestBody": self.body} if self.body else {}),
        }


_TOKEN = {"token": "$response.body#/token"}
_LINKS: dict[str, tuple[_Link, ...]] = {
    "create_pin": (
        _Link("get_pin", "Ask whether it was approved.", {"id": "$response.body#/id", **_SAME_CLIENT}),
        _Link("get_pin_qr", "Show its code as a picture.", {"code": "$response.body#/code"}),
        _Link("link_pin", "Approve it, as somebody who is signed in.", _SAME_CLIENT, {"code": "$response.body#/code"}),
    ),
    "create_legacy_pin_as_json": (
        _Link("get_legacy_pin_as_json", "Ask for it.", {"id": "$response.body#/pin/id", **_SAME_CLIENT}),
    ),
    "home_users": (_Link("switch_home_user", "Become one of them.", {"uuid": "$response.body#/users/0/uuid"}),),
    "post_tokens": (
        _Link("post_tokens_revoke", "End it.", body=_TOKEN),
        _Link("post_tokens_expire", "Let its time be over.", body=_TOKEN),
    ),
    "post_accounts": (
        _Link("post_tokens", "Make a token for it.", body={"account": "$response.body#/username"}),
        _Link("post_codes", "Get its verification code.", body={"account": "$response.body#/username"}),
    ),
}


def links(operation: str) -> Schema:
    """Return the `links` member of an operation's success; nothing where there are none."""
    found = _LINKS.get(operation, ())
    return {"links": {link.to: link.described() for link in found}} if found else {}
