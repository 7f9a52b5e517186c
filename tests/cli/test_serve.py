import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import JUNO, MIRA, TOM, Command, Start, assert_no_secret, text_of
from tests.local_plex.asking import SECRET
from ticketstub.cli.demo import PROGRAM
from ticketstub.cli.serve import serve
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import local_plex

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")


def account(name: str, *, token: str = "") -> str:
    known = f'token = "{token}"\n' if token else ""
    return f'[[account]]\nusername = "{name}"\nemail = "{name}@example.test"\npassword = "{name}-secret"\n{known}\n'


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


@posix
def test_every_address_answers_when_ready_is_printed(start: Start) -> None:
    """It prints every address, that it is not Plex, and `ready`; with --log, each answer is a line."""
    serving = start("serve", "--demo", "--port", "0", "--log")
    serving.wait_for("ready")
    text = "\n".join(serving.lines)
    assert "not Plex" in serving.lines[0]
    assert 200 == status_of(serving.address("plex.tv") + f"/api/v2/user?X-Plex-Token={text_of(TOM.token)}")
    assert ["GET", "/api/v2/user", "200"] == serving.wait_for("").split()[1:4]
    assert 200 == status_of(serving.address("Attic") + "/identity")
    assert 200 == status_of(serving.address("Old Cellar") + "/identity")
    assert f'Plex(plex_tv="{serving.address("plex.tv")}")' in text
    assert "\x1b" not in text
    assert_no_secret(serving.lines[-1])
    assert 0 == serving.end()


@posix
def test_the_demonstration_s_secrets_are_printed_in_full(start: Start) -> None:
    """Passwords, tokens and current codes of the demonstration world are printed, and how to get the next code."""
    before = MIRA.code()
    serving = start("serve", "--demo", "--port", "0")
    serving.wait_for("ready")
    text, after = "\n".join(serving.lines), MIRA.code()
    for secret in (MIRA.password, MIRA.token, TOM.password, TOM.token, JUNO.password, JUNO.passcode):
        assert text_of(secret) in text
    assert "Pp3-small_but_mighty" in text
    assert "token for Attic Qw7-Zr2_LmN8tYb4HsKd" in text
    assert f"verification code {before}" in text or f"verification code {after}" in text
    assert "ticketstub code mira_quill --demo" in text
    assert text_of(MIRA.verification_secret) not in text
    assert 0 == serving.end()


@posix
def test_a_world_s_secrets_are_printed_only_if_asked_for(start: Start, tmp_path: Path) -> None:
    """The passwords, codes and tokens of another world are printed only with --show-secrets."""
    world, ana = tmp_path / "world.toml", "ana-0123456789abcdef"
    world.write_text(account("ana", token=ana) + f'verification_secret = "{SECRET}"\n', "utf-8")
    for options, shows in (((), False), (("--show-secrets",), True)):
        serving = start("serve", "--world", str(world), "--port", "0", *options)
        serving.wait_for("ready")
        text = "\n".join(serving.lines)
        assert shows == ("password ana-secret" in text) == (f"token {ana}" in text)
        assert shows == bool(re.search(r"verification code \d{6}", text))
        assert shows == (f"ticketstub code ana --world {world}" in text)
        assert shows != ("--show-secrets prints them" in text)
        assert shows or "ana@example.test, password, verification code, token #" in text
        assert 0 == serving.end()


@posix
def test_a_world_without_accounts_has_no_secrets_to_show(start: Start, tmp_path: Path) -> None:
    """If there is no account, the banner says so, and does not say where its secrets are."""
    (tmp_path / "world.toml").write_text("", "utf-8")
    serving = start("serve", "--world", str(tmp_path / "world.toml"), "--port", "0")
    serving.wait_for("ready")
    text = "\n".join(serving.lines)
    assert "none, so nobody can sign in" in text
    assert "--show-secrets" not in text
    assert 0 == serving.end()


@posix
def test_the_banner_counts_what_the_database_has(start: Start, tmp_path: Path) -> None:
    """With --db, added accounts are counted and named, and a changed password is no longer shown."""
    world, db = tmp_path / "world.toml", f"sqlite:///{tmp_path}/plex.db"
    world.write_text(account("ana") + account("ben"), "utf-8")
    with local_plex(world, db=db) as first:
        first.add_account("cleo", password="cleo-secret")
        first.account("ben", password="another-secret")
    serving = start("serve", "--world", str(world), "--port", "0", "--db", db, "--show-secrets")
    serving.wait_for("ready")
    text = "\n".join(serving.lines)
    assert "Accounts: 3" in text
    assert "cleo@example.test, password" in text
    assert "password ana-secret" in text
    for secret in ("ben-secret", "another-secret", "cleo-secret"):
        assert secret not in text
    assert 0 == serving.end()


@posix
@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_whatever_clients_do(start: Start, order: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end it with 0, despite an idle client, an incomplete head and an incomplete body."""
    serving = start("serve", "--demo", "--port", "0")
    serving.wait_for("ready")
    port = int(serving.address("plex.tv").rpartition(":")[2])
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    clients[1].sendall(b"GET /api/v2/us")
    clients[2].sendall(b"POST /api/v2/users/signin HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nlogin=")
    time.sleep(0.1)
    assert 0 == serving.end(order, within=60.0)
    for client in clients:
        client.close()


@posix
def test_an_order_to_stop_counts_from_the_first_moment(start: Start) -> None:
    """A signal before `ready` also ends it with 0."""
    serving = start("serve", "--demo", "--port", "0")
    lines = Path(f"/proc/{serving.popen.pid}/status")
    deadline = time.monotonic() + 60
    while lines.exists() and not _catches(lines.read_text(), signal.SIGTERM) and time.monotonic() < deadline:
        time.sleep(0.005)
    if not lines.exists():
        serving.wait_for("ready")  # no /proc to see from when signals are handled
    assert 0 == serving.end(within=60.0)


def _catches(status: str, wanted: signal.Signals) -> bool:
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (wanted - 1) & 1)


def test_a_port_in_use_is_an_error_that_names_it(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = command("serve", "--demo", "--port", str(port))
    assert (1, "") == (ran.code, ran.out)
    assert f"port {port} of 127.0.0.1 is in use" in ran.err


@posix
def test_a_second_start_keeps_and_adds_and_reset_starts_over(start: Start, tmp_path: Path) -> None:
    """With --db, the second start has the accounts of the first; after --reset, it has only its own."""
    world, db = tmp_path / "world.toml", f"sqlite:///{tmp_path}/plex.db"
    options = ("serve", "--world", str(world), "--port", "0", "--db", db)

    def served(*more: str, tokens: tuple[str, ...]) -> list[int]:
        serving = start(*options, *more)
        serving.wait_for("ready")
        url = serving.address("plex.tv") + "/api/v2/user?X-Plex-Token="
        found = [status_of(url + token) for token in tokens]
        assert 0 == serving.end()
        return found

    ana, ben = "ana-0123456789abcdef", "ben-0123456789abcdef"
    world.write_text(account("ana", token=ana), "utf-8")
    with local_plex(World.load(world), db=db) as first:
        assert 200 == status_of(f"{first.url}/api/v2/user?X-Plex-Token={ana}")
    world.write_text(account("ben", token=ben), "utf-8")
    assert [200, 200] == served(tokens=(ana, ben))
    assert [401, 200] == served("--reset", tokens=(ana, ben))


def test_without_a_world_it_says_how_to_make_one(command: Command, tmp_path: Path) -> None:
    """The hint is a shell command that creates a valid world."""
    ran = command("serve")
    assert 2 == ran.code
    assert "--world" in ran.err
    assert "--demo" in ran.err
    text = ran.err.partition("printf '")[2].partition("'")[0].replace("\\n", "\n")
    assert ["ana"] == [account.username for account in World.parse(text).accounts]


def test_a_wrong_world_is_refused_with_every_fault_at_once(command: Command, tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text('[[account]]\nusername = "ana"\nemail = "nowhere"\ncolour = "red"\n', "utf-8")
    ran = command("serve", "--world", str(world))
    assert 2 == ran.code
    assert "2 faults" in ran.err
    assert "account[0].email:" in ran.err
    assert "account[0].colour:" in ran.err


def test_a_syntax_error_in_a_world_is_told_by_its_line(command: Command, tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text("[[account]]\nusername = \n", "utf-8")
    ran = command("serve", "--world", str(world))
    assert 2 == ran.code
    assert "line 2" in ran.err


WRONG = {
    "no such file": (["--world", "no-such-world.toml"], 2, "no-such-world.toml"),
    "two worlds": (["--world", "w.toml", "--demo"], 2, "--demo"),
    "reset of nothing": (["--demo", "--reset"], 2, "--db"),
    "a public address": (["--demo", "--host", "203.0.114.7"], 2, "--host"),
    "a name": (["--demo", "--host", "plex.example"], 2, "--host"),
    "no port": (["--demo", "--port", "70000"], 2, "--port"),
    "no number": (["--demo", "--port", "8190x"], 2, "'--port': this is not a whole number\n"),
    "another database": (["--demo", "--port", "0", "--db", "postgres://x"], 1, "sqlite:///"),
    "no such folder": (["--demo", "--port", "0", "--db", "sqlite:////no-such-folder/x.db"], 1, "no-such-folder"),
}


@pytest.mark.parametrize(("options", "code", "named"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(command: Command, options: list[str], code: int, named: str) -> None:
    """Each error is one sentence that names the problem, and nothing is served."""
    ran = command("serve", *options)
    assert (code, "") == (ran.code, ran.out)
    assert named in ran.err


def test_another_program_s_file_is_left_alone(command: Command, tmp_path: Path) -> None:
    """A --db that is not our database is refused, also with --reset, and unchanged."""
    file = tmp_path / "notes.db"
    file.write_text("not a database", "utf-8")
    for more in ([], ["--reset"]):
        ran = command("serve", "--demo", "--port", "0", "--db", f"sqlite:///{file}", *more)
        assert 1 == ran.code, ran.err
        assert "not a database" == file.read_text("utf-8")


@posix
def test_the_lines_at_the_end_of_the_demo_run_beside_serve_demo(start: Start, process: Command) -> None:
    """The program that the demonstration shows does what the demonstration did, with only the port changed."""
    serving = start("serve", "--demo", "--port", "0")
    serving.wait_for("ready")
    assert '"http://127.0.0.1:8190"' in PROGRAM
    ran = process(code=PROGRAM.replace("http://127.0.0.1:8190", serving.address("plex.tv")))
    assert (0, "") == (ran.code, ran.err)
    first, attic, guide = ran.out.splitlines()
    assert "mira@example.test" == first
    assert attic.startswith("Attic (mira_quill) ['https://192-168-1-50.")
    assert "Attic Guide ['https://guide.example.test']" == guide
    assert 0 == serving.end()


def test_the_shown_program_names_the_default_port() -> None:
    """The address in the program is the default address of `serve --demo`."""
    assert f":{next(option.default for option in serve.params if option.name == 'port')}" in PROGRAM
