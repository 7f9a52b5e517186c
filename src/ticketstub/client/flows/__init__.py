"""Flows: one call or several, as generators that are written once for `Plex` and `AsyncPlex`."""
