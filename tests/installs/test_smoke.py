"""What a user can do with an installed Ticketstub, each once and for real against `ticketstub serve --demo`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.installs.installation import PATIENCE, Installation
from tests.strangers.environments import CannotSetUp, python_environment

MIRA = "Xk3mPz_9Q-vT7rLb2NfW"
TOM = "Tm8-harbour_rainy_17"
SOURCE = "provider://tv.plex.provider.attic-guide"

COMMANDS = [
    ("whoami", ["whoami", "--plex-tv", "PLEX_TV"], TOM, "tom"),
    ("check", ["check", "--plex-tv", "PLEX_TV", "--server", "ATTIC"], MIRA, "mira_quill"),
    ("ping", ["ping", "--plex-tv", "PLEX_TV"], TOM, ""),
    ("servers", ["servers", "--plex-tv", "PLEX_TV"], MIRA, "Attic"),
    ("connect", ["connect", "Attic", "--plex-tv", "PLEX_TV"], MIRA, "Attic"),
    ("doctor", ["doctor", "--plex-tv", "PLEX_TV"], MIRA, "Problems: 0"),
    (
        "exec",
        ["exec", "--as", "plexapi", "--server", "Attic", "--plex-tv", "PLEX_TV", "--", "echo", "ran"],
        MIRA,
        "ran",
    ),
    ("resources", ["resources", "--plex-tv", "PLEX_TV", "--json"], MIRA, '"name"'),
    ("devices", ["devices", "list", "--plex-tv", "PLEX_TV"], MIRA, "."),
    ("home", ["home", "list", "--plex-tv", "PLEX_TV"], MIRA, "Pip"),
    ("claim", ["claim", "--plex-tv", "PLEX_TV"], MIRA, "claim-"),
    ("source", ["source", SOURCE, "--server", "ATTIC", "--plex-tv", "PLEX_TV"], MIRA, "Attic Guide"),
    (
        "token",
        ["token", "--transient", "--print-token", "--server", "ATTIC", "--plex-tv", "PLEX_TV"],
        MIRA,
        "transient-",
    ),
    ("openapi", ["openapi"], "", '"openapi":'),
    ("env", ["env", "--format", "compose"], "", "ticketstub"),
    ("code", ["code", "mira_quill", "--demo"], "", "\n"),
    ("demo", ["demo"], "", "transient"),
]
"""A command, how it is called, the token in its environment, and something that it prints."""
SHORT = {"whoami", "source", "code", "demo"}
"""Those that the short run has as processes: with a token, at a media server, by themselves, with a local Plex."""

ELSEWHERE = {"serve", "run", "record", "login", "status", "profiles", "renew", "logout"}
"""Commands with a test of their own."""

SIGN_IN = """
from ticketstub import Plex, VerificationCodeRequired

plex = Plex(plex_tv="{plex_tv}")
try:
    plex.authentication.post_users_sign_in_data(login="mira_quill", password="paper-lantern-42")
except VerificationCodeRequired:
    account = plex.authentication.post_users_sign_in_data(
        login="mira_quill", password="paper-lantern-42", verification_code="{code}"
    )
mine = plex.with_options(token=account.auth_token)
(attic,) = [one for one in mine.resources() if one.name == "Attic"]
server = plex.at("{attic}", token=attic.access_token)
print(account.username, server.authentication.get_transient_token().token.kind)
print(server.authentication.get_source_connection_information(source="{source}").name)
"""

AWAITED = """
import asyncio
from ticketstub import AsyncPlex

async def main():
    async with AsyncPlex(plex_tv="{plex_tv}", token="{token}") as plex:
        account, resources = await asyncio.gather(plex.authentication.get_token_details(), plex.resources())
        print(account.username, sorted(one.name for one in resources if one.access_token))

asyncio.run(main())
"""

DEVICE_KEY = """
from ticketstub import LinkCode, Plex

mira = Plex(plex_tv="{plex_tv}", token="{token}")
plex = Plex.sign_in(
    "Smoke", plex_tv="{plex_tv}", device_key=True, method=LinkCode(lambda pending: mira.pins.link(pending.code))
)
print(plex.account().name, plex.token.kind, plex.keep_alive() > 0)
"""

INJECTED = """
import {library}
from ticketstub import Plex

with {library}.Client() as client:
    print(Plex(plex_tv="{plex_tv}", token="{token}", transport=client).authentication.get_token_details().username)
"""

IN_TESTS = """
from ticketstub import Plex
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World

with LocalPlex(World.demo()).run_in_thread() as local, Plex(plex_tv=local.url, token="{token}") as plex:
    print(plex.authentication.get_token_details().username)
"""

BEGIN = """
from ticketstub import Plex

begun = Plex(plex_tv="{plex_tv}").begin_sign_in(forward_url="http://127.0.0.1:5000/done")
print(begun.url)
print(begun.dump())
"""

FINISH = """
import os
from ticketstub import PendingSignIn, Plex

web = Plex(plex_tv="{plex_tv}")
print(PendingSignIn.load(os.environ["BEGUN"], plex=web).finish().account().name)
"""


@pytest.fixture(scope="module")
def served(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The demonstration, served by the installation itself."""
    with installation.serve(tmp_path_factory.mktemp("served")) as addresses:
        yield addresses


@pytest.fixture
def fill_in(served: dict[str, str]) -> Callable[..., str]:
    """Put the addresses into a program."""

    def fill(program: str, **more: str) -> str:
        facts = {"plex_tv": served["plex.tv"], "attic": served["Attic"], "source": SOURCE, "token": TOM} | more
        return program.format_map(facts)

    return fill


@pytest.mark.parametrize(
    ("name", "line", "token", "shown"),
    [pytest.param(*row, id=row[0], marks=() if row[0] in SHORT else pytest.mark.long) for row in COMMANDS],
)
def test_command(
    installation: Installation,
    served: dict[str, str],
    tmp_path: Path,
    name: str,
    line: list[str],
    token: str,
    shown: str,
) -> None:
    """Each command does what it is for, as a process of its own in a pipe."""
    arguments = [served.get({"PLEX_TV": "plex.tv", "ATTIC": "Attic"}.get(each, ""), each) for each in line]
    done = installation.run(tmp_path, *arguments, TICKETSTUB_TOKEN=token)
    assert shown in done.out


def test_every_command_is_tried(installation: Installation, tmp_path: Path) -> None:
    """Each command that `ticketstub --help` lists is run by a test here; `--version` answers with the package's."""
    assert re.search(r"\d+\.\d+", installation.run(tmp_path, "--version").out)
    listed = re.findall(r"(?m)^  ([a-z]+)  +[A-Z]", installation.run(tmp_path, "--help").out.partition("Commands:")[2])
    assert set(listed) == {name for name, *_ in COMMANDS} | ELSEWHERE


def test_a_sign_in_is_kept_in_a_file(installation: Installation, served: dict[str, str], tmp_path: Path) -> None:
    """In an empty home without a keyring, `login` keeps a sign-in in a file, and `logout` ends it."""
    here = ("--plex-tv", served["plex.tv"])
    login = ("login", "--password", "--storage", "file", *here)
    assert "tom" in installation.run(tmp_path, *login, stdin="tom\nrainy-harbour-17\n").out
    assert "tom" in installation.run(tmp_path, "status").out
    assert "tom" in installation.run(tmp_path, "profiles").out
    token = installation.run(tmp_path, "token", *here).out.strip()
    assert token
    assert "tom" in installation.run(tmp_path, "whoami", *here).out
    assert installation.run(tmp_path, "renew", *here).out
    assert installation.run(tmp_path, "logout", *here).out
    installation.run(tmp_path, "check", *here, stdin=token, code=3)


def test_sign_in_with_a_code_from_another_device(
    installation: Installation, served: dict[str, str], tmp_path: Path
) -> None:
    """`login --code` shows a code and waits until it is approved somewhere else."""
    command = [str(installation.python), "-m", "ticketstub", "login", "--code", "--print-token"]
    with subprocess.Popen(
        [*command, "--plex-tv", served["plex.tv"]],
        env=installation.variables(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        for line in waiting.stderr or ():
            if match := re.search(r"^\s*code\s+(\w{4})", line):
                url = f"{served['plex.tv']}/api/v2/pins/link?code={match[1]}"
                headers = {"X-Plex-Token": TOM, "X-Plex-Client-Identifier": "telephone"}
                urllib.request.urlopen(
                    urllib.request.Request(url, b"", headers, method="PUT"), timeout=PATIENCE
                ).close()
                break
        out, err = waiting.communicate(timeout=PATIENCE)
    assert 0 == waiting.returncode, err
    assert out.strip()


def test_serve_takes_the_ports_that_it_shows(installation: Installation, tmp_path: Path) -> None:
    """`serve --db` keeps a database, with https beside http and the control API."""
    options = ("--db", f"sqlite:///{(tmp_path / 'state.db').as_posix()}", "--tls", "tls", "--tls-port", "0")
    with installation.serve(tmp_path, *options, "--control", "key", "--control-port", "0") as addresses:
        assert {"plex.tv", "Attic", "Old Cellar"} == set(addresses)
        assert (tmp_path / "tls" / "ca.pem").exists()


def test_run(installation: Installation, tmp_path: Path) -> None:
    """A program under `ticketstub run` believes that it talks to plex.tv."""
    url = f"https://plex.tv/api/v2/user?X-Plex-Token={TOM}"
    program = f"from urllib.request import urlopen; print(urlopen({url!r}).status)"
    done = installation.run(tmp_path, "run", "--offline", "--", str(installation.python), "-c", program)
    assert "200" == done.out.strip()


@pytest.mark.long
def test_record(installation: Installation, served: dict[str, str], tmp_path: Path) -> None:
    """`record` writes a media server's answers into a folder."""
    installation.run(tmp_path, "record", served["Attic"], "recorded", "/identity", TICKETSTUB_TOKEN=MIRA)
    assert [path for path in (tmp_path / "recorded").rglob("*") if path.is_file()]


@pytest.mark.long
def test_password_and_verification_code(
    installation: Installation, fill_in: Callable[..., str], tmp_path: Path
) -> None:
    """The four operations with `Plex`, beginning with a password and a verification code."""
    code = installation.run(tmp_path, "code", "mira_quill", "--demo").out.strip()
    program = fill_in(SIGN_IN, code=code)
    assert "mira_quill transient\nAttic Guide\n" == installation.execute(tmp_path, program)


@pytest.mark.long
def test_async(installation: Installation, fill_in: Callable[..., str], tmp_path: Path) -> None:
    """`AsyncPlex` asks two things at once."""
    assert "tom ['Attic', 'Old Cellar']\n" == installation.execute(tmp_path, fill_in(AWAITED))


@pytest.mark.long
def test_device_key(installation: Installation, fill_in: Callable[..., str], tmp_path: Path) -> None:
    """A sign-in with a device key gets a JWT, and keeps it alive."""
    assert "mira_quill jwt True\n" == installation.execute(tmp_path, fill_in(DEVICE_KEY, token=MIRA))


@pytest.mark.long
def test_injected_client(installation: Installation, fill_in: Callable[..., str], tmp_path: Path) -> None:
    """An httpx2 client, which the extra `all` brings, is used as it is."""
    assert "tom\n" == installation.execute(tmp_path, fill_in(INJECTED, library="httpx2"))


@pytest.mark.long
def test_a_local_plex_in_the_same_process(
    installation: Installation, fill_in: Callable[..., str], tmp_path: Path
) -> None:
    """`LocalPlex` runs inside a program."""
    assert "tom\n" == installation.execute(tmp_path, fill_in(IN_TESTS))


@pytest.mark.long
def test_browser(installation: Installation, fill_in: Callable[..., str], tmp_path: Path) -> None:
    """A web application's sign-in is approved on the local Plex's pages, and finished by another process."""
    url, begun = installation.execute(tmp_path, fill_in(BEGIN)).splitlines()
    approve(url)
    assert "tom\n" == installation.execute(tmp_path, fill_in(FINISH), BEGUN=begun)


def approve(url: str) -> None:
    """Open a sign-in's address, sign in there as Tom, and approve, by the forms of the pages."""
    address = urlsplit(url)
    origin = f"{address.scheme}://{address.netloc}"
    cookies = urllib.request.HTTPCookieProcessor(CookieJar())
    opener = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))

    def ask(place: str, form: dict[str, str] | None = None) -> str:
        data = urlencode(form).encode() if form else None
        with opener.open(urllib.request.Request(origin + place, data, {"Origin": origin}), timeout=PATIENCE) as page:
            text: str = page.read().decode()
        return text

    # What the page's own script does with a fragment: the same page, with the parameters in the query.
    place = f"/auth?{address.fragment.lstrip('?!/')}"
    page = ask("/sign-in", fields(ask(place), "/sign-in") | {"login": "tom", "password": "rainy-harbour-17"})
    assert 'href="http://127.0.0.1:5000/done' in ask("/auth", fields(page, "/auth") | {"decision": "approve"})


def fields(page: str, action: str) -> dict[str, str]:
    """Return the hidden fields of the form with this action."""
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    assert form, page
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: value.replace("&amp;", "&") for name, value in found}


@pytest.mark.long
def test_python_plexapi(installation: Installation, served: dict[str, str], tmp_path: Path) -> None:
    """A published client, python-plexapi in an environment of its own, signs in and finds a media server."""
    try:
        command = python_environment("plexapi_4_18_3")
    except CannotSetUp as why:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(why))
    asked = [
        {"call": "sign_in", "login": "tom", "password": "rainy-harbour-17"},
        {"call": "connect", "token": MIRA, "name": "Attic"},
        {"call": "transient_token", "token": MIRA, "server": served["Attic"]},
        {"call": "devices", "token": TOM},
    ]
    lines = "".join(f"{json.dumps({'plex_tv': served['plex.tv'], **one})}\n" for one in asked)
    done = subprocess.run(
        command, input=lines, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [] == [outcome for outcome in outcomes if "raised" in outcome]
    account, attic, transient, _ = [outcome["result"] for outcome in outcomes]
    assert ("tom", "Attic") == (account["username"], attic["name"])
    assert transient["token"].startswith("transient-")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_the_demonstration_in_a_pipe(installation: Installation, tmp_path: Path) -> None:
    """`ticketstub demo` may be piped into a program that reads only its first line."""
    command = f'"{installation.python}" -m ticketstub demo </dev/null | head -n 1'
    env = installation.variables(tmp_path)
    done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr
