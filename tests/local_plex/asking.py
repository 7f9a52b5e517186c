"""What the tests of the local Plex share: a raw HTTP client, a clock that is moved by hand, and a small world.

Rule: nothing here comes from the library under test, but for the world's own reader: a wrong belief that both ends
share must not hide.
"""

import base64
import hmac
import http.client
import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

MIRA = "Xk3mPz_9Q-vT7rLb2NfW"
TOM = "Tm8-harbour_rainy_17"
TOM_ON_ATTIC = "Qw7-Zr2_LmN8tYb4HsKd"
MIRA_ON_TOMS = "Mt2_wQ9-kLs5XbVe0RzA"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DP"
PASSWORDS = {
    "mira_quill": "paper-lantern-42",
    "tom": "rainy-harbour-17",
    "vera": "copper-kettle-8",
    "elsa": "winter-orchard-3",
    "digits": "ends-in-123456",
}
ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
START = 1_795_000_000
"""Where the tests' clock begins: a day of November 2026."""


class Answered(NamedTuple):
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def xml(self) -> Any:
        return ET.fromstring(self.body)  # noqa: S314  # written by our own server a moment ago


class Clock:
    """Seconds since 1970, which stand still until a test moves them."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def code_at(now: float, secret: str = SECRET) -> str:
    """Return the six digits of RFC 6238, computed here once more."""
    digest = hmac.digest(base64.b32decode(secret), (int(now) // 30).to_bytes(8, "big"), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def connect(url: str, timeout: float = 60) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)


def ask(
    url: str, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | bytes | None = None
) -> Answered:
    """Send one request on a connection of its own."""
    connection = connect(url)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answered(response.status, fields, response.read())
    finally:
        connection.close()


def get(url: str, path: str, token: str | None = None, **headers: str) -> Answered:
    """Ask for JSON, with a token and a client identifier."""
    given = {"Accept": "application/json", "X-Plex-Client-Identifier": "demo-client-7c1f"}
    return ask(url, "GET", path, given | ({"X-Plex-Token": token} if token else {}) | headers)


def sign_in(url: str, login: str, password: str, headers: Mapping[str, str] | None = None, **fields: str) -> Answered:
    """Sign in with a form, asking for JSON."""
    given = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Plex-Client-Identifier": "demo-client-7c1f",
    }
    form = urlencode({"login": login, "password": password, **fields})
    return ask(url, "POST", "/api/v2/users/signin", given | dict(headers or {}), form)


def transient(url: str, token: str) -> str:
    """Get a transient token from a media server."""
    found = get(url, "/security/token?type=delegation&scope=all", token)
    assert found.status == 200, found
    text: str = found.json["MediaContainer"]["token"]
    return text


def world(**answers: object) -> dict[str, Any]:
    """Describe the tests' world, as TOML would give it."""
    return {
        "account": [
            {
                "username": "mira_quill",
                "email": "mira@example.test",
                "password": PASSWORDS["mira_quill"],
                "token": MIRA,
                "id": 10500123,
                "uuid": "3f9c2b7a5d1e8f04",
                "country": "NL",
                "joined_at": 1552593531,
                "thumb": "https://plex.tv/users/3f9c2b7a5d1e8f04/avatar?c=1724402119",
                "subscription": {"features": ["home", "two-factor-authentication"]},
            },
            {
                "username": "tom",
                "email": "tom@example.test",
                "password": PASSWORDS["tom"],
                "token": TOM,
                "id": 10500321,
                "friendly_name": "Tom & <Co>",
                "roles": ["plexpass"],
                "subscription": {"active": True, "plan": "lifetime", "features": ["companions_sonos"]},
            },
            {
                "username": "vera",
                "email": "vera@example.test",
                "password": PASSWORDS["vera"],
                "verification_secret": SECRET,
            },
            {
                "username": "elsa",
                "email": "elsa@example.test",
                "password": PASSWORDS["elsa"],
                "email_only_auth": True,
            },
            {"username": "digits", "email": "digits@example.test", "password": PASSWORDS["digits"]},
            {"username": "silent", "email": "silent@example.test"},
            {"username": "gone", "email": "gone@example.test", "password": "was-here-once-1", "disabled": True},
        ],
        "media_server": [
            {
                "name": "Attic",
                "machine_identifier": ATTIC,
                "owner": "mira_quill",
                "version": "1.43.4.10903-0a1b2c3d4",
                "platform_version": "6.1.0",
                "share": [{"account": "tom", "token": TOM_ON_ATTIC}],
                "source": SOURCES,
            },
            {"name": "Documented", "owner": "mira_quill", "errors": "documented", "source": SOURCES},
            {"name": "Old", "owner": "mira_quill", "version": "1.15.3.858-fbfb913f7", "source": SOURCES},
            {"name": "Toms", "owner": "tom", "share": [{"account": "mira_quill", "token": MIRA_ON_TOMS}]},
        ],
        "answers": answers,
    }


SOURCES = [
    {
        "identifier": f"server://{ATTIC}",
        "name": "Attic (mira_quill)",
        "connections": [
            {"uri": "https://192-168-1-50.5d0c.plex.direct:32400", "local": True},
            {"uri": "https://198-51-100-7.5d0c.plex.direct:8443", "relay": True},
        ],
    },
    {"identifier": "provider://tv.example.movies", "name": "Movies", "connections": ["https://movies.example.test"]},
]
