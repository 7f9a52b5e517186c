"""Another library's names on our client, so that its documented snippets run with one changed import.

    from ticketstub.compat import plex_api  # plex-api-client 0.6.6 to 0.9.0

Rule: names and shapes only. What is sent, where a token may go, what is tried again and for how long are ours; what is
not covered says so and names what to use instead. Sources: the releases themselves, looked at from outside.
"""
