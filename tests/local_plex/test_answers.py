"""Each reply, compared with the real service's, in both formats; the expected members are written out here."""

import json
import re
from typing import Any

import pytest

from tests.local_plex.asking import ATTIC, MIRA, MIRA_ON_TOMS, TOM, TOM_ON_ATTIC, ask, get, sign_in
from tests.local_plex.conftest import Start
from tests.tables import every
from ticketstub.testing import LocalPlexController

TOKEN = {"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "demo-client-7c1f"}
JSON = {"Accept": "application/json"}

# protocol: GET /api/v2/user, a body of an account without subscription.
ACCOUNT: dict[str, Any] = {
    "id": 10500123,
    "uuid": "3f9c2b7a5d1e8f04",
    "username": "mira_quill",
    "title": "mira_quill",
    "email": "mira@example.test",
    "friendlyName": "",
    "locale": None,
    "confirmed": True,
    "joinedAt": 1552593531,
    "emailOnlyAuth": False,
    "hasPassword": True,
    "protected": False,
    "thumb": "https://plex.tv/users/3f9c2b7a5d1e8f04/avatar?c=1724402119",
    "authToken": MIRA,
    "mailingListStatus": "unsubscribed",
    "mailingListActive": False,
    "scrobbleTypes": "",
    "country": "NL",
    "subscription": {
        "active": False,
        "subscribedAt": None,
        "status": "Inactive",
        "paymentService": None,
        "plan": None,
        "features": ["home", "two-factor-authentication"],
    },
    "subscriptionDescription": None,
    "restricted": False,
    "anonymous": None,
    "home": False,
    "guest": False,
    "homeSize": 1,
    "homeAdmin": False,
    "maxHomeSize": 15,
    "rememberExpiresAt": 1552593531 + 14 * 86400,  # observed: always a number; ours: which one
    "entitlements": [],
    "subscriptions": [],
    "pastSubscriptions": [],
    "trials": [],
    "services": [],
    "adsConsent": None,
    "adsConsentSetAt": None,
    "adsConsentReminderAt": None,
    "experimentalFeatures": False,
    "twoFactorEnabled": False,
    "backupCodesCreated": False,
    "attributionPartner": None,
}
PROFILE = {
    "autoSelectAudio": True,
    "defaultAudioLanguage": None,
    "defaultSubtitleLanguage": None,
    "autoSelectSubtitle": 1,
    "defaultSubtitleAccessibility": 0,
    "defaultSubtitleForced": 0,
    "watchedIndicator": 1,
    "mediaReviewsVisibility": 0,
}


def in_xml(value: object) -> str:
    """Write a scalar as Plex's XML does: booleans 0 or 1, null empty."""
    return "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


def test_account_in_json(plex: LocalPlexController) -> None:
    """`GET /api/v2/user` has the members of the real body, with the caller's token and no other."""
    found = get(plex.url, "/api/v2/user", MIRA)
    assert (200, "application/json; charset=utf-8") == (found.status, found.headers["content-type"])
    assert PROFILE.items() <= found.json["profile"].items()
    assert ACCOUNT == {name: value for name, value in found.json.items() if name != "profile"}
    assert found.body.count(MIRA.encode()) == 1


def test_account_in_xml(plex: LocalPlexController) -> None:
    """The same account in XML: scalars are attributes, lists have wrappers, booleans are 0 or 1, null is empty."""
    found = ask(plex.url, "GET", "/api/v2/user", TOKEN)
    assert (200, "application/xml; charset=utf-8") == (found.status, found.headers["content-type"])
    assert found.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<user id="10500123" uuid=')
    user = found.xml
    expected = {name: in_xml(value) for name, value in ACCOUNT.items() if not isinstance(value, list | dict)}
    assert expected == dict(user.attrib)
    subscription = user.find("subscription")
    assert {"active": "0", "subscribedAt": "", "status": "Inactive", "paymentService": "", "plan": ""} == (
        subscription.attrib
    )
    assert ["home", "two-factor-authentication"] == [each.get("id") for each in subscription.iter("feature")]
    assert {name: in_xml(value) for name, value in PROFILE.items()}.items() <= user.find("profile").attrib.items()
    assert {"entitlements", "subscriptions", "services"} <= {child.tag for child in user}
    assert user.find("roles") is None  # observed: absent without any


def test_account_with_roles_and_odd_letters(plex: LocalPlexController) -> None:
    """Names are escaped in XML, and roles are listed if there are any."""
    user = ask(plex.url, "GET", "/api/v2/user", {"X-Plex-Token": TOM}).xml
    assert ("Tom & <Co>", "plexpass", "lifetime") == (
        user.get("friendlyName"),
        user.find("roles/role").get("id"),
        user.find("subscription").get("plan"),
    )


@pytest.mark.parametrize(("path", "format_"), [("/api/v2/ping", "xml"), ("/api/v2/ping.json", "json")])
def test_ping(plex: LocalPlexController, path: str, format_: str) -> None:
    """A ping returns a true `pong`, as the root's text in XML."""
    found = ask(plex.url, "GET", path, TOKEN)
    body = b'{"pong":true}' if format_ == "json" else b'<?xml version="1.0" encoding="UTF-8"?>\n<pong>true</pong>'
    assert (200, body) == (found.status, found.body)


def expected_resources(plex: LocalPlexController) -> dict[str, dict[str, Any]]:
    ports = {server.name: server.port for server in plex.media_servers}
    owned = {"owned": True, "ownerId": None, "sourceTitle": None, "accessToken": MIRA}
    shared = {"owned": False, "ownerId": 10500321, "sourceTitle": "tom", "accessToken": MIRA_ON_TOMS}
    return {
        name: {
            "name": name,
            "product": "Plex Media Server",
            "provides": "server",
            "publicAddress": "127.0.0.1",
            "home": False,
            "synced": False,
            "relay": False,
            "presence": True,
            "httpsRequired": False,
            "publicAddressMatches": True,
            "dnsRebindingProtection": False,
            "natLoopbackSupported": False,
            "connections": [
                {
                    "protocol": "http",
                    "address": "127.0.0.1",
                    "port": ports[name],
                    "uri": f"http://127.0.0.1:{ports[name]}",
                    "local": local,
                    "relay": False,
                    "IPv6": False,
                }
                for local in (True, False)
            ],
            **(shared if name == "Toms" else owned),
        }
        for name in ports
    }


@pytest.mark.parametrize("query", ["", "?includeHttps=1&includeRelay=1&includeIPv6=1", "?includeHttps=0&includeRelay="])
def test_resources_in_json(plex: LocalPlexController, query: str) -> None:
    """Resources are a bare list: own servers with the caller's token, shared ones with the share's; real addresses."""
    found = get(plex.url, f"/api/v2/resources{query}", MIRA)
    expected = expected_resources(plex)
    assert 200 == found.status
    assert list(expected) == [each["name"] for each in found.json]
    for each in found.json:
        assert expected[each["name"]].items() <= each.items()
    attic = found.json[0]
    assert (ATTIC, "1.43.4.10903-0a1b2c3d4", "Linux", "6.1.0") == (
        attic["clientIdentifier"],
        attic["productVersion"],
        attic["platform"],
        attic["platformVersion"],
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", attic["createdAt"])


def test_resources_in_xml(plex: LocalPlexController) -> None:
    """In XML they are `<resource>` with a `<connections>` wrapper, booleans 0 or 1."""
    root = ask(plex.url, "GET", "/api/v2/resources", TOKEN).xml
    expected = expected_resources(plex)
    assert ("resources", {"resource"}) == (root.tag, {child.tag for child in root})
    for resource in root:
        members = expected[resource.get("name")]
        scalars = {name: in_xml(value) for name, value in members.items() if name != "connections"}
        assert scalars.items() <= resource.attrib.items()
        connections = [each.attrib for each in resource.findall("connections/connection")]
        assert [{name: in_xml(value) for name, value in each.items()} for each in members["connections"]] == connections


def test_identity(plex: LocalPlexController, attic: str) -> None:
    """A media server returns its identity without a token, and with a dead one too."""
    expected = {"machineIdentifier": ATTIC, "version": "1.43.4.10903-0a1b2c3d4", "claimed": True}
    for token in (None, "Dead_token_0123456789"[:20], "claim-0123456789abcdefghij"):
        assert expected.items() <= get(attic, "/identity", token).json["MediaContainer"].items()
    root = ask(attic, "GET", "/identity").xml
    assert ("MediaContainer", "1", ATTIC) == (root.tag, root.get("claimed"), root.get("machineIdentifier"))


def test_server_information(attic: str) -> None:
    """A media server describes itself to a caller with a token, in either format."""
    expected = {
        "machineIdentifier": ATTIC,
        "friendlyName": "Attic",
        "version": "1.43.4.10903-0a1b2c3d4",
        "platform": "Linux",
        "myPlex": True,
        "multiuser": True,
        "myPlexUsername": "mira@example.test",
        "myPlexMappingState": "mapped",
        "myPlexSigninState": "ok",
        "myPlexSubscription": False,
        "ownerFeatures": "home,two-factor-authentication",
        "transcoderActiveVideoSessions": 0,
    }
    assert expected.items() <= get(attic, "/", MIRA).json["MediaContainer"].items()
    root = ask(attic, "GET", "/", {"X-Plex-Token": TOM_ON_ATTIC}).xml
    assert {name: in_xml(value) for name, value in expected.items()}.items() <= root.attrib.items()


TRANSIENT = r"transient-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_transient_token(attic: str, method: str) -> None:
    """`/security/token` issues a transient token for any method, in either format (documented)."""
    path = "/security/token?type=delegation&scope=all"
    found = ask(attic, method, path, {"X-Plex-Token": MIRA, **JSON})
    assert (200, "application/json") == (found.status, found.headers["content-type"])
    assert {"size", "token"} == found.json["MediaContainer"].keys()
    assert re.fullmatch(TRANSIENT, found.json["MediaContainer"]["token"])
    root = ask(attic, method, path, {"X-Plex-Token": MIRA}).xml
    assert re.fullmatch(TRANSIENT, root.get("token"))


def test_sources_in_xml(attic: str) -> None:
    """A source has its name, identifier, a transient token and its addresses; `relay` appears only if it is 1."""
    found = ask(attic, "GET", f"/security/resources?source=server://{ATTIC}", {"X-Plex-Token": MIRA})
    device: Any = found.xml[0]
    assert ("1", "Device", "Attic (mira_quill)", ATTIC) == (
        found.xml.get("size"),
        device.tag,
        device.get("name"),
        device.get("clientIdentifier"),
    )
    assert re.fullmatch(TRANSIENT, device.get("accessToken"))
    host = "5d0c.plex.direct"
    assert [
        {
            "protocol": "https",
            "address": f"192-168-1-50.{host}",
            "uri": f"https://192-168-1-50.{host}:32400",
            "port": "32400",
            "local": "1",
        },
        {
            "protocol": "https",
            "address": f"198-51-100-7.{host}",
            "uri": f"https://198-51-100-7.{host}:8443",
            "port": "8443",
            "local": "0",
            "relay": "1",
        },
    ] == [connection.attrib for connection in device]


@pytest.mark.parametrize("refresh", ["", "&refresh=0", "&refresh=1"])
def test_sources_in_json(attic: str, refresh: str) -> None:
    """In JSON `Device` is an object (documented); `refresh` changes nothing here."""
    path = f"/security/resources?source=provider%3A%2F%2Ftv.example.movies{refresh}"
    device = get(attic, path, MIRA).json["MediaContainer"]["Device"]
    assert ("Movies", "tv.example.movies", ["https://movies.example.test"]) == (
        device["name"],
        device["clientIdentifier"],
        [connection["uri"] for connection in device["Connection"]],
    )


def error(code: int, message: str, status: int) -> tuple[bytes, bytes]:
    """Write plex.tv's error in both formats (observed: members in this order)."""
    in_json = json.dumps({"errors": [{"code": code, "message": message, "status": status}]}, separators=(",", ":"))
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<errors><error code="{code}" message="{message}" status="{status}"/></errors>'
    )
    return in_json.encode(), xml.encode()


NO_IDENTIFIER = error(1000, "X-Plex-Client-Identifier is missing", 400)
DEAD = error(1001, "User could not be authenticated", 401)
UNKNOWN = error(1002, "The requested resource or endpoint could not be found", 404)
MALFORMED = error(
    1004, "The request was malformed, missed a required parameter or contained invalid values for them", 400
)
METHOD = error(1005, "The request method is not allowed for this endpoint", 405)

REFUSALS = [
    ("GET", "/api/v2/user", {}, 401, DEAD),
    ("GET", "/api/v2/user", {"X-Plex-Token": "Dead_token_012345678"}, 401, DEAD),
    ("GET", "/api/v2/ping", {}, 401, DEAD),
    ("GET", "/api/v2/resources", {"X-Plex-Token": MIRA}, 400, NO_IDENTIFIER),
    ("GET", "/api/v2/resources", {"X-Plex-Client-Identifier": "x"}, 401, DEAD),
    ("GET", "/api/v2/resources?includeHttps=banana", TOKEN, 400, MALFORMED),
    ("POST", "/api/v2/users/signin", {}, 400, NO_IDENTIFIER),
    ("POST", "/api/v2/users/signin", TOKEN, 400, MALFORMED),
    ("GET", "/api/v2/nothing", TOKEN, 404, UNKNOWN),
    ("GET", "/", {}, 404, UNKNOWN),
    ("DELETE", "/api/v2/user", TOKEN, 405, METHOD),
    ("GET", "/api/v2/users/signin", TOKEN, 405, METHOD),
    ("GET", "/api/v2/user?a=%zz", TOKEN, 400, MALFORMED),
    ("GET", "/api/v2/user?a=%ff", TOKEN, 400, MALFORMED),
    ("GET", "/api/v2/us%ff", TOKEN, 400, MALFORMED),
    ("GET", "/api/v2/user%2", TOKEN, 400, MALFORMED),
]


@every(("method", "path", "headers", "status", "bodies"), REFUSALS)
def test_refusals(
    plex: LocalPlexController, method: str, path: str, headers: dict[str, str], status: int, bodies: tuple[bytes, bytes]
) -> None:
    """plex.tv's refusals have the observed status, code, text and order of members, in the requested format."""
    in_json = ask(plex.url, method, path, {**headers, **JSON})
    in_xml_ = ask(plex.url, method, path, headers)
    assert ((status, bodies[0]), (status, bodies[1])) == (
        (in_json.status, in_json.body),
        (in_xml_.status, in_xml_.body),
    )
    assert ("application/json; charset=utf-8", "application/xml; charset=utf-8") == (
        in_json.headers["content-type"],
        in_xml_.headers["content-type"],
    )


def test_length_of_an_observed_refusal(plex: LocalPlexController) -> None:
    """The 401 in JSON has exactly the 83 observed bytes."""
    assert 83 == len(get(plex.url, "/api/v2/user").body)


PAGE_401 = b"<html><head><title>Unauthorized</title></head><body><h1>401 Unauthorized</h1></body></html>"
PAGE_401_ROOT = (
    b"<html><head><script>window.location = window.location.href.match(/(^.+\\/)[^\\/]*$/)[1] + 'web/index.html';"
    b"</script><title>Unauthorized</title></head><body><h1>401 Unauthorized</h1></body></html>"
)
PAGE_400 = PAGE_401.replace(b"401", b"400").replace(b"Unauthorized", b"Bad Request")
PAGE_403 = PAGE_401.replace(b"401", b"403").replace(b"Unauthorized", b"Forbidden")
PAGE_404 = PAGE_401.replace(b"401", b"404").replace(b"Unauthorized", b"Not Found")
SOURCE = "/security/resources?source=provider://tv.example.movies"

PAGES = [
    ("Attic", "/", None, 401, PAGE_401_ROOT),
    ("Attic", "/library/sections", None, 401, PAGE_401),
    ("Attic", "/nothing", None, 401, PAGE_401),
    ("Attic", "/nothing", MIRA, 404, PAGE_404),
    ("Attic", "/security/token?type=delegation&scope=all", None, 401, PAGE_401),
    ("Attic", "/security/token", None, 401, PAGE_401),
    ("Attic", "/security/token", MIRA, 400, PAGE_400),
    ("Attic", "/security/token?type=delegation&scope=some", MIRA, 400, PAGE_400),
    ("Attic", "/security/token?type=other&scope=all", MIRA, 400, PAGE_400),
    ("Attic", SOURCE, None, 401, PAGE_401),
    ("Attic", SOURCE, TOM_ON_ATTIC, 403, PAGE_403),
    ("Attic", "/security/resources", TOM_ON_ATTIC, 403, PAGE_403),
    ("Attic", "/security/resources", MIRA, 400, PAGE_400),
    ("Attic", "/security/resources?source=provider://unknown", MIRA, 404, PAGE_404),
    ("Old", SOURCE, MIRA, 404, PAGE_404),
    ("Old", SOURCE, None, 401, PAGE_401),
    ("Documented", "/", None, 401, PAGE_401_ROOT),
    ("Documented", "/library/sections", None, 401, PAGE_401),
    ("Documented", "/security/token?type=delegation&scope=all", None, 401, DEAD[0]),
    ("Documented", "/security/token", MIRA, 400, MALFORMED[0]),
    ("Documented", "/security/resources", MIRA, 400, MALFORMED[0]),
    ("Documented", SOURCE, None, 401, DEAD[0]),
    ("Documented", "/security/resources?source=provider://unknown", MIRA, 404, PAGE_404),
]


@every(("server", "path", "token", "status", "body"), PAGES)
@every("accept", ["application/json", "*/*"])
def test_refusals_of_media_servers(
    plex: LocalPlexController, server: str, path: str, token: str | None, status: int, body: bytes, accept: str
) -> None:
    """A media server refuses with web pages for every Accept; with `errors = "documented"`, 400 and 401 are JSON."""
    found = get(plex.media_server(server).url, path, token, Accept=accept)
    assert (status, body) == (found.status, found.body)
    assert ("text/html" if body.startswith(b"<") else "application/json") == found.headers["content-type"]
    assert ("close" if status == 401 else "Keep-Alive") == found.headers["connection"]
    assert "www-authenticate" not in found.headers


def test_fields_of_plex_tv(plex: LocalPlexController) -> None:
    """Every reply of plex.tv has the observed header fields, and says that it does not come from Plex."""
    expected = {
        "cache-control": "max-age=0, private, must-revalidate",
        "vary": "Origin",
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET, POST, PUT, PATCH, HEAD, DELETE, OPTIONS",
        "access-control-expose-headers": "Location",
        "access-control-max-age": "86400",
        "referrer-policy": "origin-when-cross-origin",
        "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "x-ticketstub": "local",
    }
    for found in (
        get(plex.url, "/api/v2/user", MIRA),
        get(plex.url, "/api/v2/nothing"),
        sign_in(plex.url, "tom", "rainy-harbour-17"),
    ):
        assert expected.items() <= found.headers.items()
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found.headers["x-request-id"])
        assert re.fullmatch(r"\d+\.\d+", found.headers["x-runtime"])
        assert {"server", "etag", "set-cookie"}.isdisjoint(found.headers)
    assert "no-cache" == get(plex.url, "/api/v2/user").headers["cache-control"]


def test_fields_of_media_servers(attic: str) -> None:
    """Every reply of a media server has the observed header fields, and says that it does not come from Plex."""
    expected = {"x-plex-protocol": "1.0", "cache-control": "no-cache", "x-ticketstub": "local"}
    for path, token in (("/identity", None), ("/", MIRA), ("/", None), ("/nothing", MIRA)):
        assert expected.items() <= get(attic, path, token).headers.items()
    assert "timeout=20" == get(attic, "/identity").headers["keep-alive"]


def test_head_is_get_without_a_body(plex: LocalPlexController, attic: str) -> None:
    """HEAD has the status and fields of GET, and no body; clients probe with it."""
    head, whole = ask(plex.url, "HEAD", "/api/v2/user", TOKEN), ask(plex.url, "GET", "/api/v2/user", TOKEN)
    assert (200, b"", str(len(whole.body))) == (head.status, head.body, head.headers["content-length"])
    assert (401, b"") == ask(attic, "HEAD", "/")[::2]
    assert (200, b"") == ask(attic, "HEAD", "/", {"X-Plex-Token": MIRA})[::2]


def test_browsers_may_send_any_field(plex: LocalPlexController) -> None:
    """A browser's preflight allows all header fields that it names, but returns only valid names."""
    wanted = {"Origin": "https://app.example.test", "Access-Control-Request-Headers": "x-plex-token, x-plex-product"}
    found = ask(plex.url, "OPTIONS", "/api/v2/user", wanted)
    assert (200, "*", "x-plex-token, x-plex-product") == (
        found.status,
        found.headers["access-control-allow-origin"],
        found.headers["access-control-allow-headers"],
    )
    odd = ask(plex.url, "OPTIONS", "/anything", {"Access-Control-Request-Headers": 'a:b"<\xe9>'})
    assert "ab" == odd.headers["access-control-allow-headers"]


def test_any_host_is_answered(plex: LocalPlexController) -> None:
    """Any Host is accepted: the port selects the site."""
    for host in ("plex.tv", "clients.plex.tv", "127.0.0.1", "nobody.example.test:99"):
        assert 200 == ask(plex.url, "GET", "/api/v2/user", {**TOKEN, "Host": host}).status


def test_json_may_be_the_default(start: Start) -> None:
    """With `default_format = "json"` JSON is the default, on media servers too; XML is still available."""
    plex = start({"default_format": "json"})
    attic = plex.media_server("Attic").url
    assert 10500123 == ask(plex.url, "GET", "/api/v2/user", TOKEN).json["id"]
    assert ATTIC == ask(attic, "GET", "/identity").json["MediaContainer"]["machineIdentifier"]
    assert "user" == ask(plex.url, "GET", "/api/v2/user", {**TOKEN, "Accept": "application/xml"}).xml.tag
    assert "user" == ask(plex.url, "GET", "/api/v2/user.xml", TOKEN).xml.tag


def test_client_identifier_may_be_required(plex: LocalPlexController, start: Start) -> None:
    """The account and the ping need a client identifier only with `require_client_identifier` (400, 1000)."""
    strict = start({"require_client_identifier": True})
    for path in ("/api/v2/user", "/api/v2/ping"):
        assert 200 == ask(plex.url, "GET", path, {"X-Plex-Token": MIRA}).status
        refused = ask(strict.url, "GET", path, {"X-Plex-Token": MIRA, **JSON})
        assert (400, NO_IDENTIFIER[0]) == (refused.status, refused.body)
        assert 200 == ask(strict.url, "GET", path, TOKEN).status
    assert 200 == get(strict.media_server("Attic").url, "/", MIRA, **{"X-Plex-Client-Identifier": ""}).status
