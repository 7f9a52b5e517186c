"""Keep secrets out of tracebacks: they show the lines of this library, but none of its local variables.

Rule: error trackers, `pytest -l` and `TracebackException(capture_locals=True)` print the local variables of each frame,
and those of this library contain tokens, passwords and whole requests. Therefore every public class and function that
may be given a secret is decorated with `hide_locals`, which clears the frames of an exception on its way out. A call
that succeeds costs one more Python call and nothing else.
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

_COROUTINE_FLAG = 0x80  # inspect.CO_COROUTINE; importing inspect takes 10 ms
# This library, and the libraries in which a call may be interrupted or cancelled.
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
    """Decorate a function, or all public methods of a class, so that their exceptions show no local variables.

    The frames of the calling program, and of its hooks and callbacks, are left unchanged.
    """
    decorated: object = target
    if not isinstance(decorated, type):
        return cast("F", _guard(target))
    for name, member in list(vars(decorated).items()):
        is_public = name == "__init__" or not name.startswith("_")
        if is_public and isinstance(member, FunctionType):
            setattr(decorated, name, _guard(member))
        elif is_public and isinstance(member, classmethod):
            setattr(decorated, name, classmethod(_guard(cast("classmethod[Any, ..., Any]", member).__func__)))
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
    """Clear an error that is returned instead of raised, and remove the frame that caught it from its traceback."""
    clear_locals(error)
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)


def drop_internal_frames(error: PlexError) -> PlexError:
    """Remove an error's traceback, unless a callback of the program raised the error: then keep all frames."""
    if all(map(_is_internal_frame, _iter_frames(error.__traceback__))):
        error.__traceback__ = None
    return error


def clear_locals(error: BaseException) -> None:
    """Clear the frames of this library and of the libraries below it, in an exception and in its causes and contexts.

    An exception of another library that is the cause or context of a `PlexError` is removed, since its text and
    attributes contain whole URLs and headers. What the calling program was handling when it called stays unchanged.
    """
    chain = [error]
    for current in chain:  # which grows on the way
        for frame in filter(_is_internal_frame, _iter_frames(current.__traceback__)):
            with suppress(RuntimeError):  # it is still running: an outer guard clears it
                frame.clear()
        linked = _prune_chain(current)
        if isinstance(current, BaseExceptionGroup):
            linked += cast("BaseExceptionGroup[BaseException]", current).exceptions
        chain += [each for each in linked if all(each is not known for known in chain)]


def _prune_chain(error: BaseException) -> list[BaseException]:
    """Remove the cause and context of an exception if they must not be shown, and return those to be cleared."""
    cause, context = error.__cause__, error.__context__
    if isinstance(error, PlexError) and not isinstance(cause, PlexError | None) and _is_internal_error(cause):
        error.__cause__ = None
    if context is cause:
        error.__context__ = error.__cause__
    elif (
        context is not None
        and (error.__suppress_context__ or not isinstance(context, PlexError))
        and _is_internal_error(context)
    ):
        error.__context__ = None
    return [each for each in (error.__cause__, error.__context__) if each is not None and _is_internal_error(each)]


def _is_internal_error(error: BaseException) -> bool:
    """Return whether this library, or one below it, caught an exception, and not the program that called it."""
    packages = map(_get_package, _iter_frames(error.__traceback__))
    first = next((package for package in packages if package not in sys.stdlib_module_names), "ticketstub")
    return first in _INTERNAL_PACKAGES


def _iter_frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _is_internal_frame(frame: FrameType) -> bool:
    package = _get_package(frame)
    return package in _INTERNAL_PACKAGES or package in sys.stdlib_module_names


def _get_package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
