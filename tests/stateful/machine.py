"""The stateful machine: everything that creates, changes or ends a token, in any order.

Rule: each action uses the API or a page as a client does, and expects the model's result. Wrong passwords, passcodes
and codes stay below the limits, which have their own tests.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, initialize, multiple, precondition, rule

from tests.local_plex.asking import ATTIC, MIRA_ON_TOMS, START, TOM_ON_ATTIC
from tests.local_plex.family import IDS, TOKENS, TOMS_SERVER, VERA_ON_ATTIC
from tests.local_plex.test_auth_keys import Key
from tests.local_plex.whole import FORM
from tests.security.stage import ATTICS, TOMS_OWN, sign_in, token_in
from tests.stateful.checked import TELLS, Checked, legacy
from tests.stateful.model import DAY, LIVES, MANAGED, MINUTE, OWN, SERVERS, Held, Pin

LOGINS = {"mira": "mira_quill", "tom": "tom", "vera": "vera"}
CLIENTS = ("phone", "tablet", "tv")
LEAVE = ("tom", "elsa", "pip", "bo")
CODES = {"tom": "4711", "bo": "2580"}
JUMPS = (MINUTE, 241, 301, 1801, DAY // 2, 47 * 3600, 3 * DAY, 8 * DAY, 15 * DAY)
LONGEST = START + 80 * DAY  # before keys that sign are replaced, which old JWTs would notice

client, who, login = st.sampled_from(CLIENTS), st.sampled_from(tuple(IDS)), st.sampled_from(tuple(LOGINS))
Given = Held | MultipleResults[Held]


class Plexes(Checked):
    """A local Plex and its model, and all actions on both."""

    tokens: Bundle[Held] = Bundle("tokens")
    others: Bundle[Held] = Bundle("others")
    jwts: Bundle[Held] = Bundle("jwts")
    sessions: Bundle[Held] = Bundle("sessions")
    keys: Bundle[Held] = Bundle("keys")
    claims: Bundle[Held] = Bundle("claims")
    pins: Bundle[Pin] = Bundle("pins")
    switched: Bundle[Held] = Bundle("switched")
    # Each is drawn as often as all tokens together: much hangs on these, and less on those that only a world gives.
    anyones, of_switched, of_jwts = tokens | others, tokens | switched, tokens | jwts

    @initialize(target=tokens)
    def begin(self) -> MultipleResults[Held]:
        """The account that does most has a token of the world."""
        made = {self.model.give("account", name): TOKENS[name] for name in ("mira", "tom", "vera", "pip", "bo")}
        self.texts |= made
        return multiple(*made)

    @initialize(target=others)
    def begin_with_others(self) -> MultipleResults[Held]:
        """Some more accounts, media servers and guests."""
        give = self.model.give
        made = {give("account", name): TOKENS[name] for name in ("elsa", "nils")}
        made |= {give("server", "mira", ATTIC, at="Attic"): ATTICS}
        made |= {give("server", "tom", TOMS_SERVER, at="Toms"): TOMS_OWN}
        made |= {give("share", "tom", at="Attic"): TOM_ON_ATTIC, give("share", "vera", at="Attic"): VERA_ON_ATTIC}
        made |= {give("share", "mira", at="Toms"): MIRA_ON_TOMS}
        self.texts |= made
        return multiple(*made)

    # Signing in and out.

    @rule(target=tokens, name=login, client=client, remember=st.booleans())
    def signs_in(self, name: str, client: str, remember: bool) -> Held:
        more = {"rememberMe": "true"} if remember else {}
        text = token_in(sign_in(self.plex, LOGINS[name], client, self.password(name), **more))
        return self.known(self.model.give("account", name, client, lives=14 * DAY if remember else None), text)

    @rule(name=login, client=client)
    def signs_in_wrongly(self, name: str, client: str) -> None:
        if self.may_err(name):
            assert 401 == sign_in(self.plex, LOGINS[name], client, "wrong-lantern-1").status

    @rule(token=st.one_of(tokens, jwts, others))
    def signs_out(self, token: Held) -> None:
        status = self.model.on_plex_tv(token, TELLS)
        assert (204 if status == 200 else status) == self.ask("DELETE", "/api/v2/users/signout", token).status
        token.dead = token.dead or status == 200

    @rule(target=sessions, name=login)
    def signs_a_browser_in(self, name: str) -> Held:
        made = self.model.give("session", name, lives=DAY // 2)
        self.browsers[made] = self.plex.browser()
        assert 303 == self.browsers[made].sign_in(LOGINS[name], self.password(name)).status
        return made

    @rule(session=sessions)
    def signs_a_browser_out(self, session: Held) -> None:
        if self.model.good(session):
            browser = self.plex.browser()
            browser.cookie = self.browsers[session].cookie
            assert 303 == browser.send("/account", "/sign-out").status
            session.dead = True

    @rule(target=tokens, token=of_jwts, client=client, everywhere=st.booleans())
    def changes_the_password(self, token: Held, client: str, everywhere: bool) -> Given:
        new = f"quiet-otter-{self.next()}"
        form = (
            f"currentPassword={self.password(token.owner)}&password={new}&removeOtherTokens={str(everywhere).lower()}"
        )
        answer = self.ask("POST", "/api/v2/users/password", token, client=client, body=form, headers=FORM)
        status = self.model.on_plex_tv(token, OWN)
        assert (403 if status == 200 and token.owner in MANAGED else status) == answer.status
        if answer.status != 200:
            return multiple()
        self.passwords[token.owner] = new
        if not everywhere:
            return multiple()
        self.model.sign_out_everywhere(token.owner)
        return self.known(self.model.give("account", token.owner, client), token_in(answer))

    # PINs.

    @rule(target=pins, client=client, kind=st.sampled_from(tuple(LIVES)))
    def makes_a_pin(self, client: str, kind: str) -> Pin:
        path = {"strong": "/api/v2/pins?strong=true", "legacy": "/pins.json"}.get(kind, "/api/v2/pins")
        key = Key(f"pin-key-{self.next()}")
        answer = self.ask("POST", path, client=client, body={"jwk": key.jwk} if kind == "key" else b"")
        assert 201 == answer.status
        pin = Pin(client, kind, self.model.now + LIVES[kind])
        self.shown[pin] = answer.json.get("pin", answer.json)
        self.signs[pin] = key
        self.model.pins.append(pin)
        return pin

    @rule(pin=pins, token=of_switched)
    def approves(self, pin: Pin, token: Held) -> None:
        status, pending = self.model.on_plex_tv(token, OWN), self.model.pending(pin)
        if status != 200 or pending or self.may_err(f"code {token.owner}"):
            answer = self.ask("PUT", f"/api/v2/pins/link?code={self.shown[pin]['code']}", token)
            assert (status if status != 200 else 204 if pending else 404) == answer.status
            if answer.status == 204:
                self.model.approve(pin, token)

    @rule(pin=pins, session=sessions, decision=st.sampled_from(["approve", "deny"]))
    def decides_at_a_browser(self, pin: Pin, session: Held, decision: str) -> None:
        if pin.kind != "strong":  # the others are typed, which is tested with the pages
            return
        browser, code = self.browsers[session], self.shown[pin]["code"]
        page = browser.get(f"/auth?clientID={pin.client}&code={code}")
        signed_in, pending = self.model.good(session), self.model.pending(pin)
        assert (303 if not signed_in else 200 if pending else 404) == page.status
        if page.status == 200:
            where = f"/auth?clientID={pin.client}&code={code}"
            assert 303 == browser.post("/auth", browser.fields(where) | {"decision": decision}).status
            if decision == "approve":
                self.model.approve(pin, session)
            else:
                pin.denied = True

    @rule(target=tokens, pin=pins, by_another=st.booleans())
    def polls(self, pin: Pin, by_another: bool) -> Given:
        asks = "somebody" if by_another else pin.client
        found = self.shown[pin]
        proof = f"?deviceJWT={self.signed(self.signs[pin], pin.client)}" if pin.kind == "key" else ""
        path = f"/pins/{found['id']}.json" if pin.kind == "legacy" else f"/api/v2/pins/{found['id']}{proof}"
        answer = self.ask("GET", path, client=asks)
        ended = pin.kind == "key" and pin.owner in self.model.off
        assert (404 if by_another or not self.model.there(pin) else 422 if ended else 200) == answer.status
        if answer.status != 200:
            return multiple()
        text = answer.json.get("pin", answer.json)["authToken" if pin.kind != "legacy" else "auth_token"]
        assert (pin.owner is not None) == (text is not None)
        if pin.owner is None:
            return multiple()
        if pin.kind == "key":
            pin.given = pin.given or self.model.give("key", pin.owner, pin.client, by=pin.by)
            return self.known(self.model.exchange(pin.given), text)
        assert pin.given is not None
        return self.known(pin.given, text)

    # Keys and their JWTs.

    @rule(target=keys, token=of_switched, client=client)
    def registers_a_key(self, token: Held, client: str) -> Given:
        key, status = Key(f"key-{self.next()}"), self.model.on_plex_tv(token, OWN)
        answer = self.ask("POST", "/api/v2/auth/jwk", token, client=client, body={"jwk": key.jwk})
        assert (201 if status == 200 else status) == answer.status
        if status != 200:
            return multiple()
        token.client = token.client or client  # a token without a device gets the one that its client names
        made = self.model.give("key", token.owner, token.client, by=token.by)
        self.signs[made] = key
        return made

    @rule(targets=(tokens, jwts), key=keys)
    def exchanges(self, key: Held) -> Given:
        asks, body = key.client or "", {"jwt": self.signed(self.signs[key], key.client or "")}
        answers = [self.ask("POST", "/api/v2/auth/token", client=asks, body=body) for _ in range(2)]
        good = self.model.good(key)
        assert [200 if good else 422, 422] == [answer.status for answer in answers]
        return self.known(self.model.exchange(key), token_in(answers[0])) if good else multiple()

    # Homes and devices.

    @rule(
        targets=(tokens, switched),
        token=of_jwts,
        to=who,
        client=client,
        typed=st.sampled_from(["right", "wrong", "none"]),
    )
    def switches(self, token: Held, to: str, client: str, typed: str) -> Given:
        home, status = self.model.home, self.model.on_plex_tv(token, OWN)
        together = token.owner == to or {token.owner, to} <= home
        right = to not in CODES or typed == "right"
        if typed == "wrong" and to in CODES and not self.may_err(f"passcode {to}"):
            return multiple()
        pin = {"right": CODES.get(to, ""), "wrong": "0000", "none": ""}[typed]
        answer = self.ask("POST", f"/api/v2/home/users/{IDS[to]}/switch?pin={pin}", token, client=client)
        expected = status if status != 200 else 404 if not together else 201 if right else 403
        assert expected == answer.status
        if expected != 201:
            return multiple()
        return self.known(self.model.give("account", to, client, by=token.by or token.owner), token_in(answer))

    @rule(target=sessions, session=sessions, to=who)
    def switches_at_a_browser(self, session: Held, to: str) -> Given:
        if not self.model.good(session):
            return multiple()
        browser = self.plex.browser()
        browser.cookie = self.browsers[session].cookie
        form = {"form_token": browser.fields("/link")["form_token"], "user": str(IDS[to])}
        answer = browser.post("/account/home", form | {"passcode": CODES.get(to, "")})
        together = session.owner == to or {session.owner, to} <= self.model.home
        assert (303 if together else 404) == answer.status
        if not together:
            return multiple()
        session.dead = True
        made = self.model.give("session", to, by=session.by or session.owner)
        made.ends = self.model.now + DAY // 2
        self.browsers[made] = browser
        return made

    @rule(token=of_switched, leaves=st.sampled_from(LEAVE))
    def leaves_home(self, token: Held, leaves: str) -> None:
        status = self.model.on_plex_tv(token, OWN)
        leaves = token.owner if token.owner in LEAVE else leaves
        if status == 200 and token.owner not in {"mira", leaves}:  # who else may not is tested with the roles
            return
        answer = self.ask("DELETE", f"/api/home/users/{IDS[leaves]}", token)
        assert self.removal_of(status, token.owner, leaves) == answer.status
        if answer.status == 200:
            self.model.leave_home(leaves)

    @rule(token=of_switched, client=client, own=st.booleans())
    def removes_a_device(self, token: Held, client: str, own: bool) -> None:
        client = token.client if own and token.client in CLIENTS else client
        status, numbers = self.model.on_plex_tv(token, OWN), self.devices(token.owner)
        assert {name for owner, name in self.model.devices if owner == token.owner} == numbers.keys()
        there = (token.owner, client) in self.model.devices
        number = numbers.get(client, 10**9)
        answer = self.ask("DELETE", f"/devices/{number}.json", token)
        assert (legacy(status) if status != 200 else 204 if there else 404) == answer.status
        if answer.status == 204:
            self.model.remove_device(token.owner, client)

    # Media servers.

    @rule(target=tokens, token=anyones, at=st.sampled_from(tuple(SERVERS)))
    def delegates(self, token: Held, at: str) -> Given:
        access = self.model.on_server(token, at)
        answer = self.ask("GET", "/security/token?type=delegation&scope=all", token, at=at)
        assert (200 if access else 401) == answer.status
        if not access:
            return multiple()
        real, lives = token, 2 * DAY
        if token.kind == "transient":
            real, lives = token.origin or token, min(lives, (token.ends or 0) - self.model.now)
        return self.known(self.model.give("transient", real.owner, at=at, origin=real, lives=lives), token_in(answer))

    @rule(target=claims, token=anyones)
    def asks_for_a_claim(self, token: Held) -> Given:
        status = self.model.on_plex_tv(token, OWN)
        answer = self.ask("GET", "/api/claim/token.json", token)
        assert (403 if status == 200 and token.owner in MANAGED else legacy(status)) == answer.status
        if answer.status != 200:
            return multiple()
        return self.known(self.model.give("claim", token.owner, origin=token, lives=4 * MINUTE), answer.json["token"])

    @rule(target=tokens, claim=claims, machine=st.sampled_from(["box-1", "box-2"]))
    def claims_a_machine(self, claim: Held, machine: str) -> Given:
        answer = self.ask("POST", f"/api/claim/exchange?token={self.texts[claim]}", client=machine)
        assert (200 if self.model.good(claim) else 404) == answer.status
        if answer.status != 200:
            return multiple()
        claim.dead = True
        self.model.end(lambda one: one.kind == "server" and (one.owner, one.client) == (claim.owner, machine))
        return self.known(self.model.give("server", claim.owner, machine), token_in(answer))

    # Time.

    @precondition(lambda self: self.model.now < LONGEST)
    @rule(seconds=st.sampled_from(JUMPS))
    def time_goes_by(self, seconds: int) -> None:
        self.plex.clock.now += seconds
        self.model.now += seconds

    @rule()
    def restarts(self) -> None:
        self.restart()
        self.model.starts += 1
