"""Signing in as type checkers see it. It is never run: mypy and pyright read it, and a wrong type fails them.

Rule: as in api.py.
"""

from __future__ import annotations

from typing import assert_type

from ticketstub import (
    AccountHandle,
    AsyncAccountHandle,
    AsyncPendingSignIn,
    AsyncPlex,
    Browser,
    Device,
    DeviceKey,
    LinkCode,
    MemoryStore,
    Password,
    PendingSignIn,
    PendingState,
    Plex,
    Role,
    Secret,
    SignInState,
    Token,
    TokenCheck,
    acheck,
    check,
)


class MyPlex(Plex):
    """A program's own subclass."""


def show(pending: PendingState) -> None:
    """Show a pending sign-in."""
    assert_type(pending.url, str)
    assert_type(pending.code, str)
    assert_type(pending.link_page, str)
    assert_type(pending.pin_id, int)
    assert_type(pending.render_qr(), str)


async def show_later(pending: PendingState) -> None:
    """The same, awaited."""
    show(pending)


def sync(device: Device, key: DeviceKey) -> None:
    """The sync façade."""
    assert_type(Plex.sign_in("My App"), Plex)
    assert_type(MyPlex.sign_in("My App", method=Password("a", Secret("b"), ask_code=lambda: "123456")), MyPlex)
    plex = Plex.sign_in("My App", method=Browser(show), store=MemoryStore(), device=device, timeout=3.0)
    assert_type(Plex.sign_in("My App", method=LinkCode(show, open=False), store="file", force=True), Plex)
    assert_type(MyPlex.load("My App", profile="attic", store="keyring"), MyPlex)
    assert_type(plex.sign_in_state, SignInState | None)
    assert_type(plex.token, Token | None)
    assert_type(plex.account(), AccountHandle)
    assert_type(plex.account().can_reach("Attic", owned=True), bool)
    assert_type(plex.account().membership("9b1f", owner=1), Role | None)
    assert_type(plex.switch_home_user("Pip", passcode="1234"), Plex)
    assert_type(plex.switch_home_user("Pip", store="auto", app="My App", profile="pip"), Plex)
    assert_type(plex.renew(), SignInState)
    assert_type(plex.keep_alive(), float)
    assert_type(plex.media_server_token(), Token)
    assert_type(plex.sign_out(), None)
    pending = plex.begin_sign_in(forward_url="https://app.example.test/done", device_key=key)
    assert_type(pending, PendingSignIn)
    assert_type(pending.dump(), str)
    assert_type(PendingSignIn.load(pending.dump()).finish(max_wait=1.0), Plex)
    assert_type(pending.is_done(), bool)
    assert_type(check("token", server="http://host:32400", plex_tv="https://plex.tv"), TokenCheck)


async def awaited(device: Device) -> None:
    """The async façade."""
    plex = await AsyncPlex.sign_in("My App", method=LinkCode(show_later, open=False))
    assert_type(plex, AsyncPlex)
    assert_type(await plex.account(), AsyncAccountHandle)
    assert_type(await (await plex.account()).can_reach("Attic"), bool)
    pending = await plex.begin_sign_in(code=True)
    assert_type(pending, AsyncPendingSignIn)
    assert_type(await AsyncPendingSignIn.load(pending.dump()).finish(), AsyncPlex)
    assert_type(await acheck("token", device=device), TokenCheck)
    assert_type(await AsyncPlex.load("My App"), AsyncPlex)


def mistakes() -> None:
    """Each line is an error that a type checker must report."""
    Plex.sign_in("My App", token="t")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # nothing to sign in then
    Plex.sign_in("My App", login="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a method now
    Plex.sign_in("My App", method="browser")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no text
    Plex.sign_in("My App", store="cloud")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no such store
