"""The local Plex: a server that answers as plex.tv and as media servers do, for the accounts of a given world."""
