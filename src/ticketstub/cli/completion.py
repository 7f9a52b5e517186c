"""Shell completion: commands, options, their values, and the names of stored profiles.

Rule: it reads names only: no secret, no keyring, no network. On any error it completes nothing and prints nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

COMPLETION_VARIABLE = "_TICKETSTUB_COMPLETE"
"""The variable in which a shell's completion script passes its request."""

_CURRENT_SHELL = "powershell" if os.name == "nt" else os.environ.get("SHELL", "").rpartition("/")[2]
_INSTALL_PATHS = {
    "bash": (".bash_completions/ticketstub.sh", ".bashrc", "source '{script}'"),
    "zsh": (".zfunc/_ticketstub", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "fish": (".config/fish/completions/ticketstub.fish", "", ""),
}
"""For each shell: the script and the startup file, both in the home folder, and the line to add to the latter."""


def complete_profiles(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of stored profiles that begin with the incomplete word."""
    try:
        from ticketstub.cli.sign_ins import list_entries

        return sorted({entry.profile for entry in list_entries() if entry.profile.startswith(incomplete)})
    except Exception:  # noqa: BLE001  # a traceback would end up on the command line
        return []


def _install_script(context: click.Context, shell: str) -> str:
    """Write the completion script and the line that loads it, and return what to tell the user."""
    if shell not in _INSTALL_PATHS:
        raise click.UsageError("add the output of --show-completion powershell to the file that $PROFILE names")
    script_path, startup, line = _INSTALL_PATHS[shell]
    script, startup_file = Path.home() / script_path, Path.home() / startup
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_render_script(context, shell), "utf-8")
    line = line.format(script=script)
    if startup and line not in (content := startup_file.read_text("utf-8") if startup_file.exists() else ""):
        startup_file.write_text(f"{content.rstrip()}\n{line}\n".lstrip("\n"), "utf-8")
    return f"Completion for {shell} is installed, for new shells: {script}"


def _render_script(context: click.Context, shell: str) -> str:
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"the installed version of Click has no completion for {shell}: update Click")
    return completion_class(context.command, {}, "ticketstub", COMPLETION_VARIABLE).source()


def _make_option(name: str, make_text: Callable[[click.Context, str], str], help_text: str) -> click.Option:
    """Create an option that prints a text for a shell, and ends the command."""

    def print_text(context: click.Context, _parameter: click.Parameter, shell: str | None) -> None:
        if shell:
            print(make_text(context, shell))
            context.exit()

    return click.Option(
        [name],
        type=click.Choice(["bash", "zsh", "fish", "powershell"]),
        is_flag=False,
        flag_value=_CURRENT_SHELL,
        is_eager=True,
        expose_value=False,
        metavar="[SHELL]",
        callback=print_text,
        help=help_text,
    )


show_completion_option = _make_option(
    "--show-completion", _render_script, "Print the completion script, to read it or to install it yourself."
)
install_completion_option = _make_option(
    "--install-completion", _install_script, "Install completion for a shell; by default, for the current one."
)
