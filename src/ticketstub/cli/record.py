"""`ticketstub record`: record a real media server's answers in a folder that a local Plex can serve.

Rule: it only reads from the server. Secrets are removed before anything is written, and redirects are not followed.
Addresses outside this machine and private networks need --outside, because the token is sent there.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import click

from ticketstub.cli import prompts
from ticketstub.cli.errors import FAILED, UNREACHABLE, CommandError, InvalidUsage
from ticketstub.cli.local_plex import explain_server_errors
from ticketstub.cli.options import CliCommand, argument
from ticketstub.errors import sanitize_text

if TYPE_CHECKING:
    from ticketstub.local_plex.content.recording import Recorder
    from ticketstub.local_plex.content.upstream import Upstream, UpstreamResponse

_SECTIONS = "/library/sections"


@click.command(cls=CliCommand)
@argument("url", metavar="URL", help="The media server, as http://host:32400.")
@argument("folder", metavar="FOLDER", type=click.Path(path_type=Path), help="The folder for its answers.")
@argument("paths", metavar="[PATH…]", nargs=-1, help="Further paths to request, with their queries.")
@click.option("--outside", is_flag=True, help="Allow an address outside private networks.")
def record(*, url: str, folder: Path, paths: tuple[str, ...], outside: bool) -> None:
    """Record a real media server's answers, without secrets, for a local Plex to serve."""
    if invalid_paths := [path for path in paths if not path.startswith("/")]:
        raise InvalidUsage(f"a path must begin with a slash: {sanitize_text(invalid_paths[0])}")
    with explain_server_errors():
        from ticketstub.local_plex.content.recording import Recorder
        from ticketstub.local_plex.content.upstream import Upstream
        from ticketstub.local_plex.world.schema import WorldMediaServer
        from ticketstub.local_plex.world.values import InvalidValue, parse_base_url

        try:
            base_url = parse_base_url(url)
        except InvalidValue as fault:
            raise InvalidUsage(f"the address {fault}") from None
        token = prompts.read_token()
        server = WorldMediaServer(name="", upstream=base_url, upstream_token=token, upstream_outside=outside)
        asyncio.run(_record_all(Upstream(server), Recorder(folder, (token.reveal(),) if token else ()), paths))


async def _record_all(upstream: Upstream, recorder: Recorder, paths: tuple[str, ...]) -> None:
    """Request the list of libraries, the content of each, and the given paths."""
    sections, file_count = await _record_path(upstream, recorder, _SECTIONS)
    for path in [*(f"{_SECTIONS}/{quote(key, safe='')}/all" for key in _parse_section_keys(sections)), *paths]:
        file_count += (await _record_path(upstream, recorder, path))[1]
    if not file_count:
        raise CommandError(
            "nothing was recorded: the server sent no answer that can be stored",
            hint="name paths that the server answers, and pass a token that may read them",
        )


async def _record_path(upstream: Upstream, recorder: Recorder, path: str) -> tuple[bytes, int]:
    """Record the answer to a path in both formats, or in the only one that the server has.

    Returns:
        The body of the first format, and the number of files that were written.
    """
    from ticketstub.local_plex.content.upstream import UpstreamError

    answers: dict[str, UpstreamResponse] = {}
    for accept in ("application/json", "text/xml"):
        try:
            answer = await upstream.get(path, accept)
        except UpstreamError as failed:
            raise CommandError(
                str(failed).rstrip("."),
                hint="check that it is running, and its address and port" if failed.is_unreachable else None,
                exit_code=UNREACHABLE if failed.is_unreachable else FAILED,
            ) from None
        if answer.status != 200:
            print(f"{answer.status}  {sanitize_text(recorder.scrub(path))}")
            return b"", 0
        answers.setdefault(answer.headers.get("Content-Type", ""), answer)
    split_path, file_count = urlsplit(path), 0
    query = dict(parse_qsl(split_path.query, keep_blank_values=True))
    for media_type, answer in answers.items():
        file = recorder.record_path(unquote(split_path.path), query, media_type, answer.body)
        file_count += file is not None
        print(f"200  {file or f'not written, a secret cannot be replaced: {sanitize_text(recorder.scrub(path))}'}")
    return next(iter(answers.values())).body, file_count


def _parse_section_keys(body: bytes) -> list[str]:
    """Return the keys of a media server's libraries."""
    try:
        return [str(directory["key"]) for directory in json.loads(body)["MediaContainer"].get("Directory", [])]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []
