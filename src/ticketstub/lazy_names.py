"""Modules that load a name when it is first used, so that importing them is fast.

    def __getattr__(name: str) -> object:
        return load_name(__name__, name, {"Token": "tokens"})

Rule: only names and modules are handed in, and nothing is loaded but the module of the requested name.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module


def load_name(module: str, name: str, origins: Mapping[str, str]) -> object:
    """Return the value of a module's name, and store it in the module for later uses.

    Args:
        module: The full name of the module.
        name: The name. `__all__` returns the sorted list of all names.
        origins: For each name, the module within `ticketstub` that defines it.

    Raises:
        AttributeError: The module has no such name.
    """
    if name == "__all__":
        return sorted(origins)
    if name not in origins:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"ticketstub.{origins[name]}"), name)
    setattr(sys.modules[module], name, value)
    return value
