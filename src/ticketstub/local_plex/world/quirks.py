"""What is disputed or unknown about Plex's answers: a key each, with the ways that are possible.

Rule: the first way is the default, and what this project believes; the library's own tests pass with each of them.
docs/reference/world.md says what each means. A key is a value of the world, so its type is all that is known here.
"""

from __future__ import annotations

from typing import Literal

from ticketstub.local_plex.world.reading import WorldTable


class Quirks(WorldTable, frozen=True, kw_only=True):
    """How a local Plex answers where nobody knows for sure, or where both were seen."""

    removed_keys = {  # noqa: RUF012  # a class's own
        "linked_pin": '"repeat"',
        "link_again": '"refuse"',
        "link_code_case": '"ignore"',
        "pin_location_in_xml": "true",
        "xml_prolog": "true",
        "sign_out_device": '"keep"',
        "rotate_tokens": "false",
        "plain_sign_in": '"lives"',
        "unknown_client": '"ignore"',
        "locked_sign_in": "401",
        "retry_after": "false",
        "removed_device": "204",
        "expired_jwt": "498",
        "device_jwt_refused": "422",
        "nonce_once": "true",
        "nonce_without_identifier": "422",
        "same_key_again": '"refuse"',
        "registered_key": '"empty"',
        "jwk_pin_without_jwt": '"pending"',
        "sign_in_after_jwt": '"accept"',
        "no_home": '"alone"',
        "home_users_updated_at": '"epoch"',
        "home_users_restriction_profile": "true",
        "friends": '"list"',
        "legacy_switch_refused": "403",
        "controllers": '"unlisted"',
        "claim_refused": "404",
        "claim_once": "true",
        "shared_on_owner_route": "403",
        "old_media_server": "404",
    }

    default_format: Literal["xml", "json"] = "xml"
    require_client_identifier: bool = False
    denied_pin: Literal["pending", "not_found"] = "pending"
    legacy_dead_token: Literal[422, 401] = 422
    jwt_on_media_server: Literal["refuse", "accept"] = "refuse"
    first_jwt: Literal["ends_token", "keeps_token"] = "ends_token"
    switch_without_passcode: Literal["refuse", "allow"] = "refuse"
    wrong_current_passcode: Literal[401, 403] = 401
    invitation_lists: Literal["gone", "list"] = "gone"
    shared_server_tokens: Literal["present", "missing"] = "present"
    legacy_server_lists: Literal["full", "empty"] = "full"
    cors: Literal["allow", "none"] = "allow"
    security_without_token: Literal[401, 403] = 401
    unknown_source: Literal[404, 400] = 404
    source_device: Literal["object", "list"] = "object"
    my_plex_account: Literal["without_token", "with_token", "forbidden"] = "without_token"
    server_tokens: Literal["accept", "forbidden"] = "accept"
