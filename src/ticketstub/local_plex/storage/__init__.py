"""Databases of the local Plex: the verbs (base), the engines (sqlite), and how a world gets in (seed)."""
