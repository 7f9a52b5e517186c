"""Adapters for other people's libraries: requests with the client's token, and python-plexapi.

    from ticketstub.adapters.httpx import PlexAuth     # httpx and httpx2
    from ticketstub.adapters.requests import PlexAuth
    from ticketstub.adapters.aiohttp import PlexAuth
    from ticketstub.adapters import plexapi

Rule: each module can be imported without its library. What needs the library then raises an `ImportError` that names
it.
"""
