"""Every call as a value, for `plex.send` and `plex.attempt`, and the types of their arguments and replies.

    from ticketstub.calls import GetTokenDetails

    account = plex.send(GetTokenDetails())

Rule: importing this module loads nothing else; each name is loaded when it is first used. `calls.pyi` lists the names.
"""


def __getattr__(name: str) -> object:
    from ticketstub.lazy_names import load_name
    from ticketstub.public_names import CALLS

    return load_name(__name__, name, CALLS)


def __dir__() -> list[str]:
    from ticketstub.public_names import CALLS

    return list(CALLS)
