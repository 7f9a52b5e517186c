"""The pytest plugin under its earlier name, until environments are installed anew."""

from ticketstub.testing.plugin import *  # noqa: F403
