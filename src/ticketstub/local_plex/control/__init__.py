"""Control of a running local Plex by a tester: commands, faults, the request log, and the same over HTTP."""
