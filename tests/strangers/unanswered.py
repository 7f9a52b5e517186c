"""What a stranger offers and does not get from the local Plex, and why: by its folder and the name of the operation.

Rule: a reason is told as a user of that client would want to read it. What passes is not here: the tests show that.
"""

UNANSWERED: dict[str, dict[str, str]] = {}
