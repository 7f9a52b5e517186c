"""The few lines of Python that do what the demonstration did, shown at its end.

Rule: they run as they stand beside `ticketstub serve --demo`; a test does that.
"""

from __future__ import annotations

import sys

LINES = """\
from ticketstub import Plex
from ticketstub.server.world import World

mira = World.demo().account("mira_quill")
plex = Plex(plex_tv="http://127.0.0.1:8190")
account = plex.authentication.post_users_sign_in_data(
    login=mira.username, password=mira.password,
    verification_code=mira.code(),
)
mine = plex.with_options(token=account.auth_token)
print(mine.authentication.get_token_details().email)

attic = next(r for r in mine.resources() if r.name == "Attic")
url = attic.connections[0].uri
server = mine.at(url, token=attic.access_token)
transient = server.authentication.get_transient_token()

guest = mine.at(url, token=transient.token)
for source in (
    f"server://{attic.client_identifier}",
    "provider://tv.plex.provider.attic-guide",
):
    found = guest.authentication.get_source_connection_information(
        source=source
    )
    print(found.name, [c.uri for c in found.connections])
"""
"""The program; in a terminal of 72 columns no line is broken."""


def show_code() -> None:
    """Print the program, in colours on a terminal and bare in a pipe, so that it can be copied from either."""
    from ticketstub.cli.show import console

    out = console()
    if not out.is_terminal or out.no_color:
        print(LINES, end="", file=sys.stdout)
        return
    from rich.syntax import Syntax

    coloured = Syntax(LINES, "python", theme="ansi_dark", background_color="default").highlight(LINES)
    coloured.rstrip()
    out.print(coloured)
