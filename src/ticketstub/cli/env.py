"""`ticketstub env`: the variables of a run for another shell, a file, or containers.

Rule: it starts nothing and changes nothing; what it prints is the table of variables.py in the words of whoever reads
it. Inside `ticketstub run` it needs to be told nothing.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from ticketstub.cli.complaints import WrongUsage

Form = Literal["sh", "fish", "powershell", "dotenv"]


def env(
    *,
    form: Annotated[Form, typer.Option("--format", help="The words of this shell, or a file of variables.")] = "sh",
    proxy: Annotated[
        str | None,
        typer.Option("--proxy", metavar="URL", envvar="TICKETSTUB_PROXY", help="The proxy of a run: its shell says."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", envvar="TICKETSTUB_CA", help="The authority of that run: its shell says."),
    ] = None,
) -> None:
    """Print the variables by which programs find a running `ticketstub run`, for another shell than its own."""
    from ticketstub.cli.variables import Pointing, variables
    from ticketstub.token import Secret

    if proxy is None or ca is None:
        raise WrongUsage(
            "there is no run to point at: name its --proxy and --ca",
            hint="start one with `ticketstub run`: its shell says both, and inside it this command knows them",
        )
    if not ca.is_file():
        raise WrongUsage(f"{ca}: there is no such file", hint="has that run ended?")
    here = os.environ.get("TICKETSTUB_PROXY") == proxy
    known: Mapping[str, str] = os.environ if here else {}
    key = known.get("TICKETSTUB_CONTROL_KEY")
    write = _WRITTEN[form]
    # The run's own options of Java are there already: they are not added twice.
    given = {name: text for name, text in os.environ.items() if not (here and name == "JAVA_TOOL_OPTIONS")}
    pointing = Pointing(
        proxy,
        ca.absolute(),
        known.get("TICKETSTUB_PLEX_TV", ""),
        known.get("TICKETSTUB_CONTROL", ""),
        Secret(key) if key else None,
    )
    for name, value in variables(pointing, given).items():
        print(write(name, value))


def _sh(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{escaped}';"


def _powershell(name: str, value: str) -> str:
    escaped = value.replace("'", "''")
    return f"$env:{name} = '{escaped}'"


def _dotenv(name: str, value: str) -> str:
    return f"{name}={value}"


_WRITTEN: Mapping[Form, Callable[[str, str], str]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "dotenv": _dotenv,
}
