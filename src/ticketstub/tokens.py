"""Secrets, the Plex token, and how tracebacks are kept from showing either.

Rule: a secret never prints itself. `repr`, `str`, format and logs show six digits of a token's SHA-256, and nothing of
a password or code, which could be guessed from a digest. `reveal()` is the only way to get the text, so that `grep
reveal` finds every place where a secret is used.

Error trackers, `pytest -l` and `TracebackException(capture_locals=True)` print the local variables of each frame, and
those of this library contain tokens, passwords and whole requests. Therefore every public class and function that may
be given a secret is decorated with `hide_locals`, which clears the frames of an exception on its way out: a traceback
shows the lines of this library, but none of its local variables. A call that succeeds costs one more Python call and
nothing else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from types import FrameType, FunctionType, TracebackType
from typing import Any, TypeVar, cast

from ticketstub.errors import PlexError
from ticketstub.messages import Unpicklable

F = TypeVar("F", bound=Callable[..., object])
S = TypeVar("S", bound="Secret | None")

# Observed, see `Token.kind`.
_TOKEN_KINDS = re.compile(
    r"(?P<transient>transient-.*)|(?P<local>local-.*)|(?P<claim>claim-.*)|(?P<jwt>eyJ[^.]*\.[^.]*\.[^.]*)"
    r"|(?P<opaque>(?=.*[A-Za-z0-9])[A-Za-z0-9_-]{20})",
    re.DOTALL,
)

_COROUTINE_FLAG = 0x80  # inspect.CO_COROUTINE; importing inspect takes 10 ms
# This library, and the libraries in which a call may be interrupted or cancelled.
_INTERNAL_PACKAGES = frozenset(
    {
        "ticketstub",
        *("aiohttp", "yarl", "multidict", "aiohappyeyeballs", "aiosignal", "uvloop"),
        *("httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "anyio", "sniffio"),
        *("cryptography", "filelock", "joserfc", "jaraco", "jeepney", "jwt", "keyring", "msgspec", "secretstorage"),
        *("platformdirs", "segno", "plexapi", "requests", "urllib3"),
    }
)


class Secret(Unpicklable):
    """A secret text, such as a password, a code or a key. `repr` and `str` do not show it."""

    __slots__ = ("_text",)
    _pickle_advice = "save it in a credential store instead"

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # a program may have no types
            kind = type(text).__name__
            del text  # an error tracker prints the local variables of each frame
            raise TypeError(f"a secret must be text, not {kind}")
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Do not log it, and do not put it into a URL."""
        return self._text

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __str__(self) -> str:
        return "…"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        mine, theirs = (text.encode("utf-8", "surrogatepass") for text in (self._text, other._text))
        return compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def to_secret(text: str | S) -> Secret | S:
    """Return a text as a `Secret`, and a secret or `None` unchanged.

    Raises:
        TypeError: It is not text.
    """
    return text if text is None or isinstance(text, Secret) else Secret(text)


class Token(Secret):
    """A Plex token, as sent in the `X-Plex-Token` header.

    Args:
        text: The token exactly as Plex issued it. Surrounding white space is removed.
        origin: The origin that issued it (`https://plex.tv`), if known. A token with an origin is sent only there,
            unless you name another server together with the token.

    Raises:
        ValueError: The text cannot be a token. The message says what it looks like instead: an e-mail address, a whole
            header, a claim token.
    """

    __slots__ = ("origin",)

    def __init__(self, text: str, *, origin: str | None = None) -> None:
        super().__init__(text)
        self._text = text.strip()
        self.origin = origin
        if mistake := _find_mistake(self._text):
            del text  # as above
            raise ValueError(mistake)

    @classmethod
    def from_wire(cls, text: str, origin: str | None = None) -> Token:
        """Return a token as received from Plex, without any check (observed: tokens may start with `-`)."""
        token = cls.__new__(cls)
        Secret.__init__(token, text)
        token.origin = origin
        return token

    @property
    def fingerprint(self) -> str:
        """The first six hexadecimal digits of its SHA-256: they distinguish tokens and reveal no part of them."""
        from hashlib import sha256

        return sha256(self._text.encode("utf-8", "surrogatepass")).hexdigest()[:6]

    def __repr__(self) -> str:
        return f"<Token #{self.fingerprint}>"

    def __str__(self) -> str:
        return f"#{self.fingerprint}"

    @property
    def kind(self) -> str:
        """What the text looks like: `opaque` (account or server), `transient`, `local`, `claim`, `jwt` or `unknown`.

        Observed: a token of an account or server has 20 characters of A-Z a-z 0-9 _ and -; a transient token is
        `transient-` and a UUID; a media server's own token for its network starts with `local-`; a claim token is
        `claim-` and 20 characters; a JWT has three parts and starts with `eyJ`.
        """
        found = _TOKEN_KINDS.fullmatch(self._text)
        return (found and found.lastgroup) or "unknown"


def _find_mistake(text: str) -> str | None:
    """Return why a text cannot be a token, or `None`. The reason repeats no text."""
    if not text:
        return "the token is empty"
    if text.lower().startswith("x-plex-token"):
        return "this is a whole X-Plex-Token header or parameter: pass only the part after the colon or equals sign"
    if text.startswith("claim-"):
        return "this is a claim token: it adds a server to an account and cannot sign in"
    if "@" in text:
        return "this looks like an e-mail address, not a token: sign in with login and password instead"
    if " " in text or not is_header_safe(text):
        return "a token contains only ASCII characters and no spaces or line breaks"
    return None


def is_header_safe(text: str) -> bool:
    """Return whether a text can be sent in a header. Other text is not a token, no matter who sent it."""
    return text.isascii() and text.isprintable()


def read_secret(kind: type[Secret], raw: object) -> Secret | None:
    """Read a secret or token from a raw value; return `None` if it is not one."""
    text = raw.strip() if isinstance(raw, str) and kind is Token else raw
    if not isinstance(text, str) or not text or (kind is Token and not is_header_safe(text)):
        return None
    return Token.from_wire(text) if kind is Token else Secret(text)


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
