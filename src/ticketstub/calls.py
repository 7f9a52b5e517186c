"""Every call as a value, for `plex.send` and `plex.attempt`, and the types that only calls use.

    from ticketstub.calls import GetTokenDetails

    account = plex.send(GetTokenDetails())

Rule: importing this module loads nothing else; each name is loaded when it is first used. `calls.pyi` lists the names.
"""


def __getattr__(name: str) -> object:
    from importlib import import_module

    from ticketstub.public_names import CALLS

    if name == "__all__":
        return sorted(CALLS)
    if name not in CALLS:
        raise AttributeError(f"module 'ticketstub.calls' has no attribute {name!r}")
    found: object = getattr(import_module(f"ticketstub.{CALLS[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    from ticketstub.public_names import CALLS

    return list(CALLS)
