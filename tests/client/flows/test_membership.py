"""Who may use a media server, and as what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every
from ticketstub.client.flows.membership import determine_role
from ticketstub.models import Account, Resource, Role
from ticketstub.testing import LocalPlexController

ATTIC, OWNER, STRANGER = "9b1f", 1, 66
OWN = Resource(client_identifier=ATTIC, provides="server", owned=True, name="Attic")
SHARED = msgspec.structs.replace(OWN, owned=False, owner_id=OWNER)
AT_HOME = msgspec.structs.replace(SHARED, home=True)
PERSON = Account(id=2, restricted=False)


@every(
    ("role", "account", "resource"),
    {
        "the owner": ("owner", {"id": OWNER}, OWN),
        "the owner, without the server": (None, {"id": OWNER}, {"client_identifier": "other"}),
        "a friend": ("friend", {}, SHARED),
        "a member of the Home": ("home", {}, AT_HOME),
        "the Home's other administrator": ("home_admin", {"home_admin": True}, AT_HOME),
        "the administrator of another Home": ("friend", {"home_admin": True}, SHARED),
        "a managed user": ("managed", {"restricted": True}, AT_HOME),
        "a managed user of a friend": ("managed", {"restricted": True}, SHARED),
        "unknown whether managed": ("managed", {"restricted": None}, AT_HOME),
        "a child": ("restricted", {"restricted": True, "restriction_profile": "little_kid"}, AT_HOME),
        "a guest": ("restricted", {"guest": True}, AT_HOME),
        "another server of that name": (None, {}, {"client_identifier": "other"}),
        "the same identifier, owned by the caller": (None, {}, OWN),
        "the same identifier, owned by a stranger": (None, {}, {"owner_id": STRANGER}),
        "no owner": (None, {}, {"owner_id": None}),
        "owned, but of somebody else": (None, {}, {"owned": True}),
        "a player": (None, {}, {"provides": "player"}),
        "no account id": (None, {"id": None}, OWN),
    },
)
def test_a_role_needs_the_identifier_and_the_owner(
    role: Role | None, account: Mapping[str, Any], resource: Resource | Mapping[str, Any]
) -> None:
    """A role is given for the server's identifier and its owner's id together; what is unknown gives fewer rights."""
    listed = resource if isinstance(resource, Resource) else msgspec.structs.replace(SHARED, **resource)
    assert role == determine_role(msgspec.structs.replace(PERSON, **account), [listed], ATTIC, OWNER)


RESOURCES = st.builds(
    Resource,
    client_identifier=st.sampled_from([ATTIC, "", None]),
    name=st.just("Attic"),
    provides=st.just("server"),
    owned=st.sampled_from([True, False, None]),
    owner_id=st.sampled_from([None, STRANGER, 2]),
    home=st.booleans(),
)


@given(st.lists(RESOURCES))
def test_nothing_but_the_owner_gives_a_role(resources: list[Resource]) -> None:
    """Whatever servers others run and share, without the owner's id none of them gives a role."""
    assert determine_role(PERSON, resources, ATTIC, OWNER) is None


@pytest.mark.parametrize(
    ("person", "role"), [("mira_quill", "owner"), ("juno_vale", "home"), (10500789, "restricted"), ("tom", "friend")]
)
def test_the_local_plex_gives_each_role(local_plex: LocalPlexController, person: str | int, role: Role) -> None:
    """Against a local Plex, each person of the demonstration has the role that the world describes."""
    machine_identifier = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
    for guest in ("juno_vale", 10500789):
        local_plex.share("Attic", guest)
    account = local_plex.client(person).account()
    assert role == account.membership(machine_identifier, owner=10500123)
    assert account.membership(machine_identifier, owner=10500321) is None
    assert account.membership("Attic", owner=10500123) is None
