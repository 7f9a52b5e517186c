"""A world without passwords, so that it starts fast, and how its people sign in: by an approved PIN.

Rule: as in asking.py, of which it is a part.
"""

from typing import Any

from tests.local_plex.asking import ATTIC, MIRA, MIRA_ON_TOMS, SOURCES, TOM, TOM_ON_ATTIC, Answered, ask, get

KITCHEN = {
    "X-Plex-Client-Identifier": "kitchen-1",
    "X-Plex-Product": "Demo App",
    "X-Plex-Version": "1.2.0",
    "X-Plex-Platform": "Linux",
    "X-Plex-Platform-Version": "6.1",
    "X-Plex-Device": "Linux",
    "X-Plex-Device-Name": "Kitchen & <Hall>",
    "X-Plex-Model": "Plex OAuth",
    "X-Plex-Device-Vendor": "Example",
    "X-Plex-Provides": "client,player",
    "X-Plex-Device-Screen-Resolution": "1440x772,1440x900",
}
LOFT = "0123456789abcdef0123456789abcdef01234567"
JSON = {"Accept": "application/json"}


def small(**attic: object) -> dict[str, Any]:
    """Describe it: mira owns Attic, which tom may use, and Shed; tom owns Toms, which mira may use; Loft nobody."""
    subscription = {"active": True, "plan": "lifetime", "features": ["home", "pass"]}
    mira = {"username": "mira_quill", "email": "mira@example.test", "token": MIRA, "id": 10500123}
    tom = {"username": "tom", "email": "tom@example.test", "token": TOM, "id": 10500321}
    share = {"share": [{"account": "tom", "token": TOM_ON_ATTIC}], "source": SOURCES}
    return {
        "account": [mira | {"subscription": subscription}, tom],
        "media_server": [
            {"name": "Attic", "machine_identifier": ATTIC, "owner": "mira_quill", "platform_version": "6.1.0"}
            | share
            | attic,
            {"name": "Shed", "owner": "mira_quill"},
            {"name": "Toms", "owner": "tom", "share": [{"account": "mira_quill", "token": MIRA_ON_TOMS}]},
            {"name": "Loft", "machine_identifier": LOFT, "claimed": False, "source": SOURCES},
        ],
    }


def signed_in(url: str, who: str = MIRA, **headers: str) -> str:
    """Sign the kitchen's device in: a PIN that the account of this token approves."""
    kitchen = JSON | KITCHEN | headers
    pin = ask(url, "POST", "/api/v2/pins?strong=true", kitchen)
    linked = ask(url, "PUT", f"/api/v2/pins/link?code={pin.json['code']}", kitchen | {"X-Plex-Token": who})
    assert (201, 204) == (pin.status, linked.status), (pin, linked)
    token: str = ask(url, "GET", f"/api/v2/pins/{pin.json['id']}", kitchen).json["authToken"]
    return token


def rows(url: str, token: str) -> dict[str, dict[str, Any]]:
    """Return the listed devices by client identifier."""
    found = get(url, "/devices.json", token)
    assert found.status == 200, found
    return {row["clientIdentifier"]: row for row in found.json["MediaContainer"]["Device"]}


def remove(url: str, token: str, device_id: object) -> Answered:
    """Remove a device by its number."""
    return ask(url, "DELETE", f"/devices/{device_id}.xml", {"X-Plex-Token": token})
