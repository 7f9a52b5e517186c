"""What the traceback of an exception shows after it has left the library: its lines, but none of our local variables.

Rule: error trackers, `pytest -l` and `TracebackException(capture_locals=True)` print the local variables of each frame,
and ours hold tokens, passwords and whole requests. So every public class and function that can be given a secret is
decorated with `hide_locals`, which empties the frames of an exception on its way out. The happy path pays for one more
Python call and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from types import FrameType, FunctionType, TracebackType
from typing import Any, TypeVar, cast

from ticketstub.errors import PlexError

F = TypeVar("F", bound=Callable[..., object])

_COROUTINE_FLAG = 0x80  # inspect.CO_COROUTINE; importing inspect costs 10 ms
# We, and where an interrupted or cancelled call may be at the time.
_INTERNAL_PACKAGES = frozenset(
    {
        "ticketstub",
        *("aiohttp", "yarl", "multidict", "aiohappyeyeballs", "aiosignal", "uvloop"),
        *("httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "anyio", "sniffio"),
        *("cryptography", "filelock", "joserfc", "jaraco", "jeepney", "jwt", "keyring", "msgspec", "secretstorage"),
        *("platformdirs", "segno"),
    }
)


def hide_locals(target: F) -> F:
    """Decorate a function, or a class and so all of its public methods: no exception of theirs shows local variables.

    The frames of the program that calls, and of its hooks and callbacks that are called, stay as they are.
    """
    decorated: object = target
    if not isinstance(decorated, type):
        return cast("F", _guard(target))
    for name, member in list(vars(decorated).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, FunctionType):
            setattr(decorated, name, _guard(member))
        elif isinstance(member, classmethod):
            inner = cast("classmethod[Any, ..., Any]", member).__func__
            setattr(decorated, name, classmethod(_guard(inner)))
    return target


def _guard(function: Callable[..., Any]) -> Callable[..., Any]:
    if function.__code__.co_flags & _COROUTINE_FLAG:

        @wraps(function)
        async def async_wrapper(*args: object, **kwargs: object) -> object:
            try:
                return await function(*args, **kwargs)
            except BaseException as error:
                del args, kwargs
                clear_locals(error)
                raise

        return async_wrapper

    @wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            clear_locals(error)
            raise

    return wrapper


def drop_current_frame(error: PlexError) -> PlexError:
    """Clear an error that is returned instead of raised; the frame that caught it is taken out of its traceback."""
    clear_locals(error)
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)


def drop_internal_frames(error: PlexError) -> PlexError:
    """Take our frames out of an error's traceback; all of them stay where a callback of the program raised it."""
    if all(map(_is_internal_frame, _iter_frames(error.__traceback__))):
        error.__traceback__ = None
    return error


def clear_locals(error: BaseException) -> None:
    """Empty our frames, and those of libraries below us, in an exception and in those behind it.

    What a library raised is taken away where it is behind an error of ours: its text and attributes hold whole
    addresses and headers. What the calling program was handling when it called us stays, with its frames.
    """
    seen: set[int] = set()
    pending = [error]
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for frame in _iter_frames(current.__traceback__):
            if _is_internal_frame(frame):
                with suppress(RuntimeError):  # it still runs: an outer guard empties it
                    frame.clear()
        pending += _prune_chain(current)
        if isinstance(current, BaseExceptionGroup):
            pending += cast("BaseExceptionGroup[BaseException]", current).exceptions


def _prune_chain(error: BaseException) -> list[BaseException]:
    """Take away what is behind an exception and may not be seen; return what stays and has our frames."""
    remaining: list[BaseException] = []
    if (cause := error.__cause__) is not None and _is_internal_error(cause):
        if isinstance(error, PlexError) and not isinstance(cause, PlexError):
            error.__cause__ = None
        else:
            remaining.append(cause)
    if (context := error.__context__) is not None and context is not cause and _is_internal_error(context):
        if error.__suppress_context__ or not isinstance(context, PlexError):
            error.__context__ = None
        else:
            remaining.append(context)
    elif context is cause and error.__cause__ is None:
        error.__context__ = None
    return remaining


def _is_internal_error(error: BaseException) -> bool:
    """Tell whether an exception was caught by us or a library below us, and not by the program that called us."""
    for frame in _iter_frames(error.__traceback__):
        module = _get_package(frame)
        if module not in sys.stdlib_module_names:
            return module in _INTERNAL_PACKAGES
    return True


def _iter_frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _get_package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_internal_frame(frame: FrameType) -> bool:
    module = _get_package(frame)
    return module in _INTERNAL_PACKAGES or module in sys.stdlib_module_names
