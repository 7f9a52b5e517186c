"""The world file: what its keys mean, and that all its faults are reported together."""

from __future__ import annotations

import contextlib

import pytest
from argon2 import PasswordHasher
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tables import every
from ticketstub.local_plex.world.addresses import WorldConnection
from ticketstub.local_plex.world.schema import (
    Quirks,
    World,
    WorldAccount,
    WorldError,
    WorldMediaServer,
)
from ticketstub.tokens import Secret, Token

MIRA = {"username": "mira_quill", "email": "mira@example.test"}
TOM = {"username": "tom", "email": "tom@example.test"}
ATTIC = {"name": "Attic", "owner": "mira_quill"}
NO_ADDRESS = "must be http:// or https:// with a host, and without a user name"
CANARY = "cAnArY-7f3kQ2vTz8Lm1"
BARE = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("x", salt=b"0123456789abcdef")

# The format as it was promised; keys are added, never changed.
PROMISED = """
[[account]]
username = "mira_quill"
email = "mira@example.test"
password = "paper-lantern-42"
verification_secret = "JBSWY3DPEHPK3PXP"
token = "cAnArY-7f3kQ2vTz8Lm1"
friendly_name = "Mira"

[[account]]
username = "tom"
email = "tom@example.test"

[[media_server]]
name = "Attic"
machine_identifier = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
owner = "mira_quill"
port = 32401
version = "1.42.2.10156"
errors = "documented"
[[media_server.share]]
account = "tom"
token = "Qw7-Zr2_LmN8tYb4HsKd"
[[media_server.source]]
identifier = "server://9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
name = "Attic"
connections = ["https://attic.example.test", { uri = "http://192.168.1.5:32400", local = true, relay = false }]

[answers]
default_format = "json"
require_client_identifier = true
"""


def faults(**tables):
    with pytest.raises(WorldError) as caught:
        World.from_dict(tables)
    return caught.value.faults


def test_the_promised_format():
    """Each key of the format has its meaning."""
    world = World.parse(PROMISED)
    mira, tom = world.accounts
    (attic,) = world.media_servers
    assert (Secret("paper-lantern-42"), Token(CANARY)) == (mira.password, mira.token)
    assert (Secret("JBSWY3DPEHPK3PXP"), "Mira", "Mira") == (mira.verification_secret, mira.friendly_name, mira.title)
    assert (None, None, "", "tom") == (tom.password, tom.token, tom.friendly_name, tom.title)
    assert (32401, "1.42.2.10156", "documented") == (attic.port, attic.version, attic.errors)
    assert Token("Qw7-Zr2_LmN8tYb4HsKd") == attic.shares[0].token
    assert (
        WorldConnection(uri="https://attic.example.test"),
        WorldConnection(uri="http://192.168.1.5:32400", local=True),
    ) == attic.sources[0].connections
    assert ("json", True) == (world.answers.default_format, world.answers.require_client_identifier)


def test_an_empty_world():
    """Every key is optional."""
    assert World() == World.parse("") == World.from_dict({})


def test_what_is_left_out_is_derived():
    """The same names always give the same identifiers, in Plex's form."""
    one, two = (World.from_dict({"account": [MIRA, TOM], "media_server": [ATTIC]}) for _ in range(2))
    assert one == two
    mira, tom = one.accounts
    assert 9 == len(str(mira.id)) == len(str(tom.id))
    assert mira.id != tom.id
    assert 16 == len(mira.uuid) == len(tom.uuid)
    assert f"https://plex.tv/users/{mira.uuid}/avatar?c={mira.joined_at}" == mira.thumb
    assert (None, "1.43.4.10903-0a1b2c3d4") == (one.media_servers[0].port, one.media_servers[0].version)
    assert one.media_servers[0].machine_identifier == WorldMediaServer(name="Attic", owner="tom").machine_identifier
    assert mira == WorldAccount(username="mira_quill", email="mira@example.test")


def test_the_demonstration_world():
    """The demo has accounts with and without codes, a share, both kinds of source and a server too old for them."""
    world = World.demo()
    assert 3 == len(world.accounts)
    assert [True, False, False] == [account.verification_secret is not None for account in world.accounts]
    attic, cellar = world.media_servers
    assert ["server", "provider"] == [source.identifier.partition(":")[0] for source in attic.sources]
    assert "tom" == attic.shares[0].account == cellar.owner
    assert cellar.version.startswith("1.14.")
    assert all(account.email.endswith("@example.test") for account in world.accounts)


def test_it_is_read_from_a_file(tmp_path):
    """A file is read as UTF-8, and an unreadable file is a fault like any other."""
    (tmp_path / "world.toml").write_text('[[account]]\nusername = "zoë"\nemail = "z@example.test"\n', "utf-8")
    assert "zoë" == World.load(tmp_path / "world.toml").accounts[0].username
    with pytest.raises(WorldError, match=r"none\.toml cannot be read"):
        World.load(tmp_path / "none.toml")
    (tmp_path / "world.toml").write_bytes(b"# \xff")
    with pytest.raises(WorldError, match="not UTF-8 text: see byte 2"):
        World.load(tmp_path / "world.toml")


def test_a_syntax_error_names_its_line():
    """Invalid TOML is refused with its line."""
    with pytest.raises(WorldError, match=r"not TOML: .*at line 2"):
        World.parse('[[account]]\nusername = "tom\n')


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000])
def test_absurd_files_are_refused(text):
    """A parser error is a fault, not a crash."""
    with pytest.raises(WorldError):
        World.parse(text)


@pytest.mark.parametrize("name", Quirks.removed_keys)
def test_an_answer_that_is_no_choice_any_more_is_named(name):
    """A key of an earlier version is refused by name, with its fixed value."""
    with pytest.raises(
        WorldError, match=f"answers.{name}: can no longer be chosen: it is always {Quirks.removed_keys[name]}"
    ):
        World.parse(f"[answers]\n{name} = {Quirks.removed_keys[name]}\n")


def test_all_faults_at_once():
    """All faulty keys are reported together, each with its path and the reason."""
    assert (
        'acount: is not a known key (did you mean "account"?)',
        'account[0].passwrd: is not a known key (did you mean "password"?)',
        "account[0].email: must contain one @",
        "account[1].username: is missing",
        "account[1].email: must be text, not a number",
        "account[2]: must be a table",
        "media_server[0].share[0].account: is missing",
        f"media_server[0].source[0].connections[1].uri: {NO_ADDRESS}",
        'answers.default_format: must be "xml" or "json"',
        'media_server[0].owner: there is no account "mira_quil" (did you mean "mira_quill"?)',
    ) == faults(
        acount=1,
        account=[{**MIRA, "email": "mira", "passwrd": "x"}, {"email": 5}, 7],
        media_server=[
            {
                "name": "Attic",
                "owner": "mira_quil",
                "share": [{}],
                "source": [{"identifier": "server://x", "name": "x", "connections": ["http://a", {"uri": "ftp://a"}]}],
            }
        ],
        answers={"default_format": "yaml"},
    )


@every(
    ("key", "value", "reason"),
    [
        ("username", "", "must be one line of 1 to 255 printable characters"),
        ("username", "a\nb", "must be one line of 1 to 255 printable characters"),
        ("email", "a@b@c", "must contain one @"),
        ("email", "@b", "must have something before and after the @, and no spaces"),
        ("password", "", "must have 1 to 1024 bytes"),
        ("password", "é" * 513, "must have 1 to 1024 bytes"),
        ("password", "\ud800", "must be text that UTF-8 can encode"),
        ("password", 12345678, "must be text, not a number: put it in quotes"),
        ("password_hash", "$2b$12$abcdefgh", "must be an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)"),
        ("password_hash", BARE.replace("m=64", "m=262145"), "costs too much: at most m=262144 (256 MiB), t=20, p=4"),
        ("verification_secret", "JBSWY3DPEHPK3PX", "must have at least 16 characters"),
        ("verification_secret", "jbsw y3dp ehpk 3px", "must have at least 16 characters"),
        ("verification_secret", "JBSWY3DPEHPK3PX1", "must be base 32: letters A to Z and digits 2 to 7, none missing"),
        ("verification_secret", "ÄBSWY3DPEHPK3PXP", "must be base 32: letters A to Z and digits 2 to 7, none missing"),
        ("verification_secret", "ßBSWY3DPEHPK3PXP", "must be base 32: letters A to Z and digits 2 to 7, none missing"),
        ("verification_secret", "JBSWY3DPEHPK3PXPA", "must be base 32: letters A to Z and digits 2 to 7, none missing"),
        ("token", CANARY[:-1], "must be exactly 20 characters of A-Z a-z 0-9 _ and -"),
        ("token", CANARY[:-1] + "!", "must be exactly 20 characters of A-Z a-z 0-9 _ and -"),
        ("id", 0, f"must be 1 to {2**53 - 1}"),
        ("id", True, "must be a whole number, not true or false"),
        ("uuid", "3F9C2B7A5D1E8F04", "must be exactly 16 characters of 0-9 and a-f"),
        ("email_only_auth", "yes", "must be true or false, not text"),
        ("roles", "plexpass", "must be a list"),
        ("subscription", True, "must be a table"),
    ],
)
def test_account_values(key, value, reason):
    """Each value of an account is checked, and the reason never repeats it."""
    assert (f"account[0].{key}: {reason}",) == faults(account=[{**MIRA, key: value}])


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("machine_identifier", "9B" * 20, "must be exactly 40 characters of 0-9 and a-f"),
        ("port", 0, "must be 1 to 65535"),
        ("port", 65536, "must be 1 to 65535"),
        ("port", 1.5, "must be a whole number, not a number"),
        ("version", "new", 'must be a version like "1.42.2.10156"'),
        ("errors", "html", 'must be "observed" or "documented"'),
        ("share", {}, "must be a list"),
    ],
)
def test_media_server_values(key, value, reason):
    """Each value of a media server is checked."""
    assert (f"media_server[0].{key}: {reason}",) == faults(account=[MIRA], media_server=[{**ATTIC, key: value}])


@pytest.mark.parametrize(
    "uri", ["", "attic", "http://", "https://a:99999", "https://me:pw@a", "http://a b", "http://[::1"]
)
def test_connection_addresses(uri):
    """A connection is an http or https address with a host and no credentials."""
    source = {"identifier": "server://x", "name": "x", "connections": [uri]}
    (fault,) = faults(account=[MIRA], media_server=[{**ATTIC, "source": [source]}])
    assert fault.startswith("media_server[0].source[0].connections[0].uri: must be ")


@every(
    ("tables", "expected"),
    [
        (
            {"account": [MIRA, {**TOM, "username": "\uff2dIRA_quill "}]},
            "account[1].username: is the same as account[0].username",
        ),
        (
            {"account": [MIRA, {**TOM, "email": "Mira@Example.TEST"}]},
            "account[1].email: is the same as account[0].email",
        ),
        (
            {"account": [MIRA, {**TOM, "username": MIRA["email"]}]},
            "account[1].username: is the same as account[0].email",
        ),
        (
            {"account": [{**MIRA, "token": CANARY}, {**TOM, "token": CANARY}]},
            "account[1].token: is the same as account[0].token",
        ),
        (
            {
                "account": [{**MIRA, "token": CANARY}, TOM],
                "media_server": [{**ATTIC, "share": [{"account": "tom", "token": CANARY}]}],
            },
            "media_server[0].share[0].token: is the same as account[0].token",
        ),
        (
            {"account": [MIRA], "media_server": [ATTIC, {**ATTIC, "machine_identifier": "9b" * 20}]},
            "media_server[1].name: is the same as media_server[0].name",
        ),
        (
            {
                "account": [MIRA],
                "media_server": [{**ATTIC, "port": 1}, {"name": "x", "owner": "mira_quill", "port": 1}],
            },
            "media_server[1].port: is the same as media_server[0].port",
        ),
        (
            {
                "account": [MIRA, TOM],
                "media_server": [{**ATTIC, "share": [{"account": "tom"}, {"account": "TOM"}]}],
            },
            "media_server[0].share[1].account: is the same as media_server[0].share[0].account",
        ),
        (
            {
                "account": [MIRA],
                "media_server": [
                    {
                        **ATTIC,
                        "source": [
                            {"identifier": "server://x", "name": "a"},
                            {"identifier": "server://x", "name": "b"},
                        ],
                    }
                ],
            },
            "media_server[0].source[1].identifier: is the same as media_server[0].source[0].identifier",
        ),
        (
            {"account": [MIRA], "media_server": [{**ATTIC, "share": [{"account": "Mira_Quill"}]}]},
            "media_server[0].share[0].account: owns this server: it needs no share",
        ),
        (
            {"account": [{**MIRA, "password": "x", "password_hash": BARE}]},
            "account[0].password_hash: conflicts with password: give one of the two",
        ),
    ],
)
def test_what_does_not_go_together(tables, expected):
    """Unique values are compared in any spelling, references exist, and an owner needs no share."""
    assert (expected,) == faults(**tables)


def test_the_same_source_on_two_servers():
    """A source may be known to several servers, and a user name may be the e-mail address of the same account."""
    source = [{"identifier": "provider://x", "name": "x"}]
    servers = [{**ATTIC, "source": source}, {"name": "Cellar", "owner": "m@example.test", "source": source}]
    account = {"username": "m@example.test", "email": "M@example.test"}
    assert 2 == len(World.from_dict({"account": [MIRA, account], "media_server": servers}).media_servers)


KEYS = [*MIRA, "password", "token", "account", "media_server", "name", "owner", "share", "source", "connections", "uri"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["tom", "a@b", CANARY]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["account", "media_server", "answers"]) | st.text(), ANYTHING, max_size=4))
@example({"account": [{"username": "\ud800", "email": "\ud800@x"}]})
def test_anything_is_a_world_or_a_world_error(mapping):
    """Every mapping gives a world or `WorldError`."""
    with contextlib.suppress(WorldError):
        assert isinstance(World.from_dict(mapping), World)


@given(st.text())
def test_any_text_is_a_world_or_a_world_error(text):
    """Every text gives a world or `WorldError`."""
    with contextlib.suppress(WorldError):
        assert isinstance(World.parse(text), World)


@pytest.mark.parametrize("key", ["password", "password_hash", "verification_secret", "token"])
def test_no_fault_repeats_a_secret(key):
    """A wrong or duplicate secret is never repeated, and a world prints none."""
    secret = CANARY + "!" if key != "password" else CANARY * 60
    for wrong in (secret, [secret], {"a": secret}):
        assert CANARY not in "".join(faults(account=[{**MIRA, key: wrong}, {**TOM, key: wrong}]))
    assert "paper-lantern" not in repr(World.parse(PROMISED))
    assert CANARY not in repr(World.parse(PROMISED))
