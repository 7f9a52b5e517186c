"""What the shell completes: commands, options, their values, and the names of kept profiles.

Rule: it reads names alone: no secret, no keyring, no network. Whatever goes wrong completes nothing and says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

VARIABLE = "_TICKETSTUB_COMPLETE"
"""The variable in which a shell's script says what it wants."""

_HERE = "powershell" if os.name == "nt" else os.environ.get("SHELL", "").rpartition("/")[2]
_PLACES = {
    "bash": (".bash_completions/ticketstub.sh", ".bashrc", "source '{script}'"),
    "zsh": (".zfunc/_ticketstub", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "fish": (".config/fish/completions/ticketstub.fish", "", ""),
}
"""Where a shell's script is installed, and the file of the shell's that gets a line, below the home folder."""


def profiles(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """List the names of kept profiles that begin so."""
    try:
        from ticketstub.cli.sign_ins import names

        return sorted({entry.profile for entry in names() if entry.profile.startswith(incomplete)})
    except Exception:  # noqa: BLE001  # a traceback would be completed into the command line
        return []


def complete(instruction: str) -> int:
    """Answer a shell's script; returns the exit code."""
    from click.shell_completion import shell_complete

    from ticketstub.cli.app import app

    return shell_complete(app, {}, "ticketstub", VARIABLE, instruction)


def _show(context: click.Context, _parameter: click.Parameter, shell: str | None) -> None:
    if shell:
        print(_script(context, shell))
        context.exit()


def _install(context: click.Context, _parameter: click.Parameter, shell: str | None) -> None:
    if not shell:
        return
    if shell not in _PLACES:
        raise click.UsageError("put what --show-completion powershell prints into the file that $PROFILE names")
    place, startup, line = _PLACES[shell]
    script, file = Path.home() / place, Path.home() / startup
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_script(context, shell), "utf-8")
    line = line.format(script=script)
    if startup and line not in (before := file.read_text("utf-8") if file.exists() else ""):
        file.write_text(f"{before.rstrip()}\n{line}\n".lstrip("\n"), "utf-8")
    print(f"{shell} completes from now on, in new shells: {script}")
    context.exit()


def _script(context: click.Context, shell: str) -> str:
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"the installed click completes nothing in {shell}: update it")
    return kind(context.command, {}, "ticketstub", VARIABLE).source()


def _option(
    name: str, callback: Callable[[click.Context, click.Parameter, str | None], None], about: str
) -> click.Option:
    return click.Option(
        [name],
        type=click.Choice(["bash", "zsh", "fish", "powershell"]),
        is_flag=False,
        flag_value=_HERE,
        is_eager=True,
        expose_value=False,
        metavar="[SHELL]",
        callback=callback,
        help=about,
    )


show_completion = _option("--show-completion", _show, "Print the script of it, to look at or to put elsewhere.")
install_completion = _option("--install-completion", _install, "Install completion for a shell, this one by default.")
