"""Declaring a tester's command: one typed method, from which its Python, HTTP and OpenAPI forms are derived.

Rule: a command is an `async` method of `ControlCommands`, decorated with its HTTP method and path. Called from Python
it runs on the local Plex's event loop, and returns when it is done. Over HTTP its arguments are the members of a JSON
object. Both are checked by the same types with their constraints, and an invalid argument is a `ValueError`. Objects
that only Python has (a `Pin`, an account, a `Token`) are replaced by what identifies them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Mapping
from inspect import Parameter, signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args, get_type_hints

import msgspec

from ticketstub.local_plex.control.controller import Controller
from ticketstub.tokens import Secret, Token

PREFIX = "/control/v1"


class HasCode(Protocol):
    """An object with a PIN's code: a `Pin`, a `LegacyPin`, a `PendingSignIn`."""

    @property
    def code(self) -> str | None:
        """The code."""


class HasId(Protocol):
    """An object with an account's id: a `LocalPlexAccount`."""

    id: int


class HasUrl(Protocol):
    """An object with the URL of an address: an `AddressListener`."""

    @property
    def url(self) -> str:
        """The URL."""
        raise NotImplementedError


class CommandSet:
    """The base of a class with commands.

    Args:
        controller: runs them.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller


CommandsT = TypeVar("CommandsT", bound=CommandSet)
Params = ParamSpec("Params")
Result = TypeVar("Result")
CommandFunction = Callable[Concatenate[CommandsT, Params], Coroutine[Any, Any, Result]]

_PYTHON_ONLY_TYPES = (HasCode, HasId, HasUrl, Token)
_KEY_ATTRIBUTES = {"pin": "code", "account": "id", "address": "url"}


class ControlCommand:
    """A declared command.

    Args:
        function: the method that does it.
        result_name: the member of the JSON response that holds the result; `None` if the result is the response.
    """

    def __init__(self, function: CommandFunction[Any, ..., Any], result_name: str | None) -> None:
        self.function: Callable[..., Coroutine[Any, Any, Any]] = function
        self.result_name = result_name
        self._signature = signature(function)

    @functools.cached_property
    def arguments_type(self) -> type[msgspec.Struct]:
        """A struct with the members of its JSON object."""
        hints = get_type_hints(self.function, include_extras=True)
        fields: list[Any] = []
        for name, parameter in list(self._signature.parameters.items())[1:]:
            if parameter.kind is Parameter.VAR_KEYWORD:
                fields.append((name, dict[str, Any], msgspec.field(default_factory=dict)))
            else:
                default = msgspec.NODEFAULT if parameter.default is Parameter.empty else parameter.default
                fields.append((name, _to_json_type(hints[name]), msgspec.field(default=default)))
        return msgspec.defstruct(self.function.__name__.strip("_"), fields, kw_only=True, forbid_unknown_fields=True)

    async def execute(self, commands: CommandSet, arguments: Mapping[str, object]) -> Any:  # noqa: ANN401  # the function's annotation says what it is
        """Run the command with arguments from JSON.

        Raises:
            ValueError: an argument is missing, unknown or invalid.
            LookupError: something that an argument names does not exist.
            TooLate: it is no longer possible.
        """
        try:
            parsed = msgspec.structs.asdict(msgspec.convert(arguments, self.arguments_type))
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        return await self.function(commands, **{**parsed.pop("more", {}), **parsed})

    def encode_arguments(self, *args: object, **kwargs: object) -> dict[str, object]:
        """Return the arguments of a Python call as JSON has them."""
        bound = self._signature.bind(None, *args, **kwargs).arguments
        return {name: _to_json_value(name, value) for name, value in list(bound.items())[1:]}


COMMANDS: dict[str, dict[str, ControlCommand]] = {}
"""The commands by path and HTTP method."""


def command(
    method: str, path: str, *, result_name: str | None = None
) -> Callable[[CommandFunction[CommandsT, Params, Result]], Callable[Concatenate[CommandsT, Params], Result]]:
    """Declare a command.

    Args:
        method: the HTTP method.
        path: below `PREFIX`.
        result_name: the member of the JSON response that holds the result.
    """

    def declare(
        function: CommandFunction[CommandsT, Params, Result],
    ) -> Callable[Concatenate[CommandsT, Params], Result]:
        entry = COMMANDS.setdefault(PREFIX + path, {})[method] = ControlCommand(function, result_name)

        @functools.wraps(function)
        def run(commands: CommandsT, /, *args: Params.args, **kwargs: Params.kwargs) -> Result:
            result: Result = commands.controller.run(entry.execute(commands, entry.encode_arguments(*args, **kwargs)))
            return result

        return run

    return declare


def _to_json_type(hint: Any) -> Any:  # noqa: ANN401  # types have no type of their own
    """Return the part of a parameter's type that JSON can hold."""
    allowed: list[Any] = [each for each in get_args(hint) if each not in _PYTHON_ONLY_TYPES]
    return functools.reduce(lambda some, more: some | more, allowed) if len(allowed) < len(get_args(hint)) else hint


def _to_json_value(name: str, value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else getattr(value, _KEY_ATTRIBUTES.get(name, ""), value)
