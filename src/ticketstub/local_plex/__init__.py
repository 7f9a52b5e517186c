"""The local Plex: it answers as plex.tv and as media servers do, for the accounts of a world that somebody wrote."""
