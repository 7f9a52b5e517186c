"""Plex's accounts, PINs, media servers and other objects, as frozen data.

Rule: a model has no behaviour beyond small derived properties and knows nothing of the network. Attribute names are
Pythonic (`auth_token`). The wire names are derived from them (`authToken`), or written out if they cannot be derived. A
field is `None` (a list is empty) if Plex omitted it, sent null or sent a wrong type; `problems` lists the values of a
wrong type. Enumerations stay text, because Plex adds values without notice. Sources: observed bodies, unless stated
otherwise.
"""

from __future__ import annotations

from ticketstub.models.account import (
    Account,
    CustomRestrictions,
    LegacyPin,
    Location,
    PaidSubscription,
    Pin,
    Profile,
    Service,
    Subscription,
)
from ticketstub.models.base import Connection, Model
from ticketstub.models.people import (
    AccessibleServer,
    Friend,
    Home,
    HomeUser,
    Invitation,
    Person,
    Role,
    Share,
    SharedServer,
    SharingSettings,
    User,
)
from ticketstub.models.resource import (
    AuthorizedDevice,
    Identity,
    PublishedServer,
    Resource,
    ServerInformation,
    Source,
    TransientToken,
)

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
    "Role",
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
