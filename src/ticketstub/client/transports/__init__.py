"""How requests are sent: a transport for `Plex`, one for `AsyncPlex`, and adapters for your own HTTP client."""
