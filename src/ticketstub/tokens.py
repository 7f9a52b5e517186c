"""Secrets, and the most common one: the Plex token.

Rule: a secret never prints itself. `repr`, `str`, format, logs and tracebacks show six digits of a token's SHA-256, and
nothing of a password or code, which could be guessed from a digest. `reveal()` is the only way to get the text, so that
`grep reveal` finds every place where a secret is used.
"""

from __future__ import annotations

import re
from typing import ClassVar, NoReturn, Self, TypeVar

# Observed, see `Token.kind`.
_TOKEN_KINDS = re.compile(
    r"(?P<transient>transient-.*)|(?P<local>local-.*)|(?P<claim>claim-.*)|(?P<jwt>eyJ[^.]*\.[^.]*\.[^.]*)"
    r"|(?P<opaque>(?=.*[A-Za-z0-9])[A-Za-z0-9_-]{20})",
    re.DOTALL,
)

_MISTAKES = (
    (r"", "the token is empty"),
    (
        r"(?i:x-plex-token).*",
        "this is a whole X-Plex-Token header or parameter: pass only the part after the colon or equals sign",
    ),
    (r"claim-.*", "this is a claim token: it adds a server to an account and cannot sign in"),
    (r".*@.*", "this looks like an e-mail address, not a token: sign in with login and password instead"),
    (r".*[^!-~].*", "a token contains only ASCII characters and no spaces or line breaks"),
)
"""Patterns of texts that are not tokens, the most specific first, and the error for each, which repeats no text."""


class Unpicklable:
    """A base class for objects with secrets. They can be copied but not pickled.

    Such an object is immutable, so a copy is the object itself. A mutable subclass overrides `__copy__`.
    """

    __slots__ = ()
    _pickle_advice: ClassVar[str] = "it contains secrets"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled: {self._pickle_advice}")


class Secret(Unpicklable):
    """Text that never prints itself: a password, a code, a key."""

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


S = TypeVar("S", bound=Secret | None)


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
        mistakes = (message for pattern, message in _MISTAKES if re.fullmatch(pattern, self._text, re.DOTALL))
        if mistake := next(mistakes, None):
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


def is_header_safe(text: str) -> bool:
    """Return whether a text can be sent in a header. Other text is not a token, no matter who sent it."""
    return text.isascii() and text.isprintable()
