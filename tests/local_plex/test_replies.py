"""A media server that answers from a folder of replies."""

from pathlib import Path
from string import ascii_uppercase
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local_plex.asking import ATTIC, MIRA, TOM, TOM_ON_ATTIC, ask, transient, world
from tests.local_plex.conftest import Start
from ticketstub.local_plex.content.replies import MAX_BODY_BYTES, build_reply_name
from ticketstub.local_plex.world.schema import World, WorldError

SECTIONS = b'{"MediaContainer":{"size":1,"Directory":[{"key":"1","title":"Films"}]}}'
ALL = b'<?xml version="1.0" encoding="UTF-8"?><MediaContainer size="0" title1="Films"/>'
FILMS = b'{"MediaContainer":{"size":0,"title1":"Films"}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of replies: one in JSON only, one in both formats, one with a query, and a picture."""
    made = tmp_path / "replies"
    (made / "library/sections/1").mkdir(parents=True)
    (made / "library/sections.json").write_bytes(SECTIONS)
    (made / "library/sections/1/all@type=1.xml").write_bytes(ALL)
    (made / "library/sections/1/all@type=1.json").write_bytes(FILMS)
    (made / "library/sections/1/all.json").write_bytes(b'{"everything":true}')
    (made / "library/poster.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (made / "%3A").mkdir()
    (made / "%3A/prefs.xml").write_bytes(b"<MediaContainer/>")
    return made


@pytest.fixture
def attic(folder: Path, start: Start) -> str:
    """A media server with these replies."""
    described = world()
    described["media_server"][0]["replies"] = str(folder)
    url: str = start(world=described).media_server("Attic").url
    return url


def get(url: str, path: str, token: str = MIRA, accept: str = "application/json", method: str = "GET"):
    return ask(url, method, path, {"X-Plex-Token": token, "Accept": accept})


def test_no_file_replaces_what_the_local_plex_answers_itself(attic: str, folder: Path) -> None:
    """The local Plex's routes, including the players', keep their answers even if the folder has files for them."""
    own = ("/identity", "/clients", "/clients/", "/accounts", "/devices", "/statistics/resources", "/myplex/account")
    before = [get(attic, path).json for path in own]
    for path in own:
        file = folder / f"{path.strip('/')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"from": "the folder"}')
    after = [get(attic, path).json for path in own]
    for found in (*before, *after):
        found.get("MediaContainer", {}).pop("StatisticsResources", None)  # it has the time
    assert before == after
    assert {"MediaContainer": {"size": 0}} == after[1] == after[2]


def test_a_file_is_the_answer_to_its_path(attic: str) -> None:
    """The answer has the file's bytes, the media type of its extension, and a media server's header fields."""
    found = get(attic, "/library/sections")
    assert (200, "application/json", SECTIONS) == (found.status, found.headers["content-type"], found.body)
    assert "1.0" == found.headers["x-plex-protocol"]
    assert b"<MediaContainer/>" == get(attic, "/:/prefs").body
    picture = get(attic, "/library/poster.png")
    assert (200, "image/png") == (picture.status, picture.headers["content-type"])
    assert "image/png" == get(attic, "/library/poster").headers["content-type"]


def test_accept_chooses_between_json_and_xml(attic: str) -> None:
    """If both exist, Accept decides; a single file is the answer whatever is accepted."""
    path = "/library/sections/1/all?type=1"
    assert FILMS == get(attic, path).body
    found = get(attic, path, accept="text/xml")
    assert ("text/xml;charset=utf-8", ALL) == (found.headers["content-type"], found.body)
    assert ALL == get(attic, path, accept="*/*").body
    assert SECTIONS == get(attic, "/library/sections", accept="text/xml").body


def test_the_query_counts_but_for_who_asks(attic: str) -> None:
    """Parameters are sorted, and those named X-Plex-… ignored; a query without a file gets the path's file."""
    assert FILMS == get(attic, "/library/sections/1/all?X-Plex-Product=me&type=1").body
    assert FILMS == get(attic, "/library/sections/1/all?type=1&X-Plex-Container-Start=0").body
    assert b'{"everything":true}' == get(attic, "/library/sections/1/all?type=4").body


def test_head_is_get_without_body(attic: str) -> None:
    """The length is the file's."""
    found = get(attic, "/library/sections", method="HEAD")
    assert (200, str(len(SECTIONS)), b"") == (found.status, found.headers["content-length"], found.body)


@pytest.mark.parametrize("token", ["", "not-anybodys-token-1", TOM])
def test_nothing_without_a_good_token(attic: str, token: str) -> None:
    """The token check comes first: 401, with no mention of any file."""
    for path in ("/library/sections", "/no/such/thing"):
        found = get(attic, path, token)
        assert 401 == found.status
        assert "x-ticketstub-missing" not in found.headers


def test_shares_and_transient_tokens_are_let_in(attic: str) -> None:
    """Every client with access to the server gets the answer."""
    assert 200 == get(attic, "/library/sections", TOM_ON_ATTIC).status
    assert 200 == get(attic, "/library/sections", transient(attic, MIRA)).status


def test_what_is_missing_is_named(attic: str) -> None:
    """The 404 page lists the files that would answer, escaped for HTML, and a header field has the first one."""
    found = get(attic, "/library/metadata/7/children?b=<2>&a=1")
    assert (404, "text/html") == (found.status, found.headers["content-type"])
    assert "library/metadata/7/children@a=1&b=%3C2%3E.json" == found.headers["x-ticketstub-missing"]
    assert b"library/metadata/7/children@a=1&amp;b=%3C2%3E.json" in found.body
    assert b"library/metadata/7/children.xml" in found.body
    assert "playlists~POST.json" == get(attic, "/playlists", method="POST").headers["x-ticketstub-missing"]


def test_a_path_with_an_own_answer_has_it_until_there_is_a_file(attic: str, folder: Path) -> None:
    """Without a file, `/playlists` is the local Plex's empty list, and a POST is 404; with one it is the file."""
    assert 404 == get(attic, "/playlists", method="POST").status
    assert {"MediaContainer": {"size": 0}} == get(attic, "/playlists").json
    (folder / "playlists.json").write_bytes(SECTIONS)
    assert SECTIONS == get(attic, "/playlists/?playlistType=audio").body


def test_a_file_for_the_owner_is_not_for_guests(attic: str) -> None:
    """What only the owner may ask for is refused with 403 to a guest, even if there is a file."""
    assert 200 == get(attic, "/:/prefs").status
    refused = get(attic, "/:/prefs", TOM_ON_ATTIC)
    assert (403, "text/html") == (refused.status, refused.headers["content-type"])


def test_its_own_calls_stay_the_local_plexs(attic: str, folder: Path) -> None:
    """No file replaces identity, tokens or owner: clients find the server that they signed in to."""
    for name in ("identity.json", "security/token.json", "myplex/account.json", "accounts.json", "%2F.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b'{"forged":true}')
    for path in ("/identity", "/security/token?type=delegation&scope=all", "/myplex/account", "/accounts", "/"):
        assert b"forged" not in get(attic, path).body
    assert ATTIC == get(attic, "/identity").json["MediaContainer"]["machineIdentifier"]
    assert 403 == get(attic, "/accounts", TOM_ON_ATTIC).status


def test_links_out_of_the_folder_lead_nowhere(attic: str, folder: Path, tmp_path: Path) -> None:
    """A link to a file or folder outside is ignored; one inside is followed."""
    (tmp_path / "secret.json").write_bytes(b"{}")
    (folder / "linked.json").symlink_to(tmp_path / "secret.json")
    (folder / "up").symlink_to(tmp_path)
    (folder / "inside.json").symlink_to(folder / "library/sections.json")
    assert [404, 404, 200] == [get(attic, path).status for path in ("/linked", "/up/secret", "/inside")]


@pytest.mark.parametrize(
    "path", ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/library/..%5c..%5csecret", "/./library/sections", "/%00"]
)
def test_no_path_leads_out(attic: str, path: str, tmp_path: Path) -> None:
    """In any spelling it is 404 or 400, never a file outside the folder."""
    (tmp_path / "secret.json").write_bytes(b'{"secret":true}')
    found = get(attic, path)
    assert found.status in {400, 404}
    assert b"secret&quot;:true" not in found.body
    assert b'"secret"' not in found.body


def test_letters_count_as_they_are(attic: str) -> None:
    """Case matters, whatever the file system does."""
    assert 404 == get(attic, "/Library/Sections").status


def test_a_file_that_is_too_long_is_said_to_be(attic: str, folder: Path) -> None:
    """A file longer than 16 MiB is not served."""
    with (folder / "long.bin").open("wb") as long:
        long.truncate(MAX_BODY_BYTES + 1)
    found = get(attic, "/long")
    assert 404 == found.status
    assert b"longer than 16777216 bytes" in found.body


METHODS = st.text(f"{ascii_uppercase}-", max_size=16)  # the server's parser lets no other pass


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3), METHODS)
def test_no_name_leads_out_of_the_folder(path: str, query: dict[str, str], method: str) -> None:
    """Whatever the request, its file name has only harmless segments and stays below the folder."""
    name = build_reply_name(f"/{path}", query, method)
    pieces = name.split("/")
    assert all(pieces), name
    assert set() == {".", ".."} & set(pieces)
    assert all(not piece.startswith(".") and len(piece) <= 250 for piece in pieces)
    assert name.isascii()
    assert set() == set(name) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-%/@=&~")
    assert Path("/folder", name + ".json").resolve().is_relative_to("/folder")


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_two_paths_have_two_names(one: str, other: str) -> None:
    """No two path segments share a file name."""
    one, other = one.replace("/", ""), other.replace("/", "")
    assert (one == other) == (build_reply_name(f"/x{one}", {}) == build_reply_name(f"/x{other}", {}))


def test_names_are_the_documented_ones() -> None:
    """Examples from the documentation."""
    assert "library/sections/1/all@sort=titleSort%3Adesc&type=1" == build_reply_name(
        "/library/sections/1/all", {"type": "1", "sort": "titleSort:desc"}
    )
    assert "%3A/timeline~PUT" == build_reply_name("/:/timeline/", {}, "PUT")
    assert "%2E%2E/a%40b" == build_reply_name("/../a@b", {})
    assert "caf%C3%A9" == build_reply_name("/café", {})
    assert quote("é") in build_reply_name("/café", {})
    assert "a@sha256-" == build_reply_name("/a", {"q": "x" * 200})[:9]


def test_a_world_says_where_the_folder_is(tmp_path: Path) -> None:
    """A relative folder is next to the world file; a missing one is an error."""
    (tmp_path / "replies").mkdir()
    text = '[[media_server]]\nname = "Attic"\nclaimed = false\nreplies = "replies"\n'
    (tmp_path / "world.toml").write_text(text)
    assert str(tmp_path / "replies") == World.load(tmp_path / "world.toml").media_servers[0].replies
    (tmp_path / "world.toml").write_text(text.replace('"replies"', '"elsewhere"'))
    with pytest.raises(WorldError, match=r"media_server\[0\]\.replies: there is no folder"):
        World.load(tmp_path / "world.toml")


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"replies": "a", "upstream": "http://127.0.0.1:1"}, "upstream: conflicts with replies"),
        ({"upstream_token": "abc"}, "upstream_token: requires upstream"),
        ({"upstream": "ftp://host"}, "upstream: must be http"),
        ({"upstream": "http://host/web"}, "upstream: must be a URL without a path"),
        ({"upstream": "http://host", "upstream_token": "a\nb"}, "upstream_token: must be one line"),
    ],
)
def test_what_does_not_go_together_is_a_fault(keys: dict[str, object], fault: str) -> None:
    """Each faulty key is named, and no value is repeated in the message."""
    with pytest.raises(WorldError) as raised:
        World.from_dict({"media_server": [{"name": "Attic", "claimed": False, **keys}]})
    assert fault in str(raised.value)
