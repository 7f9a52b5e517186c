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

DETECTION = 3.0
"""How many seconds it may take to find out which keyring there is; usually some milliseconds (ours)."""

LARGEST = 1280
"""What Windows keeps in one entry: 2560 bytes, two for each character (documented)."""

_INSTEAD = 'or keep the sign-in in a file: storage="file"'


def keyring_available(backend: KeyringBackend | None = None, *, patience: float = DETECTION) -> bool:
    """Tell whether there is a keyring that is safe to use unasked: one that the keyring library recommends.

    One that keeps nothing or writes plain files is none, and so is one that does not answer in `patience` seconds.

    Args:
        backend: the keyring to judge; by default the one that the keyring library finds.
        patience: seconds.
    """
    try:  # keyring's own measure: what is below 1 is not safe everywhere, or not a store at all
        return within(patience, lambda: _priority(backend or found()) >= 1)
    except CredentialsError:
        return False


def usable() -> KeyringBackend:
    """Return the keyring that was found, or that the user configured, if it keeps anything at all.

    Raises:
        CredentialsError: there is none.
    """
    backend = within(DETECTION, found)
    if within(DETECTION, lambda: _priority(backend)) <= 0:
        raise CredentialsError("this computer has no keyring", hint=f"install one, {_INSTEAD}")
    return backend


def found() -> KeyringBackend:
    """Ask the keyring library for its keyring. It may search the disk and ask D-Bus."""
    import keyring  # what it loads costs time

    return keyring.get_keyring()


def within(patience: float, question: Callable[[], T], *, size: int = 0) -> T:
    """Ask on a thread of its own, and wait for the answer.

    Args:
        patience: the most seconds to wait. What is asked may still happen later.
        question: what to ask.
        size: how many characters are to be kept, for a better message.

    Raises:
        CredentialsError: the keyring failed or did not answer in time.
    """
    try:
        return dns.within(question, monotonic() + patience)
    except Exception as error:  # noqa: BLE001  # each backend raises errors of its own library
        kinds = [kind.__name__ for kind in type(error).__mro__]
    raise _failed(kinds, patience, size)


def _failed(kinds: list[str], patience: float, size: int) -> CredentialsError:
    if "TimeoutError" in kinds:
        return CredentialsError(
            f"the keyring did not answer within {patience:g} seconds", hint=f"is it waiting to be unlocked? {_INSTEAD}"
        )
    if "NoKeyringError" in kinds:
        return CredentialsError("this computer has no keyring", hint=f"install one, {_INSTEAD}")
    if "KeyringLocked" in kinds or "InitError" in kinds:
        return CredentialsError("the keyring is locked, or cannot be opened", hint=f"unlock it, {_INSTEAD}")
    if size > LARGEST:
        return CredentialsError(
            f"the keyring did not take {size} characters: Windows takes {LARGEST}", hint='use storage="file"'
        )
    return CredentialsError(f"the keyring failed ({kinds[0]})", hint=f"try again, {_INSTEAD}")


def _priority(backend: KeyringBackend) -> float:
    """Return what the keyring library thinks of a backend; of a chain, of the one in it that is written to."""
    chained = getattr(backend, "backends", None)
    if chained is not None:
        return max((float(each.priority) for each in chained), default=0.0)
    return float(getattr(backend, "priority", 0.0))
