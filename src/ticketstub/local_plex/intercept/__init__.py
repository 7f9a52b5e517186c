"""Intercepting unmodified programs: a CONNECT proxy on loopback, a certificate authority, and environment variables.

Rule: only their environment points programs at the local Plex (`ticketstub run`, the fixtures' `env`). Connections to
Plex's hosts end here, and those names are never looked up; everything else is forwarded unchanged, or refused. Nothing
here reads the environment or prints.
"""
