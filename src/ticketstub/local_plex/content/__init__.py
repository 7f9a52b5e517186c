"""What media servers answer beyond sign-in: replies from a folder, an upstream, recordings."""
