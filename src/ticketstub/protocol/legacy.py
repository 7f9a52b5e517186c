"""plex.tv's older API: the account with its password sign-in, and the lists of what an account can reach.

Rule: the client and the local Plex use the same code (see `call`). `/users/sign_in` and `/users/account` reply with the
same account, whose form is irregular: in XML, booleans are 0 and 1 except for two, names have three spellings, and the
token appears three times. The lists `/api/resources`, `/pms/resources` and `/pms/servers.xml` are XML whatever format
is requested (observed: clients request JSON and read XML). Their dates are seconds, `relay` is present only if it is
true, and no address is marked as IPv6. Sources: observed bodies. Sending the login in the query or by HTTP Basic is
observed in public clients; the local Plex accepts both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from ticketstub.messages import Response, is_array, is_object
from ticketstub.models import Account, Connection, Profile, Resource, Subscription
from ticketstub.protocol import lenient
from ticketstub.protocol.call import (
    CONTAINER,
    Call,
    HttpSpec,
    ReplyCodec,
    build_malformed_reply,
    find_container_items,
    parse_response,
    unwrap,
)
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.resource import GetResources
from ticketstub.protocol.xml import PROLOG, render_element
from ticketstub.tokens import Secret

WRONG_LOGIN_MESSAGE = "Invalid email, username, or password."
"""The message of a refused sign-in (seen only as quoted by others; the exact text is uncertain)."""


def _read_account(response: Response) -> Account:
    user = unwrap(Account, parse_response(response), ("id", "uuid", "auth_token"))
    found = lenient.read_model(Account, _convert_to_v2(user) if is_object(user) else user)
    if found is None or found.auth_token is None:
        raise build_malformed_reply(response, "the reply contains no Account")
    return found


def _write_account(value: Account, form: Format) -> bytes:
    return (
        f"{PROLOG}{_account_to_xml(value)}".encode()
        if form is Format.XML
        else msgspec.json.encode({"user": _account_to_dict(value)})
    )


LEGACY_ACCOUNT_REPLY = ReplyCodec(_read_account, _write_account)
"""The codec for the account of the older API."""


class LegacySignIn(Call[Account], frozen=True, kw_only=True):
    """Sign in with login and password in the older form: `POST /users/sign_in.json`, 201 (observed).

    No client identifier is required. A verification code is appended to the password (observed).

    Args:
        login: the user name or e-mail address. Without it, the call validates the token it was sent with (observed in
            one client).
        password: the password, immediately followed by the six digits of the authenticator app if they are required.
        remember_me: whether the token expires after 14 days.
    """

    http = HttpSpec(
        "POST",
        "/users/sign_in.json",
        "legacy_sign_in",
        needs_token=False,
        in_body=True,
        retryable=False,
        status=201,
        mark="observed",
        reply=LEGACY_ACCOUNT_REPLY,
    )

    login: str | None = msgspec.field(name="user[login]", default=None)
    password: Secret | None = msgspec.field(name="user[password]", default=None)
    remember_me: bool = False


class GetLegacyAccount(Call[Account], frozen=True, kw_only=True):
    """Get the account that a token belongs to, in the older form: `GET /users/account.json`, 200 (observed).

    No client identifier is required. A dead token is refused with 422 "Invalid token" or with 401 (both observed).
    """

    http = HttpSpec("GET", "/users/account.json", "legacy_account", mark="observed", reply=LEGACY_ACCOUNT_REPLY)


def _convert_to_v2(user: dict[str, object]) -> dict[str, object]:
    """Rename the members that only the older XML has, so that the lenient reader finds them."""
    converted = {"profile": user.get("profile_settings"), **user}
    subscription, entitlements = user.get("subscription"), user.get("entitlements")
    if is_object(subscription) and "feature" in subscription:
        converted["subscription"] = {**subscription, "features": subscription["feature"]}
    if is_object(entitlements):
        others = entitlements.get("entitlement")
        converted["entitlements"] = [
            *(["all"] if entitlements.get("all") == "1" else []),
            *(others if is_array(others) else [others] if others else []),
        ]
    return converted


def _account_to_dict(account: Account) -> dict[str, object]:
    """Convert an account to JSON (observed members and order). `confirmedAt` is our own guess: it is not stored."""
    token = _reveal_token(account)
    subscription = account.subscription or Subscription()
    joined = _to_datetime(account.joined_at)
    return {
        "id": account.id,
        "uuid": account.uuid,
        "email": account.email,
        "joined_at": joined,
        "username": account.username,
        "title": account.title,
        "thumb": account.thumb,
        "hasPassword": account.has_password,
        "authToken": token,
        "authentication_token": token,
        "subscription": {
            "active": subscription.active,
            "status": subscription.status,
            "plan": subscription.plan,
            "features": subscription.features,
        },
        "roles": {"roles": account.roles},
        "entitlements": account.entitlements,
        "confirmedAt": joined if account.confirmed else None,
        "forumId": None,
        "ssoCookie": True,
        "rememberMe": account.remember_expires_at is not None,
    }


# fmt: off
_PROFILE_SETTINGS = (
    "default_audio_language", "default_subtitle_language", "auto_select_subtitle", "auto_select_audio",
    "default_subtitle_accessibility", "default_subtitle_forced",
)
# fmt: on


def _account_to_xml(account: Account) -> str:
    """Convert an account to XML (observed names and order). `pin` is present only if there is a passcode."""
    token = _reveal_token(account)
    joined = _to_datetime(account.joined_at)
    subscription = account.subscription or Subscription()
    profile = msgspec.structs.asdict(account.profile or Profile())
    return render_element(
        "user",
        {
            "email": account.email,
            "id": account.id,
            "uuid": account.uuid,
            "mailing_list_status": account.mailing_list_status,
            "thumb": account.thumb,
            "username": account.username,
            "title": account.title,
            "cloudSyncDevice": "",
            "locale": account.locale,
            "authenticationToken": token,
            "authToken": token,
            "scrobbleTypes": account.scrobble_types,
            "restricted": account.restricted,
            "home": account.home,
            "guest": account.guest,
            "queueEmail": f"queue+{account.uuid}@save.plex.tv",
            "queueUid": "",
            "hasPassword": str(bool(account.has_password)).lower(),
            "homeSize": account.home_size,
            "maxHomeSize": account.max_home_size,
            "rememberMe": str(account.remember_expires_at is not None).lower(),
            "secure": True,
            "certificateVersion": 3,
            **({"pin": account.pin.reveal()} if account.pin else {}),
        },
        render_element(
            "subscription",
            {"active": bool(subscription.active), "status": subscription.status, "plan": subscription.plan},
            *_render_ids("feature", subscription.features),
        ),
        render_element("roles", {}, *_render_ids("role", account.roles)),
        render_element(
            "entitlements",
            {"all": "all" in account.entitlements},
            # Assumed; only `all="0"` without children is observed.
            *_render_ids("entitlement", (each for each in account.entitlements if each != "all")),
        ),
        render_element(
            "profile_settings",
            {name: profile[name] for name in _PROFILE_SETTINGS}
            | {"auto_select_audio": bool(profile["auto_select_audio"])},
        ),
        render_element("providers", {}),
        render_element(
            "services",
            {},
            *(
                render_element(
                    "service", {name: value for name, value in to_builtins(service).items() if name != "secret"}
                )
                for service in account.services
            ),
        ),
        render_element("username", {}, text=account.username or None),
        render_element("email", {}, text=account.email or None),
        render_element("joined-at", {"type": "datetime"}, text=f"{joined:%Y-%m-%d %H:%M:%S} UTC" if joined else None),
        render_element("authentication-token", {}, text=token or None),
    )


def _render_ids(name: str, ids: Iterable[str]) -> Iterator[str]:
    return (render_element(name, {"id": each}) for each in ids)


def _reveal_token(account: Account) -> str:
    return account.auth_token.reveal() if account.auth_token else ""


def _to_datetime(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _iter_items(name: str, response: Response) -> Iterator[dict[str, object]]:
    """Yield the elements of a list, with their `Connection` children under the name of the current API."""
    data = parse_response(response)
    items = find_container_items(name, data) if is_object(data) else None
    if items is None:
        raise build_malformed_reply(response, "the reply is not a list of resources")
    for item in items if is_array(items) else [items]:
        if is_object(item):
            yield {"connections": item.get("Connection", []), **item}


# In the order of the observed bodies.
_ATTRIBUTES = (
    *("name", "product", "productVersion", "platform", "platformVersion", "device", "clientIdentifier"),
    *("createdAt", "lastSeenAt", "provides", "owned", "accessToken", "publicAddress", "httpsRequired", "synced"),
    *("relay", "dnsRebindingProtection", "natLoopbackSupported", "publicAddressMatches", "presence"),
)
_SERVER_ATTRIBUTES = frozenset(
    {"accessToken", "httpsRequired", "synced", "relay", "dnsRebindingProtection", "natLoopbackSupported"}
)


def _resource_to_device(resource: Resource) -> dict[str, object]:
    members = to_builtins(resource)
    shared = () if resource.owned else ("home", "sourceTitle", "ownerId")
    names = (name for name in _ATTRIBUTES if resource.is_media_server or name not in _SERVER_ATTRIBUTES)
    return {
        **{name: _to_epoch(members[name]) for name in (*names, *shared) if name in members},
        "Connection": [_connection_to_dict(connection) for connection in resource.connections],
    }


def _connection_to_dict(connection: Connection) -> dict[str, object]:
    members = to_builtins(connection, include_nulls=False)
    return {name: value for name, value in members.items() if name != "IPv6" and (value or name != "relay")}


def _to_epoch(member: object) -> object:
    return int(member.timestamp()) if isinstance(member, datetime) else member


def _resource_to_server(resource: Resource) -> dict[str, object]:
    # A public address if there is one.
    first = min(resource.connections, key=lambda each: bool(each.local or each.relay), default=Connection())
    created = _to_epoch(resource.created_at)
    return {
        "accessToken": resource.access_token.reveal() if resource.access_token else "",
        "name": resource.name,
        "address": first.address,
        "port": first.port,
        "version": resource.product_version,
        "scheme": first.protocol,
        "host": first.address,
        "localAddresses": ",".join(dict.fromkeys(each.address or "" for each in resource.connections if each.local)),
        "machineIdentifier": resource.client_identifier,
        "createdAt": created,
        "updatedAt": _to_epoch(resource.last_seen_at) or created,
        "owned": resource.owned,
        "synced": resource.synced,
        **({} if resource.owned else {"sourceTitle": resource.source_title, "ownerId": resource.owner_id}),
    }


class GetLegacyResources(GetResources, frozen=True, kw_only=True):
    """List what the account can reach, in the older form: `GET /api/resources`, 200, XML (observed).

    No client identifier is required.
    """

    http = HttpSpec(
        "GET",
        "/api/resources",
        "legacy_resources",
        mark="observed",
        reply=ReplyCodec(
            lambda response: lenient.read_models(Resource, [*_iter_items("Device", response)]),
            lambda resources, _form: write_document(
                CONTAINER,
                {"size": len(resources), "Device": [_resource_to_device(resource) for resource in resources]},
                Format.XML,
            ),
        ),
    )


class GetPmsResources(GetLegacyResources, frozen=True, kw_only=True):
    """List the same resources under the path that media servers use: `GET /pms/resources` (observed)."""

    http = GetLegacyResources.http._replace(path="/pms/resources", name="servers_resources")


def _read_servers(response: Response) -> tuple[Resource, ...]:
    listed = [
        {
            **server,
            "clientIdentifier": server.get("machineIdentifier"),
            "productVersion": server.get("version"),
            "provides": "server",
            "connections": [{key: server.get(key) for key in ("address", "port")} | {"protocol": server.get("scheme")}],
        }
        for server in _iter_items("Server", response)
    ]
    return lenient.read_models(Resource, listed)


def _write_servers(value: tuple[Resource, ...], _form: Format) -> bytes:
    servers = [_resource_to_server(resource) for resource in value if resource.is_media_server]
    return write_document(CONTAINER, {"friendlyName": "myPlex", "size": len(servers), "Server": servers}, Format.XML)


class GetServerList(GetResources, frozen=True, kw_only=True):
    """List media servers in the oldest form, with one address each: `GET /pms/servers.xml`, 200 (observed)."""

    http = HttpSpec(
        "GET", "/pms/servers.xml", "server_list", mark="observed", reply=ReplyCodec(_read_servers, _write_servers)
    )
