"""Ticketstub for Plex: sign in to Plex, and a local Plex to build and test against.

    from ticketstub import Plex

    plex = Plex.sign_in("My App")

Rule: importing this package loads nothing else; each name is loaded when it is first used. `__init__.pyi` lists the
names, and `public_names.py` is generated from it.
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    from ticketstub.lazy_names import load_name
    from ticketstub.public_names import CALLS, TOP_LEVEL

    if name in CALLS:
        raise AttributeError(f"{name} is in ticketstub.calls: from ticketstub.calls import {name}")
    return load_name(__name__, name, TOP_LEVEL)


def __dir__() -> list[str]:
    from ticketstub.public_names import TOP_LEVEL

    return [*TOP_LEVEL, "__version__"]
