"""Signing in with a password, and with a verification code if Plex wants one.

Rule: a sign-in is sent once for each answer of the user, never again by itself; a code is asked for only when Plex asks
for it, and at most twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ticketstub.flows.caller import Caller
from ticketstub.flows.steps import Flow, Put
from ticketstub.records import Account
from ticketstub.refusals import VerificationCodeRequired, WrongVerificationCode
from ticketstub.token import Secret

AskCode: TypeAlias = Callable[[], "str | Secret | Awaitable[str | Secret | None] | None"]
"""Asks the user for a verification code; empty or `None` means that there is none."""

_MOST_QUESTIONS = 2


def with_password(
    caller: Caller, login: str, password: Secret, ask_code: AskCode | None, *, remember_me: bool
) -> Flow[Account]:
    """Sign in with login and password.

    Raises:
        VerificationCodeRequired, WrongVerificationCode: there is nobody to ask, or no right answer.
        Unauthorized, TooManyFailures: Plex refused.
    """
    from ticketstub.wire.accounts import PostUsersSignInData

    code: Secret | None = None
    questions = 0
    while True:
        try:
            return (yield from caller.call(PostUsersSignInData.of(login, password, code, remember_me=remember_me)))
        except (VerificationCodeRequired, WrongVerificationCode):
            if ask_code is None or questions == _MOST_QUESTIONS:
                raise
            code = yield from _answer(ask_code)
            questions += 1
            if code is None:
                raise


def _answer(ask_code: AskCode) -> Flow[Secret | None]:
    answer = yield Put(ask_code)
    if isinstance(answer, str):
        answer = Secret(answer.strip())
    if answer is not None and not isinstance(answer, Secret):
        raise TypeError(f"ask_code returns text, a Secret or None, not {type(answer).__name__}")
    return answer or None
