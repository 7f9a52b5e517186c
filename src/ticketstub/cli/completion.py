"""What the shell completes: commands, options, their values, and the names of kept profiles.

Rule: it reads names alone: no secret, no keyring, no network. Whatever goes wrong completes nothing and says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

COMPLETION_VARIABLE = "_TICKETSTUB_COMPLETE"
"""The variable in which a shell's script says what it wants."""

_CURRENT_SHELL = "powershell" if os.name == "nt" else os.environ.get("SHELL", "").rpartition("/")[2]
_INSTALL_PATHS = {
    "bash": (".bash_completions/ticketstub.sh", ".bashrc", "source '{script}'"),
    "zsh": (".zfunc/_ticketstub", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "fish": (".config/fish/completions/ticketstub.fish", "", ""),
}
"""Where a shell's script is installed, and the file of the shell's that gets a line, below the home folder."""


def complete_profiles(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """List the names of kept profiles that begin so."""
    try:
        from ticketstub.cli.stores import list_entries

        return sorted({entry.profile for entry in list_entries() if entry.profile.startswith(incomplete)})
    except Exception:  # noqa: BLE001  # a traceback would be completed into the command line
        return []


def run_completion(instruction: str) -> int:
    """Answer a shell's script; returns the exit code."""
    from click.shell_completion import shell_complete

    from ticketstub.cli.app import app

    return shell_complete(app, {}, "ticketstub", COMPLETION_VARIABLE, instruction)


def _show_script(context: click.Context, _parameter: click.Parameter, shell: str | None) -> None:
    if shell:
        print(_render_script(context, shell))
        context.exit()


def _install_script(context: click.Context, _parameter: click.Parameter, shell: str | None) -> None:
    if not shell:
        return
    if shell not in _INSTALL_PATHS:
        raise click.UsageError("put what --show-completion powershell prints into the file that $PROFILE names")
    script_path, startup, line = _INSTALL_PATHS[shell]
    script, startup_file = Path.home() / script_path, Path.home() / startup
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_render_script(context, shell), "utf-8")
    line = line.format(script=script)
    if startup and line not in (content := startup_file.read_text("utf-8") if startup_file.exists() else ""):
        startup_file.write_text(f"{content.rstrip()}\n{line}\n".lstrip("\n"), "utf-8")
    print(f"{shell} completes from now on, in new shells: {script}")
    context.exit()


def _render_script(context: click.Context, shell: str) -> str:
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"the installed click completes nothing in {shell}: update it")
    return completion_class(context.command, {}, "ticketstub", COMPLETION_VARIABLE).source()


def _make_option(
    name: str, callback: Callable[[click.Context, click.Parameter, str | None], None], help_text: str
) -> click.Option:
    return click.Option(
        [name],
        type=click.Choice(["bash", "zsh", "fish", "powershell"]),
        is_flag=False,
        flag_value=_CURRENT_SHELL,
        is_eager=True,
        expose_value=False,
        metavar="[SHELL]",
        callback=callback,
        help=help_text,
    )


show_completion_option = _make_option(
    "--show-completion", _show_script, "Print the script of it, to look at or to put elsewhere."
)
install_completion_option = _make_option(
    "--install-completion", _install_script, "Install completion for a shell, this one by default."
)
