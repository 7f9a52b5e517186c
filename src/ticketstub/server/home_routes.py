"""plex.tv's calls about Plex Home and other people, for its table of routes.

Rule: as in plex_tv.py. The older lists are XML whatever is accepted (observed); what is done to a Home by them is
refused as v2 refuses, with codes, for a client could not tell a wrong passcode from a dead token otherwise (ours). A
call that gives out a token, or changes anything, takes an account's own tokens only.
"""

from __future__ import annotations

from ticketstub.server.handlers import home, home_members, users
from ticketstub.server.instance import Instance
from ticketstub.server.routes import Route
from ticketstub.server.store.base import TokenKind, TokenRow
from ticketstub.wire.codec import Format
from ticketstub.wire.home import (
    AddHomeUser,
    GetHome,
    GetHomeUsers,
    GetLegacyHomeUsers,
    RemoveHomeUser,
    SetManagedPasscode,
    SetPasscode,
    SwitchHomeUser,
    SwitchLegacyHomeUser,
)
from ticketstub.wire.users import (
    AcceptInvitation,
    CreateShare,
    GetAnsweredShares,
    GetFriends,
    GetOwnedShares,
    GetPendingShares,
    GetReceivedInvitations,
    GetSentInvitations,
    GetSentShares,
    GetServer,
    GetServers,
    GetSharedServers,
    GetUsers,
    RefuseInvitation,
    RemoveFriend,
    WithdrawInvitation,
)

_OWN: frozenset[TokenKind] = frozenset({"account", "jwt"})


def home_routes() -> list[Route[Instance, TokenRow]]:
    """Make the routes of Plex Home."""
    return [
        Route(GetHome, home.get_home, identifier="required"),
        Route(GetHomeUsers, home.get_home_users, write=home.write_listed, identifier="required"),
        Route(GetLegacyHomeUsers, home.get_legacy_home_users, dialect="legacy", form=Format.XML),
        Route(SwitchHomeUser, home.switch, read=home.read_switch, identifier="required", kinds=_OWN),
        Route(
            SwitchLegacyHomeUser,
            home.legacy_switch,
            read=home.read_legacy_switch,
            identifier="required",
            kinds=_OWN,
            dialect="legacy",
            form=Format.XML,
        ),
        Route(SetPasscode, home.set_passcode, read=home.read_set_passcode, kinds=_OWN),
        Route(SetManagedPasscode, home.set_managed_passcode, read=home.read_set_managed, kinds=_OWN),
        Route(AddHomeUser, home_members.add_home_user, read=home_members.read_add, kinds=_OWN),
        Route(RemoveHomeUser, home_members.remove_home_user, kinds=_OWN),
    ]


def people_routes() -> list[Route[Instance, TokenRow]]:
    """Make the routes of other people and their servers."""
    xml, members = Format.XML, home_members
    return [
        Route(GetUsers, users.get_users, form=xml),
        Route(GetFriends, users.get_friends, identifier="required"),
        Route(RemoveFriend, users.remove_friend, kinds=_OWN, form=xml),
        Route(GetSharedServers, users.shared_servers, kinds=_OWN, dialect="legacy", form=xml),
        Route(GetServers, users.servers, dialect="legacy", form=xml),
        Route(GetServer, users.server),
        Route(GetOwnedShares, users.owned_shares, identifier="required"),
        Route(GetAnsweredShares, users.owned_shares, identifier="required"),
        Route(GetPendingShares, users.pending_shares, identifier="required"),
        Route(GetSentShares, users.pending_shares, identifier="required"),
        Route(CreateShare, users.create_share, identifier="required", kinds=_OWN),
        Route(GetReceivedInvitations, members.received_invitations, dialect="legacy", form=xml),
        Route(GetSentInvitations, members.sent_invitations, dialect="legacy", form=xml),
        Route(AcceptInvitation, members.accept_invitation, kinds=_OWN),
        Route(RefuseInvitation, members.refuse_invitation, kinds=_OWN),
        Route(WithdrawInvitation, members.withdraw_invitation, kinds=_OWN),
    ]
