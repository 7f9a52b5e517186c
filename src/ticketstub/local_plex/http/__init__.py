"""HTTP for the local Plex: sockets, requests, responses and the router. It knows no route."""
