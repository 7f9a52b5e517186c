"""The decisions of a local Plex, one subject a file, between its store and its HTTP handlers."""
