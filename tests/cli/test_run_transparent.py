"""`ticketstub run --transparent`: a namespace in which Plex's names resolve to the local Plex, without a proxy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command, environment

LOOKING = """
import os, ssl, http.client, re, socket
headers = {"X-Plex-Token": "Xk3mPz_9Q-vT7rLb2NfW", "X-Plex-Client-Identifier": "here"}

def asked(host, path, port=None, kind=http.client.HTTPSConnection):
    connection = kind(host, port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return f"{answer.status} {answer.read().decode()}"

print(asked("clients.plex.tv", "/api/v2/ping").split()[0])
print(asked("plex.tv", "/api/v2/ping", kind=http.client.HTTPConnection).split()[0])
listed = asked("plex.tv", "/api/v2/resources?includeHttps=1")
host, port = re.search(r'uri="https://([^:]+):([0-9]+)"', listed).groups()
print(re.search('machineIdentifier="[0-9a-f]+"', asked(host, "/identity", int(port)))[0])
for name in ("example.com", "metadata.provider.plex.tv"):
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        print(name, "is unknown")
print([name for name in os.environ if name.lower().endswith("_proxy")])
"""
RUN = [sys.executable, "-m", "ticketstub", "run", "--transparent", "--"]


def possible() -> bool:
    """Say whether this user may create namespaces, according to the system's own tool."""
    tool = shutil.which("unshare") if sys.platform == "linux" else None
    return (
        tool is not None and subprocess.run([tool, "-Urnm", "true"], capture_output=True, check=False).returncode == 0
    )


needed = pytest.mark.skipif(not possible(), reason="this system does not let its users have namespaces")


@needed
@pytest.mark.parametrize("user", [os.getuid() if sys.platform != "win32" else 0, 1234])
def test_names_lead_to_the_local_plex(tmp_path: Path, user: int) -> None:
    """HTTPS, HTTP and plex.direct work without a proxy; other names fail; the system's hosts file is unchanged."""
    before = Path("/etc/hosts").read_bytes()
    become = ["unshare", "-U", f"--map-user={user}", f"--map-group={user}"] if user == 1234 else []
    done = subprocess.run(
        [*become, *RUN, sys.executable, "-c", LOOKING],
        env=environment(tmp_path, XDG_RUNTIME_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    expected = [
        *("200", "200", 'machineIdentifier="9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"'),
        *("example.com is unknown", "metadata.provider.plex.tv is unknown", "[]"),
    ]
    assert expected == done.stdout.splitlines()
    assert before == Path("/etc/hosts").read_bytes()
    assert [] == list(tmp_path.iterdir())


@needed
def test_where_it_is_not_allowed_it_says_so(tmp_path: Path) -> None:
    """If no further namespace can be created, it ends with exit code 2 and the reason, and leaves nothing."""
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    done = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", forbid, "sh", *RUN, "echo", "started"],
        env=environment(tmp_path, XDG_RUNTIME_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (2, "") == (done.returncode, done.stdout)
    assert "users create namespaces: their number is limited (user.max_user_namespaces)" in done.stderr
    assert [] == list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "linux", reason="Linux has them")
def test_elsewhere_it_needs_linux(process: Command) -> None:
    ran = process("run", "--transparent", "--", "echo", "started")
    assert (2, "") == (ran.code, ran.out)
