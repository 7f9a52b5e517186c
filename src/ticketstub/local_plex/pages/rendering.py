"""Making answers of templates: HTML with the header fields that every page has.

Rule: everything put into a template is escaped; a page runs one script of this site and no style or script within it,
loads nothing from elsewhere, sends forms to this site only, and is neither framed nor kept. Referrers stay on the site
(`same-origin` and not `no-referrer`: with that a browser would not even tell us that a form is our own).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ticketstub.local_plex.http.request import Headers
from ticketstub.local_plex.http.response import Answer

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
_POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    b"frame-ancestors 'none'; base-uri 'none'"
)
_ALWAYS: Headers = [
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_UNKEPT: Headers = [(b"cache-control", b"no-store"), (b"vary", b"Cookie"), *_ALWAYS]
_PAGE: Headers = [(b"content-type", b"text/html; charset=utf-8"), *_UNKEPT]
_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}


def page(template: str, status: int = 200, **values: object) -> Answer:
    """Make a page of a template and its values."""
    return Answer(status, _PAGE, _templates().get_template(template).render(values).encode())


def with_own_connections(headers: Headers) -> Headers:
    """Let the page's script ask this site, for codes that change."""
    allowed = _POLICY + b"; connect-src 'self'"
    return [(name, allowed if value is _POLICY else value) for name, value in headers]


def redirect(location: str) -> Answer:
    """Send the browser on, with GET, to a place on this site."""
    return Answer(303, [(b"location", location.encode("ascii")), *_UNKEPT], b"")


@cache
def static_files() -> dict[str, Answer]:
    """Return what is under `/static/`, by path; all of it is read the first time."""
    files = sorted((_HERE / "static").iterdir())
    return {f"/static/{file.name}": _static(file) for file in files if file.suffix in _TYPES}


def _static(file: Path) -> Answer:
    headers: Headers = [(b"content-type", _TYPES[file.suffix]), (b"cache-control", b"no-cache"), *_ALWAYS]
    return Answer(200, headers, file.read_bytes())


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only who opens a page pays for it

    loader = FileSystemLoader(_HERE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
