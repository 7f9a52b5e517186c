"""The nouns of Plex, as frozen data.

Rule: a record has no behaviour beyond small derived properties, and no idea of the network. Names are ours
(`auth_token`), the wire's are derived from them (`authToken`); those that cannot be are written out. A field that
Plex left out, sent as null or sent with the wrong type is `None` (or empty, for a list); the latter are named in
`problems`. Enumerations stay text, because Plex adds values without notice. Sources: observed bodies, unless said.
"""

from __future__ import annotations

from ticketstub.models.account import Account, CustomRestrictions, PaidSubscription, Profile, Service, Subscription
from ticketstub.models.base import Model
from ticketstub.models.device import AuthorizedDevice
from ticketstub.models.home import Home, HomeUser
from ticketstub.models.media_server import Identity, ServerInformation, Source, TransientToken
from ticketstub.models.people import (
    AccessibleServer,
    Friend,
    Invitation,
    Person,
    PublishedServer,
    Share,
    SharedServer,
    SharingSettings,
    User,
)
from ticketstub.models.pin import LegacyPin, Location, Pin
from ticketstub.models.resource import Connection, Resource

__all__ = [
    "AccessibleServer",
    "Account",
    "AuthorizedDevice",
    "Connection",
    "CustomRestrictions",
    "Friend",
    "Home",
    "HomeUser",
    "Identity",
    "Invitation",
    "LegacyPin",
    "Location",
    "Model",
    "PaidSubscription",
    "Person",
    "Pin",
    "Profile",
    "PublishedServer",
    "Resource",
    "ServerInformation",
    "Service",
    "Share",
    "SharedServer",
    "SharingSettings",
    "Source",
    "Subscription",
    "TransientToken",
    "User",
]
