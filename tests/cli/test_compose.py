"""`ticketstub env --format compose`: a file that Compose merges with the user's own file."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types of its own

from tests.cli.conftest import Command, Start
from tests.docs.pages import ROOT
from tests.tables import every
from ticketstub.cli.env import HEALTH_CHECK

ATTIC = "68dff64cefbaedb2011a916d24f43b47"
CELLAR = "81e318029c980bc4d2d2f94b3b734494"


def made(command: Command, *options: str):
    ran = command("env", "--format", "compose", *options)
    assert (0, "") == (ran.code, ran.err)
    file = yaml.safe_load(ran.out)
    assert file == json.loads(ran.out)
    assert file["x-ticketstub"].startswith("A local stand-in for Plex, not Plex.")
    return file


def one(value: object) -> object:
    """Return a value as Compose reads it, without variables."""
    if isinstance(value, str):
        assert "$" not in value.replace("$$", "")
    return value.replace("$$", "$") if isinstance(value, str) else value


def test_letters_of_any_alphabet_stay(command: Command) -> None:
    """Characters that JSON would write as surrogate pairs, which YAML does not read, are written as they are."""
    assert (
        "plex-\N{SNOWMAN}-\N{TICKET}"
        == made(command, "--image", "plex-\N{SNOWMAN}-\N{TICKET}")["services"]["ticketstub"]["image"]
    )


@every("name", ["null", "123", "1e3", ".inf", "---", "yes"])
def test_a_name_stays_a_name(command: Command, name: str) -> None:
    """YAML reads every name of a service or an image as text."""
    services = made(command, "--service", name, "--image", name)["services"]
    assert {"ticketstub", name} == set(services)
    assert name == services["ticketstub"]["image"]


def test_the_local_plex_has_the_names_and_an_address_of_its_own(command: Command) -> None:
    """Its service has a fixed address in its own network, where Plex's names are aliases for it."""
    file = made(command)
    local = file["services"]["ticketstub"]
    expected = [
        *("app.plex.tv", "clients.plex.tv", "plex.tv", "www.plex.tv"),
        *(f"172-31-99-2.{digits}.plex.direct" for digits in (ATTIC, CELLAR)),
    ]
    assert {"plex": {"ipv4_address": "172.31.99.2", "aliases": expected}} == local["networks"]
    assert {"plex": {"ipam": {"config": [{"subnet": "172.31.99.0/24"}]}}} == file["networks"]
    assert ("ticketstub", "never") == (local["image"], local["pull_policy"])
    assert ["CMD", "python", "-c", HEALTH_CHECK] == local["healthcheck"]["test"]
    command_line = "serve --demo --host 0.0.0.0 --advertise 172.31.99.2 --media-port 32400 --tls /tls --log"
    assert shlex.split(command_line) == local["command"]
    assert {"TICKETSTUB_SERVE_CONTROL_KEY": "${TICKETSTUB_CONTROL_KEY:-}"} == local["environment"]


def test_the_service_trusts_it_and_waits_for_it(command: Command) -> None:
    """It gets the variables, the certificates and the additional network, and starts when the local Plex is ready."""
    file = made(command, "--service", "app-tests")
    tests = file["services"]["app-tests"]
    reached = "localhost,127.0.0.1,::1,plex.tv,.plex.tv,plex.direct,.plex.direct,ticketstub,172.31.99.2"
    java = "-Djavax.net.ssl.trustStore=/tls/trust.p12 -Djavax.net.ssl.trustStoreType=PKCS12"
    expected = {
        "NO_PROXY": reached,
        "no_proxy": reached,
        "NODE_EXTRA_CA_CERTS": "/tls/ca.pem",
        "SSL_CERT_FILE": "/tls/bundle.pem",
        "REQUESTS_CA_BUNDLE": "/tls/bundle.pem",
        "CURL_CA_BUNDLE": "/tls/bundle.pem",
        "GIT_SSL_CAINFO": "/tls/bundle.pem",
        "DENO_CERT": "/tls/ca.pem",
        "JAVA_TOOL_OPTIONS": f"{java} -Djavax.net.ssl.trustStorePassword=changeit",
        "TICKETSTUB_CA": "/tls/ca.pem",
        "TICKETSTUB_CONTROL": "http://ticketstub:8191/control/v1",
        "TICKETSTUB_CONTROL_KEY": "${TICKETSTUB_CONTROL_KEY:-}",
    }
    assert expected == tests.pop("environment")
    assert {
        "depends_on": {"ticketstub": {"condition": "service_healthy"}},
        "networks": {"default": {}, "plex": {}},
        "volumes": ["ticketstub-tls:/tls:ro"],
    } == tests
    assert {"ticketstub-tls": {}} == file["volumes"]


WORLD = '[[account]]\nusername = "ana"\nemail = "ana@example.test"\n[[media_server]]\nname = "Loft"\nowner = "ana"\n'


@pytest.mark.parametrize(
    ("more", "mounted", "option"),
    [
        ("", "./w o$r:ld.toml", "/world.toml"),
        ('replies = "loft"\n', "./.", "/world/w o$r:ld.toml"),
    ],
)
def test_a_world_of_the_user_s_is_mounted(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, mounted: str, option: str
) -> None:
    """The file is mounted, or its folder if the world names recorded folders; the media servers have their names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loft").mkdir()
    Path("w o$r:ld.toml").write_text(WORLD + more, "utf-8")
    local = made(command, "--world", "w o$r:ld.toml", "--address", "10.9.8.7", "--image", "ours.example/ticketstub")[
        "services"
    ]["ticketstub"]
    bind = {"type": "bind", "source": mounted, "target": option[: option.rfind("/") or None], "read_only": True}
    # Compose takes two dollars for one, and one for a variable.
    assert [bind] == [{name: one(value) for name, value in each.items()} for each in local["volumes"][1:]]
    assert ["serve", "--world", option] == [one(text) for text in local["command"][:3]]
    assert "ours.example/ticketstub" == local["image"]
    assert "pull_policy" not in local
    names = local["networks"]["plex"]["aliases"]
    assert ["10-9-8-7"] == [name.split(".")[0] for name in names if name.endswith(".plex.direct")]


@every(
    ("options", "named"),
    [
        (["--address", "8.8.8.8"], "private"),
        (["--address", "172.31.99.1"], "first two or the last"),
        (["--address", "172.31.99.255"], "first two or the last"),
        (["--address", "127.0.0.2"], "private"),
        (["--address", "plex"], "IPv4"),
        (["--service", "a b: c"], "letters"),
        (["--service", "ticketstub"], "your services"),
        (["--world", "gone.toml"], "gone.toml"),
    ],
)
def test_what_cannot_be_is_said(command: Command, options: list[str], named: str) -> None:
    """The exit code is 2 with a sentence, and nothing is printed that could be taken for a file."""
    ran = command("env", "--format", "compose", *options)
    assert (2, "") == (ran.code, ran.out)
    assert named in ran.err


def test_inside_a_container_the_other_forms_need_the_authority_alone(command: Command, tmp_path: Path) -> None:
    """Plex's names resolve to the local Plex there, so no proxy is named."""
    for name in ("ca.pem", "bundle.pem"):
        (tmp_path / name).write_text("x")
    ran = command("env", "--ca", str(tmp_path / "ca.pem"), "--format", "dotenv")
    lines = dict(line.split("=", 1) for line in ran.out.splitlines())
    assert str(tmp_path / "bundle.pem") == lines["SSL_CERT_FILE"]
    assert "HTTPS_PROXY" not in lines


DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments."""
    joined = DOCKERFILE.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def test_what_the_dockerfile_copies_is_there_and_sent() -> None:
    """Every source exists, and .dockerignore lets it pass."""
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = [text.split()[:-1] for name, text in instructions() if name == "COPY" and "--from" not in text]
    sources = [source for sources in copied for source in sources]
    assert 6 == len(sources)
    assert [] == [source for source in sources if not (ROOT / source).exists() or f"!{source}" not in ignore]


def test_the_image_does_what_the_compose_file_counts_on() -> None:
    """It has a user other than root, our command, the ports, and a folder that other containers mount."""
    said = instructions()
    assert "ticketstub" == next(text for name, text in said if name == "USER")
    assert ["8190", "8191", "32400", "32401", "443", "80"] == dict(said)["EXPOSE"].split()
    assert ["ticketstub"] == json.loads(dict(said)["ENTRYPOINT"])
    assert any("--owner=ticketstub /tls" in text for name, text in said if name == "RUN")


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_the_image_s_command_runs_and_is_healthy(start: Start) -> None:
    """The image's command serves the demonstration world; its health check fails before that, and succeeds then."""
    said = dict(instructions())
    # Below those that systems give away, and each process of tests its own.
    port, media_port = (str(first + os.getpid() % 6_000) for first in (10_000, 26_000))
    here = {"0.0.0.0": "127.0.0.1", "32400": media_port}  # noqa: S104  # the image's is not ours
    health = json.loads(said["HEALTHCHECK"].partition("CMD ")[2].replace("8190", port))

    def is_healthy() -> bool:
        return 0 == subprocess.run([sys.executable, *health[1:]], capture_output=True, check=False).returncode

    assert not is_healthy()
    serving = start(*(here.get(each, each) for each in json.loads(said["CMD"])), "--port", port)
    serving.wait_for("ready")
    assert is_healthy()
    assert f"http://127.0.0.1:{media_port}" == serving.address("Attic")
    assert 0 == serving.end()


def test_the_pins_are_those_that_everything_is_tested_with() -> None:
    """The image installs the versions of dev.txt, with their hashes, and from no package index."""
    known = (ROOT / "requirements" / "dev.txt").read_text("utf-8")
    for name in ("build.txt", "server.txt"):
        lines = (ROOT / "requirements" / name).read_text("utf-8").splitlines()
        pins = [line.split()[0] for line in lines if "==" in line and not line.startswith(" ")]
        assert pins
        assert [] == [pin for pin in pins if f"\n{pin} " not in f"\n{known}"]
        assert [] == [line for line in lines if "://" in line or line.startswith("-")]
