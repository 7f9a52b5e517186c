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

_COROUTINE = 0x80  # inspect.CO_COROUTINE; importing inspect costs 10 ms
# We, and where an interrupted or cancelled call may be at the time.
_BELOW_US = frozenset(
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
    whole: object = target
    if not isinstance(whole, type):
        return cast("F", _guarded(target))
    for name, member in list(vars(whole).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, FunctionType):
            setattr(whole, name, _guarded(member))
        elif isinstance(member, classmethod):
            inner = cast("classmethod[Any, ..., Any]", member).__func__
            setattr(whole, name, classmethod(_guarded(inner)))
    return target


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    if function.__code__.co_flags & _COROUTINE:

        @wraps(function)
        async def awaited(*args: object, **named: object) -> object:
            try:
                return await function(*args, **named)
            except BaseException as error:
                del args, named
                clear_locals(error)
                raise

        return awaited

    @wraps(function)
    def called(*args: object, **named: object) -> object:
        try:
            return function(*args, **named)
        except BaseException as error:
            del args, named
            clear_locals(error)
            raise

    return called


def without_this_frame(error: PlexError) -> PlexError:
    """Clear an error that is returned instead of raised; the frame that caught it is taken out of its traceback."""
    clear_locals(error)
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)


def without_our_frames(error: PlexError) -> PlexError:
    """Take our frames out of an error's traceback; all of them stay where a callback of the program raised it."""
    if all(map(_is_below, _frames(error.__traceback__))):
        error.__traceback__ = None
    return error


def clear_locals(error: BaseException) -> None:
    """Empty our frames, and those of libraries below us, in an exception and in those behind it.

    What a library raised is taken away where it is behind an error of ours: its text and attributes hold whole
    addresses and headers. What the calling program was handling when it called us stays, with its frames.
    """
    seen: set[int] = set()
    left = [error]
    while left:
        link = left.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        for frame in _frames(link.__traceback__):
            if _is_below(frame):
                with suppress(RuntimeError):  # it still runs: an outer guard empties it
                    frame.clear()
        left += _kept_behind(link)
        if isinstance(link, BaseExceptionGroup):
            left += cast("BaseExceptionGroup[BaseException]", link).exceptions


def _kept_behind(error: BaseException) -> list[BaseException]:
    """Take away what is behind an exception and may not be seen; return what stays and has our frames."""
    kept: list[BaseException] = []
    if (cause := error.__cause__) is not None and _began_below(cause):
        if isinstance(error, PlexError) and not isinstance(cause, PlexError):
            error.__cause__ = None
        else:
            kept.append(cause)
    if (context := error.__context__) is not None and context is not cause and _began_below(context):
        if error.__suppress_context__ or not isinstance(context, PlexError):
            error.__context__ = None
        else:
            kept.append(context)
    elif context is cause and error.__cause__ is None:
        error.__context__ = None
    return kept


def _began_below(error: BaseException) -> bool:
    """Tell whether an exception was caught by us or a library below us, and not by the program that called us."""
    for frame in _frames(error.__traceback__):
        module = _module(frame)
        if module not in sys.stdlib_module_names:
            return module in _BELOW_US
    return True


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_below(frame: FrameType) -> bool:
    module = _module(frame)
    return module in _BELOW_US or module in sys.stdlib_module_names
