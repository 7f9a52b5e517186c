"""The rest of python-plexapi's account: what `program.py` has not, called as its users call it.

Each operation is a function of the request and of what it is about: an account, or a media server.
"""

import queue
import time

from plexapi.myplex import MyPlexAccount


def reload(ask, account):
    account.reload()
    return {
        "username": account.username,
        "title": account.title,
        "home": account.home,
        "home_admin": account.homeAdmin,
        "features": account.subscriptionFeatures,
        "entitlements": account.entitlements,
        "roles": account.roles,
    }


def home_users(ask, account):
    """No method has it: its documented address is asked."""
    return {one.attrib["title"]: one.attrib["protected"] for one in account.query(account.HOMEUSERS)}


def user(ask, account):
    found = account.user(ask["user"])
    return {"id": found.id, "title": found.title, "server": found.server(ask["server"]).name}


def resource(ask, account):
    found = account.resource(ask["name"])
    return {"name": found.name, "connections": found.preferred_connections(ssl=True)}


def device(ask, account):
    found = account.device(name=ask["name"])
    return {"identifier": found.clientIdentifier, "provides": found.provides}


def device_connect(ask, account):
    return {"name": account.device(name=ask["name"]).connect(timeout=5).friendlyName}


def invite_friend(ask, account):
    account.inviteFriend(ask["user"], ask["identifier"])
    return {}


def update_friend(ask, account):
    account.updateFriend(ask["user"], ask["identifier"], allowSync=True)
    return {}


def remove_friend(ask, account):
    account.removeFriend(ask["user"])
    return {}


def create_home_user(ask, account):
    account.createHomeUser(ask["user"], ask["identifier"])
    return {}


def create_existing_user(ask, account):
    account.createExistingUser(ask["user"], ask["identifier"])
    return {}


def remove_home_user(ask, account):
    account.removeHomeUser(ask["user"])
    return {}


def pending_invites(ask, account):
    found = account.pendingInvites(includeSent=ask["sent"], includeReceived=not ask["sent"])
    return {"invites": [{"from": one.username, "home": one.home, "friend": one.friend} for one in found]}


def accept_invite(ask, account):
    account.acceptInvite(ask["user"])
    return {}


def cancel_invite(ask, account):
    account.cancelInvite(ask["user"])
    return {}


def webhooks(ask, account):
    return {"webhooks": account.webhooks()}


def set_webhooks(ask, account):
    return {"webhooks": account.setWebhooks(["http://127.0.0.1:9/hook"])}


def opt_out(ask, account):
    account.optOut(playback=True)
    return {}


def online_media_sources(ask, account):
    return {"sources": [one.key for one in account.onlineMediaSources()]}


def view_state_sync(ask, account):
    return {"consent": account.viewStateSync()}


def set_view_state_sync(ask, account):
    account.enableViewStateSync()
    return {}


def geoip(ask, account):
    return {"city": account.geoip("127.0.0.1").city}


def sync_items(ask, account):
    return {"items": len(account.syncItems().items)}


def history(ask, account):
    return {"items": len(account.history(maxresults=1))}


def sonos_speakers(ask, account):
    return {"speakers": len(account.sonos_speakers())}


def video_on_demand(ask, account):
    return {"hubs": len(account.videoOnDemand())}


def tidal(ask, account):
    return {"hubs": len(account.tidal())}


def watchlist(ask, account):
    return {"items": len(account.watchlist(maxresults=1))}


def search_discover(ask, account):
    return {"items": len(account.searchDiscover("attic"))}


OF_ACCOUNT = {
    one.__name__: one
    for one in (
        *(reload, home_users, user, resource, device, device_connect),
        *(invite_friend, update_friend, remove_friend, create_home_user, create_existing_user, remove_home_user),
        *(pending_invites, accept_invite, cancel_invite),
        *(webhooks, set_webhooks, opt_out, online_media_sources, view_state_sync, set_view_state_sync),
        *(geoip, sync_items, history, sonos_speakers, video_on_demand, tidal, watchlist, search_discover),
    )
}


def server_identity(ask, plex):
    found = plex.identity()
    return {"claimed": found.claimed, "identifier": found.machineIdentifier}


def server_system_account(ask, plex):
    return {"name": plex.systemAccount(ask["id"]).name}


def server_plex_account(ask, plex):
    return {"username": plex.myPlexAccount().username}


def server_switch_user(ask, plex):
    switched = plex.switchUser(ask["user"])
    return {"name": switched.friendlyName, "token": switched._token}


def server_unclaim(ask, plex):
    found = plex.unclaim()
    return {"username": found.username, "state": found.signInState, "claimed": plex.identity().claimed}


def server_claim(ask, plex):
    found = plex.claim(MyPlexAccount(token=ask["owner"], session=ask["session"]))
    return {"username": found.username, "state": found.signInState, "claimed": plex.identity().claimed}


def server_library(ask, plex):
    return {"title": plex.library.title1, "sections": [one.title for one in plex.library.sections()]}


def server_sessions(ask, plex):
    return {"sessions": len(plex.sessions())}


def server_playlists(ask, plex):
    return {"playlists": len(plex.playlists())}


def server_search(ask, plex):
    return {"items": len(plex.search(ask["text"]))}


def server_activities(ask, plex):
    return {"activities": len(plex.activities)}


def server_butler(ask, plex):
    return {"tasks": [one.name for one in plex.butlerTasks()]}


def server_settings(ask, plex):
    return {"name": plex.settings.get("FriendlyName").value}


HEARD = queue.Queue()
"""What the listener's thread was told: notifications, and errors as texts."""


def server_listen(ask, plex):
    """Start a listener, and wait until its WebSocket is open."""
    listener = plex.startAlertListener(HEARD.put, lambda error: HEARD.put(str(error)))
    for _ in range(1000):
        if listener._ws and listener._ws.sock and listener._ws.sock.connected:
            break
        time.sleep(0.01)
    return {"open": listener.is_alive()}


def server_heard(ask, plex):
    return {"heard": HEARD.get(timeout=20)}


OF_SERVER = {
    one.__name__: one
    for one in (
        *(server_identity, server_system_account, server_plex_account, server_switch_user),
        *(server_unclaim, server_claim, server_library, server_sessions, server_playlists, server_search),
        *(server_activities, server_butler, server_settings, server_listen, server_heard),
    )
}
