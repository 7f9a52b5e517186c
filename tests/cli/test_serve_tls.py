"""`ticketstub serve --tls`: https for Plex's names, and the certificates that containers need."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types of its own
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.cli.conftest import Command, Process, Start, environment
from tests.conftest import Require
from ticketstub.cli.certificates import CertificateFolder
from ticketstub.cli.errors import CommandError
from ticketstub.local_plex.intercept.authority import issue_certificate
from ticketstub.local_plex.listeners import find_private_address

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
ALL = "0.0.0.0"  # noqa: S104  # as containers do
FILES = ["bundle.pem", "ca.pem", "trust.p12"]


def asked(authority: Path, host: str, port: int, path: str) -> str:
    """Request a path by https from a name that resolves to loopback."""

    class Here(HTTPSConnection):
        def connect(self) -> None:
            plain = socket.create_connection(("127.0.0.1", port), timeout=60)
            self.sock = ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname=self.host)

    connection = Here(host, timeout=60)
    connection.request("GET", path)
    with connection.getresponse() as answer:
        text = answer.read().decode()
    connection.close()
    return text


def https_line(serving: Process) -> str:
    return next(line for line in serving.lines if line.startswith("https: "))


@posix
def test_https_answers_when_ready_is_printed(start: Start, tmp_path: Path) -> None:
    """It writes the certificates, readable by everybody, and names the folder; every address also answers https."""
    folder = tmp_path / "tls"
    serving = start("serve", "--demo", "--port", "0", "--tls", str(folder), "--tls-port", "0")
    serving.wait_for("ready")
    assert FILES == sorted(path.name for path in folder.iterdir())
    assert [0o644] * 3 == [stat.S_IMODE((folder / name).stat().st_mode) for name in FILES]
    assert "PRIVATE KEY" not in "".join((folder / name).read_text("latin-1") for name in FILES)
    more = int(https_line(serving).partition("also on ")[2].partition(",")[0])
    for port in (more, int(serving.address("plex.tv").rpartition(":")[2])):
        assert "127.0.0.1" == asked(folder / "ca.pem", "clients.plex.tv", port, "/:/ip")
    name = "127-0-0-1.68dff64cefbaedb2011a916d24f43b47.plex.direct"
    port = int(serving.address("Attic").rpartition(":")[2])
    assert f"  Attic       https://{name}:{port}" in serving.lines
    assert "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8" in asked(folder / "ca.pem", name, port, "/identity")
    assert any(str(folder / "ca.pem") in line for line in serving.lines)
    assert 0 == serving.end()


@posix
def test_media_servers_have_known_ports_and_the_address_that_others_reach(start: Start) -> None:
    """--advertise sets the listed address, --media-port the first of their ports."""
    port = 20_000 + os.getpid() % 6_000  # below those that systems give away, and each process of tests its own
    serving = start("serve", "--demo", "--port", "0", "--advertise", "172.31.99.2", "--media-port", str(port))
    serving.wait_for("ready")
    attic, cellar = serving.address("Attic"), serving.address("Old Cellar")
    assert [f"http://172.31.99.2:{port}", f"http://172.31.99.2:{port + 1}"] == [attic, cellar]
    assert 0 == serving.end()


def test_the_certificates_last_for_a_month_and_java_finds_them(tmp_path: Path) -> None:
    """The authority is valid for 30 days, and is in the bundle and in Java's trust store, with the others."""
    now = datetime.now(UTC)
    (tmp_path / "others.pem").write_text("-----BEGIN CERTIFICATE-----\nothers\n-----END CERTIFICATE-----\n")
    folder = tmp_path / "tls"
    CertificateFolder(folder, {"SSL_CERT_FILE": str(tmp_path / "others.pem")}, now).create_ssl_context(["plex.tv"])
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    assert (now + timedelta(days=30)).replace(microsecond=0) == authority.not_valid_after_utc
    bundle = (folder / "bundle.pem").read_text()
    assert (folder / "ca.pem").read_text() in bundle
    assert "others" in bundle
    stored = pkcs12.load_pkcs12((folder / "trust.p12").read_bytes(), b"changeit").additional_certs
    assert [authority] == [each.certificate for each in stored]


def test_the_folder_has_the_authority_of_the_addresses_too(tmp_path: Path) -> None:
    """What a client trusts by the folder includes the authority of a world's addresses, in each of its forms."""
    other = issue_certificate(["x.plex.direct"], datetime.now(UTC)).authority
    (tmp_path / "others.pem").touch()
    folder = tmp_path / "tls"
    CertificateFolder(folder, {"SSL_CERT_FILE": str(tmp_path / "others.pem")}).create_ssl_context(["plex.tv"], other)
    assert other.decode() in (folder / "ca.pem").read_text()
    assert other.decode() in (folder / "bundle.pem").read_text()
    stored = pkcs12.load_pkcs12((folder / "trust.p12").read_bytes(), b"changeit").additional_certs
    assert x509.load_pem_x509_certificate(other) in [each.certificate for each in stored]


def test_a_second_start_replaces_the_first_one_s(tmp_path: Path) -> None:
    """Each start creates a new authority; nothing else is left in the folder, and other files stay."""
    folder = tmp_path / "tls"
    CertificateFolder(folder, {}).create_ssl_context(["plex.tv"])
    before = (folder / "ca.pem").read_bytes()
    (folder / "notes").write_text("mine")
    CertificateFolder(folder, {}).create_ssl_context(["plex.tv"])
    assert before != (folder / "ca.pem").read_bytes()
    assert [*FILES[:2], "notes", "trust.p12"] == sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_somebody_else_s_files_are_left_alone(tmp_path: Path, name: str) -> None:
    """A folder with an authority, a bundle or a trust store that Ticketstub did not write is refused and unchanged."""
    (tmp_path / name).write_bytes(b"somebody else's")
    with pytest.raises(CommandError, match="did not write"):
        CertificateFolder(tmp_path, {}).create_ssl_context(["plex.tv"])
    assert [b"somebody else's"] == [path.read_bytes() for path in tmp_path.iterdir()]


def test_a_bundle_of_somebody_else_s_beside_an_authority_of_ours_is_left_alone(tmp_path: Path) -> None:
    """Every file is checked, not only the first."""
    CertificateFolder(tmp_path, {}).create_ssl_context(["plex.tv"])
    (tmp_path / "bundle.pem").write_bytes(b"somebody else's")
    with pytest.raises(CommandError, match=r"bundle\.pem that Ticketstub did not write"):
        CertificateFolder(tmp_path, {}).create_ssl_context(["plex.tv"])
    assert b"somebody else's" == (tmp_path / "bundle.pem").read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="it has no umask")
def test_everybody_may_read_what_is_to_be_trusted(tmp_path: Path) -> None:
    """Everybody can read the files, whatever the umask: the other container has another user."""
    before = os.umask(0o077)
    try:
        CertificateFolder(tmp_path / "tls", {}).create_ssl_context(["plex.tv"])
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "tls").iterdir()}
    assert (0o755, {0o644}) == (stat.S_IMODE((tmp_path / "tls").stat().st_mode), modes)


WRONG = {
    "a folder in nowhere": (["--tls", "no-such-folder/tls", "--tls-port", "0"], 1, "no-such-folder"),
    "another IP": (["--tls", "tls", "--host", "::1"], 2, "IPv4"),
    "advertised nowhere": (["--advertise", ALL], 2, "--advertise"),
    "advertised to all": (["--advertise", "203.0.114.7"], 2, "--advertise"),
    "no port": (["--media-port", "70000"], 2, "--media-port"),
}


@pytest.mark.parametrize(("options", "code", "named"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, named: str
) -> None:
    """The error is one sentence, and nothing is served or written."""
    monkeypatch.chdir(tmp_path)
    ran = command("serve", "--demo", "--port", "0", *options)
    assert (code, "") == (ran.code, ran.out)
    assert named in ran.err
    assert [] == list(tmp_path.iterdir())


@posix
def test_the_control_api_takes_its_key_from_the_environment(start: Start) -> None:
    """The key is read from the variable and not shown, and a weak key is refused."""
    serving = start(
        *("serve", "--demo", "--port", "0", "--control-port", "0"), env={"TICKETSTUB_SERVE_CONTROL_KEY": "k" * 32}
    )
    serving.wait_for("ready")
    line = next(line for line in serving.lines if line.startswith("Control: "))
    assert line.endswith("/control/v1, with the key in TICKETSTUB_SERVE_CONTROL_KEY")
    assert "kkk" not in "".join(serving.lines)
    assert 0 == serving.end()
    refused = start("serve", "--demo", "--port", "0", env={"TICKETSTUB_SERVE_CONTROL_KEY": "short"})
    assert 1 == refused.popen.wait(60)


def test_an_address_is_found_only_where_all_are_listened_on() -> None:
    """A specific address is listed as it is; for all addresses, a private one of this machine is listed."""
    assert None is find_private_address("172.31.99.2")
    found = find_private_address(ALL)
    assert found is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((found, 0))


# Two containers, without an engine: a network namespace each, joined by a cable, and the names of Compose's aliases in
# a file that both see. $0 is the folder, $1 Python; the local Plex's command line follows.
NETWORK = """
set -e
folder=$0 python=$1; shift
mount --bind "$folder/hosts" /etc/hosts
ip link set lo up
mkfifo "$folder/go"
unshare --net sh -c '
    read _ < "$0/go"
    ip link set lo up; ip address add 172.31.99.3/24 dev there; ip link set there up
    exec "$1" "$0/program.py"' "$folder" "$python" & tests=$!
while [ "$(readlink /proc/$tests/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link add here type veth peer name there netns $tests
ip address add 172.31.99.2/24 dev here; ip link set here up
"$@" > "$folder/served" 2>&1 & serving=$!
tries=0
until "$python" -c "$(cat "$folder/healthy")" 2>/dev/null; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || { cat "$folder/served"; exit 1; }
    sleep 0.1
done
echo > "$folder/go"
code=0; wait $tests || code=$?
kill $serving; wait $serving
exit $code
"""
PROGRAM = """
import json, os, re, subprocess, urllib.request
from ticketstub import Device, Plex

TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
HEADERS = {"X-Plex-Token": TOKEN, "X-Plex-Client-Identifier": "here", "Accept": "application/json"}

def asked(url, headers=HEADERS, data=None):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers, data=data), timeout=60) as answer:
        return answer.read().decode()

print(asked("https://plex.tv/api/v2/ping"))
print(asked("http://plex.tv/api/v2/ping"))
print(asked("https://plex.tv/:/ip"))
curl = ["curl", "--silent", "--fail", "https://clients.plex.tv/api/v2/ping"]
print(subprocess.check_output([*curl, *(f"-H{name}: {text}" for name, text in HEADERS.items())], text=True))
for query in ("?includeHttps=1", ""):
    uri = re.search(r'"uri":"([^"]+)"', asked(f"https://plex.tv/api/v2/resources{query}"))[1]
    print(uri, json.loads(asked(f"{uri}/identity"))["MediaContainer"]["machineIdentifier"])
with Plex(token=TOKEN, device=Device(client_identifier="here")) as plex:
    print(plex.authentication.get_token_details().username)
key = {"Authorization": "Bearer " + os.environ["TICKETSTUB_CONTROL_KEY"]}
print(list(json.loads(asked(os.environ["TICKETSTUB_CONTROL"] + "/clock", key))))
"""
EXPECTED = """
{"pong":true}
{"pong":true}
172.31.99.3
{"pong":true}
https://172-31-99-2.68dff64cefbaedb2011a916d24f43b47.plex.direct:32400 9b1f0c7de2a84536f1c0aa57be93d2440e6671f8
http://172.31.99.2:32400 9b1f0c7de2a84536f1c0aa57be93d2440e6671f8
mira_quill
['now']
"""


WITH_SYSTEM_TOOLS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # not on every user's path


def possible() -> bool:
    """Whether this system lets this user create namespaces and a link between them."""
    script = "ip link add here type veth peer name there"
    tool = shutil.which("unshare") if sys.platform == "linux" else None
    return tool is not None and 0 == _quietly([tool, "-Urnm", "sh", "-c", f"{script} || ! command -v ip"])


def _quietly(command: list[str]) -> int:
    return subprocess.run(command, capture_output=True, env={"PATH": WITH_SYSTEM_TOOLS}, check=False).returncode


@pytest.mark.skipif(not possible(), reason="this system does not let its users have namespaces")
def test_two_containers(command: Command, require: Require, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the settings of the Compose file and no proxy, a program in one reaches the local Plex in the other."""
    monkeypatch.setenv("PATH", WITH_SYSTEM_TOOLS)
    require("ip", "install iproute2")
    text = command("env", "--format", "compose").out.replace("${TICKETSTUB_CONTROL_KEY:-}", "k" * 40)
    services = yaml.safe_load(text.replace("/tls", str(tmp_path / "tls")))["services"]
    local, program = services["ticketstub"], services["tests"]
    place = local["networks"]["plex"]
    names = " ".join(["ticketstub", *place["aliases"]])
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost\n{place['ipv4_address']} {names}\n")
    (tmp_path / "healthy").write_text(local["healthcheck"]["test"][3])
    set_up = f"import os\nos.environ |= {json.dumps(program['environment'])}\n"
    (tmp_path / "program.py").write_text(set_up + PROGRAM)
    served = [sys.executable, "-m", "ticketstub", *local["command"]]
    done = subprocess.run(
        ["unshare", "-Urnm", "sh", "-c", NETWORK, str(tmp_path), sys.executable, *served],
        env=environment(tmp_path, **local["environment"]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr), (tmp_path / "served").read_text()
    assert EXPECTED.strip() == done.stdout.strip()
