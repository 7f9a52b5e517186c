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
from ticketstub.local_plex.http.response import OutgoingResponse

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
_CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    b"frame-ancestors 'none'; base-uri 'none'"
)
_COMMON_HEADERS: Headers = [
    (b"content-security-policy", _CONTENT_SECURITY_POLICY),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_STORE_HEADERS: Headers = [(b"cache-control", b"no-store"), (b"vary", b"Cookie"), *_COMMON_HEADERS]
_PAGE_HEADERS: Headers = [(b"content-type", b"text/html; charset=utf-8"), *_NO_STORE_HEADERS]
_MEDIA_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}


def render_page(template: str, status: int = 200, **values: object) -> OutgoingResponse:
    """Make a page of a template and its values."""
    return OutgoingResponse(status, _PAGE_HEADERS, _load_templates().get_template(template).render(values).encode())


def allow_own_connections(headers: Headers) -> Headers:
    """Let the page's script ask this site, for codes that change."""
    policy = _CONTENT_SECURITY_POLICY + b"; connect-src 'self'"
    return [(name, policy if value is _CONTENT_SECURITY_POLICY else value) for name, value in headers]


def build_redirect(location: str) -> OutgoingResponse:
    """Send the browser on, with GET, to a place on this site."""
    return OutgoingResponse(303, [(b"location", location.encode("ascii")), *_NO_STORE_HEADERS], b"")


@cache
def load_static_files() -> dict[str, OutgoingResponse]:
    """Return what is under `/static/`, by path; all of it is read the first time."""
    files = sorted((_HERE / "static").iterdir())
    return {f"/static/{file.name}": _load_static_file(file) for file in files if file.suffix in _MEDIA_TYPES}


def _load_static_file(file: Path) -> OutgoingResponse:
    headers: Headers = [(b"content-type", _MEDIA_TYPES[file.suffix]), (b"cache-control", b"no-cache"), *_COMMON_HEADERS]
    return OutgoingResponse(200, headers, file.read_bytes())


@cache
def _load_templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only who opens a page pays for it

    loader = FileSystemLoader(_HERE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
