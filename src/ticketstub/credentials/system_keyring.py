"""Asking the system's keyring: which one there is, and each question with an end to the wait.

Rule: a keyring may show a window and wait for its user, or hang without one (a locked keyring over SSH does), so every
question runs on a thread of its own and is given up after a time. What a keyring raises becomes a `CredentialsError`
without its text, which could hold what we gave it; it is not even behind ours.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from ticketstub import dns
from ticketstub.errors import CredentialsError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

DETECTION_TIMEOUT = 3.0
"""How many seconds it may take to find out which keyring there is; usually some milliseconds (ours)."""

WINDOWS_MAX_LENGTH = 1280
"""What Windows keeps in one entry: 2560 bytes, two for each character (documented)."""

_FILE_HINT = 'or keep the sign-in in a file: storage="file"'


def is_keyring_available(backend: KeyringBackend | None = None, *, timeout: float = DETECTION_TIMEOUT) -> bool:
    """Tell whether there is a keyring that is safe to use unasked: one that the keyring library recommends.

    One that keeps nothing or writes plain files is none, and so is one that does not answer in `timeout` seconds.

    Args:
        backend: the keyring to judge; by default the one that the keyring library finds.
        timeout: seconds.
    """
    try:  # keyring's own measure: what is below 1 is not safe everywhere, or not a store at all
        return call_with_timeout(timeout, lambda: _get_priority(backend or find_keyring()) >= 1)
    except CredentialsError:
        return False


def get_usable_keyring() -> KeyringBackend:
    """Return the keyring that was found, or that the user configured, if it keeps anything at all.

    Raises:
        CredentialsError: there is none.
    """
    backend = call_with_timeout(DETECTION_TIMEOUT, find_keyring)
    if call_with_timeout(DETECTION_TIMEOUT, lambda: _get_priority(backend)) <= 0:
        raise CredentialsError("this computer has no keyring", hint=f"install one, {_FILE_HINT}")
    return backend


def find_keyring() -> KeyringBackend:
    """Ask the keyring library for its keyring. It may search the disk and ask D-Bus."""
    import keyring  # what it loads costs time

    return keyring.get_keyring()


def call_with_timeout(timeout: float, work: Callable[[], T], *, size: int = 0) -> T:
    """Ask on a thread of its own, and wait for the answer.

    Args:
        timeout: the most seconds to wait. What is asked may still happen later.
        work: what to ask.
        size: how many characters are to be kept, for a better message.

    Raises:
        CredentialsError: the keyring failed or did not answer in time.
    """
    try:
        return dns.run_with_deadline(work, monotonic() + timeout)
    except Exception as error:  # noqa: BLE001  # each backend raises errors of its own library
        class_names = [kind.__name__ for kind in type(error).__mro__]
    raise _make_keyring_error(class_names, timeout, size)


def _make_keyring_error(class_names: list[str], timeout: float, size: int) -> CredentialsError:
    if "TimeoutError" in class_names:
        return CredentialsError(
            f"the keyring did not answer within {timeout:g} seconds", hint=f"is it waiting to be unlocked? {_FILE_HINT}"
        )
    if "NoKeyringError" in class_names:
        return CredentialsError("this computer has no keyring", hint=f"install one, {_FILE_HINT}")
    if "KeyringLocked" in class_names or "InitError" in class_names:
        return CredentialsError("the keyring is locked, or cannot be opened", hint=f"unlock it, {_FILE_HINT}")
    if size > WINDOWS_MAX_LENGTH:
        return CredentialsError(
            f"the keyring did not take {size} characters: Windows takes {WINDOWS_MAX_LENGTH}", hint='use storage="file"'
        )
    return CredentialsError(f"the keyring failed ({class_names[0]})", hint=f"try again, {_FILE_HINT}")


def _get_priority(backend: KeyringBackend) -> float:
    """Return what the keyring library thinks of a backend; of a chain, of the one in it that is written to."""
    backends = getattr(backend, "backends", None)
    if backends is not None:
        return max((float(each.priority) for each in backends), default=0.0)
    return float(getattr(backend, "priority", 0.0))
