"""S15: every route with every kind of token: who is let in, who is refused and how, and that a refusal changes nothing.

Rule: the routes are those of the code's own tables, so a new one that is not in the tables below fails; what is
expected is written down here, never computed. What a route refuses may be counted against guessing, and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pytest

from tests.local_plex.asking import ATTIC, Answered
from tests.local_plex.family import UUIDS
from tests.local_plex.test_auth_keys import Key
from tests.local_plex.whole import CLIENT, FORM, PASSWORD, PLEX_TV
from tests.security.stage import PHONE, TABLET, Stage, device_jwt
from ticketstub.local_plex.api.media_server import ROUTES as MEDIA_SERVER_ROUTES
from ticketstub.local_plex.api.plex_tv import ROUTES as PLEX_TV_ROUTES

# Which column of the tables each kind of token is in.
ON_PLEX_TV = {
    "none": ("none",),
    "dead": (
        *("garbage", "looks like one", "dead", "switched off", "claim", "device jwt", "cookie"),
        *("share", "share elsewhere", "transient", "transient of a share", "transient elsewhere"),
    ),
    "account": ("account",),
    "managed": ("managed",),
    "jwt": ("jwt",),
    "expired": ("expired jwt",),
    "server": ("server",),
}
ON_A_SERVER = {
    "none": ("none",),
    "dead": (
        *("garbage", "looks like one", "dead", "switched off", "claim", "device jwt", "cookie", "jwt", "expired jwt"),
        *("other account", "managed", "other server", "share elsewhere", "transient elsewhere"),
    ),
    "owner": ("account",),
    "by owner": ("transient",),
    "share": ("share",),
    "by share": ("transient of a share",),
    "server": ("server",),
}

PLEX_TV_TABLE = """
                                                             none  dead  account  managed  jwt  expired  server
GET    /api/v2/user                                           401   401      200      200  200      498     200
GET    /api/v2/ping                                           401   401      200      200  200      498     200
GET    /users/account                                         422   422      200      200  200      498     200
GET    /api/v2/resources                                      401   401      200      200  200      498     200
GET    /api/resources                                         422   422      200      200  200      498     200
GET    /pms/resources                                         422   422      200      200  200      498     200
GET    /pms/servers                                           422   422      200      200  200      498     200
GET    /api/servers                                           422   422      200      200  200      498     200
GET    /api/v2/servers/{machineIdentifier}                    401   401      200      404  200      498     200
GET    /devices                                               422   422      200      200  200      498     200
GET    /api/v2/home                                           401   401      200      200  200      498     200
GET    /api/v2/home/users                                     401   401      200      200  200      498     200
GET    /api/home/users                                        422   422      200      200  200      498     200
GET    /api/users                                             401   401      200      200  200      498     200
GET    /api/v2/friends                                        401   401      200      200  200      498     200
GET    /api/v2/shared_servers/owned/accepted                  401   401      200      200  200      498     200
GET    /api/v2/shared_servers/invites/received/pending        401   401      200      200  200      498     200
GET    /api/v2/shared_servers/invites/owned/pending           401   401      200      200  200      498     200
GET    /api/v2/shared_servers/invites/owned/accepted          401   401      200      200  200      498     200
GET    /api/invites/requests                                  422   422      200      200  200      498     200
GET    /api/invites/requested                                 422   422      200      200  200      498     200

GET    /api/servers/{machineIdentifier}/shared_servers        422   422      200      404  200      498     422
DELETE /devices/{id}                                          422   422      204      404  204      498     422
DELETE /api/v2/users/signout                                  401   401      204      204  204      498     204
POST   /api/v2/users/password                                 401   401      200      403  200      498     401
PUT    /api/v2/pins/link                                      401   401      204      204  204      498     401
POST   /api/v2/auth/jwk                                       401   401      201      201  201      498     401
GET    /api/claim/token                                       422   422      200      403  200      498     422
POST   /api/v2/home/users/{uuid}/switch                       401   401      201      201  201      498     401
POST   /api/home/users/{id}/switch                            422   422      201      201  201      498     422
POST   /api/v2/home/users/restricted/{id}                     401   401      200      403  200      498     401
POST   /api/home/users                                        401   401      200      403  200      498     401
PUT    /api/home/users/{id}                                   401   401      200      403  200      498     401
DELETE /api/home/users/{id}                                   401   401      200      403  200      498     401
POST   /api/v2/shared_servers                                 401   401      201      404  201      498     401
DELETE /api/friends/{id}                                      401   401      410      410  410      498     401
PUT    /api/invites/requests/{id}                             401   401      404      404  404      498     401
DELETE /api/invites/requests/{id}                             401   401      404      404  404      498     401
DELETE /api/invites/requested/{id}                            401   401      200      404  200      498     401

POST   /api/v2/users/signin                                   201   201      201      201  201      201     201
POST   /users/sign_in                                         201   201      201      201  201      201     201
POST   /api/v2/users                                          201   201      201      201  201      201     201
POST   /api/v2/pins                                           201   201      201      201  201      201     201
GET    /api/v2/pins/{id}                                      200   200      200      200  200      200     200
GET    /api/v2/pins/qr/{code}                                 200   200      200      200  200      200     200
POST   /pins                                                  201   201      201      201  201      201     201
GET    /pins/{id}                                             200   200      200      200  200      200     200
GET    /api/v2/auth/nonce                                     200   200      200      200  200      200     200
POST   /api/v2/auth/token                                     200   200      200      200  200      200     200
GET    /api/v2/auth/keys                                      200   200      200      200  200      200     200
POST   /api/claim/exchange                                    200   200      200      200  200      200     200
GET    /users/{uuid}/avatar                                   200   200      200      200  200      200     200
GET    /:/ip                                                  200   200      200      200  200      200     200
"""
"""On plex.tv. The first group tells, the second changes, the third asks for no token: what is sent is not looked at."""

SERVER_TABLE = """
                               none  dead  owner  by owner  share  by share  server
GET    /identity                200   200    200       200    200       200     200
GET    /                        401   401    200       200    200       200     200
GET    /library                 401   401    200       200    200       200     200
GET    /library/sections        401   401    200       200    200       200     200
GET    /media/providers         401   401    200       200    200       200     200
GET    /playlists               401   401    200       200    200       200     200
GET    /hubs/search             401   401    200       200    200       200     200
GET    /search                  401   401    200       200    200       200     200
GET    /clients                 401   401    200       200    200       200     200
GET    /:/websockets/notifications 401 401 400      400    400       400     400
POST   /security/token          401   401    200       200    200       200     200
GET    /security/resources      401   401    200       200    403       403     200
GET    /accounts                401   401    200       200    403       403     200
GET    /devices                 401   401    200       200    403       403     200
GET    /statistics/resources    401   401    200       200    403       403     200
GET    /status/sessions         401   401    200       200    403       403     200
GET    /activities              401   401    200       200    403       403     200
GET    /butler                  401   401    200       200    403       403     200
GET    /updater/status          401   401    200       200    403       403     200
GET    /:/prefs                 401   401    200       200    403       403     200
GET    /myplex/account          401   401    200       200    403       403     200
DELETE /myplex/account          401   401    200       200    403       403     200
POST   /myplex/claim            401   401    401       401    401       401     401
"""
"""On Attic, which is mira's. A transient token has its origin's access; the server's own token is told to nobody."""


class Asking(NamedTuple):
    """How a route is asked by somebody who may: the target, and what goes with it. Names in braces are the stage's."""

    target: str
    body: object = ""
    headers: dict[str, str] | None = None
    client: str = CLIENT


NEW = "username=nia&email=nia@example.test&password=quiet-otter-31"
CHANGE = f"currentPassword={PASSWORD}&password=quiet-otter-31"
REQUESTS = {
    "POST /api/v2/users/signin": Asking("/api/v2/users/signin", f"login=tom&password={PASSWORD}", FORM),
    "POST /users/sign_in": Asking("/users/sign_in", f"user[login]=tom&user[password]={PASSWORD}", FORM),
    "POST /api/v2/users": Asking("/api/v2/users", NEW, FORM),
    "POST /api/v2/users/password": Asking("/api/v2/users/password", CHANGE, FORM),
    "POST /api/v2/pins": Asking("/api/v2/pins?strong=true"),
    "PUT /api/v2/pins/link": Asking("/api/v2/pins/link?code={code}"),
    "GET /api/v2/pins/{id}": Asking("/api/v2/pins/{pin}"),
    "GET /pins/{id}": Asking("/pins/{legacy_pin}"),
    "POST /api/v2/auth/jwk": Asking("/api/v2/auth/jwk", {"jwk": Key("new-key").jwk}, client=TABLET),
    "POST /api/v2/auth/token": Asking("/api/v2/auth/token", client=PHONE),
    "POST /api/claim/exchange": Asking("/api/claim/exchange?token={claim}", client="new-server-9"),
    "DELETE /devices/{id}": Asking("/devices/{device}"),
    "GET /api/v2/servers/{machineIdentifier}": Asking("/api/v2/servers/{attic}"),
    "GET /api/servers/{machineIdentifier}/shared_servers": Asking("/api/servers/{attic}/shared_servers"),
    "POST /api/v2/home/users/{uuid}/switch": Asking("/api/v2/home/users/{pip}/switch"),
    "POST /api/home/users/{id}/switch": Asking("/api/home/users/{pip}/switch"),
    "POST /api/v2/home/users/restricted/{id}": Asking("/api/v2/home/users/restricted/{bo}?pin=1234"),
    "POST /api/home/users": Asking("/api/home/users?title=Nia"),
    "PUT /api/home/users/{id}": Asking("/api/home/users/{mira}?pin=1234"),
    "DELETE /api/home/users/{id}": Asking("/api/home/users/{elsa}"),
    "POST /api/v2/shared_servers": Asking("/api/v2/shared_servers?machineIdentifier={attic}&invitedId={nils}"),
    "DELETE /api/friends/{id}": Asking("/api/friends/{tom}"),
    "PUT /api/invites/requests/{id}": Asking("/api/invites/requests/{invitation}"),
    "DELETE /api/invites/requests/{id}": Asking("/api/invites/requests/{invitation}"),
    "DELETE /api/invites/requested/{id}": Asking("/api/invites/requested/{invitation}"),
    "GET /users/{uuid}/avatar": Asking(f"/users/{UUIDS['mira']}/avatar?c=1"),
    "POST /security/token": Asking("/security/token?type=delegation&scope=all"),
    "GET /security/resources": Asking(f"/security/resources?source=server://{ATTIC}"),
    "POST /myplex/claim": Asking("/myplex/claim?token={claim}"),
}


def table(text: str, columns: Iterable[str]) -> dict[str, dict[str, int]]:
    """Read a table: what each column of each route is answered with."""
    _, *lines = filter(str.strip, text.splitlines())
    cells = [line.split() for line in lines]
    return {
        f"{method} {path}": dict(zip(columns, map(int, statuses), strict=True)) for method, path, *statuses in cells
    }


EXPECTED = {PLEX_TV: table(PLEX_TV_TABLE, ON_PLEX_TV), "Attic": table(SERVER_TABLE, ON_A_SERVER)}
COLUMNS = {PLEX_TV: ON_PLEX_TV, "Attic": ON_A_SERVER}
ROWS = [(at, route) for at, found in EXPECTED.items() for route in found]


@pytest.fixture(name="stage", scope="module")
def _stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def ask(stage: Stage, at: str, route: str, token: str | None) -> Answered:
    """Ask a route as somebody would who may, but for the token."""
    method, path = route.split()
    asking = REQUESTS.get(route) or Asking(path.replace("{code}", "{{code}}").format_map(stage.names))
    body = {"jwt": device_jwt(stage.plex, stage.key, PHONE)} if path == "/api/v2/auth/token" else asking.body
    target = asking.target.format_map(stage.names)
    return stage.plex.ask(method, target, token, at=at, client=asking.client, body=body, headers=asking.headers)


def test_every_route_is_in_the_tables() -> None:
    """A route that is not in the tables fails here, and so does a row without a route."""
    on_plex_tv = {f"{route.method} {route.path_template}" for route in PLEX_TV_ROUTES.list_routes()}
    on_a_server = {
        f"{route.method.replace('*', 'POST')} {route.path_template}" for route in MEDIA_SERVER_ROUTES.list_routes()
    }
    assert EXPECTED[PLEX_TV].keys() == on_plex_tv
    assert EXPECTED["Attic"].keys() == on_a_server


def test_every_kind_is_in_a_column(stage: Stage) -> None:
    """Each kind of token is asked with on each route; another account's is on plex.tv what the first one's is."""
    for columns in COLUMNS.values():
        kinds = {kind for column in columns.values() for kind in column}
        assert kinds | {"other account", "other server"} == set(stage.tokens)


@pytest.mark.parametrize(("at", "route"), ROWS, ids=lambda text: text)
def test_each_kind_of_token(stage: Stage, at: str, route: str) -> None:
    """A token is accepted where its kind belongs, and nowhere else; a refused caller changes nothing."""
    wrong = {}
    for column, kinds in COLUMNS[at].items():
        for kind in kinds:
            stage.again()
            before = stage.plex.rows("attempt", "nonce")
            answer = ask(stage, at, route, stage.tokens[kind])
            expected = EXPECTED[at][route][column]
            if expected != answer.status:
                wrong[kind] = (expected, answer.status)
            if answer.status >= 400 and before != stage.plex.rows("attempt", "nonce"):
                wrong[f"{kind} changed something"] = (expected, answer.status)
    assert {} == wrong


def test_the_check_for_changes_can_fail(stage: Stage) -> None:
    """What an allowed caller changes is visible in the rows that a refusal must not change."""
    silent = {"POST /users/sign_in"}
    for route, expected in EXPECTED[PLEX_TV].items():
        if route.startswith("GET ") or expected["account"] >= 400 or route in silent:
            continue
        stage.again()
        before = stage.plex.rows("attempt", "nonce")
        ask(stage, PLEX_TV, route, stage.tokens["account"])
        assert before != stage.plex.rows("attempt", "nonce"), route


def test_other_methods(stage: Stage) -> None:
    """A method that a path does not have is 405 on plex.tv with no token looked at, and 404 on a media server."""
    assert 405 == stage.plex.ask("PATCH", "/api/v2/user", stage.tokens["account"]).status
    assert 405 == stage.plex.ask("PATCH", "/api/v2/user").status
    assert 404 == stage.plex.ask("PATCH", "/accounts", stage.tokens["account"], at="Attic").status
    assert 401 == stage.plex.ask("PATCH", "/accounts", at="Attic").status
