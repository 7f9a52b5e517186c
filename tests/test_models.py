"""Models are frozen data that print no secret and have Plex's names on the wire."""

from __future__ import annotations

import msgspec
import pytest

from tests.tables import every
from ticketstub import models
from ticketstub.models import Account, Connection, Model, Resource, Service, Source, Subscription, TransientToken
from ticketstub.protocol import codec, lenient
from ticketstub.tokens import Secret, Token


def test_frozen() -> None:
    """A model is immutable, and takes its fields by name only."""
    account = Account(id=1)
    with pytest.raises(AttributeError):
        account.id = 2  # type: ignore[misc]  # the attempt itself
    with pytest.raises(TypeError):
        Account(1)  # type: ignore[call-arg]  # likewise


NAMES = {
    (Account, "auth_token"): "authToken",
    (Account, "max_home_size"): "maxHomeSize",
    (Account, "ads_consent_set_at"): "adsConsentSetAt",
    (Connection, "ipv6"): "IPv6",
    (Source, "connections"): "Connection",
    (Resource, "nat_loopback_supported"): "natLoopbackSupported",
    (Resource, "https_required"): "httpsRequired",
    (models.Home, "guest_user_id"): "guestUserID",
    (models.Location, "european_union_member"): "european_union_member",
    (models.LegacyPin, "auth_token"): "auth-token",
    (models.SharedServer, "user_id"): "userID",
    (models.User, "servers"): "Server",
}


@every(("kind", "field"), list(NAMES))
def test_wire_names(kind: type[Model], field: str) -> None:
    """Wire names are exactly Plex's, even if camel case alone does not give them."""
    names = {found.name: found.encode_name for found in msgspec.structs.fields(kind)}
    assert NAMES[kind, field] == names[field]


def test_everything_may_be_missing() -> None:
    """Every field has a default, None or empty, so a model can be created from nothing."""
    found = [getattr(models, name) for name in models.__all__]
    kinds = [kind for kind in found if isinstance(kind, type) and issubclass(kind, Model) and kind is not Model]
    assert 27 == len(kinds)
    for kind in kinds:
        assert {None, ()} >= {getattr(kind(), field) for field in kind.__struct_fields__}


def test_secrets_do_not_print() -> None:
    """The repr of a model shows no token, secret or PIN hash; encoding it by mistake is refused."""
    canary = "cAnArY-7f3kQ2vTz8Lm1"
    services = (Service(token=Token(canary), secret=Secret(canary)),)
    for record in (
        Account(auth_token=Token(canary), pin=Secret(canary), services=services),
        Resource(access_token=Token(canary)),
        Source(access_token=Token(canary)),
        TransientToken(token=Token(canary)),
    ):
        assert canary not in f"{record!r}{vars(record)}"
        with pytest.raises(TypeError) as caught:
            msgspec.json.encode(record)
        assert canary not in str(caught.value)


def test_problems() -> None:
    """`problems` names the unreadable values. It is empty for a model that a program created."""
    found = lenient.read_model(Account, {"id": [], "subscription": {"active": "perhaps"}})
    assert found is not None
    assert ("id", "subscription.active") == found.problems
    assert () == Account().problems
    assert Account(subscription=Subscription()) == found


def test_media_server_or_player() -> None:
    """`provides` is a comma-separated list: `server` must be an entry, not part of a word."""
    for provides, expected in {
        "server": True,
        "client,server": True,
        "player": False,
        "server-like": False,
        None: False,
    }.items():
        assert expected is Resource(provides=provides).is_media_server


def test_what_is_left_out() -> None:
    """plex.tv writes null but omits some members; a media server omits every null."""
    written = codec.to_builtins(Account(id=1))
    assert {"pin", "roles", "restrictionProfile", "customRestrictions"} & written.keys() == set()
    assert (None, ()) == (written["country"], written["entitlements"])
    assert {"Connection": [{"port": 1}]} == codec.to_builtins(
        Source(connections=(Connection(port=1),)), include_nulls=False
    )
