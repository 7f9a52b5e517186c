"""What the shell completes: Typer's own completion, and the names of kept profiles."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command, environment, keep

SHELLS = ["bash", "zsh", "fish"]


def completed(home: Path, words: str, **more: str) -> list[str]:
    """Ask as bash does: what may stand where these words end."""
    arguments = ["ticketstub", *words.split(" ")]
    asked = {
        "_TICKETSTUB_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(arguments),
        "COMP_CWORD": str(len(arguments) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "ticketstub"],
        env=environment(home, **asked, **more),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "" == done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_shown(command: Command, shell: str, tmp_path: Path) -> None:
    """`--show-completion SHELL` writes a script for that shell, for this command."""
    done = subprocess.run(
        [sys.executable, "-m", "ticketstub", "--show-completion", shell],
        env=environment(tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "_TICKETSTUB_COMPLETE" in done.stdout
    assert f"complete_{shell}" in done.stdout


def test_the_script_is_installed(tmp_path: Path) -> None:
    """`--install-completion SHELL` puts it into the user's own folder, and says where."""
    done = subprocess.run(
        [sys.executable, "-m", "ticketstub", "--install-completion", "bash"],
        env=environment(tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert 0 == done.returncode
    (script,) = tmp_path.rglob("*ticketstub*.sh")
    assert str(script) in done.stdout
    assert str(script) in (tmp_path / ".bashrc").read_text("utf-8")


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    """Commands, those of inner groups and options are."""
    assert ["login", "logout"] == completed(tmp_path, "log")
    assert ["list", "switch", "passcode"] == completed(tmp_path, "home ")
    assert {"--storage"} <= set(completed(tmp_path, "login --sto"))
    assert {"keyring", "file", "memory"} <= set(completed(tmp_path, "login --storage "))


def test_profiles_are_completed(tmp_path: Path) -> None:
    """Their names are read without network; something damaged completes nothing and says nothing."""
    for profile in ("work", "wild", "home"):
        keep(tmp_path, "https://plex.tv", "some-token-or-other", profile)
    assert ["wild", "work"] == completed(tmp_path, "whoami --profile w")
    (tmp_path / "ticketstub" / "credentials" / "broken.json").write_text("{", "utf-8")
    assert [] == completed(tmp_path, "whoami --profile w")
