"""The whole sign-in, stepped by hand: the stored one, its state, and each way to a new one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from keyring.backends.null import Keyring as NullKeyring

from tests.client.flows.jwts import KEY, WEEK, claims_of, exchanged, nonce, plex_jwt, published
from tests.client.flows.stepping import HERE
from tests.client.flows.walking import NOW, OPAQUE, RESET, UNAUTHORIZED, USER, Walker, error, ok
from tests.tables import every
from ticketstub.client.config import CallSettings, Retry
from ticketstub.client.flows.sign_in import SignInOptions, load_app_device, sign_in
from ticketstub.client.sign_ins import Browser, LinkCode, Password, PendingState
from ticketstub.credentials import Credential, MemoryStore
from ticketstub.device import Device
from ticketstub.errors import (
    CredentialsError,
    Denied,
    GaveUp,
    MalformedReply,
    NotSignedIn,
    PinExpired,
    SignInFailed,
    Unreachable,
)
from ticketstub.refusals import TooManyFailures, Unauthorized, VerificationCodeRequired, WrongVerificationCode
from ticketstub.tokens import Secret, Token

OLDER = "Qw7-Zr2_LmN8tYb4HsKd"
ONCE = CallSettings(plex_tv=HERE, retry=Retry(attempts=1))
SIGNED_IN = ok(USER, 201)
MADE = ok(
    '{"id":1402233445,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","expiresIn":1800,"authToken":null}',
    201,
    date="Tue, 03 Nov 2026 09:15:00 GMT",
)
PENDING = ok('{"id":1402233445,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","authToken":null}')
CODE_PLEASE = error(401, 1029, "Please enter the verification code")
WRONG_CODE = error(401, 1028, "Invalid verification code")


def linked(token: str = OPAQUE) -> Any:
    return ok(json.dumps({"id": 1402233445, "code": "k3v9x0q7r2m5t8w1y4z6a0b3c", "authToken": token}))


class Screen:
    """What a program shows, and how its user answers."""

    def __init__(self, *codes: str | None) -> None:
        self.shown: list[PendingState] = []
        self.opened: list[str] = []
        self.codes = list(codes)

    def show(self, begun: PendingState) -> None:
        self.shown.append(begun)

    def open(self, url: str) -> bool:
        self.opened.append(url)
        return True

    def ask_code(self) -> str | None:
        return self.codes.pop(0)


class Signing:
    """A sign-in with its own store, stepped by hand."""

    def __init__(self, *answers: object, screen: Screen | None = None, **options: Any) -> None:
        self.store = MemoryStore()
        self.screen = screen or Screen()
        self.walker = Walker(answers, settings=ONCE)
        options = {"method": Browser(self.screen.show, open=False)} | options
        self.options = SignInOptions(store=self.store, make_identifier=lambda: "fresh-identifier", **options)

    def keep(self, token: str = OLDER, **changes: Any) -> Signing:
        given = Credential(issuer=HERE, token=Token.from_wire(token, HERE), client_identifier="demo-client-7c1f")
        self.store.save(msgspec.structs.replace(given, **changes), replacing=None)
        return self

    def run(self) -> Any:
        return self.walker.run(partial(sign_in, self.options))

    def fails(self, kind: Any) -> Any:
        return self.walker.fails(partial(sign_in, self.options), kind)

    @property
    def kept(self) -> Any:
        return self.store.load(HERE)


def by_password(*answers: object, screen: Screen | None = None, remember_me: bool = False, **options: Any) -> Signing:
    screen = screen or Screen()
    ask = screen.ask_code if screen.codes else None
    method = Password("mira_quill", "hunter2", ask, remember_me)
    return Signing(*answers, screen=screen, method=method, **options)


# What is kept.


def test_a_kept_sign_in_that_works_is_used() -> None:
    """plex.tv is asked once whether the stored token works; nothing is shown."""
    signing = Signing(ok(USER)).keep()
    now = signing.run()
    assert (OLDER, [], ["get_token_details"]) == (now().reveal(), signing.screen.shown, signing.walker.calls)
    assert [OLDER] == [sent.headers["X-Plex-Token"] for sent in signing.walker.sent]
    assert ("kept", "good", "mira_quill") == (now.state.method, now.state.previous_status, now.state.username)
    assert (NOW, 10500123, "mira_quill") == (
        signing.kept.checked_at,
        signing.kept.account_id,
        signing.kept.username,
    )


def test_the_kept_client_identifier_is_used() -> None:
    """A token is used with its own client identifier, whatever this installation's is now."""
    signing = Signing(ok(USER)).keep(client_identifier="as-it-was")
    now = signing.run()
    assert ["as-it-was"] == [sent.headers["X-Plex-Client-Identifier"] for sent in signing.walker.sent]
    assert "as-it-was" == now.device.client_identifier


OUTAGES = {
    "reset": RESET,
    "503": ok(b"", 503),
    "429": error(429, 1003),
    "empty 404": ok(b"", 404),
    "page": ok(b"<html>"),
    "locked out": error(401, 1031),
    "forbidden": error(403, 1042),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_keeps_the_sign_in(outage: object) -> None:
    """If plex.tv does not say whether the stored token works, it is used, and the state is `unchecked`."""
    signing = Signing(outage).keep()
    now = signing.run()
    assert (OLDER, "unchecked", []) == (now().reveal(), now.state.previous_status, signing.screen.shown)
    assert OLDER == signing.kept.token.reveal()


@pytest.mark.parametrize(
    ("answer", "changes", "because"),
    [
        (ok(UNAUTHORIZED, 401), {}, "revoked"),
        (ok(b'{"error":"Invalid token"}', 422), {}, "revoked"),
        (ok(UNAUTHORIZED, 401), {"expires_at": NOW - 1.0}, "expired"),
        (error(498, 1001), {}, "expired"),
    ],
)
def test_a_token_that_is_over_is_replaced_and_the_user_told_why(answer: Any, changes: Any, because: str) -> None:
    """A token that plex.tv refuses leads to a new sign-in, which says why: revoked or expired."""
    signing = Signing(answer, MADE, linked(), ok(USER)).keep(**changes)
    now = signing.run()
    assert [because] == [begun.reason for begun in signing.screen.shown]
    assert (OPAQUE, because, "browser") == (now().reveal(), now.state.previous_status, now.state.method)
    assert OPAQUE == signing.kept.token.reveal()


def test_a_damaged_store_is_an_error() -> None:
    """A stored sign-in that cannot be read is not silently replaced."""
    signing = Signing()
    signing.store._data[Credential(issuer=HERE).entry] = b"{"
    signing.fails(CredentialsError)
    assert [b"{"] == list(signing.store._data.values())


def test_another_accounts_sign_in_is_replaced() -> None:
    """With another account's login, that account is signed in."""
    signing = by_password(ok(USER.replace(b"mira_quill", b"pip").replace(b"mira@", b"pip@")), SIGNED_IN).keep()
    now = signing.run()
    assert (OPAQUE, "another") == (now().reveal(), now.state.previous_status)


@pytest.mark.parametrize(("login", "used"), [("pip", False), ("mira_quill", True), ("mira@example.test", True)])
def test_an_outage_gives_nobody_anothers_sign_in(login: str, used: bool) -> None:
    """In an outage, a stored sign-in that is known to be another account's is not used for a login."""
    signing = by_password(RESET, *([] if used else [RESET])).keep(username="mira_quill")
    signing.options = msgspec.structs.replace(signing.options, method=Password(login, "hunter2"))
    if used:
        assert ("unchecked", OLDER) == ((now := signing.run()).state.previous_status, now().reveal())
    else:
        signing.fails(Unreachable)


@pytest.mark.parametrize("login", ["mira_quill", "MIRA@example.test"])
def test_the_same_account_needs_no_password(login: str) -> None:
    """A login that matches any name of the stored account sends no password."""
    signing = by_password(ok(USER)).keep()
    signing.options = msgspec.structs.replace(signing.options, method=Password(login, "hunter2"))
    signing.run()
    assert ["get_token_details"] == signing.walker.calls


def test_a_kept_jwt_is_renewed() -> None:
    """A stored JWT that has expired is renewed without the user."""
    new = plex_jwt(NOW)
    signing = Signing(published(), nonce(), exchanged(new), ok(USER), device_key=True)
    signing.keep(plex_jwt(NOW - 8 * 86400), device_key=KEY.dump(), created_at=NOW - 8 * 86400, expires_at=NOW - 86400)
    now = signing.run()
    assert (new, "renewed", NOW + WEEK) == (now().reveal(), now.state.previous_status, signing.kept.expires_at)


def test_a_kept_key_that_plex_no_longer_takes() -> None:
    """If the device was removed, the user signs in again, with the same key and identifier."""
    signing = Signing(
        error(498, 1001), published(), nonce(), error(422, 1097), MADE, linked(plex_jwt(NOW)), device_key=True
    )
    signing.keep(plex_jwt(NOW - 86400), device_key=KEY.dump(), created_at=NOW - 86400, expires_at=NOW + 6 * 86400)
    now = signing.run()
    assert ["expired"] == [begun.reason for begun in signing.screen.shown]
    assert (KEY.dump(), "demo-client-7c1f") == (now.credential.device_key, now.credential.client_identifier)


# In the browser.


def test_the_browser() -> None:
    """With nothing stored, a strong PIN is created and shown; its token is stored before its account is asked for."""
    signing = Signing(MADE, PENDING, linked(), ok(USER))
    now = signing.run()
    (begun,) = signing.screen.shown
    assert ("none", 1402233445) == (begun.reason, begun.pin_id)
    assert begun.url.startswith(f"{HERE}/auth#?clientID=demo-client-7c1f&code=k3v9x0q7r2m5t8w1y4z6a0b3c")
    assert ("browser", "none", "mira_quill") == (now.state.method, now.state.previous_status, now.state.username)
    assert (OPAQUE, "mira_quill", "demo-client-7c1f") == (
        signing.kept.token.reveal(),
        signing.kept.username,
        signing.kept.client_identifier,
    )


def test_it_is_kept_before_anything_else_is_asked() -> None:
    """The token is stored at once, even if its account cannot be asked for."""
    signing = Signing(MADE, linked(), RESET)
    now = signing.run()
    assert (OPAQUE, None) == (signing.kept.token.reveal(), now.state.username)


class Full(MemoryStore):
    """A store on a full disk: it can read but not save."""

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        raise CredentialsError("no space is left")


@pytest.mark.parametrize("ended", [ok(status=204), RESET, error(401, 1001)])
def test_a_token_that_cannot_be_stored_is_ended(ended: Any) -> None:
    """A token that cannot be stored is revoked at Plex, and the store's error is raised."""
    signing = Signing(MADE, linked(), ended)
    signing.options = msgspec.structs.replace(signing.options, store=Full())
    assert "no space is left" in str(signing.fails(CredentialsError))
    last = signing.walker.sent[-1]
    assert ("DELETE", OPAQUE) == (last.method, last.headers["X-Plex-Token"])
    assert HERE in last.url


def test_the_browser_is_opened() -> None:
    """Without `show`, the URL is opened once."""
    screen = Screen()
    signing = Signing(MADE, linked(), ok(USER), screen=screen, method=Browser(open=screen.open))
    signing.run()
    assert 1 == len(screen.opened)
    assert screen.opened[0].startswith(f"{HERE}/auth#?")


def test_shown_and_opened() -> None:
    """With `show` the URL may be opened too; a failure to open it does not matter."""
    screen = Screen()
    for opener in (screen.open, lambda _url: False):
        shown = {"method": Browser(screen.show, open=opener)}
        Signing(MADE, linked(), ok(USER), screen=screen, **shown).run()
    assert (2, 1) == (len(screen.shown), len(screen.opened))


def test_no_browser_and_nobody_to_show_it_to() -> None:
    """Without a browser, a terminal and `show`, the error says what to pass."""
    signing = Signing(MADE, method=Browser(open=lambda _url: False))
    told = str(signing.fails(SignInFailed))
    for words in (f"{HERE}/auth#?clientID=", "Browser(show)", "LinkCode(show)", "Password(", "token="):
        assert words in told


class Terminal:
    """Standard error as a terminal, with the fake clock's time of each text."""

    def __init__(self, signing: Signing) -> None:
        self.told: list[tuple[float, str]] = []
        self.walker = signing.walker
        signing.options = msgspec.structs.replace(signing.options, show_text=self)

    def __call__(self, text: str) -> bool:
        self.told.append((self.walker.clock, text))
        return True


def test_no_browser_on_a_terminal() -> None:
    """If no browser opens, the URL, the code and a QR code are written to the terminal, and polling continues."""
    signing = Signing(MADE, PENDING, linked(), ok(USER), method=Browser(open=lambda _url: False))
    terminal = Terminal(signing)
    assert "browser" == signing.run().state.method
    ((moment, text),) = terminal.told
    assert 1000.0 == moment
    for words in (f"  {HERE}/auth#?clientID=", "code to compare  k3v9x0q7r2m5t8w1y4z6a0b3c", "\u2580"):
        assert words in text


def test_a_browser_that_shows_nothing() -> None:
    """If a browser opened and nothing was approved for five seconds, the terminal shows the URL once."""
    signing = Signing(MADE, *[PENDING] * 20, linked(), ok(USER), method=Browser(open=lambda _url: True))
    terminal = Terminal(signing)
    signing.run()
    ((moment, text),) = terminal.told
    assert 1005.0 == moment
    assert f"  {HERE}/auth#?clientID=" in text
    quick = Signing(MADE, *[PENDING] * 4, linked(), ok(USER), method=Browser(open=lambda _url: True))
    assert [] == Terminal(quick).told
    quick.run()


@pytest.mark.parametrize("opens", [True, False])
def test_a_screen_of_its_own_is_the_only_one(*, opens: bool) -> None:
    """With `show`, nothing is written to the terminal."""
    screen = Screen()
    shown = {"method": Browser(screen.show, open=lambda _url: opens)}
    signing = Signing(MADE, *[PENDING] * 20, linked(), ok(USER), screen=screen, **shown)
    terminal = Terminal(signing)
    signing.run()
    assert (1, []) == (len(screen.shown), terminal.told)


def test_a_code_to_type_on_a_terminal() -> None:
    """With `LinkCode` and no `show`, the terminal shows the page and the code."""
    made = ok('{"id":7,"code":"H7QK","expiresIn":900,"authToken":null}', 201)
    signing = Signing(made, linked(), ok(USER), method=LinkCode(open=lambda _url: False))
    terminal = Terminal(signing)
    signing.run()
    assert f"type the code H7QK on {HERE}/link" in terminal.told[0][1]


@pytest.mark.parametrize("method", [Browser(open=False), LinkCode(open=False)])
def test_without_a_browser_on_a_terminal(method: Any) -> None:
    """With `open=False` nothing is opened, and the terminal shows the URL, or the page and the code."""
    signing = Signing(MADE, linked(), ok(USER), method=method)
    terminal = Terminal(signing)
    signing.run()
    assert ["", "To sign in, "] == [text[:12] for _, text in terminal.told]


def test_the_first_time_it_says_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first stored sign-in in a default store is announced with its location."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("keyring.core._keyring_backend", NullKeyring())
    signing = Signing(MADE, linked(), ok(USER), ok(USER))
    signing.options = msgspec.structs.replace(signing.options, app="My App", store=None)
    terminal = Terminal(signing)
    signed_in = signing.walker.run(partial(_twice, signing.options))
    assert [f"Signed in. The sign-in is stored {signed_in.location}.\n"] == [text for _, text in terminal.told]
    assert str(tmp_path) in signed_in.location


def _twice(options: SignInOptions, context: Any) -> Any:
    yield from sign_in(options, context)
    return (yield from sign_in(options, context)).state


def test_a_code_is_shown_and_nothing_opened() -> None:
    """A code to type belongs to a weak PIN; with `show`, no browser is opened."""
    screen = Screen()
    made = ok('{"id":7,"code":"H7QK","expiresIn":900,"authToken":null}', 201)
    shown = {"method": LinkCode(screen.show, open=screen.open)}
    signing = Signing(made, linked(), ok(USER), screen=screen, **shown)
    now = signing.run()
    assert b"strong=false" == signing.walker.sent[0].body
    assert ("H7QK", f"{HERE}/link", "code") == (screen.shown[0].code, screen.shown[0].link_page, now.state.method)
    assert [] == screen.opened


@pytest.mark.parametrize(
    ("answers", "changes", "words"),
    [
        ([], None, "nobody is signed in"),
        ([ok(UNAUTHORIZED, 401)], {}, "revoked at Plex"),
        ([ok(UNAUTHORIZED, 401)], {"expires_at": NOW - 1}, "has expired"),
    ],
)
def test_a_program_without_a_user(answers: Any, changes: Any, words: str) -> None:
    """Without `show` and browser, the stored sign-in is used; if it does not work, the error says why."""
    signing = Signing(*answers, method=Browser(open=False))
    if changes is not None:
        signing.keep(**changes)
    assert words in str(signing.fails(NotSignedIn))
    works = Signing(ok(USER), method=Browser(open=False)).keep()
    assert OLDER == works.run()().reveal()


GONE = ok('{"errors":[{"code":1020,"message":"Code not found or expired"}]}', 404)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(GONE, Denied), (ok(GONE.body, 404, date="Tue, 03 Nov 2026 09:45:01 GMT"), PinExpired)],
)
def test_what_ends_it_leaves_what_was_kept(answer: Any, kind: Any) -> None:
    """A denied or expired sign-in does not change what is stored."""
    signing = Signing(ok(UNAUTHORIZED, 401), MADE, answer).keep()
    signing.fails(kind)
    assert OLDER == signing.kept.token.reveal()


def test_giving_up() -> None:
    """`max_wait` ends the wait."""
    Signing(MADE, PENDING, PENDING, PENDING, max_wait=1.5).fails(GaveUp)


def test_no_pin_no_sign_in() -> None:
    """A failure to create the PIN is raised; only the client's retries repeat the request."""
    Signing(RESET).fails(Unreachable)


def test_the_last_sign_in_wins() -> None:
    """If another process signs in under this profile meanwhile, the later sign-in is stored."""
    signing = Signing()

    def meanwhile(_request: Any) -> Any:
        signing.keep()
        return linked()

    signing.walker.left = [MADE, meanwhile, ok(USER)]
    signing.run()
    assert OPAQUE == signing.kept.token.reveal()


# By password.


def test_by_password() -> None:
    """Login and password are sent once; the reply names the account."""
    signing = by_password(SIGNED_IN)
    now = signing.run()
    assert [b"login=mira_quill&password=hunter2&rememberMe=false"] == [sent.body for sent in signing.walker.sent]
    assert ("password", "mira_quill", None) == (now.state.method, now.state.username, now.state.expires_at)
    assert OPAQUE == signing.kept.token.reveal()


def test_a_code_is_asked_for_when_plex_wants_one() -> None:
    """The code is requested only if Plex wants one, and sent with the second try."""
    signing = by_password(CODE_PLEASE, SIGNED_IN, screen=Screen(" 123456\n"))
    signing.run()
    assert b"login=mira_quill&password=hunter2&rememberMe=false&verificationCode=123456" == signing.walker.sent[1].body


def test_a_wrong_code_is_asked_for_once_more() -> None:
    """After a wrong code the user is asked once more, not a third time."""
    by_password(CODE_PLEASE, WRONG_CODE, SIGNED_IN, screen=Screen("111111", "222222")).run()
    again = by_password(CODE_PLEASE, WRONG_CODE, WRONG_CODE, screen=Screen("111111", "222222"))
    again.fails(WrongVerificationCode)
    assert again.kept is None


@pytest.mark.parametrize("answer", ["", "  ", None])
def test_no_code_no_further_try(answer: str | None) -> None:
    """If the user has no code, Plex's refusal is raised."""
    by_password(CODE_PLEASE, screen=Screen(answer)).fails(VerificationCodeRequired)


def test_nobody_to_ask() -> None:
    """Without `ask_code`, Plex's refusal is raised."""
    by_password(CODE_PLEASE).fails(VerificationCodeRequired)


def test_what_ask_code_returns_is_checked() -> None:
    """A number is not accepted as a code: leading zeros would be lost."""
    signing = by_password(CODE_PLEASE)
    number: Any = lambda: 123456  # noqa: E731  # a program without types
    signing.options = msgspec.structs.replace(signing.options, method=Password("mira_quill", "hunter2", number))
    with pytest.raises(TypeError):
        signing.run()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ok(UNAUTHORIZED, 401), Unauthorized),
        (error(401, 1031), TooManyFailures),
        (RESET, Unreachable),
        (ok(b"<html>", 201), MalformedReply),
    ],
)
def test_a_password_is_never_sent_again_by_itself(answer: Any, kind: Any) -> None:
    """Whatever fails, the password is sent once."""
    signing = by_password(answer)
    signing.walker.context = signing.walker.context._replace(settings=CallSettings(plex_tv=HERE))
    signing.fails(kind)
    assert 1 == len(signing.walker.sent)


def test_remember_me() -> None:
    """`remember_me` is sent, and Plex's expiry is stored; without it that field is ignored."""
    body = USER.replace(b'"username"', b'"rememberExpiresAt":1794906900,"username"')
    remembered = by_password(ok(body, 201), remember_me=True).run()
    assert 1794906900 == remembered.state.expires_at.timestamp()
    assert by_password(ok(body, 201)).run().state.expires_at is None


# With a device key.


def test_a_key_through_a_pin() -> None:
    """The PIN has a new key and identifier; each poll proves the key; the JWT is verified and stored with it."""
    jwt = plex_jwt(NOW, aud=["plex.tv", "fresh-identifier"], thumbprint=None)
    signing = Signing(device_key=True)

    def with_kid(request: Any) -> Any:
        kid = json.loads(signing.walker.sent[1].body)["jwk"]["kid"]
        assert "deviceJWT=" in request.url
        return linked(plex_jwt(NOW, aud=["plex.tv", "fresh-identifier"], thumbprint=kid))

    signing.walker.left = [published(), MADE, PENDING, with_kid]
    now = signing.run()
    assert {"fresh-identifier"} == {sent.headers["X-Plex-Client-Identifier"] for sent in signing.walker.sent[1:]}
    made = json.loads(signing.walker.sent[1].body)
    assert {"kty", "crv", "x", "use", "alg", "kid"} == made["jwk"].keys()
    assert ("fresh-identifier", "mira_quill", True) == (
        now.state.client_identifier,
        now.state.username,
        now.state.has_device_key,
    )
    assert signing.kept.device_key
    assert NOW + WEEK + signing.walker.clock - 1000.0 == signing.kept.expires_at
    assert jwt


def test_a_device_jwt_is_signed_again_before_it_ends() -> None:
    """A long wait proves the key with a valid device JWT, and does not sign for each poll."""
    signing = Signing(device_key=True)
    proofs: list[str] = []

    def polled(request: Any) -> Any:
        proofs.append(request.url.partition("deviceJWT=")[2])
        if signing.walker.clock < 2000.0:
            signing.walker.left.append(polled)
            return PENDING
        kid = json.loads(signing.walker.sent[1].body)["jwk"]["kid"]
        return linked(plex_jwt(NOW + 1000, aud=["plex.tv", "fresh-identifier"], thumbprint=kid))

    signing.walker.left = [published(), MADE, polled]
    signing.run()
    assert 1001 == len(proofs)
    assert 4 <= len(set(proofs)) <= 6
    for second, proof in enumerate(proofs):
        assert claims_of(proof)["exp"] - (NOW + second) >= 59


def test_a_pin_whose_jwt_cannot_be_verified() -> None:
    """A JWT that Plex did not sign is not used, and nothing is stored."""
    signing = Signing(published(), MADE, linked(plex_jwt(NOW)), device_key=True)
    signing.fails(MalformedReply)
    assert signing.kept is None


def test_no_published_keys_no_pin() -> None:
    """If the published keys are unavailable, the user is not asked."""
    signing = Signing(ok(b"", 503), device_key=True)
    with pytest.raises(Exception, match="5"):
        signing.run()
    assert [] == signing.screen.shown


def test_a_key_through_a_password() -> None:
    """With a password: an opaque token for a new identifier, a registered key, and a JWT, which revokes the former."""
    signing = by_password(device_key=True)
    steps: list[Any] = []

    def registering(request: Any) -> Any:
        steps.append(signing.kept)
        return ok(b"", 201)

    def exchanging(request: Any) -> Any:
        kid = json.loads(signing.walker.sent[1].body)["jwk"]["kid"]
        return exchanged(plex_jwt(NOW, aud=["plex.tv", "fresh-identifier"], thumbprint=kid))

    signing.walker.left = [SIGNED_IN, registering, published(), nonce(), exchanging]
    now = signing.run()
    assert ["post_users_sign_in_data", "register_key", "get_published_keys", "get_nonce", "exchange_device_jwt"] == (
        signing.walker.calls
    )
    assert {"fresh-identifier"} == {sent.headers["X-Plex-Client-Identifier"] for sent in signing.walker.sent}
    assert OPAQUE == signing.walker.sent[1].headers["X-Plex-Token"]
    assert steps[0].device_key, "the key is kept before it is registered"
    assert (now(), "jwt") == (signing.kept.token, now().kind)


def test_a_kept_opaque_token_moves_to_a_key() -> None:
    """A program that starts to use a device key registers one with its stored token."""
    signing = Signing(device_key=True).keep()

    def exchanging(request: Any) -> Any:
        kid = json.loads(signing.walker.sent[1].body)["jwk"]["kid"]
        return exchanged(plex_jwt(NOW, thumbprint=kid))

    signing.walker.left = [ok(USER), error(422, 1011), published(), nonce(), exchanging]
    now = signing.run()
    assert ("good", "jwt", "demo-client-7c1f") == (
        now.state.previous_status,
        now().kind,
        now.state.client_identifier,
    )


def test_an_outage_moves_nothing() -> None:
    """A token that could not be checked is not exchanged for a device key."""
    signing = Signing(RESET, device_key=True).keep()
    assert OLDER == signing.run()().reveal()


def test_a_devices_own_identifier_is_kept() -> None:
    """A device that the program passed keeps its identifier, even with a key."""
    signing = Signing(device_key=True, has_custom_device=True)

    def with_kid(request: Any) -> Any:
        kid = json.loads(signing.walker.sent[1].body)["jwk"]["kid"]
        return linked(plex_jwt(NOW, thumbprint=kid))

    signing.walker.left = [published(), MADE, with_kid]
    assert "demo-client-7c1f" == signing.run().state.client_identifier


# What is refused before anything is sent.


@pytest.mark.parametrize(
    "make",
    [
        lambda: Browser(forward_url="myapp://done"),
        lambda: SignInOptions(profile="no such/profile"),
        lambda: SignInOptions(profile=""),
        lambda: SignInOptions(app="\n"),
    ],
)
def test_what_is_refused_at_once(make: Any) -> None:
    """An invalid URL or name is an error before anything is sent."""
    with pytest.raises(ValueError, match=r"."):
        make()


@every("method", ["browser", LinkCode, None])
def test_what_is_no_method(method: Any) -> None:
    """What is no method, such as its class or name, is a TypeError before anything is sent."""
    with pytest.raises(TypeError, match=r"LinkCode\(\.\.\.\)"):
        SignInOptions(method=method)


@pytest.mark.parametrize("password", ["hunter2", Secret("hunter2")])
def test_a_password_does_not_show(password: str | Secret) -> None:
    """Neither a method nor the options of a sign-in print the password."""
    method = Password("mira_quill", password)
    assert "hunter2" not in f"{method!r}{SignInOptions(method=method)!r}{[*method.__rich_repr__()]}"
    assert Secret("hunter2") == method.password


def test_each_program_and_profile_is_a_device_of_its_own(tmp_path: Path) -> None:
    """Each app and profile has its own identifier, created once; the product is the app's name."""
    names = [("My App", "default"), ("My-App", "default"), ("My App", "work"), ("Küche/1", "default"), ("x" * 90, "a")]
    found = {name: load_app_device(*name, tmp_path) for name in names}
    assert 5 == len({device.client_identifier for device in found.values()})
    assert [name for name, _ in names] == [device.product for device in found.values()]
    assert found == {name: load_app_device(*name, tmp_path) for name in names}


def test_a_plain_name_is_the_device_that_is_remembered(tmp_path: Path) -> None:
    """`Device.load_or_create("my-app")` and a sign-in of "my-app" are one installation."""
    assert Device.load_or_create("my-app", directory=tmp_path) == load_app_device("my-app", directory=tmp_path)
