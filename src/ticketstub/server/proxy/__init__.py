"""The way of unmodified programs to a local Plex: a CONNECT proxy on loopback, and certificates made for one run.

Rule: programs are pointed here by their environment alone (`ticketstub run`). What is for Plex's hosts ends here, and
they are never looked up; all else is passed on untouched, or refused. Nothing here reads the environment or prints.
"""
