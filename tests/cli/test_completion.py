"""Shell completion: commands, options, their values, and the names of stored profiles."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, keep

Completed = Callable[[str], list[str]]
SHELLS = {"bash": "complete -o nosort", "zsh": "#compdef ticketstub", "fish": "complete --no-files"}


@pytest.fixture
def completed(process: Command) -> Completed:
    """Request completions as bash does."""

    def ask(words: str) -> list[str]:
        arguments = ["ticketstub", *words.split(" ")]
        asked = {
            "_TICKETSTUB_COMPLETE": "bash_complete",
            "COMP_WORDS": "\n".join(arguments),
            "COMP_CWORD": str(len(arguments) - 1),
        }
        ran = process(env=asked)
        assert (0, "") == (ran.code, ran.err)
        return [line.removeprefix("plain,") for line in ran.out.split()]

    return ask


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_shown(process: Command, shell: str) -> None:
    """`--show-completion SHELL` prints a script for that shell."""
    ran = process("--show-completion", shell)
    assert (0, "") == (ran.code, ran.err)
    assert f"_TICKETSTUB_COMPLETE={shell}_complete" in ran.out
    assert SHELLS[shell] in ran.out


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_is_known(process: Command, shell: str) -> None:
    """Without a name, it uses the user's shell; if that is not supported, the error lists the supported ones."""
    assert process("--show-completion", shell).out == process("--show-completion", env={"SHELL": f"/bin/{shell}"}).out
    ran = process("--show-completion", env={"SHELL": "/bin/sh"})
    assert 2 == ran.code
    assert "this is not one of 'bash', 'zsh', 'fish', 'powershell'" in ran.err


@pytest.mark.parametrize(("shell", "startup"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", None)])
def test_the_script_is_installed(process: Command, tmp_path: Path, shell: str, startup: str | None) -> None:
    """`--install-completion SHELL` writes the script to the user's folder, and adds one line to the startup file."""
    if startup:
        (tmp_path / startup).write_text("alias l=ls", "utf-8")
    assert 0 == process("--install-completion", shell).code
    ran = process("--install-completion", shell)  # a second time changes nothing
    assert (0, "") == (ran.code, ran.err)
    (script,) = (path for path in tmp_path.rglob("*ticketstub*") if path.is_file())
    assert str(script) in ran.out
    assert SHELLS[shell] in script.read_text("utf-8")
    if startup:
        first, line = (tmp_path / startup).read_text("utf-8").splitlines()
        assert "alias l=ls" == first
        assert str(script) in line or "fpath+=~/.zfunc" in line


def test_commands_and_options_are_completed(completed: Completed) -> None:
    """Commands, subcommands and options are completed."""
    assert ["login", "logout"] == completed("log")
    assert ["list", "switch", "passcode"] == completed("home ")
    assert {"--storage"} <= set(completed("login --sto"))
    assert {"keyring", "file", "memory"} <= set(completed("login --storage "))


def test_profiles_are_completed(completed: Completed, tmp_path: Path) -> None:
    """Their names are read without network; a damaged file completes nothing and prints nothing."""
    for profile in ("work", "wild", "home"):
        keep(tmp_path, "https://plex.tv", "some-token-or-other", profile)
    assert ["wild", "work"] == completed("whoami --profile w")
    (tmp_path / "ticketstub" / "credentials" / "broken.json").write_text("{", "utf-8")
    assert [] == completed("whoami --profile w")
