"""`ticketstub record` and `ticketstub openapi`: their output and files."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Start
from tests.local_plex.asking import ATTIC, MIRA, TOM, ask, world
from ticketstub.testing import local_plex

SECTIONS = '{"MediaContainer":{"Directory":[{"key":"1","title":"Films"}],"owner":"mira@example.org"}}'


@pytest.fixture
def source(tmp_path: Path):
    """A media server with a library, and a folder for recordings."""
    replies = tmp_path / "replies"
    (replies / "library/sections/1").mkdir(parents=True)
    (replies / "library/sections.json").write_text(SECTIONS)
    (replies / "library/sections/1/all.json").write_text('{"MediaContainer":{"accessToken":"abc","title":"All"}}')
    (replies / "library/sections/1/all.xml").write_text('<MediaContainer accessToken="abc" title="All"/>')
    (replies / "hubs@count=2.json").write_text("{}")
    described = world()
    described["media_server"][0]["replies"] = str(replies)
    with local_plex(described) as running:
        yield running.media_server("Attic").url


def test_it_writes_what_the_libraries_hold(command: Command, source: str, tmp_path: Path) -> None:
    """It writes the libraries, their content and the given paths, in all available formats, without secrets."""
    folder = tmp_path / "recorded"
    ran = command("record", source, str(folder), "/hubs?count=2&X-Plex-Product=me", "/no/such", stdin=f"{MIRA}\n")
    assert (0, "") == (ran.code, ran.err)
    assert "404  /no/such" in ran.out
    assert [
        "hubs@count=2.json",
        "library/sections.json",
        "library/sections/1/all.json",
        "library/sections/1/all.xml",
    ] == sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    assert (
        SECTIONS.replace("mira@example.org", "somebody@example.test") == (folder / "library/sections.json").read_text()
    )
    assert '<MediaContainer accessToken="scrubbed" title="All"/>' == (folder / "library/sections/1/all.xml").read_text()
    assert MIRA not in ran.out


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("ftp://host", "x"), 2, "the address must be http:// or https://"),
        (("http://127.0.0.1:1", "x", "no-slash"), 2, "a path must begin with a slash"),
        (("http://127.0.0.1:1", "x"), 5, "http://127.0.0.1:1 cannot be asked: connection refused\nhint: "),
        (("http://192.88.99.1:9", "x"), 1, "--outside"),
    ],
)
def test_what_is_wrong_is_said(command: Command, given: tuple[str, ...], code: int, said: str) -> None:
    """It prints one sentence, and writes nothing."""
    ran = command("record", *given, token=TOM)
    assert code == ran.code
    assert said in ran.err


def test_nothing_recorded_is_a_failure(command: Command, tmp_path: Path) -> None:
    """If no response could be recorded, the command ends with exit code 1 and says what to do."""
    with local_plex(world()) as running:
        running.refuse_next("GET /library/sections", status=404, times=9, at="Attic")
        url = running.media_server("Attic").url
        ran = command("record", url, str(tmp_path / "recorded"), "/no/such", stdin=f"{MIRA}\n")
    assert 1 == ran.code
    assert ran.err.startswith("error: nothing was recorded")
    assert "hint: " in ran.err
    assert not (tmp_path / "recorded").exists()


@pytest.mark.long
def test_serving_records_what_comes_from_upstream(start: Start, source: str, tmp_path: Path) -> None:
    """It writes a folder for each media server while it serves, without tokens, and warns about what it leaves out."""
    account = f'[[account]]\nusername = "mira"\nemail = "m@example.test"\ntoken = "{TOM}"\n'
    server = f'[[media_server]]\nname = "My Attic"\nowner = "mira"\nupstream = "{source}"\nupstream_token = "{MIRA}"\n'
    (tmp_path / "world.toml").write_text(account + server)
    serving = start("serve", "--world", str(tmp_path / "world.toml"), "--port", "0", "--record", str(tmp_path / "kept"))
    serving.wait_for("ready")
    found = ask(serving.address("My Attic"), "GET", "/library/sections", {"X-Plex-Token": TOM})
    assert SECTIONS == found.body.decode()
    file = tmp_path / "kept" / "My%20Attic" / "library" / "sections.json"
    assert SECTIONS.replace("mira@example.org", "somebody@example.test") == file.read_text()
    (tmp_path / "replies/library/poster.jpg").write_bytes(b"\xff\xd8\0" + TOM.encode())
    assert 200 == ask(serving.address("My Attic"), "GET", "/library/poster.jpg?a=1", {"X-Plex-Token": TOM}).status
    assert 0 == serving.end()
    assert serving.popen.stderr is not None
    assert (
        "/library/poster.jpg is not recorded: it contains a secret that cannot be replaced\n"
        == serving.popen.stderr.read()
    )


def test_there_must_be_something_to_record(command: Command, tmp_path: Path) -> None:
    """A world without an upstream is a usage error."""
    ran = command("serve", "--demo", "--port", "0", "--record", str(tmp_path / "kept"))
    assert 2 == ran.code
    assert "no media server of this world has an upstream" in ran.err


def test_a_token_that_is_refused_is_said(command: Command, source: str, tmp_path: Path) -> None:
    """The command ends at once."""
    ran = command("record", source, str(tmp_path / "recorded"), stdin="not-anybodys-token-1\n")
    assert 1 == ran.code
    assert "refuses the token (401)" in ran.err
    assert not (tmp_path / "recorded").exists()
    assert ATTIC not in ran.err


def test_a_token_that_is_missing_is_said(command: Command, source: str, tmp_path: Path) -> None:
    """Without a token, the error does not speak of one that is refused."""
    ran = command("record", source, str(tmp_path / "recorded"))
    assert 1 == ran.code
    assert "needs a token, and none was given (401)" in ran.err


@pytest.mark.parametrize(
    ("options", "path"),
    [((), "/api/v2/user"), (("--media-server",), "/identity"), (("--control",), "/control/v1/reset")],
)
def test_openapi_prints_a_document(command: Command, options: tuple[str, ...], path: str) -> None:
    """It prints JSON, and nothing else, on standard output."""
    ran = command("openapi", *options)
    assert (0, "") == (ran.code, ran.err)
    assert "3.1.0" == json.loads(ran.out)["openapi"]
    assert path in json.loads(ran.out)["paths"]


def test_one_document_at_a_time(command: Command) -> None:
    """Asking for two is a usage error."""
    assert 2 == command("openapi", "--control", "--media-server").code
