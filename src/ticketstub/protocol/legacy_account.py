"""The account and the password sign-in of plex.tv's older API: `/users/sign_in` and `/users/account`.

Rule: as all of wire/, role-blind. Both answer the same account, in a form that follows no rule: in XML booleans are
0 and 1 but for two of them, names are spelt in three ways, and the token stands there three times. Sources: observed
bodies; a login that goes along as query or by HTTP Basic is observed in public clients, and read by the local Plex.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Account, Profile, Service, Subscription
from ticketstub.protocol import lenient
from ticketstub.protocol.call import Call, HttpSpec, ReplyCodec, build_malformed_reply, parse_response, unwrap
from ticketstub.protocol.codec import Format, to_json
from ticketstub.protocol.plain import is_array, is_object
from ticketstub.protocol.xml import Element, write_element
from ticketstub.tokens import Secret

WRONG_LOGIN_MESSAGE = "Invalid email, username, or password."
"""What a refused sign-in says (observed in quotations; the exact text is uncertain)."""


def _read_account(response: Response) -> Account:
    user = unwrap(Account, parse_response(response), ("id", "uuid", "auth_token"))
    found = lenient.read_model(Account, _convert_to_v2(user) if is_object(user) else user)
    if found is None or found.auth_token is None:
        raise build_malformed_reply(response, "the answer holds no Account")
    return found


def _write_account(value: Account, form: Format) -> bytes:
    return (
        write_element(_account_to_element(value)) if form is Format.XML else to_json({"user": _account_to_dict(value)})
    )


LEGACY_ACCOUNT_REPLY = ReplyCodec(_read_account, _write_account)
"""What both calls answer."""


class LegacySignIn(Call[Account], frozen=True, kw_only=True):
    """Sign in with login and password in the older form: `POST /users/sign_in.json`, 201 (observed).

    It asks for no client identifier. A verification code is appended to the password (observed).

    Args:
        login: user name or e-mail address. Without one the token that is sent is validated (observed in one client).
        password: the password, and the six digits of the authenticator app right behind it where they are wanted.
        remember_me: whether the token ends after 14 days.
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
    """Ask whose token this is, in the older form: `GET /users/account.json`, 200 (observed).

    It asks for no client identifier. A dead token is refused with 422 "Invalid token", or with 401 (observed both).
    """

    http = HttpSpec("GET", "/users/account.json", "legacy_account", mark="observed", reply=LEGACY_ACCOUNT_REPLY)


def _convert_to_v2(user: dict[str, object]) -> dict[str, object]:
    """Put what the older XML has elsewhere to where the tolerant reader looks; JSON has none of that."""
    converted = dict(user)
    paid, entitlements = user.get("subscription"), user.get("entitlements")
    if is_object(paid) and "feature" in paid:
        converted["subscription"] = {**paid, "features": paid["feature"]}
    if is_object(entitlements):
        rest = entitlements.get("entitlement")
        wildcard: list[object] = ["all"] if entitlements.get("all") == "1" else []
        converted["entitlements"] = [*wildcard, *(rest if is_array(rest) else [rest] if rest else [])]
    converted.setdefault("profile", user.get("profile_settings"))
    return converted


def _account_to_dict(account: Account) -> dict[str, object]:
    """Describe an account in JSON (observed members and order). When it was confirmed is not kept: ours."""
    token = _reveal_token(account)
    paid = account.subscription or Subscription()
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
            "active": paid.active,
            "status": paid.status,
            "plan": paid.plan,
            "features": paid.features,
        },
        "roles": {"roles": account.roles},
        "entitlements": account.entitlements,
        "confirmedAt": joined if account.confirmed else None,
        "forumId": None,
        "ssoCookie": True,
        "rememberMe": _is_remembered(account),
    }


def _account_to_element(account: Account) -> Element:
    joined = _to_datetime(account.joined_at)
    paid = account.subscription or Subscription()
    subscription = {"active": bool(paid.active), "status": paid.status, "plan": paid.plan}
    # Whether it is everything is observed (`all="0"`), the others as children are assumed.
    others = [each for each in account.entitlements if each != "all"]
    profile = msgspec.structs.asdict(account.profile or Profile())
    settings = {name: profile[name] for name in _PROFILE_SETTINGS} | {
        "auto_select_audio": bool(profile["auto_select_audio"])
    }
    return Element(
        "user",
        _list_attributes(account),
        (
            Element("subscription", subscription, _build_id_elements("feature", paid.features)),
            Element("roles", {}, _build_id_elements("role", account.roles)),
            Element("entitlements", {"all": "all" in account.entitlements}, _build_id_elements("entitlement", others)),
            Element("profile_settings", settings),
            Element("providers", {}),
            Element("services", {}, tuple(_service_to_element(service) for service in account.services)),
            Element("username", {}, text=account.username or None),
            Element("email", {}, text=account.email or None),
            Element("joined-at", {"type": "datetime"}, text=f"{joined:%Y-%m-%d %H:%M:%S} UTC" if joined else None),
            Element("authentication-token", {}, text=_reveal_token(account) or None),
        ),
    )


_PROFILE_SETTINGS = (
    *("default_audio_language", "default_subtitle_language", "auto_select_subtitle", "auto_select_audio"),
    *("default_subtitle_accessibility", "default_subtitle_forced"),
)


def _build_id_elements(name: str, ids: Iterable[str]) -> tuple[Element, ...]:
    return tuple(Element(name, {"id": each}) for each in ids)


def _list_attributes(account: Account) -> dict[str, object]:
    """List the attributes in the observed order; `pin` is there only where there is a passcode."""
    token = _reveal_token(account)
    return {
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
        "rememberMe": str(_is_remembered(account)).lower(),
        "secure": True,
        "certificateVersion": 3,
        **({"pin": account.pin.reveal()} if account.pin else {}),
    }


def _service_to_element(service: Service) -> Element:
    token = service.token.reveal() if service.token else ""
    facts = {"identifier": service.identifier, "endpoint": service.endpoint, "token": token, "status": service.status}
    return Element("service", facts)


def _reveal_token(account: Account) -> str:
    return account.auth_token.reveal() if account.auth_token else ""


def _is_remembered(account: Account) -> bool:
    return account.remember_expires_at is not None


def _to_datetime(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
