"""The way of unmodified programs to a local Plex: a CONNECT proxy on loopback, certificates, and what is to be set.

Rule: programs are pointed here by their environment alone (`ticketstub run`, the fixtures' `env`). What is for
Plex's hosts ends here, and they are never looked up; all else is passed on untouched, or refused. Nothing here reads
the environment or prints.
"""
