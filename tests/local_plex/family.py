"""A world with a Home, and how its people are asked for: mira's, with tom, a guest, and two managed users.

Rule: as in asking.py, of which it is a part.
"""

from typing import Any

from tests.local_plex.asking import ATTIC, MIRA, MIRA_ON_TOMS, TOM, TOM_ON_ATTIC, Answered, ask

ELSA, VERA, NILS = "El5a-guest_of_house1", "Vera-lives_next_door", "Nils-alone_by_far_99"
PIP, BO = "Pp3-small_but_mighty", "Bo-2580-older_kid_01"
TOKENS = {"mira": MIRA, "tom": TOM, "elsa": ELSA, "vera": VERA, "nils": NILS, "pip": PIP, "bo": BO}
_ACCOUNTS = {"mira": 10500123, "tom": 10500321, "elsa": 10500600, "vera": 10500700, "nils": 10500800}
IDS = {**_ACCOUNTS, "pip": 10500456, "bo": 10500457}
UUIDS = {"mira": "3f9c2b7a5d1e8f04", "tom": "90cc14a3be27d6f1", "pip": "b71d04e96c2fa835", "bo": "b71d04e96c2fa836"}
TOMS, BOS = "4711", "2580"
"""The passcodes of tom and of bo."""

VERA_ON_ATTIC = "Vr7-on_the_Attic_001"
JSON = {"Accept": "application/json", "X-Plex-Client-Identifier": "demo-client-7c1f"}
XML = {"X-Plex-Client-Identifier": "demo-client-7c1f"}
TOMS_SERVER = "0123456789abcdef0123456789abcdef01234567"


def family(**more: object) -> dict[str, Any]:
    """Describe it: next door vera has a Home of her own, and nils none. Nobody has a password."""
    accounts: list[dict[str, Any]] = [
        {"username": {"mira": "mira_quill"}.get(name, name), "email": f"{name}@example.test", "id": IDS[name]}
        | {"token": TOKENS[name], "joined_at": 1592234494}
        | ({"uuid": UUIDS[name]} if name in UUIDS else {})
        for name in _ACCOUNTS
    ]
    accounts[0] |= {"subscription": {"active": True, "plan": "lifetime", "features": ["home"]}}
    accounts[1] |= {"passcode": TOMS, "friendly_name": "Tom & <Co>"}
    pip = {"title": "Pip", "restriction_profile": "little_kid", "id": IDS["pip"], "uuid": UUIDS["pip"], "token": PIP}
    bo = {"title": "Bo", "passcode": BOS, "id": IDS["bo"], "uuid": UUIDS["bo"], "token": BO}
    members = [{"account": "tom"}, {"account": "elsa", "guest": True}]
    shares = [{"account": "tom", "token": TOM_ON_ATTIC}, {"account": "vera", "token": VERA_ON_ATTIC}]
    return {
        "account": accounts,
        "home": [
            {"name": "Quill home", "admin": "mira_quill", "member": members, "managed": [pip, bo]},
            {"name": "Next door", "admin": "vera"},
        ],
        "media_server": [
            {"name": "Attic", "machine_identifier": ATTIC, "owner": "mira_quill", "share": shares},
            {
                "name": "Toms",
                "machine_identifier": TOMS_SERVER,
                "owner": "tom",
                "share": [{"account": "mira_quill", "token": MIRA_ON_TOMS}],
            },
        ],
        **more,
    }


def call(url: str, method: str, path: str, who: str = "mira", **headers: str) -> Answered:
    """Ask as somebody of this world, by name or by a token, for JSON."""
    return ask(url, method, path, {**JSON, "X-Plex-Token": TOKENS.get(who, who), **headers})


def switch(url: str, to: str, passcode: str | None = None, who: str = "mira") -> Answered:
    """Switch to somebody by name."""
    pin = "" if passcode is None else f"?pin={passcode}"
    return call(url, "POST", f"/api/v2/home/users/{IDS[to]}/switch{pin}", who)


def user(url: str, who: str) -> Any:
    """Return what `/api/v2/user` says of a token's account."""
    found = call(url, "GET", "/api/v2/user", who)
    assert found.status == 200, found
    return found.json


def refused(answer: Answered) -> tuple[int, int]:
    """Return status and code of a refusal in JSON."""
    return answer.status, answer.json["errors"][0]["code"]
