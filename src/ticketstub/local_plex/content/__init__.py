"""What a media server answers beyond the local Plex's own routes: a folder of replies, or another media server."""
