"""The world file: its schema, how it is read, and the quirks that it can set."""
