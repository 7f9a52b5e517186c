"""S17: whatever is changed about a good token, it is none: of every kind, wherever that kind is taken.

Rule: an edited token is refused as an unknown one is, or as what cannot be read; it is never taken and never an error
of ours. Each kind is first shown to be taken as it is, or there would be nothing to refuse.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.local_plex.asking import Answered
from tests.local_plex.whole import FORM
from tests.security.stage import PHONE, Stage

Use = Callable[[Stage, str], Answered]


def on_plex_tv(stage: Stage, text: str) -> Answered:
    return stage.plex.ask("GET", f"/api/v2/user?X-Plex-Token={quote(text, safe='')}")


def in_a_header(stage: Stage, text: str) -> Answered:
    return stage.plex.ask("GET", "/api/v2/user", text)


def in_a_form(stage: Stage, text: str) -> Answered:
    body = f"code=ZZZ9&X-Plex-Token={quote(text, safe='')}"
    return stage.plex.ask("DELETE", "/api/v2/users/signout", body=body, headers=FORM)


def on_the_older_api(stage: Stage, text: str) -> Answered:
    return stage.plex.ask("GET", f"/users/account.json?X-Plex-Token={quote(text, safe='')}")


def on_attic(stage: Stage, text: str) -> Answered:
    return stage.plex.ask("GET", f"/library/sections?X-Plex-Token={quote(text, safe='')}", at="Attic")


def in_a_header_on_attic(stage: Stage, text: str) -> Answered:
    return stage.plex.ask("GET", "/library/sections", text, at="Attic")


def claiming(stage: Stage, text: str) -> Answered:
    return stage.plex.ask("POST", f"/api/claim/exchange?token={quote(text, safe='')}", client="new-server-9")


def exchanging(stage: Stage, text: str) -> Answered:
    return stage.plex.ask("POST", "/api/v2/auth/token", client=PHONE, body={"jwt": text})


def at_a_browser(stage: Stage, text: str) -> Answered:
    name = stage.browser.cookie.partition("=")[0]
    return stage.plex.ask("GET", "/account", headers={"Cookie": f"{name}={text}"})


# Each kind of token: where it is taken, with which status, and with which it is refused there.
PLEX_TV: dict[Use, tuple[int, int]] = {
    on_plex_tv: (200, 401),
    in_a_header: (200, 401),
    in_a_form: (204, 401),
    on_the_older_api: (200, 422),
}
ATTIC: dict[Use, tuple[int, int]] = {on_attic: (200, 401), in_a_header_on_attic: (200, 401)}
USES: dict[str, dict[Use, tuple[int, int]]] = {
    "account": PLEX_TV | ATTIC,
    "managed": PLEX_TV,
    "jwt": PLEX_TV,
    "server": PLEX_TV | ATTIC,
    "share": ATTIC,
    "transient": ATTIC,
    "transient of a share": ATTIC,
    "claim": {claiming: (200, 404)},
    "device jwt": {exchanging: (200, 422)},
    "cookie": {at_a_browser: (200, 303)},
}


@pytest.fixture(name="stage", scope="module")
def _stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.mark.parametrize("kind", USES)
def test_each_is_taken_as_it_is(stage: Stage, kind: str) -> None:
    """A token that nobody changed is taken in each of these ways."""
    for use, (taken, _) in USES[kind].items():
        stage.again()
        assert taken == use(stage, stage.tokens[kind] or "").status, use.__name__


TWINS = {
    "K": "\u212a",
    "k": "\u212a",
    "s": "\u017f",
    "S": "\u017f",
    "-": "\u2010",
    "i": "\u0131",
    ".": "\uff0e",
    "1": "\u0661",
}
LETTERS = string.ascii_letters + string.digits + "_-.=+/~%"
PUT_IN = ["", " ", "\t", "\x00", "\r\n", "%00", "%20", "\u00e9", "\u200b", "\ufeff", "\u0301", ";", "&", "=", "#", ","]

Edit = Callable[[str, int], str]
EDITS: dict[str, Edit] = {
    "cut off": lambda text, at: text[: at % len(text)],
    "cut off in front": lambda text, at: text[1 + at % len(text) :],
    "one taken out": lambda text, at: text[: at % len(text)] + text[at % len(text) + 1 :],
    "one doubled": lambda text, at: text[: at % len(text)] + text[at % len(text) :][:1] + text[at % len(text) :],
    "one of the other case": lambda text, at: _changed(text, at, str.swapcase),
    "one that is a twin": lambda text, at: _changed(text, at, lambda one: TWINS.get(one, one)),
    "all of the other case": lambda text, _: text.swapcase(),
    "all upper": lambda text, _: text.upper(),
    "all full width": lambda text, _: "".join(chr(ord(one) + 0xFEE0) for one in text),
    "encoded twice": lambda text, _: "".join(f"%{ord(one):02X}" for one in text),
    "one encoded twice": lambda text, at: _changed(text, at, lambda one: f"%{ord(one):02x}"),
    "two of it": lambda text, _: text + text,
    "two with a comma": lambda text, _: f"{text},{text}",
    "in quotes": lambda text, _: f'"{text}"',
    "as a bearer": lambda text, _: f"Bearer {text}",
    "backwards": lambda text, _: text[::-1],
}


def _changed(text: str, at: int, change: Callable[[str], str]) -> str:
    where = at % len(text)
    return text[:where] + change(text[where]) + text[where + 1 :]


def _letter(text: str, at: int, letter: str) -> str:
    return _changed(text, at, lambda _one: letter)


def _put_in(text: str, at: int, more: str) -> str:
    where = at % (len(text) + 1)
    return text[:where] + more + text[where:]


edits = st.one_of(
    st.tuples(st.sampled_from(sorted(EDITS)), st.integers(0, 700), st.just("")),
    st.tuples(st.just("another letter"), st.integers(0, 700), st.sampled_from(LETTERS)),
    st.tuples(st.just("put in"), st.integers(0, 700), st.sampled_from(PUT_IN) | st.text(LETTERS, max_size=3)),
)


def edited(text: str, edit: tuple[str, int, str]) -> str:
    name, at, more = edit
    if name == "another letter":
        return _letter(text, at, more)
    return _put_in(text, at, more) if name == "put in" else EDITS[name](text, at)


@examples(400)
@given(kind=st.sampled_from(sorted(USES)), edit=edits)
@example("account", ("put in", 0, " "))
@example("account", ("put in", 20, " "))
@example("account", ("put in", 20, "\x00"))
@example("jwt", ("put in", 10_000, "="))
@example("device jwt", ("put in", 0, " "))
def test_any_edit_is_no_token(stage: Stage, kind: str, edit: tuple[str, int, str]) -> None:
    """Any edit of a good token is refused as an unknown one, or as what cannot be read, and changes nothing."""
    right = stage.tokens[kind] or ""
    wrong = edited(right, edit)
    assume(wrong != right)
    for use, (_, refused) in USES[kind].items():
        if use is at_a_browser and wrong.strip().rstrip(";").strip() == right:
            continue  # what stands around a cookie's value is not part of it
        stage.again()
        before = stage.plex.rows("attempt")
        status = use(stage, wrong).status
        assert status in {refused, 400}, (use.__name__, status)
        assert before == stage.plex.rows("attempt"), use.__name__


LAST = st.sampled_from([-1, -2, -3])


@examples(100)
@given(
    kind=st.sampled_from(["jwt", "device jwt"]), part=st.integers(0, 2), at=LAST, letter=st.sampled_from(LETTERS[:64])
)
def test_no_other_spelling_of_a_jwt(stage: Stage, kind: str, part: int, at: int, letter: str) -> None:
    """The last letters of a part of a JWT, some of whose bits mean nothing, cannot be spelled in another way."""
    parts = (stage.tokens[kind] or "").split(".")
    old = parts[part]
    parts[part] = old[:at] + letter + old[len(old) + at + 1 :]
    assume(parts[part] != old)
    stage.again()
    (use, (_, refused)), *_ = USES[kind].items()
    assert refused == use(stage, ".".join(parts)).status
