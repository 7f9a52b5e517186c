"""The presets: what they register, what they print, and what their pages show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge_tests.bridges import ATTIC, MIRA
from ticketstub_bridge.admin import bridge
from ticketstub_bridge.config import load_config
from ticketstub_bridge.presets import NAMES, load_preset
from ticketstub_bridge.sealing import digest

ISSUER = "https://auth.example.org"
PAGES = Path(__file__).parents[2] / "docs" / "bridge"
RANDOM = re.compile(r"(cookie_secret = |OIDCCryptoPassphrase )\S+")
LEFT_OVER = re.compile(r"\{[a-z_]+\}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bridge.toml for two media servers."""
    servers = [("Attic", ATTIC, MIRA), ("Cellar", "0" * 40, 7)]
    tables = [
        f'[[server]]\nname = "{name}"\nmachine_identifier = "{machine}"\nowner_id = {owner}\n'
        for name, machine, owner in servers
    ]
    (tmp_path / "bridge.toml").write_text(f'url = "{ISSUER}"\n' + "".join(tables))
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_registers_and_prints_everything(folder: Path, name: str) -> None:
    """`client add --preset` writes a valid application, and prints settings with its issuer, id and secret."""
    address = f"https://{name}.example.org"
    arguments = ["client", "add", "it", "--folder", str(folder), "--preset", name, "--address", f"{address}/"]
    result = CliRunner().invoke(bridge, arguments, standalone_mode=False)
    assert (0, None) == (result.return_value, result.exception), result.output
    client = load_config(folder / "bridge.toml").clients["it"]
    assert all(each.startswith((f"{address}/", "app.immich:")) for each in client.redirect_uris)
    settings = result.output.partition("\nSettings of ")[2]
    secret = re.search(r"^Client secret +(\S+)$", result.output, re.MULTILINE)
    assert secret
    assert client.secret_hash == digest(secret[1])
    assert all(each in settings for each in (ISSUER, secret[1], "it"))
    assert [] == LEFT_OVER.findall(settings)
    preset = load_preset(name)
    assert ("not run in the tests" in settings) == (preset.tested is None)
    assert {
        f"{server}:{role}" for server in ("attic", "cellar") for roles in preset.groups.values() for role in roles
    } == {each for members in client.groups.values() for each in members}


def test_the_address_is_asked_for(folder: Path) -> None:
    """Without --address the command asks; without preset and address it says what is missing."""
    arguments = ["client", "add", "photos", "--folder", str(folder)]
    runner = CliRunner()
    result = runner.invoke(
        bridge, [*arguments, "--preset", "immich"], input="https://photos.example.org\n", standalone_mode=False
    )
    assert 0 == result.return_value, result.output
    addresses = load_config(folder / "bridge.toml").clients["photos"].redirect_uris
    assert ("https://photos.example.org/auth/login", "app.immich:///oauth-callback") == (addresses[0], addresses[2])
    refused = runner.invoke(bridge, arguments, standalone_mode=False)
    assert (1, True) == (refused.return_value, "--redirect-uri" in refused.output)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_a_preset_shows_its_settings(name: str) -> None:
    """Each preset has a page, whose block is what the command prints, and which says where the settings are from."""
    preset = load_preset(name)
    page = (PAGES / f"{name}.md").read_text("utf-8")
    values = {"client_id": name, "client_secret": "CLIENT_SECRET", "issuer": ISSUER}
    settings = preset.render(address=f"https://{name}.example.org", **values)
    shown = re.findall(r"^```(?:text|ini|apache)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert RANDOM.sub("", settings.strip()) in [RANDOM.sub("", each.strip()) for each in shown]
    assert preset.source in page
    if preset.tested is None:
        assert "**Not tested.**" in page
    else:
        path, _, function = preset.tested.partition("::")
        assert f"def {function}(" in (Path(__file__).parent / path).read_text("utf-8")
