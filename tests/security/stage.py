"""A household, and one token of each kind there is, for the tests that ask every route with each of them.

Rule: tokens come from the API as any client gets them. What a test changes is taken back by `Stage.again`.
"""

from __future__ import annotations

import json
from typing import Any

from tests.local_plex.asking import ATTIC, MIRA, MIRA_ON_TOMS, START, TOM, Answered, Clock
from tests.local_plex.family import IDS, VERA_ON_ATTIC, family
from tests.local_plex.test_auth_keys import Key, claims
from tests.local_plex.whole import FORM, HASH, PASSWORD, Browser, Whole
from ticketstub.local_plex.storage.sqlite import SqliteStore

ATTICS, TOMS_OWN, GONE = "At1c_the_servers_own", "Tom5-servers_own_tok", "Gone-and_switched_of"
PHONE, TABLET = "mira-phone-1", "mira-tablet-2"
SOURCE = {"identifier": f"server://{ATTIC}", "name": "Attic", "connections": ["https://attic.example.test:32400"]}
DAY = 24 * 3600


def household(**answers: object) -> dict[str, Any]:
    """The family, with passwords, tokens of the media servers themselves, and an account that was switched off."""
    made = family(answers={"invitation_lists": "list"} | answers)
    for account in made["account"]:
        account["password_hash"] = HASH
    made["account"].append(
        {"username": "gone", "email": "gone@example.test", "token": GONE, "password_hash": HASH, "disabled": True}
    )
    attic, toms = made["media_server"]
    attic |= {"token": ATTICS, "source": [SOURCE]}
    toms |= {"token": TOMS_OWN}
    return made


def sign_in(plex: Whole, login: str, client: str, password: str = PASSWORD, **more: str) -> Answered:
    form = "&".join(f"{name}={value}" for name, value in ({"login": login, "password": password} | more).items())
    return plex.ask("POST", "/api/v2/users/signin", client=client, body=form, headers=FORM)


def token_in(answer: Answered) -> str:
    """Take the token out of an answer that gives one."""
    assert answer.status in (200, 201), answer
    found = json.loads(answer.body)
    text: str = found.get("authToken") or found.get("auth_token") or found["MediaContainer"]["token"]
    return text


def transient(plex: Whole, at: str, token: str) -> str:
    return token_in(plex.ask("GET", "/security/token?type=delegation&scope=all", token, at=at))


def device_jwt(plex: Whole, key: Key, client: str, **changes: Any) -> str:
    given = plex.ask("GET", "/api/v2/auth/nonce", client=client).json["nonce"]
    return key.sign(claims(given, plex.clock.now, iss=client) | changes)


def jwt(plex: Whole, key: Key, client: str) -> str:
    """Exchange a device's proof for Plex's JWT."""
    return token_in(plex.ask("POST", "/api/v2/auth/token", client=client, body={"jwt": device_jwt(plex, key, client)}))


def with_key(plex: Whole, login: str, client: str, kid: str) -> Key:
    """Sign a device in and register its key."""
    key, token = Key(kid), token_in(sign_in(plex, login, client))
    assert 201 == plex.ask("POST", "/api/v2/auth/jwk", token, client=client, body={"jwk": key.jwk}).status
    return key


def switched(plex: Whole, to: str, token: str = MIRA, client: str = TABLET, passcode: str = "") -> str:
    where = f"/api/v2/home/users/{IDS[to]}/switch?pin={passcode}"
    return token_in(plex.ask("POST", where, token, client=client))


def dead(plex: Whole) -> str:
    token = token_in(sign_in(plex, "mira_quill", "mira-old-pc"))
    assert 204 == plex.ask("DELETE", "/api/v2/users/signout", token).status
    return token


class Stage:
    """A local Plex with that household, in memory.

    Attributes:
        tokens: one of each kind, by name. Where nothing else is said they are mira's, and of Attic, which is hers.
        browser: one that is signed in as mira.
    """

    def __init__(self) -> None:
        self.plex = Whole(household(), clock=Clock(START - 8 * DAY))
        self.plex.__enter__()
        plex = self.plex
        expired = jwt(plex, with_key(plex, "mira_quill", "mira-watch-3", "watch"), "mira-watch-3")
        plex.clock.now = START
        self.key = with_key(plex, "mira_quill", PHONE, "phone")
        self.browser: Browser = plex.browser().signed_in("mira_quill")
        self.tokens: dict[str, str | None] = {
            "none": None,
            "garbage": "garbage",
            "looks like one": "Nobody5_token_012345",
            "dead": dead(plex),
            "switched off": GONE,
            "account": token_in(sign_in(plex, "mira_quill", "mira-pc")),
            "other account": TOM,
            "managed": switched(plex, "pip"),
            "jwt": jwt(plex, self.key, PHONE),
            "expired jwt": expired,
            "device jwt": device_jwt(plex, self.key, PHONE),
            "server": ATTICS,
            "other server": TOMS_OWN,
            "share": VERA_ON_ATTIC,
            "share elsewhere": MIRA_ON_TOMS,
            "transient": transient(plex, "Attic", MIRA),
            "transient of a share": transient(plex, "Attic", VERA_ON_ATTIC),
            "transient elsewhere": transient(plex, "Toms", TOM),
            "claim": plex.ask("GET", "/api/claim/token.json", MIRA).json["token"],
            "cookie": self.browser.cookie.partition("=")[2],
        }
        self.names = self._named()
        self._kept = self._connection.serialize()
        self._transients = {name: dict(server.transient_tokens._tokens) for name, server in plex.media_servers.items()}

    def _named(self) -> dict[str, object]:
        """Make one thing of each kind that has an id, and name what stands in paths and bodies."""
        plex = self.plex
        assert 200 == plex.ask("POST", "/api/home/users?invitedEmail=nils@example.test", MIRA).status
        strong, legacy = (plex.ask("POST", path).json for path in ("/api/v2/pins?strong=true", "/pins.json"))
        listed = plex.ask("GET", "/devices.json", MIRA).json["MediaContainer"]["Device"]
        sent = plex.ask("GET", "/api/invites/requested.xml", MIRA).xml
        return {
            "pin": strong["id"],
            "code": strong["code"],
            "legacy_pin": legacy["pin"]["id"],
            "device": next(each["id"] for each in listed if each["clientIdentifier"] == "mira-pc"),
            "invitation": sent[0].get("id"),
            "claim": self.tokens["claim"],
            "attic": ATTIC,
            **IDS,
        }

    @property
    def _connection(self) -> Any:
        store = self.plex.instance.store
        assert isinstance(store, SqliteStore)
        return store._reader.connection

    def again(self) -> None:
        """Take back whatever was done since the beginning."""
        self._connection.deserialize(self._kept)  # faster than a new stage by a factor of a thousand
        for name, server in self.plex.media_servers.items():
            server.transient_tokens._tokens = dict(self._transients[name])

    def close(self) -> None:
        self.plex.__exit__()
