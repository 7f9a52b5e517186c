"""A PIN: what a client shows or opens so that somebody approves it.

Rule: as all of records/. Sources: observed bodies, documented lifetimes.
"""

from __future__ import annotations

from typing import ClassVar

from ticketstub.models.base import AwareDatetime, Model
from ticketstub.tokens import Token


class Location(Model, frozen=True, kw_only=True, rename=None):
    """Where the client that made a PIN seems to be, by its address. Plex writes these names with underscores."""

    code: str | None = None
    european_union_member: bool | None = None
    continent_code: str | None = None
    country: str | None = None
    city: str | None = None
    time_zone: str | None = None
    postal_code: str | None = None
    in_privacy_restricted_country: bool | None = None
    in_privacy_restricted_region: bool | None = None
    subdivisions: str | None = None
    coordinates: str | None = None


class Pin(Model, frozen=True, kw_only=True):
    """A PIN of a client. `code` has 4 characters to be typed, or 25 where it is strong and opened in a browser.

    `expires_in` is the seconds that are left (900 for a typed code, 1800 for a strong one at the start).
    `auth_token` is `None` until somebody approved it.
    """

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"location"})  # an empty one would be no object in XML (ours)

    id: int | None = None
    code: str | None = None
    product: str | None = None
    trusted: bool | None = None
    qr: str | None = None
    client_identifier: str | None = None
    location: Location | None = None
    expires_in: int | None = None
    created_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    auth_token: Token | None = None
    new_registration: bool | None = None


class LegacyPin(Model, frozen=True, kw_only=True, rename="kebab"):
    """A PIN of the older kind, `/pins.xml`; always 4 characters."""

    id: int | None = None
    code: str | None = None
    expires_at: AwareDatetime | None = None
    user_id: int | None = None
    client_identifier: str | None = None
    trusted: bool | None = None
    auth_token: Token | None = None
