"""python-plexapi 4.18.3 through `ticketstub run`, with its whole account: unmodified, no session of anybody's making.

What it signs in with, `resource.connect()` by https and by http, Home users, invitations, claims. At the end, what is
not answered, and how it is told.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.strangers.conftest import set_up
from tests.strangers.running import Unpointed
from tests.strangers.test_plexapi import MIRA, TOM_ON_ATTIC
from tests.strangers.test_plexapi_signing_in import ATTIC
from tests.strangers.unanswered import UNANSWERED

pytestmark = [pytest.mark.strangers, pytest.mark.skipif(sys.platform == "win32", reason="the programs are POSIX's")]

FOLDER = "plexapi_4_18_3"
PASSWORD = "paper boats sail on"
NORA = "Nf4-uY2_wD8sKe6HqZ1b"
NO_LIBRARY = {"history"}
SHARING = {"invite_friend", "update_friend", "remove_friend", "create_home_user", "create_existing_user"}
PROVIDERS = {"video_on_demand", "tidal", "watchlist", "search_discover"}
SETTINGS = sorted(UNANSWERED[FOLDER].keys() - NO_LIBRARY - SHARING - PROVIDERS)


@pytest.fixture(scope="module")
def plexapi(tmp_path_factory: pytest.TempPathFactory, require, tell) -> Iterator[Unpointed]:
    stranger = Unpointed(FOLDER, set_up(FOLDER, require, tell), tmp_path_factory.mktemp(FOLDER))
    yield stranger
    assert stranger.end() in {0, 143}


def test_signs_in(plexapi: Unpointed) -> None:
    """`MyPlexAccount(user, password)`."""
    signed_in = plexapi.result("sign_in", login="pip", password=PASSWORD)
    assert "pip" == signed_in["username"]
    assert "Unauthorized" == plexapi.ask("sign_in", login="pip", password="not this one")["raised"]


def test_signs_in_with_a_code(plexapi: Unpointed) -> None:
    """Without the code of a two-factor account it raises its TwoFactorRequired, with `code=` it signs in."""
    account = {"login": "mira_quill", "password": "attic stairs creak twice"}
    assert "TwoFactorRequired" == plexapi.ask("sign_in", **account)["raised"]
    code = plexapi.by_hand("codes", account="mira_quill")["code"]
    assert plexapi.result("sign_in", **account, verification_code=code)["two_factor"]


def test_signs_in_with_a_pin(plexapi: Unpointed) -> None:
    """`MyPlexPinLogin`: the code is approved at the local Plex, and the poll brings a token."""
    begun = plexapi.result("pin_begin", name="pin", oauth=True, client="unpointed-pin")
    assert "app.plex.tv" == urlsplit(begun["url"]).hostname
    assert not plexapi.result("pin_check", name="pin")["done"]
    plexapi.approve(begun["code"])
    found = plexapi.result("pin_check", name="pin")
    assert "mira_quill" == plexapi.result("token_details", token=found["token"])["username"]


def test_waits_for_a_pin(plexapi: Unpointed) -> None:
    """`run()` and `waitForLogin()` with a link code, which the account itself approves: `account.link()`."""
    begun = plexapi.result("pin_begin", name="thread", oauth=False, client="unpointed-thread")
    plexapi.result("pin_run", name="thread")
    plexapi.result("link", token=MIRA, code=begun["code"])
    assert plexapi.result("pin_wait", name="thread")["done"]


def test_signs_in_with_a_device_key(plexapi: Unpointed) -> None:
    """`MyPlexJWTLogin` asks clients.plex.tv, and what it gets verifies."""
    begun = plexapi.result("jwt_begin", name="jwt", key="key", oauth=True, client="unpointed-jwt")
    plexapi.approve(begun["code"])
    token = plexapi.result("pin_wait", name="jwt")["token"]
    assert plexapi.result("jwt_refresh", key="key", client="unpointed-jwt", token=token)["before"]


def test_registers_a_device_key(plexapi: Unpointed) -> None:
    """`registerDevice()` with a token, then `refreshJWT()` and `verifyJWT()`."""
    begun = plexapi.result("pin_begin", name="before", oauth=False, client="unpointed-key")
    plexapi.approve(begun["code"])
    token = plexapi.result("pin_check", name="before")["token"]
    assert plexapi.result("jwt_register", key="registered", client="unpointed-key", token=token)["verified"]


def test_account(plexapi: Unpointed) -> None:
    """`reload()`, `ping()`, `publicIP()` and `sonos_speakers()` of an account without such a feature."""
    account = plexapi.result("reload", token=MIRA)
    assert ("mira_quill", "Mira", True, True) == tuple(
        account[name] for name in ("username", "title", "home", "home_admin")
    )
    assert plexapi.result("ping", token=MIRA)["pong"]
    assert "127.0.0.1" == plexapi.result("public_address", token=MIRA)["address"]
    assert 0 == plexapi.result("sonos_speakers", token=MIRA)["speakers"]


def test_sign_out(plexapi: Unpointed) -> None:
    """`signout()` ends the token that a password gave."""
    token = plexapi.result("sign_in", login="pip", password=PASSWORD)["token"]
    plexapi.result("sign_out", token=token)
    assert "Unauthorized" == plexapi.ask("reload", token=token)["raised"]


def test_resources(plexapi: Unpointed) -> None:
    """`resources()` and `resource(name)`, whatever its case, with an https address for each server."""
    assert {"Attic", "Cellar"} == plexapi.result("resources", token=MIRA)["servers"].keys()
    found = plexapi.result("resource", token=MIRA, name="attic")
    assert "Attic" == found["name"]
    assert re.fullmatch(r"https://127-0-0-1\.[0-9a-f]{32}\.plex\.direct:\d+", found["connections"][0])


@pytest.mark.parametrize("ssl", [None, True, False], ids=["default", "https", "http"])
@pytest.mark.parametrize("name", ["Attic", "Cellar"])
def test_connects(plexapi: Unpointed, name: str, ssl: bool | None) -> None:
    """`resource.connect()` as its users call it: by https and a name below plex.direct, and by http where asked."""
    found = plexapi.result("connect", token=MIRA, name=name, ssl=ssl)
    assert name == found["name"]
    https = r"https://127-0-0-1\.[0-9a-f]{32}\.plex\.direct:\d+"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+" if ssl is False else https, found["url"])


def test_a_friend_connects(plexapi: Unpointed) -> None:
    """A friend's `resource.connect()` reaches a shared server by https, though it skips local addresses."""
    tom = plexapi.result("sign_in", login="tom", password="lighthouse in fog")["token"]  # invented
    found = plexapi.result("connect", token=tom, name="Attic", ssl=None)
    assert re.fullmatch(r"https://127-0-0-1\.[0-9a-f]{32}\.plex\.direct:\d+", found["url"])


def test_names_below_plex_direct(plexapi: Unpointed) -> None:
    """Each server has digits of its own, which stay the same and are not its identifier."""
    found = [plexapi.result("connect", token=MIRA, name=name, ssl=True) for name in ("Attic", "Cellar", "Attic")]
    attic, cellar, again = (str(urlsplit(one["url"]).hostname).split(".")[1] for one in found)
    assert attic == again != cellar
    assert attic not in found[0]["identifier"]


def test_devices(plexapi: Unpointed) -> None:
    """`devices()`, `device(name)`, its `connect()`, and `delete()`, which ends its token."""
    begun = plexapi.result("pin_begin", name="device", oauth=False, client="unpointed-removed")
    plexapi.approve(begun["code"])
    token = plexapi.result("pin_check", name="device")["token"]
    assert {ATTIC, "unpointed-removed"} <= plexapi.result("devices", token=MIRA).keys()
    assert {"identifier": ATTIC, "provides": "server"} == plexapi.result("device", token=MIRA, name="Attic")
    assert {"name": "Attic"} == plexapi.result("device_connect", token=MIRA, name="Attic")
    plexapi.result("remove_device", token=MIRA, identifier="unpointed-removed")
    assert "Unauthorized" == plexapi.ask("reload", token=token)["raised"]


def test_users(plexapi: Unpointed) -> None:
    """`users()`, `user(name)` with what is shared, `get_token()`, and the Home's own list."""
    assert {"tom", "Wren"} <= plexapi.result("users", token=MIRA).keys()
    found = plexapi.result("user", token=MIRA, user="tom@example.test", server="attic")
    assert ("tom", "Attic") == (found["title"], found["server"])
    assert {"token": TOM_ON_ATTIC} == plexapi.result("user_token", token=MIRA, user="tom", identifier=ATTIC)
    listed = plexapi.result("home_users", token=MIRA)
    assert ("0", "1") == (listed["Wren"], listed["tom"])


def test_switching_home_users(plexapi: Unpointed) -> None:
    """`switchHomeUser()` to a managed user, and to a protected one with the passcode."""
    wren = plexapi.result("switch", token=MIRA, user="Wren")
    assert wren["id"] == plexapi.result("users", token=MIRA)["Wren"]["id"]
    assert "tom" == plexapi.result("switch", token=MIRA, user="tom", passcode="4711")["username"]
    assert "raised" in plexapi.ask("switch", token=MIRA, user="tom", passcode="0000")


def test_passcodes(plexapi: Unpointed) -> None:
    """`setPin()`, `removePin()`, and the same for a managed user."""
    plexapi.result("set_passcode", token=NORA, passcode="2468")
    assert "Unauthorized" == plexapi.ask("remove_passcode", token=NORA, current="0000")["raised"]
    plexapi.result("remove_passcode", token=NORA, current="2468")
    plexapi.result("set_managed_passcode", token=MIRA, user="Wren", passcode="1234")
    assert "raised" in plexapi.ask("switch", token=MIRA, user="Wren")
    plexapi.result("remove_managed_passcode", token=MIRA, user="Wren")
    assert "result" in plexapi.ask("switch", token=MIRA, user="Wren")


def test_invitations(plexapi: Unpointed) -> None:
    """`pendingInvites()` on both sides, `cancelInvite()`, `acceptInvite()`, and `removeHomeUser()` afterwards."""
    invited = {"token": MIRA, "user": "nora_field", "identifier": ATTIC}
    plexapi.ask("create_existing_user", **invited)
    sent = [{"from": "nora_field", "home": True, "friend": False}]
    assert {"invites": sent} == plexapi.result("pending_invites", token=MIRA, sent=True)
    plexapi.result("cancel_invite", token=MIRA, user="nora_field")
    assert {"invites": []} == plexapi.result("pending_invites", token=NORA, sent=False)
    plexapi.ask("create_existing_user", **invited)
    plexapi.result("accept_invite", token=NORA, user="mira_quill")
    assert "nora_field" in plexapi.result("home_users", token=MIRA)
    plexapi.result("remove_home_user", token=MIRA, user="nora_field")
    assert "nora_field" not in plexapi.result("home_users", token=MIRA)


def test_server(plexapi: Unpointed) -> None:
    """`PlexServer`: who it is, whose accounts and devices it knows, its owner, and a token of its own."""
    attic = {"server": plexapi.address("Attic", MIRA, https=True), "token": MIRA}
    assert "Attic" == plexapi.result("server", **attic)["name"]
    assert {"claimed": True, "identifier": ATTIC} == plexapi.result("server_identity", **attic)
    assert [1, "mira_quill"] in plexapi.result("server_accounts", **attic)["accounts"]
    assert {"name": "mira_quill"} == plexapi.result("server_system_account", id=1, **attic)
    assert {"username": "mira_quill"} == plexapi.result("server_plex_account", **attic)
    assert "mira@example.test" == plexapi.result("server_account", **attic)["username"]
    assert plexapi.result("transient_token", **attic)["token"].startswith("transient-")
    for call in ("server_devices", "server_clients", "server_statistics"):
        assert "result" in plexapi.ask(call, **attic), call


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_what_programs_ask_first(plexapi: Unpointed, https: bool) -> None:
    """`library.sections()`, `sessions()`, `playlists()`, `search()` and more of an empty server, by http and https."""
    attic = {"server": plexapi.address("Attic", MIRA, https=https), "token": MIRA}
    assert {"title": "Plex Library", "sections": []} == plexapi.result("server_library", **attic)
    assert {"sessions": 0} == plexapi.result("server_sessions", **attic)
    assert {"playlists": 0} == plexapi.result("server_playlists", **attic)
    assert {"items": 0} == plexapi.result("server_search", text="dune", **attic)
    assert {"activities": 0} == plexapi.result("server_activities", **attic)
    assert "BackupDatabase" in plexapi.result("server_butler", **attic)["tasks"]
    assert {"name": "Attic"} == plexapi.result("server_settings", **attic)


def test_a_friend_asks_for_the_library_only(plexapi: Unpointed) -> None:
    """A friend's `library.sections()` works; `sessions()` is for the owner."""
    attic = {"server": plexapi.address("Attic", MIRA, https=False), "token": TOM_ON_ATTIC}
    assert [] == plexapi.result("server_library", **attic)["sections"]
    assert "(403)" in plexapi.ask("server_sessions", **attic)["message"]


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_listens(plexapi: Unpointed, https: bool) -> None:
    """`startAlertListener()`: what the tester sends reaches the callback; a revoked token ends its WebSocket."""
    given = plexapi.by_hand("tokens", account="mira_quill")["token"]
    attic = {"server": plexapi.address("Attic", MIRA, https=https), "token": given}
    assert plexapi.result("server_listen", **attic)["open"]
    items = [{"sessionKey": "29", "ratingKey": "144504", "viewOffset": 154000, "state": "playing"}]
    sent = plexapi.by_hand("notifications", media_server="Attic", kind="playing", items=items)
    assert {"sockets": 1} == sent
    heard = plexapi.result("server_heard", **attic)["heard"]
    assert {"type": "playing", "size": 1, "PlaySessionStateNotification": items} == heard
    plexapi.by_hand("tokens/revoke", token=given)
    told = plexapi.result("server_heard", server=attic["server"], token=MIRA)["heard"]
    assert "the token is no longer valid" in told


def test_server_as_another_user(plexapi: Unpointed) -> None:
    """`switchUser()` opens a server with the token that its owner shares with a user."""
    attic = plexapi.address("Attic", MIRA, https=False)
    found = plexapi.result("server_switch_user", server=attic, token=MIRA, user="tom")
    assert {"name": "Attic", "token": TOM_ON_ATTIC} == found


def test_claiming_a_server(plexapi: Unpointed) -> None:
    """`unclaim()` leaves a server without an owner, `claimToken()` and `claim()` give it one again."""
    cellar = plexapi.address("Cellar", MIRA, https=False)
    assert plexapi.result("claim_token", token=MIRA)["token"].startswith("claim-")
    left = plexapi.result("server_unclaim", server=cellar, token=MIRA)
    assert {"username": None, "state": "none", "claimed": False} == left
    taken = plexapi.result("server_claim", server=cellar, token=None, owner=MIRA)
    assert {"username": "mira@example.test", "state": "ok", "claimed": True} == taken


@pytest.mark.parametrize("call", SETTINGS)
def test_what_is_not_answered(plexapi: Unpointed, call: str) -> None:
    """Settings that have nothing to do with who somebody is are 404, code 1002: it raises its NotFound."""
    outcome = plexapi.ask(call, token=MIRA)
    assert "NotFound" == outcome["raised"]
    assert re.search(r'code="1002"|"code":1002', outcome["message"])


@pytest.mark.parametrize("call", sorted(SHARING))
def test_sharing_is_not_answered(plexapi: Unpointed, call: str) -> None:
    """Sharing libraries is refused; what else such a call does was done before."""
    user = {"create_home_user": "Robin", "create_existing_user": "pip"}.get(call, "tom")
    outcome = plexapi.ask(call, token=MIRA, user=user, identifier=ATTIC)
    assert outcome["raised"] in {"BadRequest", "NotFound"}
    assert re.search('code="(1002|1005)"', outcome["message"])


def test_libraries_are_not_answered(plexapi: Unpointed) -> None:
    """A media server without `replies` has no history of what was watched: 404."""
    assert "NotFound" == plexapi.ask("history", token=MIRA)["raised"]


@pytest.mark.parametrize("call", sorted(PROVIDERS))
def test_providers_are_not_answered(plexapi: Unpointed, call: str) -> None:
    """What is below provider.plex.tv is refused by the run's proxy, which names it."""
    outcome = plexapi.ask(call, token=MIRA)
    assert "ProxyError" == outcome["raised"]
    assert re.search(
        r"\w+\.provider\.plex\.tv:443 is one of Plex's hosts that a local Plex does not", outcome["message"]
    )
