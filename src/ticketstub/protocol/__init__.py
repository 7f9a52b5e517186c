"""The protocol: calls as values, written once for the client and the local Plex. Start with call.py."""
