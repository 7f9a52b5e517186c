"""bridge.toml, and what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from bridge_tests.bridges import CONFIG, make_config
from ticketstub_bridge.addresses import check_redirect_uri
from ticketstub_bridge.config import ConfigError, load_config, parse_config
from ticketstub_bridge.storage import Database
from ticketstub_bridge.writing import add_client, remove_client, write_new

MINIMAL = """
url = "https://auth.example.org"
[[server]]
name = "Attic"
machine_identifier = "9b1f"
owner_id = 1
"""
CLIENT = '\n[[client]]\nid = "films"\nredirect_uris = ["https://films.example.org/callback"]\n'


def get_problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return caught.value.problems


def test_the_least_that_works() -> None:
    """An address and a server are enough; everything else has a default."""
    config = parse_config(MINIMAL, Path("/srv/bridge"))
    assert "sqlite:////srv/bridge/bridge.db" == config.database
    assert {"owner", "home", "friend"} == config.allow
    assert (6 * 3600, 24 * 3600, 60, 600) == (
        config.recheck,
        config.grace,
        config.lifetimes.code,
        config.lifetimes.access_token,
    )
    assert "attic" == config.servers[0].slug
    assert config.keep_plex_token
    assert () == config.warnings


def test_every_fault_is_named_by_its_path() -> None:
    """A faulty file is refused as a whole, with all faults at once."""
    text = """
url = "http://auth.example.org/path"
database = "mysql://x"
listen = "localhost:99999"
trusted_proxies = ["everywhere"]
keep_plex_token = "yes"
recheck = "soon"
colour = "red"
forward = []

[access]
allow = ["boss"]
deny = ["tom"]
more = 1

[lifetimes]
code = 0
week = 7

[[server]]
name = ""
owner_id = true

[[server]]
name = "Attic"
machine_identifier = "a b"
owner_id = -1
slug = "At tic"

[[client]]
id = "a b"
secret_hash = "abc"
redirect_uris = ["https://x.test/#fragment", 5]
signing = "none"
backchannel_logout_uri = "ftp://x.test/"
allow = ["friend"]
[client.groups]
admin = "owner"
"""
    paths = [problem.partition(": ")[0] for problem in get_problems(text)]
    assert sorted(paths) == sorted(
        [
            "url", "database", "listen", "trusted_proxies[0]", "keep_plex_token", "recheck", "colour", "forward",
            "access.allow[0]", "access.deny[0]", "access.more", "lifetimes.code", "lifetimes.week",
            "server[0].name", "server[0].owner_id", "server[0].machine_identifier",
            "server[1].machine_identifier", "server[1].owner_id", "server[1].slug",
            "client[0].id", "client[0].secret_hash", "client[0].redirect_uris[0]", "client[0].redirect_uris[1]",
            "client[0].signing", "client[0].backchannel_logout_uri", "client[0].allow",
            "client[0].groups.admin",
        ]
    )  # fmt: skip


def test_ids_are_used_once() -> None:
    """Two servers or applications of one name are refused."""
    assert ["client[1].id: films is used before"] == get_problems(MINIMAL + CLIENT + CLIENT)
    assert "server[1].slug" in get_problems(MINIMAL + MINIMAL.partition("\n\n")[2] + MINIMAL.split("\n", 2)[2])[0]


def test_an_application_only_narrows_access() -> None:
    """What access.allow does not contain, no application can allow."""
    text = MINIMAL + CLIENT + 'allow = ["managed"]\n'
    assert ["client[0].allow: managed is not in access.allow, which a client can only narrow"] == get_problems(text)


def test_anyone_is_written_out_and_warns() -> None:
    """Without a server, "anyone" must be said, and the start warns of it."""
    assert "nobody could sign in" in get_problems('url = "https://auth.example.org"')[0]
    config = parse_config('url = "https://auth.example.org"\n[access]\nallow = ["anyone"]')
    assert "every Plex account in the world" in config.warnings[0]


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://auth.example.org", True),
        ("https://auth.example.org:8443", True),
        ("http://localhost:8180", True),
        ("http://127.0.0.1:8180", True),
        ("http://auth.localhost:8180", True),
        ("http://auth.example.org", False),
        ("https://auth.example.org/", False),
        ("https://auth.example.org?x", False),
        ("https://user@auth.example.org", False),
        ("https://Auth.example.org", False),
        ("https://auth.example.org\\@evil.test", False),
        ("auth.example.org", False),
        ("ftp://auth.example.org", False),
    ],
)
def test_the_issuer(url: str, is_good: bool) -> None:
    """The issuer is an https address without a path; http is for loopback."""
    text = MINIMAL.replace("https://auth.example.org", url.replace("\\", "\\\\"))
    assert is_good == (parse_config(text).url == url if is_good else not get_problems(text))


def test_options_of_a_database_file() -> None:
    """The address of an SQLite file has no options, which would be taken for a part of its name."""
    (problem,) = get_problems('database = "sqlite:///bridge.db?timeout=20"' + MINIMAL)
    assert problem.startswith("database: must be only the name of a file")


@pytest.mark.parametrize("password", ["s3cret/word", "s3cret#word", "s3cret?word"])
def test_a_password_in_the_address_of_a_database_is_never_shown(password: str) -> None:
    """An address that is read as having a password for a port is refused without a word of it."""
    (problem,) = get_problems(f'database = "postgresql://bridge:{password}@db.example.org/bridge"' + MINIMAL)
    assert problem.startswith("database: is not an address")
    assert "s3cret" not in problem
    encoded = parse_config('database = "postgresql://bridge:s3cret%2Fword@db.example.org/bridge"' + MINIMAL)
    assert "s3cret%2Fword" in encoded.database
    assert "s3cret" not in repr(Database(encoded.database)) + repr(encoded)


@pytest.mark.parametrize(
    ("uri", "public", "confidential"),
    [
        ("https://app.example.org/callback?x=1", True, True),
        ("http://127.0.0.1:3000/callback", True, True),
        ("http://localhost/callback", True, True),
        ("http://app.lan/callback", False, True),
        ("app.immich:///oauth-callback", True, True),
        ("https://app.example.org/callback#", False, False),
        ("https://a@app.example.org/", False, False),
        ("https://*.example.org/", False, False),
        ("https://app.example.org/\\", False, False),
        ("https:///callback", False, False),
        ("https://app.example.org;sandbox/", False, False),
        ("https://app.example.org,evil.test/", False, False),
        ("https://app%2eexample.org/", False, False),
        ("https://[::1]:3000/callback", True, True),
        ("https://app.example.org:port/", False, False),
        ("javascript:alert(1)", False, False),
        ("data:text/html,x", False, False),
        ("/callback", False, False),
        ("", False, False),
    ],
)
def test_redirect_addresses(uri: str, public: bool, confidential: bool) -> None:
    """An address is exact, and cannot be read in two ways."""
    assert public == (check_redirect_uri(uri, is_public=True) is None)
    assert confidential == (check_redirect_uri(uri, is_public=False) is None)


KEYS = st.sampled_from(["url", "database", "server", "client", "access", "lifetimes", "recheck", "listen"])
VALUES = st.one_of(st.booleans(), st.integers(-5, 5), st.just("x"), st.just([]), st.just([1]), st.just({"a": 1}))


@given(st.dictionaries(KEYS, VALUES))
def test_wrong_types_never_fail_otherwise(content: dict[str, object]) -> None:
    """Whatever TOML the file contains, it is accepted or refused with paths."""
    with suppress(ConfigError):
        parse_config(tomlkit.dumps(content))


def test_writing_keeps_the_rest_of_the_file(tmp_path: Path) -> None:
    """Adding and removing an application leaves comments as they are, and refuses what would be faulty."""
    path = tmp_path / "bridge.toml"
    path.write_text(f"# a comment\n{MINIMAL}", "utf-8")
    client = {"id": "films", "redirect_uris": ["https://films.example.org/callback"]}
    add_client(path, client)
    assert ["films"] == list(load_config(path).clients)
    assert path.read_text("utf-8").startswith("# a comment\n")
    before = path.read_text("utf-8")
    for faulty in (client, {"id": "x", "redirect_uris": ["nowhere"]}):
        with pytest.raises(ConfigError):
            add_client(path, faulty)
    assert before == path.read_text("utf-8")
    assert remove_client(path, "films")
    assert not remove_client(path, "films")
    assert {} == load_config(path).clients


def test_a_new_file(tmp_path: Path) -> None:
    """A first file is valid, and never replaces one."""
    server = {"name": "Attic", "machine_identifier": "9b1f", "owner_id": 1}
    write_new(tmp_path / "bridge.toml", {"url": "https://auth.example.org"}, [server])
    assert 1 == load_config(tmp_path / "bridge.toml").servers[0].owner_id
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "bridge.toml", {"url": "https://auth.example.org"}, [server])


def test_a_missing_or_broken_file(tmp_path: Path) -> None:
    """A file that is missing or no TOML is refused with what to do."""
    with pytest.raises(ConfigError, match="ticketstub bridge init"):
        load_config(tmp_path / "bridge.toml")
    assert "is not TOML" in get_problems("url = ")[0]


def test_the_tests_configuration_is_valid(tmp_path: Path) -> None:
    """The configuration of these tests has four applications."""
    assert 4 == len(make_config(tmp_path).clients) == CONFIG.count("[[client]]")
