"""`ticketstub record`: write what a real media server answers into a folder that a local Plex can serve.

Rule: it only reads. Nothing is written before its secrets are taken out, and a redirect is not followed. An address
outside this machine and private networks is asked only where that is said, for the token goes there.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import click

from ticketstub.cli import prompts
from ticketstub.cli.failures import FAILED, UNREACHABLE, Complaint, WrongUsage
from ticketstub.cli.help import Command, argument
from ticketstub.cli.local_plex import explained
from ticketstub.errors import printable

if TYPE_CHECKING:
    from ticketstub.local_plex.content.recording import Recorder
    from ticketstub.local_plex.content.upstream import Received, Upstream

_SECTIONS = "/library/sections"


@click.command(cls=Command)
@argument("url", metavar="URL", help="The media server, as http://host:32400.")
@argument("folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Where its answers are written.")
@argument("paths", metavar="[PATH…]", nargs=-1, help="More to ask for: paths, with queries.")
@click.option("--outside", is_flag=True, help="Ask it though it is in no private network.")
def record(*, url: str, folder: Path, paths: tuple[str, ...], outside: bool) -> None:
    """Record a real media server's answers, without secrets, for a local Plex to serve."""
    wrong = [path for path in paths if not path.startswith("/")]
    if wrong:
        raise WrongUsage(f"a path begins with a slash: {printable(wrong[0])}")
    with explained():
        from ticketstub.local_plex.content.recording import Recorder
        from ticketstub.local_plex.content.upstream import Upstream
        from ticketstub.local_plex.world.schema import WorldMediaServer
        from ticketstub.local_plex.world.values import Unfit, base

        try:
            at = base(url)
        except Unfit as fault:
            raise WrongUsage(f"the address {fault}") from None
        token = prompts.token()
        server = WorldMediaServer(name="", upstream=at, upstream_token=token, upstream_outside=outside)
        asyncio.run(_record(Upstream(server), Recorder(folder, (token.reveal(),) if token else ()), paths))


async def _record(upstream: Upstream, recorder: Recorder, paths: tuple[str, ...]) -> None:
    """Ask for the libraries, for what is in each, and for the paths that were named."""
    sections, kept = await _keep(upstream, recorder, _SECTIONS)
    for path in [*(f"{_SECTIONS}/{quote(key, safe='')}/all" for key in _keys(sections)), *paths]:
        kept += (await _keep(upstream, recorder, path))[1]
    if not kept:
        raise Complaint(
            "nothing was recorded: the server has no answer to what was asked that can be kept",
            hint="name paths that it answers, and give it a token that may ask for them",
        )


async def _keep(upstream: Upstream, recorder: Recorder, path: str) -> tuple[bytes, int]:
    """Write the answer in both formats, or the one that it has whatever is accepted.

    Returns:
        The first one's body, and how many files were written.
    """
    from ticketstub.local_plex.content.reply_names import PAGING, counted
    from ticketstub.local_plex.content.upstream import UpstreamFailed

    found: dict[str, Received] = {}
    for accept in ("application/json", "text/xml"):
        try:
            answered = await upstream.ask(path, accept)
        except UpstreamFailed as failed:
            raise Complaint(
                str(failed).rstrip("."),
                hint="is it running, and are these its address and port?" if failed.is_silence else None,
                exit_code=UNREACHABLE if failed.is_silence else FAILED,
            ) from None
        if answered.status != 200:
            print(f"{answered.status}  {printable(recorder.scrub(path))}")
            return b"", 0
        found.setdefault(answered.headers.get("Content-Type", ""), answered)
    target, kept = urlsplit(path), 0
    query = dict(parse_qsl(target.query, keep_blank_values=True))
    names = counted(query) | {name: text for name, text in query.items() if name in PAGING}
    for media_type, answered in found.items():
        file = recorder.keep_at(unquote(target.path), names, media_type, answered.body)
        kept += file is not None
        print(f"200  {file or f'not written, a secret in it cannot be replaced: {printable(recorder.scrub(path))}'}")
    return next(iter(found.values())).body, kept


def _keys(body: bytes) -> list[str]:
    """List the keys of a media server's libraries."""
    try:
        listed = json.loads(body)["MediaContainer"].get("Directory", [])
        return [str(each["key"]) for each in listed]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []
