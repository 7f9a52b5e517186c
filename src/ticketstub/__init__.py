"""Ticketstub for Plex: sign in to Plex in every way Plex knows, and a local Plex to build and test against."""
