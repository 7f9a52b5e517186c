"""Two ways to run a tester's commands, and three programs under test, each with the same few methods.

Rule: `OverHttp` and `Raw` use nothing of the library: they are what a test suite and a program in another language
have. What a program sees is one word or number: a status, the state of a PIN, or how its connection failed.
"""

from __future__ import annotations

import http.client
import json
from typing import Any, Protocol

from tests.local_plex.asking import ask, connect
from ticketstub import Device, Err, MalformedReply, Plex, Refusal, Retry, TimedOut, Token, Unreachable
from ticketstub.calls import GetIdentity, GetPin, GetResources, GetTokenDetails, PostUsersSignInData
from ticketstub.protocol.call import Call
from ticketstub.testing import LocalPlexController
from ticketstub.tokens import Secret

Seen = int | str
"""A status, or how it failed: `refused` and `silent` before anything was sent, `late` after it, `malformed`."""

KEY = "k3y-of-the-test-0123456789-0123456789"
SOON = 0.15
"""Seconds that a program waits for a connection: the kernel makes it, however busy the local Plex is."""
PATIENT = 60.0
"""Seconds that it waits for an answer."""


class Commands(Protocol):
    """A way to run commands, by their paths and members in the control API."""

    def do(self, command: str, **members: Any) -> Any:
        """Run a command and return its result."""
        ...


class OverHttp:
    """The control API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def do(self, command: str, **members: Any) -> Any:
        method, _, path = command.rpartition(" ")
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        answer = ask(
            self._url, method or "POST", f"/control/v1/{path}", headers, json.dumps(members) if members else None
        )
        if answer.status == 404:
            raise LookupError(answer.json["error"])
        if answer.status == 400:
            raise ValueError(answer.json["error"])
        assert answer.status in {200, 204}, answer
        return answer.json if answer.body else None


class InPython:
    """The fixture's own methods."""

    def __init__(self, plex: LocalPlexController) -> None:
        self._plex = plex

    def do(self, command: str, **members: Any) -> Any:
        plex, rest = self._plex, dict(members)
        return {
            "pins/approve": lambda: plex.approve(rest["pin"], rest.get("account")),
            "pins/deny": lambda: plex.deny(rest["pin"]),
            "pins/expire": lambda: plex.expire(rest["pin"]),
            "tokens": lambda: {"token": plex.token_for(rest.get("account")).reveal()},
            "tokens/revoke": lambda: plex.revoke(rest["token"]),
            "tokens/expire": lambda: plex.expire(Token.from_wire(rest["token"])),
            "codes": lambda: {"code": plex.code_for(rest.get("account"))},
            "accounts": lambda: plex.add_account(rest.pop("username"), **rest),
            "shares": lambda: plex.share(rest["media_server"], rest["account"]),
            "shares/end": lambda: plex.unshare(rest["media_server"], rest["account"]),
            "notifications": lambda: {"sockets": plex.notify(rest.pop("media_server"), rest.pop("kind"), **rest)},
            "refusals": lambda: plex.refuse_next(rest.pop("call"), **rest),
            "answers": lambda: plex.answer_next(rest.pop("call"), **rest),
            "delays": lambda: plex.delay(rest.pop("call"), rest.pop("seconds"), **rest),
            "chaos": lambda: plex.chaos(rest.pop("share"), **rest),
            "places/down": lambda: plex.take_down(rest["place"], hangs=rest.get("hangs", False)),
            "places/up": lambda: plex.bring_up(rest["place"]),
            "clock/advance": lambda: plex.advance(**rest),
            "GET requests": lambda: {
                "requests": [{"path": each.path, "status": each.status} for each in plex.requests]
            },
            "DELETE requests": plex.requests.clear,
            "reset": plex.reset,
        }[command]()


class Program(Protocol):
    """A program under test."""

    def who(self, token: str, within: float = PATIENT) -> Seen: ...

    def sign_in(self, login: str, password: str, code: str | None = None) -> Seen: ...

    def new_pin(self) -> tuple[int, str]: ...

    def poll(self, pin: int) -> Seen: ...

    def identity(self, url: str) -> Seen: ...

    def servers(self, token: str) -> set[str]: ...


class Ours:
    """The library's client, in process or over sockets."""

    def __init__(self, client: Plex) -> None:
        self._client = client

    def who(self, token: str, within: float = PATIENT) -> Seen:
        return self._seen(GetTokenDetails(), token=Token.from_wire(token), timeout=within)

    def sign_in(self, login: str, password: str, code: str | None = None) -> Seen:
        given = None if code is None else Secret(code)
        return self._seen(PostUsersSignInData(login=login, password=Secret(password), verification_code=given))

    def new_pin(self) -> tuple[int, str]:
        made = self._client.pins.create()
        return made.id or 0, made.code or ""

    def poll(self, pin: int) -> Seen:
        outcome = self._client.attempt(GetPin(id=pin))
        if isinstance(outcome, Err):
            return _failure(outcome)
        return "approved" if outcome.value.auth_token else "waits"

    def identity(self, url: str) -> Seen:
        outcome = self._client.at(url).attempt(GetIdentity())
        return _failure(outcome) if isinstance(outcome, Err) else outcome.response.status

    def servers(self, token: str) -> set[str]:
        found = self._client.send(GetResources(), token=Token.from_wire(token))
        return {each.name or "" for each in found if "server" in (each.provides or "")}

    def _seen(self, call: Call[Any], **options: Any) -> Seen:
        outcome = self._client.attempt(call, **options)
        return _failure(outcome) if isinstance(outcome, Err) else outcome.response.status


def _failure(outcome: Err) -> Seen:
    match outcome.error:
        case Refusal() as refusal:
            return refusal.status or 0
        case TimedOut() as error:
            return "late" if error.sent else "silent"
        case Unreachable() as error:
            return "cut off" if error.sent else "refused"
        case MalformedReply():
            return "malformed"
        case other:
            return type(other).__name__


def client_of(plex: LocalPlexController, *, sockets: bool) -> Plex:
    """Create the library's client, over sockets or as the fixtures do."""
    once = Retry(attempts=1)
    if not sockets:
        return plex.client(signed_in=False, retry=once, timeout=PATIENT, connect_timeout=SOON)
    device = Device(client_identifier="commands", product="A test")
    return Plex(plex_tv=plex.url, device=device, retry=once, timeout=PATIENT, connect_timeout=SOON)


class Raw:
    """Plain sockets and JSON."""

    def __init__(self, plex: LocalPlexController) -> None:
        self._url = plex.url

    def who(self, token: str, within: float = PATIENT) -> Seen:
        return self._asked("GET", "/api/v2/user", {"X-Plex-Token": token}, within=within)[0]

    def sign_in(self, login: str, password: str, code: str | None = None) -> Seen:
        form = f"login={login}&password={password}" + (f"&verificationCode={code}" if code else "")
        fields = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._asked("POST", "/api/v2/users/signin", fields, form)[0]

    def new_pin(self) -> tuple[int, str]:
        status, made = self._asked("POST", "/api/v2/pins", {})
        assert status == 201
        return made["id"], made["code"]

    def poll(self, pin: int) -> Seen:
        status, found = self._asked("GET", f"/api/v2/pins/{pin}", {})
        if status != 200:
            return status
        return "approved" if found["authToken"] else "waits"

    def identity(self, url: str) -> Seen:
        return self._asked("GET", "/identity", {}, url=url)[0]

    def servers(self, token: str) -> set[str]:
        _, found = self._asked("GET", "/api/v2/resources", {"X-Plex-Token": token})
        return {each["name"] for each in found if "server" in each["provides"]}

    def _asked(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: str = "",
        *,
        url: str | None = None,
        within: float = PATIENT,
    ) -> tuple[Seen, Any]:
        fields = {"Accept": "application/json", "X-Plex-Client-Identifier": "commands", **headers}
        connection = connect(url or self._url, SOON)
        try:
            connection.connect()
        except ConnectionRefusedError:
            return "refused", None
        except TimeoutError:
            return "silent", None
        connection.sock.settimeout(within)
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            return _read(response, response.read())
        except TimeoutError:
            return "late", None
        except (http.client.HTTPException, ConnectionError):
            return "cut off", None
        finally:
            connection.close()


def _read(response: http.client.HTTPResponse, body: bytes) -> tuple[Seen, Any]:
    if response.status >= 300 or not body:
        return response.status, None
    try:
        return response.status, json.loads(body)
    except ValueError:
        return "malformed", None
