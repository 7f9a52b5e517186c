"""What programs ask of a media server that has no media: libraries, sessions, searches, settings, tasks and updates."""

from typing import Any

import pytest

from tests.local_plex.asking import ATTIC, MIRA, START, TOM_ON_ATTIC, ask, get

EMPTY = ("/status/sessions", "/playlists", "/playlists?playlistType=audio", "/hubs/search?query=dune", "/activities")
FOR_EVERYBODY = ("/library", "/library/sections", "/media/providers", "/playlists", "/hubs/search", "/search")
FOR_THE_OWNER = ("/status/sessions", "/activities", "/butler", "/updater/status", "/:/prefs")


def in_xml(url: str, path: str, token: str = MIRA) -> Any:
    """Ask as python-plexapi does: without `Accept`."""
    found = ask(url, "GET", path, {"X-Plex-Token": token})
    assert (200, "text/xml;charset=utf-8") == (found.status, found.headers["content-type"])
    return found.xml


def in_json(url: str, path: str) -> Any:
    return get(url, path, MIRA).json


@pytest.mark.parametrize("path", EMPTY)
def test_nothing_is_there(attic: str, path: str) -> None:
    """What a server without media has nothing of is a container of size 0, in either format."""
    assert {"MediaContainer": {"size": 0}} == in_json(attic, path)
    root = in_xml(attic, path)
    assert ("MediaContainer", {"size": "0"}, 0) == (root.tag, root.attrib, len(root))


def test_library(attic: str) -> None:
    """The root of the library lists its three directories, with the attributes that a real one has."""
    root = in_xml(attic, "/library")
    expected = {
        "size": "3",
        "allowSync": "0",
        "art": "/:/resources/library-art.png",
        "content": "",
        "identifier": "com.plexapp.plugins.library",
        "mediaTagPrefix": "/system/bundle/media/flags/",
        "mediaTagVersion": str(START),
        "title1": "Plex Library",
        "title2": "",
    }
    assert ("MediaContainer", expected) == (root.tag, root.attrib)
    listed = [("Directory", "sections"), ("Directory", "recentlyAdded"), ("Directory", "onDeck")]
    assert listed == [(each.tag, each.get("key")) for each in root]
    container = in_json(attic, "/library")["MediaContainer"]
    assert {"key": "sections", "title": "Library Sections"} == container["Directory"][0]
    assert (3, False, START) == (container["size"], container["allowSync"], container["mediaTagVersion"])


def test_library_sections(attic: str) -> None:
    """A media server without libraries lists none."""
    assert {"size": 0, "allowSync": False, "title1": "Plex Library"} == in_json(attic, "/library/sections")[
        "MediaContainer"
    ]
    root = in_xml(attic, "/library/sections")
    assert ("MediaContainer", "0", 0) == (root.tag, root.get("size"), len(root))


def test_providers(attic: str) -> None:
    """The library is the one provider; the container has what `/` says, and every feature's path is answered."""
    container = in_json(attic, "/media/providers")["MediaContainer"]
    assert (1, ATTIC, "Attic") == tuple(container[name] for name in ("size", "machineIdentifier", "friendlyName"))
    (provider,) = container["MediaProvider"]
    assert ("com.plexapp.plugins.library", "Library") == (provider["identifier"], provider["title"])
    for feature in provider["Feature"]:
        assert 200 == get(attic, feature["key"], MIRA).status
    root = in_xml(attic, "/media/providers?includeStorage=1")
    assert ["content", "search", "playlist"] == [each.get("type") for each in root.findall("./MediaProvider/Feature")]
    assert "/hubs" == root.find("./MediaProvider/Feature/Directory").get("hubKey")


def test_search(attic: str) -> None:
    """A search, the older way, finds nothing, whatever the text."""
    for path in ("/search?query=dune&limit=10", "/search?query=", "/search"):
        root = in_xml(attic, path)
        assert ("0", "com.plexapp.plugins.library", 0) == (root.get("size"), root.get("identifier"), len(root))
    assert {"MediaContainer": {"size": 0}} == in_json(attic, "/hubs/search?query=")


def test_butler(attic: str) -> None:
    """The tasks are in `ButlerTasks`, without a container, by their documented names; none is enabled."""
    tasks = in_json(attic, "/butler")["ButlerTasks"]["ButlerTask"]
    assert ("BackupDatabase", "Backup Database", False) == tuple(
        tasks[0][each] for each in ("name", "title", "enabled")
    )
    root = in_xml(attic, "/butler")
    assert ("ButlerTasks", [each["name"] for each in tasks]) == (root.tag, [each.get("name") for each in root])
    assert {"0"} == {each.get("enabled") for each in root} | {each.get("scheduleRandomized") for each in root}
    assert 14 == len({each["name"] for each in tasks})


def test_update_status(attic: str) -> None:
    """There is no update, and the server would not install one."""
    expected = {"size": 0, "canInstall": False, "checkedAt": START, "status": 0}
    assert expected == in_json(attic, "/updater/status")["MediaContainer"]
    assert {name: str(int(value)) for name, value in expected.items()} == in_xml(attic, "/updater/status").attrib


def test_preferences(attic: str) -> None:
    """The server's name is a setting."""
    (setting,) = in_json(attic, "/:/prefs")["MediaContainer"]["Setting"]
    assert ("FriendlyName", "text", "Attic", False) == tuple(
        setting[each] for each in ("id", "type", "value", "hidden")
    )
    (element,) = in_xml(attic, "/:/prefs")
    assert ("Setting", "Attic", "0") == (element.tag, element.get("value"), element.get("advanced"))


@pytest.mark.parametrize("path", [*FOR_EVERYBODY, *FOR_THE_OWNER])
def test_the_token_comes_first(attic: str, path: str) -> None:
    """Without a valid token each is 401; a guest gets what is for every user, and 403 for what is the owner's."""
    assert {401} == {get(attic, path, token).status for token in (None, "Dead_token_0123456789")}
    guest = get(attic, path, TOM_ON_ATTIC)
    assert (403 if path in FOR_THE_OWNER else 200) == guest.status
    assert 403 != guest.status or guest.headers["content-type"] == "text/html"
    assert 200 == get(attic, f"{path}/", MIRA).status
    assert 404 == ask(attic, "PUT", path, {"X-Plex-Token": MIRA}).status
