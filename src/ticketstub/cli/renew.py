"""`ticketstub renew`: get a new token for the device key, or keep an opaque token alive."""

from __future__ import annotations

from ticketstub.cli import options


def renew(
    *,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Renew the kept sign-in now.

    With a device key it gets a new token; without one, it keeps the token alive with a ping.
    """
    from ticketstub.cli import facts, keeping, show
    from ticketstub.cli.connection import Reach, kept
    from ticketstub.cli.over import explained

    reach = Reach(plex_tv, timeout, client_identifier, profile)
    found = keeping.needed(reach.issuer, profile)
    with kept(reach, found) as client, explained(found):
        state = client.renew()
        token = client.token
    if as_json:
        known = {"token": token, "expires_at": state.until, "profile": state.profile, "kept": state.where}
        show.as_json({"renewed": state.device_key, **known})
        return
    if state.device_key:
        show.heading(f"Renewed: {found.name}")
    else:
        show.heading(f"Still good: {found.name}. It has no device key, so its token stays the same.")
    show.facts([("token", facts.token_text(token)), ("until", facts.moment(state.until)), ("kept", state.where)])
