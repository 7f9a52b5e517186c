"""What both SDKs show of an answer: the raw response, the listed errors, and an exception that carries them.

Rule: every exception here is a `PlexError`, so `except ticketstub.PlexError` catches it; its message holds no secret,
and the error of ours that it stands for is its `__cause__`. A body may hold secrets; only who asks sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ticketstub.errors import PlexError
from ticketstub.wire.http import Response
from ticketstub.wire.plain import is_items, is_members


class Headers(Mapping[str, str]):
    """An answer's headers; a name is found however it is written."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"


class RawResponse:
    """The answer itself, with the names that requests and httpx share: status_code, headers, text, content, json()."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status_code = response.status
        self.headers = Headers(response.headers)

    @property
    def content(self) -> bytes:
        """The body's bytes. May hold secrets."""
        return self._response.body

    @property
    def text(self) -> str:
        """The body as text. May hold secrets."""
        return self._response.text

    @property
    def content_type(self) -> str:
        """The header of that name, or an empty text."""
        return self.headers.get("content-type", "")

    def json(self) -> object:
        """Read the body as JSON; a `ValueError` where it is none."""
        return self._response.json()

    @property
    def is_json(self) -> bool:
        """Whether the answer calls itself JSON: only then does an SDK have a class of its own for a refusal."""
        return self.content_type.partition(";")[0].strip().lower() == "application/json"

    def __repr__(self) -> str:
        return f"<RawResponse [{self.status_code}]>"


@dataclass(frozen=True)
class ListedError:
    """One entry of the `errors` in a refusal's body."""

    code: int | None = None
    message: str | None = None
    status: int | None = None


def listed_errors(response: RawResponse) -> list[ListedError] | None:
    """Read the `errors` of a JSON body; `None` where it has none."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return None
    found = body.get("errors") if is_members(body) else None
    return [_listed(entry) for entry in found if is_members(entry)] if is_items(found) else None


def _listed(entry: dict[str, object]) -> ListedError:
    code, message, status = (entry.get(name) for name in ("code", "message", "status"))
    return ListedError(
        code=code if isinstance(code, int) else None,
        message=message if isinstance(message, str) else None,
        status=status if isinstance(status, int) else None,
    )


class AnsweredError(PlexError):
    """An error that came with an answer; a kind of `PlexError` with the SDKs' attributes."""

    __slots__ = ()

    @classmethod
    def of(cls, error: PlexError, response: Response) -> AnsweredError:
        """Make one that says what ours says."""
        return cls(error.message, hint=error.hint, status=response.status, code=error.code, response=response)

    @property
    def raw_response(self) -> RawResponse:
        """The answer; an empty one after pickling, which leaves it out."""
        return RawResponse(self.response or Response(self.status or 0, {}, b""))

    @property
    def status_code(self) -> int:
        """The answer's status."""
        return self.raw_response.status_code

    @property
    def headers(self) -> Headers:
        """The answer's headers."""
        return self.raw_response.headers

    @property
    def body(self) -> str:
        """The answer's body as text. May hold secrets."""
        return self.raw_response.text

    def __str__(self) -> str:
        return f"{self.message}: Status {self.status}"
