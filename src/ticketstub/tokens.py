"""Secrets, and the one kind everybody handles: the Plex token.

Rule: a secret never prints itself. `repr`, `str`, format, logs and tracebacks show six digits of a token's SHA-256, and
nothing of a password or code, which could be guessed from them; `reveal()` is the only way to the text, so that
`grep reveal` finds every place where a secret leaves.
"""

from __future__ import annotations

from typing import TypeVar


class Secret:
    """Text that never prints itself: a password, a code, a key."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # programs without types
            kind = type(text).__name__
            del text  # an error tracker prints the local variables of each frame
            raise TypeError(f"a secret is text, not {kind}")
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

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(f"a {type(self).__name__} is not pickled; keep it with the credentials instead")

    # Nothing in a secret changes, so a copy is the secret itself.
    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self


S = TypeVar("S", bound=Secret | None)


def to_secret(text: str | S) -> Secret | S:
    """Take a plain text for the secret that it is.

    Raises:
        TypeError: it is no text.
    """
    return text if text is None or isinstance(text, Secret) else Secret(text)


class Token(Secret):
    """A Plex token: what an `X-Plex-Token` header carries.

    Args:
        text: the token, exactly as Plex gave it. Surrounding white space is dropped.
        origin: the origin that issued it (`https://plex.tv`), when known. A token that knows its origin is sent
            nowhere else unless you name the place together with the token.

    Raises:
        ValueError: the text cannot be a token; the message says what it looks like instead (an e-mail address,
            a whole header, a claim token).
    """

    __slots__ = ("origin",)

    def __init__(self, text: str, *, origin: str | None = None) -> None:
        super().__init__(text)
        self._text = text.strip()
        self.origin = origin
        if mistake := _describe_mistake(self._text):
            del text  # as above
            raise ValueError(mistake)

    @classmethod
    def from_wire(cls, text: str, origin: str | None = None) -> Token:
        """Take a token as it came over the wire, whatever it looks like (observed: tokens may start with `-`)."""
        token = cls.__new__(cls)
        Secret.__init__(token, text)
        token.origin = origin
        return token

    @property
    def fingerprint(self) -> str:
        """The first six hexadecimal digits of its SHA-256: enough to tell two tokens apart, no part of either."""
        from hashlib import sha256

        return sha256(self._text.encode("utf-8", "surrogatepass")).hexdigest()[:6]

    def __repr__(self) -> str:
        return f"<Token #{self.fingerprint}>"

    def __str__(self) -> str:
        return f"#{self.fingerprint}"

    @property
    def kind(self) -> str:
        """What the text looks like: `opaque` (account or server), `transient`, `local`, `claim`, `jwt`, or `unknown`.

        Observed: an account's or server's token is 20 characters of A-Z a-z 0-9 _ and -; a transient token is
        `transient-` and a UUID; a media server's own for its network begins with `local-`; a claim token is `claim-`
        and 20 characters; a JWT is three parts, from `eyJ`.
        """
        for kind in ("transient", "local", "claim"):
            if self._text.startswith(f"{kind}-"):
                return kind
        if self._text.startswith("eyJ") and self._text.count(".") == 2:
            return "jwt"
        plain = self._text.replace("-", "").replace("_", "")
        return "opaque" if len(self._text) == 20 and plain.isalnum() and plain.isascii() else "unknown"


def is_header_safe(text: str) -> bool:
    """Tell whether a header can carry this text. What none can carry is no token, whoever sent it."""
    return text.isascii() and text.isprintable()


def _describe_mistake(text: str) -> str | None:
    """Say what a pasted text is when it is not a token, without repeating any of it."""
    if not text:
        return "the token is empty"
    if text.lower().startswith("x-plex-token"):
        return "this is a whole X-Plex-Token header or parameter: pass only what follows the colon or equals sign"
    if text.startswith("claim-"):
        return "this is a claim token: it adds a server to an account and signs nobody in"
    if "@" in text:
        return "this looks like an e-mail address, not a token: sign in with login and password instead"
    if any(character.isspace() or not character.isprintable() for character in text) or not text.isascii():
        return "a token has no spaces, line breaks or letters beyond ASCII: this text has"
    return None
