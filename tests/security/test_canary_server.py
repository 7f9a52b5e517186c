"""S1, S2, I9: whoever goes all the ways through the local Plex leaves no secret behind where none belongs.

Rule: one walk through everything, with what is wrong too; then each secret of it is looked for in log records, journal
lines, refusals, pages and the database with its log, in whatever way it may be written. That it is told to who may
have it is seen first, or nothing would be shown.
"""

from __future__ import annotations

import base64
import logging
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.local_plex.asking import MIRA, SECRET, START, TOM, Answered, code_at
from tests.local_plex.family import IDS, TOKENS
from tests.local_plex.test_auth_keys import Key
from tests.local_plex.whole import FORM, HASH, PASSWORD, Whole
from tests.security.stage import device_jwt, household, sign_in, token_in, transient
from ticketstub.cli.logs import print_answer

NEW_PASSWORD, WRONG_PASSWORD, FIRST_PASSWORD = "quiet-otter-31-cAnArY", "loud-heron-77-cAnArY", "small-finch-5-cAnArY"
NEVER = "Never5_given_out_001"
TV, PHONE = "tv-1", "phone-1"


class Watched(Whole):
    """A local Plex that remembers every answer."""

    answers: list[tuple[str, Answered]]

    async def _sent(
        self, method: str, target: str, fields: Mapping[str, str], body: bytes, at: str, address: str
    ) -> Answered:
        answer = await super()._sent(method, target, fields, body, at, address)
        self.answers.append((f"{method} {target.partition('?')[0]}", answer))
        return answer


class Walk:
    """Everything that can be done, and the secrets that it was done with."""

    def __init__(self, plex: Watched) -> None:
        self.plex = plex
        self.secrets: dict[str, str] = {f"token of {name}": text for name, text in TOKENS.items()}
        self.secrets |= {"password": PASSWORD, "new password": NEW_PASSWORD, "wrong password": WRONG_PASSWORD}
        self.secrets |= {"first password": FIRST_PASSWORD, "verification secret": SECRET, "no token": NEVER}
        self.cookies: set[str] = set()

    def ask(self, method: str, target: str, token: str | None = None, **more: Any) -> Answered:
        return self.plex.ask(method, target, token, **more)

    def keep(self, name: str, text: str) -> str:
        self.secrets[name] = text
        return text

    def by_password(self) -> None:
        """Sign in in all ways, rightly and wrongly, and out; make an account and change a password."""
        self.keep("sign-in", token_in(sign_in(self.plex, "mira_quill", TV)))
        for login in ("mira_quill", NEVER, WRONG_PASSWORD):
            assert 401 == sign_in(self.plex, login, TV, WRONG_PASSWORD).status
        code = code_at(self.plex.clock.now)  # not looked for: six digits may stand anywhere by chance
        assert 401 == sign_in(self.plex, "coded", TV).status
        assert 401 == sign_in(self.plex, "coded", TV, verificationCode="000000").status
        self.keep("sign-in with code", token_in(sign_in(self.plex, "coded", TV, verificationCode=code)))
        basic = base64.b64encode(f"mira_quill:{PASSWORD}".encode()).decode()
        older = self.ask("POST", "/users/sign_in.json", headers={"Authorization": f"Basic {basic}"})
        self.keep("older sign-in", older.json["user"]["authToken"])
        new = urlencode({"username": "nia", "email": "nia@example.test", "password": FIRST_PASSWORD})
        self.keep("new account", token_in(self.ask("POST", "/api/v2/users", body=new, headers=FORM)))
        answers = []
        for typed in (WRONG_PASSWORD, PASSWORD):
            form = urlencode({"currentPassword": typed, "password": NEW_PASSWORD, "removeOtherTokens": "true"})
            answers.append(self.ask("POST", "/api/v2/users/password", TOKENS["vera"], body=form, headers=FORM))
        assert 403 == answers[0].status
        self.keep("after a new password", token_in(answers[1]))
        weak = urlencode({"username": NEVER, "email": NEVER, "password": WRONG_PASSWORD, "passwordConfirmation": "x"})
        assert 422 == self.ask("POST", "/api/v2/users", body=weak, headers=FORM).status
        assert 204 == self.ask("DELETE", "/api/v2/users/signout", self.secrets["older sign-in"]).status

    def by_pin_and_key(self) -> None:
        """Approve PINs of each kind, register a key, exchange its proof, rightly and wrongly."""
        pin = self.ask("POST", "/api/v2/pins?strong=true", client=TV).json
        self.keep("strong code", pin["code"])
        assert 204 == self.ask("PUT", f"/api/v2/pins/link?code={pin['code']}", MIRA).status
        assert 404 == self.ask("PUT", f"/api/v2/pins/link?code={pin['code']}", MIRA).status
        self.keep("PIN", token_in(self.ask("GET", f"/api/v2/pins/{pin['id']}", client=TV)))
        older = self.ask("POST", "/pins.json", client=TV).json["pin"]
        assert 204 == self.ask("PUT", f"/api/v2/pins/link?code={older['code']}", MIRA).status
        self.keep("older PIN", self.ask("GET", f"/pins/{older['id']}.json", client=TV).json["pin"]["auth_token"])
        key = Key("canary-key")
        private = key.private.private_bytes_raw()
        self.keep("private key", base64.urlsafe_b64encode(private).rstrip(b"=").decode())
        self.keep("private key in hex", private.hex())
        token = self.keep("phone", token_in(sign_in(self.plex, "mira_quill", PHONE)))
        assert 201 == self.ask("POST", "/api/v2/auth/jwk", token, client=PHONE, body={"jwk": key.jwk}).status
        body = {"jwt": self.keep("device JWT", device_jwt(self.plex, key, PHONE))}
        self.keep("JWT", token_in(self.ask("POST", "/api/v2/auth/token", client=PHONE, body=body)))
        self.keep("signature", self.secrets["JWT"].rpartition(".")[2])
        for wrong in (body, {"jwt": self.secrets["JWT"]}, {"jwt": NEVER}, {"jwk": NEVER}):
            assert self.ask("POST", "/api/v2/auth/token", client=PHONE, body=wrong).status in {400, 422}

    def at_home_and_servers(self) -> None:
        """Switch, set passcodes, make transient and claim tokens and use them up."""
        path = f"/api/v2/home/users/{IDS['tom']}/switch?pin="
        assert 403 == self.ask("POST", path + "0000", MIRA, client=TV).status
        self.keep("switched", token_in(self.ask("POST", path + "4711", MIRA, client=TV)))
        change = f"/api/home/users/{IDS['tom']}?pin=8642&currentPin="
        assert [401, 200] == [self.ask("PUT", change + each, TOM).status for each in ("0000", "4711")]
        self.keep("transient", transient(self.plex, "Attic", MIRA))
        assert 200 == self.ask("GET", "/myplex/account", self.secrets["transient"], at="Attic").status
        claim = self.keep("claim", self.ask("GET", "/api/claim/token.json", MIRA).json["token"])
        for _ in range(2):
            answer = self.ask("POST", f"/api/claim/exchange?token={claim}", client="new-box")
            if answer.status == 200:
                self.keep("server", token_in(answer))
        assert [200, 200] == [self.ask("GET", path, MIRA).status for path in ("/devices.json", "/api/v2/resources")]

    def in_the_wrong_places(self) -> None:
        """Send every secret where it does not belong: as path, parameter, header, body and other names of these."""
        for text in list(self.secrets.values()):
            piece = quote(text, safe="")
            for path in (
                f"/{piece}",
                f"/api/v2/pins/{piece}",
                f"/devices/{piece}.json",
                f"/api/v2/home/users/{piece}/x",
            ):
                assert self.ask("GET", path, NEVER).status >= 400
            assert self.ask("PUT", f"/api/v2/pins/link?code={piece}", NEVER, headers={"Accept": piece}).status >= 400
            assert self.ask("POST", f"/api/claim/exchange?token={piece}x", client=text).status >= 400
            assert (
                self.ask(
                    "POST",
                    "/api/v2/users/signin",
                    body=f'{{"login": "{text}',
                    headers={"Content-Type": "application/json"},
                ).status
                == 400
            )
            assert self.ask("GET", f"/{piece}?X-Plex-Token={piece}x", at="Attic").status >= 400

    def at_a_browser(self) -> None:
        """Sign in on the pages, wrongly and rightly, approve, switch, remove and sign out."""
        browser = self.plex.browser()
        assert 401 == browser.sign_in("mira_quill", WRONG_PASSWORD).status
        assert 303 == browser.sign_in("mira_quill").status
        self.cookies.add(browser.cookie.partition("=")[2])
        pin = self.ask("POST", "/api/v2/pins?strong=true", client=TV).json
        self.keep("code at a browser", pin["code"])
        where = f"/auth?clientID={TV}&code={pin['code']}"
        assert 303 == browser.post("/auth", browser.fields(where) | {"decision": "approve"}).status
        self.keep("PIN at a browser", token_in(self.ask("GET", f"/api/v2/pins/{pin['id']}", client=TV)))
        shown = browser.post("/claim", {"form_token": browser.fields("/claim")["form_token"]})
        self.keep("claim at a browser", re.findall("claim-[A-Za-z0-9_-]{20}", shown.body.decode())[0])
        for place in ("/account", "/account/devices", "/account/home", "/link", "/claim"):
            assert 200 == browser.get(place).status
        form = {"form_token": browser.fields("/link")["form_token"], "user": str(IDS["tom"])}
        assert 403 == browser.post("/account/home", form | {"passcode": "0000"}).status
        assert 303 == browser.post("/account/home", form | {"passcode": "8642"}).status
        self.cookies.add(browser.cookie.partition("=")[2])
        assert 303 == browser.send("/account", "/sign-out").status
        assert 303 == browser.get(f"/account?token={MIRA}&password={PASSWORD}").status

    def with_a_failure_inside(self) -> None:
        """Have the store fail with a secret in its message: the answer is 500, and the log says where."""

        async def fails(*_given: object) -> None:
            raise ValueError(f"{MIRA} {PASSWORD}")

        store: Any = self.plex.instance.store
        store.devices.list_devices = fails
        assert 500 == self.ask("GET", "/devices.json", MIRA).status
        del store.devices.list_devices


def coded() -> dict[str, Any]:
    made = household()
    facts = {"username": "coded", "email": "coded@example.test", "password_hash": HASH}
    made["account"].append(facts | {"verification_secret": SECRET})
    return made


class Left:
    """What a walk left behind."""

    def __init__(self, walk: Walk, files: bytes, log: str, journal: str) -> None:
        self.secrets = walk.secrets | {f"cookie {n}": text for n, text in enumerate(walk.cookies)}
        self.answers = walk.plex.answers
        self.files = files
        self.log = log
        self.journal = journal


@pytest.fixture(name="left")
def _left(tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[Left]:
    caplog.set_level(logging.DEBUG)
    plex = Watched(
        coded(), db=f"sqlite:///{tmp_path / 'plex.db'}", on_answer=partial(print_answer, sys.stdout.isatty())
    )
    plex.answers = []
    plex.clock.now = START
    with plex:
        walk = Walk(plex)
        walk.by_password()
        walk.by_pin_and_key()
        walk.at_home_and_servers()
        walk.at_a_browser()
        walk.in_the_wrong_places()
        walk.with_a_failure_inside()
        files = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
        log = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
        yield Left(walk, files, log, capsys.readouterr().out)


def spellings(secret: str) -> set[bytes]:
    """List how a secret may stand somewhere: as it is, in halves, in hex, in either UTF-16, in base64 at any place."""
    raw = secret.encode()
    found = {
        raw,
        raw[: len(raw) // 2 + 1],
        raw.hex().encode(),
        raw.hex().upper().encode(),
        quote(secret, safe="").encode(),
    }
    found |= {secret.encode("utf-16-le"), secret.encode("utf-16-be")}
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(before) + raw)[4 if before else 0 :]
            found.add(text[: len(text) // 4 * 4 - 4])  # but for the last letters, which what follows has a part in
    return {each for each in found if len(each) >= 8}


def found_in(data: bytes, secrets: Mapping[str, str]) -> list[str]:
    """Name the secrets that stand there."""
    return [name for name, text in secrets.items() if any(each in data for each in spellings(text))]


def test_nothing_is_left_behind(left: Left) -> None:
    """No token, password, passcode, code or key stands in the log, the journal, a refusal, a page or the database."""
    assert len(left.secrets) > 30
    told = b"".join(answer.body for _, answer in left.answers)
    given = {name for name in left.secrets if name.startswith(("token", "sign-in", "PIN", "claim", "JWT", "switched"))}
    assert {name for name in given if name not in found_in(told, left.secrets)} <= {f"token of {n}" for n in TOKENS}
    assert [] == found_in(left.log.encode(), left.secrets)
    assert [] == found_in(left.journal.encode(), left.secrets)
    codes = {name for name in left.secrets if "code" in name}  # a PIN's code is looked up as it is
    kept = {name: text for name, text in left.secrets.items() if name not in codes}
    assert [] == found_in(left.files, kept)


def test_no_refusal_and_no_page_tells(left: Left) -> None:
    """What was sent is not in what is refused, and a page shows a secret only where that is its purpose."""
    refused = [answer for _, answer in left.answers if answer.status >= 400]
    assert len(refused) > 200
    for answer in refused:
        seen = answer.body + repr(answer.headers | {"set-cookie": ""}).encode()
        assert [] == found_in(seen, left.secrets), seen
    pages = [
        (route, each) for route, each in left.answers if each.headers.get("content-type", "").startswith("text/html")
    ]
    assert len(pages) > 20
    purpose = {"POST /claim": ["claim at a browser"], "GET /auth": ["code at a browser"]}
    for route, answer in pages:
        assert found_in(answer.body, left.secrets) in ([], purpose.get(route)), route


def test_the_journal_and_the_log_are_not_empty(left: Left) -> None:
    """There is a line for each answer, by its route and not by its path, and one for what failed inside."""
    assert len(left.answers) == len(left.journal.splitlines())
    assert "/api/v2/pins/{id}" in left.journal
    assert "GET /devices failed: ValueError at " in left.log


@pytest.mark.parametrize("code", ["4711", "8642"])
def test_no_passcode_is_kept(left: Left, tmp_path: Path, code: str) -> None:
    """Of a passcode no cell of the database is or holds its digits, and neither does log or journal."""
    with sqlite3.connect(tmp_path / "plex.db") as connection:
        rows = connection.execute("SELECT hash FROM passcode").fetchall()
    connection.close()
    assert 2 == len(rows)
    assert all(text.startswith("$argon2id$") for (text,) in rows)
    assert f"pin={code}" not in left.log + left.journal


@pytest.mark.parametrize(
    "leak",
    [
        lambda raw: raw,
        lambda raw: raw.hex().encode(),
        lambda raw: raw.decode().encode("utf-16-le"),
        lambda raw: base64.b64encode(b"x" + raw + b"yz"),
        lambda raw: base64.b64encode(b"xy" + raw + b"z"),
        lambda raw: base64.urlsafe_b64encode(b"xyz" + raw),
    ],
)
def test_a_leak_would_be_found(leak: Any) -> None:
    """What the other tests look for is found in each spelling, wherever it stands."""
    assert ["secret"] == found_in(b"before" + leak(MIRA.encode()) + b"after", {"secret": MIRA})
    assert [] == found_in(b"before" + leak(TOM.encode()) + b"after", {"secret": MIRA})
