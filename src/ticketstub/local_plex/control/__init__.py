"""The tester's hand on a local Plex: verbs, what they change about answers, and the same over HTTP."""
