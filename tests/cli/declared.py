"""All commands, loaded."""

from collections.abc import Iterator

import click

from ticketstub.cli.app import app


def every_command(group: click.Group = app, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield each command and group with its path, including those of nested groups."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from every_command(command, f"{path}{name} ")
