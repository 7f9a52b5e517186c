"""The bridge's pages.

Rule: no page needs a script or loads anything from another site. Everything is escaped. Pages are neither framed nor
cached; forms go to this bridge, and on to the addresses that the page names (Chromium checks redirects too). Referrers
stay here: with `no-referrer` browsers would not say that a form comes from this site.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ticketstub_bridge.config import PLEX_TV, Config

_HERE = Path(__file__).parent
_MEDIA_TYPES = {"pages.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
STATIC_FILES = {name: ((_HERE / "static" / name).read_bytes(), media_type) for name, media_type in _MEDIA_TYPES.items()}
"""The style and the icon, with their media types."""

COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Pages:
    """The pages of one bridge.

    Args:
        config: the configuration.
    """

    def __init__(self, config: Config) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._host = config.host
        self._is_https = config.is_https
        self.plex_origins = ("https://app.plex.tv",) if config.plex_tv == PLEX_TV else (config.plex_tv,)
        """Where Plex's sign-in page is."""

    def render(
        self,
        template: str,
        *,
        status: int = 200,
        form_actions: Iterable[str] = (),
        leads_on_to: str | None = None,
        **values: object,
    ) -> HTMLResponse:
        """Return a page.

        Args:
            template: its name.
            status: the HTTP status.
            form_actions: addresses that its forms may lead to, apart from this bridge.
            leads_on_to: an application's address that its form leads to. Chromium applies the policy to each further
                redirect, too, and where the application leads is its own affair.
            values: what the template shows.
        """
        allowed = ["'self'"]
        if leads_on_to is not None:
            allowed += [_get_source(leads_on_to), "https:", *(["http:"] if leads_on_to.startswith("http:") else [])]
        sources = " ".join(dict.fromkeys([*allowed, *map(_get_source, form_actions)]))
        policy = (
            f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {sources}; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        headers = {**COMMON_HEADERS, "Content-Security-Policy": policy, "Cache-Control": "no-store", "Vary": "Cookie"}
        if self._is_https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        return HTMLResponse(self._environment.get_template(template).render(host=self._host, **values), status, headers)

    def render_message(
        self, title: str, paragraphs: Sequence[str], *, links: Sequence[tuple[str, str]] = (), status: int = 200
    ) -> HTMLResponse:
        """Return a page that only says something.

        Args:
            title: its title.
            paragraphs: its text.
            links: addresses on this bridge, each with its name.
            status: the HTTP status.
        """
        return self.render("message.html", status=status, title=title, paragraphs=paragraphs, links=links)

    @staticmethod
    def format_time(seconds: float) -> str:
        """Return a time for people."""
        return f"{datetime.fromtimestamp(seconds, UTC):%d %B %Y, %H:%M} UTC"


def _get_source(url: str) -> str:
    """Return what a Content-Security-Policy names of an address: its origin, or an application's own scheme."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"
