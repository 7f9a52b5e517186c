"""Declaring a tester's command: one typed method, from which Python, HTTP and OpenAPI have it.

Rule: a command is an `async` method of `Commands`, decorated with its HTTP method and path. Called in Python it runs on
the local Plex's own event loop, and returns when it is done. Over HTTP its arguments are the members of a JSON object.
Both are read by the same types, with their constraints, and an argument that cannot be is a `ValueError`. What only
Python has (a `Pin`, an account, a `Token`) is taken by what names it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Mapping
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args, get_type_hints

import msgspec

from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.local_plex.control.commands import Commands

PREFIX = "/control/v1"


class WithCode(Protocol):
    """Whatever has a PIN's code: a `Pin`, a `LegacyPin`, a begun `SignIn`."""

    @property
    def code(self) -> str | None:
        """The code."""
        ...


class WithId(Protocol):
    """Whatever has an account's id: an `AccountInHand`."""

    id: int


Own = TypeVar("Own", bound="Commands")
Given = ParamSpec("Given")
Result = TypeVar("Result")
Work = Callable[Concatenate[Own, Given], Coroutine[Any, Any, Result]]

_ONLY_IN_PYTHON = (WithCode, WithId, Token)
_NAMED_BY = {"pin": "code", "account": "id"}


class Command:
    """A declared command.

    Args:
        work: does it.
        told: the name under which its result is told over HTTP; `None`: it is told as it is.
    """

    def __init__(self, work: Work[Any, ..., Any], told: str | None) -> None:
        self.work = work
        self.told = told
        self._signature = signature(work)

    @functools.cached_property
    def order(self) -> type[msgspec.Struct]:
        """The members of its JSON object."""
        hints = get_type_hints(self.work, include_extras=True)
        fields: list[Any] = []
        for name, parameter in list(self._signature.parameters.items())[1:]:
            if parameter.kind is Parameter.VAR_KEYWORD:
                fields.append((name, dict[str, Any], msgspec.field(default_factory=dict)))
            else:
                default = msgspec.NODEFAULT if parameter.default is Parameter.empty else parameter.default
                fields.append((name, _in_json(hints[name]), msgspec.field(default=default)))
        return msgspec.defstruct(self.work.__name__.strip("_"), fields, kw_only=True, forbid_unknown_fields=True)

    async def do(self, commands: Commands, order: Mapping[str, object]) -> Any:  # noqa: ANN401  # what it is, its own type says
        """Do it as an order says.

        Raises:
            ValueError: a member is missing, unknown, or cannot be.
            LookupError: something that is named does not exist.
            TooLate: it cannot be done any more.
        """
        try:
            read = msgspec.structs.asdict(msgspec.convert(order, self.order))
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        return await self.work(commands, **{**read.pop("more", {}), **read})

    def order_of(self, *given: object, **named: object) -> dict[str, object]:
        """Write the arguments of a call in Python as an order."""
        bound = self._signature.bind(None, *given, **named).arguments
        return {name: _plain(name, value) for name, value in list(bound.items())[1:]}


COMMANDS: dict[str, dict[str, Command]] = {}
"""The commands by path and HTTP method."""


def command(
    method: str, path: str, *, told: str | None = None
) -> Callable[[Work[Own, Given, Result]], Callable[Concatenate[Own, Given], Result]]:
    """Declare a command.

    Args:
        method: HTTP's.
        path: below `PREFIX`.
        told: the name under which its result is told over HTTP.
    """

    def declare(work: Work[Own, Given, Result]) -> Callable[Concatenate[Own, Given], Result]:
        declared = COMMANDS.setdefault(PREFIX + path, {})[method] = Command(work, told)

        @functools.wraps(work)
        def run(commands: Own, /, *given: Given.args, **named: Given.kwargs) -> Result:
            result: Result = commands.hand.run(declared.do(commands, declared.order_of(*given, **named)))
            return result

        return run

    return declare


def _in_json(hint: Any) -> Any:  # noqa: ANN401  # types have no type of their own
    """Return what JSON can hold of a parameter's type."""
    kept: list[Any] = [each for each in get_args(hint) if each not in _ONLY_IN_PYTHON]
    return functools.reduce(lambda some, more: some | more, kept) if len(kept) < len(get_args(hint)) else hint


def _plain(name: str, value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    return getattr(value, _NAMED_BY.get(name, ""), value)
