"""The account's body in every variant on which published clients are known to fail, and what is read from each.

Each variant is derived from a body that the real service sends. The 47 variants of `ACCOUNT` are of the kinds with
which the generated SDKs were measured (nulls, missing members, other types, unknown values). Of 47 such bodies,
plex-api-client 0.36.3 (Python) reads 29 and plexjs 0.39.0 (JavaScript) reads 7; this project must read all. `SIGN_IN`
has bodies with which those SDKs lose the token of a successful sign-in. `FORM` is about everything around the body.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tests.samples.reading import sample

COUNT = 47
READ_BY_PYTHON_SDK = 29
READ_BY_JAVASCRIPT_SDK = 7

JSON = {"content-type": "application/json; charset=utf-8"}
GONE = object()


@dataclass
class Variant:
    """A body, and the expected result of reading it.

    Attributes:
        body: the body of the response.
        read: fields of the account, or of its profile and subscription (`profile.watched_indicator`).
        problems: the names of the unreadable values.
        headers: the headers of the response.
        status: the status of the response.
    """

    body: bytes
    read: dict[str, object] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    status: int = 200


def _with(base: str, path: str, value: object) -> bytes:
    """Return a sample with one member replaced or removed."""
    data = json.loads(sample(base))
    *parents, last = path.split(".")
    inner = data
    for parent in parents:
        inner = inner[int(parent)] if parent.isdecimal() else inner[parent]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(data).encode()


def account(path: str, value: object, *, problem: bool = False, **read: object) -> Variant:
    named = {name.replace("__", "."): expected for name, expected in read.items()}
    return Variant(_with("account.json", path, value), named, (path,) if problem else ())


def signed_in(path: str, value: object, *problems: str, **read: object) -> Variant:
    return Variant(_with("sign_in.json", path, value), dict(read), problems, status=201)


ONLY_EIGHT = {
    "id": 10500123,
    "uuid": "3f9c2b7a5d1e8f04",
    "username": "mira_quill",
    "title": "mira_quill",
    "email": "mira@example.test",
    "friendlyName": "",
    "thumb": "",
    "authToken": "Xk3mPz_9Q-vT7rLb2NfW",
}

ACCOUNT = {
    "as it is": Variant(sample("account.json"), {"id": 10500123}),
    "friendlyName null": account("friendlyName", None, friendly_name=None),
    "friendlyName missing": account("friendlyName", GONE, friendly_name=None),
    "email null": account("email", None, email=None),
    "email missing": account("email", GONE, email=None),
    "username null": account("username", None, username=None),
    "username missing": account("username", GONE, username=None),
    "id null": account("id", None, id=None),
    "id missing": account("id", GONE, id=None),
    "authToken null": account("authToken", None, auth_token=None),
    "authToken missing": account("authToken", GONE, auth_token=None),
    "joinedAt as ISO text": account("joinedAt", "2019-03-14T19:58:51Z", joined_at=1552593531),
    "defaultAudioLanguage missing": account(
        "profile.defaultAudioLanguage", GONE, profile__default_audio_language=None, profile__auto_select_audio=True
    ),
    "service without secret": account("services.0.secret", GONE),
    "subscribedAt as number": account("subscription.subscribedAt", 1679616000, subscription__status="Inactive"),
    "adsConsent as text": account("adsConsent", "granted", problem=True, ads_consent=None),
    "adsConsentSetAt as ISO text": account("adsConsentSetAt", "2023-11-14T22:13:20Z", ads_consent_set_at=1700000000),
    "entitlements as text": account("entitlements", "all,ios", entitlements=("all", "ios")),
    "unknown mailingListStatus": account("mailingListStatus", "paused", mailing_list_status="paused"),
    "unknown autoSelectSubtitle": account("profile.autoSelectSubtitle", 7, profile__auto_select_subtitle=7),
    "unknown mediaReviewsVisibility": account("profile.mediaReviewsVisibility", 9, profile__media_reviews_visibility=9),
    "unknown watchedIndicator": account("profile.watchedIndicator", 12, profile__watched_indicator=12),
    "country null": account("country", None, country=None),
    "thumb null": account("thumb", None, thumb=None),
    "pin null": account("pin", None, pin=None),
    "profile null": account("profile", None, profile=None),
    "profile missing": account("profile", GONE, profile=None),
    "subscription null": account("subscription", None, subscription=None),
    "subscription missing": account("subscription", GONE, subscription=None),
    "subscriptions missing": account("subscriptions", GONE, subscriptions=()),
    "homeSize null": account("homeSize", None, home_size=None),
    "roles null": account("roles", None, roles=()),
    "services null": account("services", None, services=()),
    "mailingListStatus null": account("mailingListStatus", None, mailing_list_status=None),
    "title null": account("title", None, title=None),
    "uuid null": account("uuid", None, uuid=None),
    "confirmed null": account("confirmed", None, confirmed=None),
    "unknown member": account("flavour", {"sweet": [1, 2]}),
    "unknown subscription status": account("subscription.status", "Paused", subscription__status="Paused"),
    "unknown service status": account("services.0.status", "resting"),
    "id as text": account("id", "10500123", id=10500123),
    "homeSize as text": account("homeSize", "3", home_size=3),
    "joinedAt in milliseconds": account("joinedAt", 1552593531000, joined_at=1552593531),
    "booleans as 1 and 0": account("hasPassword", 1, has_password=True),
    "boolean as 0": account("home", 0, home=False),
    "only the eight required members": Variant(json.dumps(ONLY_EIGHT).encode(), {"username": "mira_quill"}),
    "managed user": Variant(sample("account_managed.json"), {"username": "", "restricted": True, "title": "Pip"}),
}

SIGN_IN = {
    "as it is": Variant(sample("sign_in.json"), status=201),
    "pastSubscriptions missing": signed_in("pastSubscriptions", GONE, past_subscriptions=()),
    "trials missing": signed_in("trials", GONE, trials=()),
    "pastSubscriptions null": signed_in("pastSubscriptions", None, past_subscriptions=()),
    "past id as number": signed_in("pastSubscriptions.0.id", 70020),
    "paymentMethodId as text": signed_in("pastSubscriptions.0.billing.paymentMethodId", "card-31"),
    "endsAt as ISO text": signed_in("pastSubscriptions.0.endsAt", "2023-03-24T00:00:00Z"),
    "endsAt in milliseconds": signed_in("pastSubscriptions.0.endsAt", 1679616000000),
    "endsAt as words": signed_in("pastSubscriptions.0.endsAt", "last spring", "pastSubscriptions[0].endsAt"),
    "partial past entry": signed_in("pastSubscriptions", [{"id": "70020"}]),
    "past entry null": signed_in("pastSubscriptions", [None], past_subscriptions=()),
    "past entry as text": signed_in("pastSubscriptions", ["70020"], "pastSubscriptions[0]", past_subscriptions=()),
    "pastSubscriptions as number": signed_in("pastSubscriptions", 3, "pastSubscriptions", past_subscriptions=()),
    "trials as object": signed_in("trials", {"id": "70019"}),
    "200 instead of 201": Variant(sample("sign_in.json")),
    "wrapped in user": Variant(b'{"user":' + sample("sign_in.json") + b"}", status=201),
    "nothing but the token": Variant(b'{"authToken":"Xk3mPz_9Q-vT7rLb2NfW"}', {"id": None}, status=201),
    "the token in snake case": Variant(b'{"auth_token":"Xk3mPz_9Q-vT7rLb2NfW"}', {"id": None}, status=201),
    "the token by its old name": Variant(
        b'{"authentication_token":"Xk3mPz_9Q-vT7rLb2NfW","id":true}', {"id": None}, ("id",), status=201
    ),
    "every field wrong but the token": Variant(
        json.dumps({"id": [], "home": [], "joinedAt": {}, "profile": 5, "authToken": "Xk3mPz_9Q-vT7rLb2NfW"}).encode(),
        {"id": None},
        ("id", "home", "joinedAt", "profile"),
        status=201,
    ),
    "XML": Variant(
        sample("sign_in.xml"), {"uuid": "3f9c2b7a5d1e8f04"}, headers={"content-type": "application/xml"}, status=201
    ),
    "old XML": Variant(sample("account_legacy.xml"), {"has_password": True}, headers={}, status=201),
    "old JSON": Variant(sample("account_legacy.json"), {"roles": ("plexpass",)}, status=201),
}

FORM = {
    "text/plain": Variant(sample("account.json"), headers={"content-type": "text/plain"}),
    "no Content-Type": Variant(sample("account.json"), headers={}),
    "XML announced as JSON": Variant(sample("account.xml"), {"title": "Mira"}),
    "JSON announced as XML": Variant(sample("account.json"), headers={"content-type": "application/xml"}),
    "BOM": Variant(b"\xef\xbb\xbf" + sample("account.json")),
    "BOM before XML": Variant(b"\xef\xbb\xbf" + sample("account.xml")),
    "201": Variant(sample("account.json"), status=201),
    "a list of one": Variant(b"[" + sample("account.json") + b"]"),
    "services with one that is spoilt": Variant(
        _with("account.json", "services", ["x", {"identifier": "epg", "status": 5, "token": {}}]),
        {},
        ("services[0]", "services[1].token"),
    ),
    "numbers with fractions": Variant(_with("account.json", "homeSize", 2.0), {"home_size": 2}),
    "half a number": Variant(_with("account.json", "homeSize", 2.5), {"home_size": None}, ("homeSize",)),
    "text for a profile": Variant(_with("account.json", "profile", "dark"), {"profile": None}, ("profile",)),
    "a list for a name": Variant(_with("account.json", "username", ["x"]), {"username": None}, ("username",)),
    "a boolean for an id": Variant(_with("account.json", "id", True), {"id": None}, ("id",)),  # noqa: FBT003  # the value itself
    "a token that no header can carry": Variant(
        _with("account.json", "authToken", "Xk3m\r\nX-Evil: 1"), {"auth_token": None}, ("authToken",)
    ),
    "a token beyond ASCII": Variant(_with("account.json", "authToken", "Xk3mü"), {"auth_token": None}, ("authToken",)),
    "a number for a token": Variant(_with("account.json", "authToken", 12345), {"auth_token": None}, ("authToken",)),
}
