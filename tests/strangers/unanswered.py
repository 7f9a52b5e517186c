"""What a stranger offers and does not get from the local Plex, and why: by its folder and the name of the operation.

Rule: a reason is told as a user of that client would want to read it. What passes is not here: the tests show that.
"""

_CERTIFI_ALONE = "it trusts certifi's authorities and no other, whatever REQUESTS_CA_BUNDLE says; by http it gets on"

UNANSWERED: dict[str, dict[str, str]] = {
    "plexpy_0_6_6": {"a media server by https, in a run": _CERTIFI_ALONE},
    "plexpy_0_9_0": {"a media server by https, in a run": _CERTIFI_ALONE},
}
