"""Sign in with Plex, for any application: an OpenID Connect provider for the people of a Plex server.

Rule: of `ticketstub`, only public names are used. The parts:

    config        bridge.toml, read and written as a whole
    sealing       bridge.key, what is encrypted under it, and digests
    storage       the tables, and each operation on them
    answers       what userinfo has answered about access tokens, for a moment
    keys          the keys that sign ID tokens and logout tokens
    people        who has signed in: the stable `sub`, the unique handle, groups and claims
    plex          signing in at Plex, and membership
    clients       the applications, as OpenID Connect sees them
    provider      the grants, through Authlib
    endpoints     the requests of applications
    interaction   the requests of people: continue to Plex, consent, my sessions, sign out
    logout        ending sessions, and telling the applications
    recheck       asking for memberships again
    pages         HTML
    presets       the settings of known applications
    app           the parts put together as an ASGI application
    control       what the command asks of a running bridge
    running       a bridge in a thread, for tests; robot signs its people in; plugin has the pytest fixture
    demo          the demonstration, and `ticketstub bridge run`
    admin         the command `ticketstub bridge`
"""
