"""The pages of a local Plex in its OpenAPI document.

Rule: as in openapi.py. Pages are for people in browsers: the document says which there are, and that their forms are
taken from the pages themselves only. The start page of `serve` is not in it: for programs, nothing is at `/`.
"""

from __future__ import annotations

from ticketstub.server.pages.site import PAGES, Page
from ticketstub.server.shapes import Schema

_HTML = {"text/html": {"schema": {"type": "string"}}}
_RESPONSES: Schema = {
    "200": {"description": "The page.", "content": _HTML},
    "303": {"description": "It goes on at another page."},
    "default": {"description": "A page that says why not.", "content": _HTML},
}
_FORM: Schema = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "properties": {"form_token": {"type": "string", "description": "What the page's own form holds."}},
                "required": ["form_token"],
            }
        }
    },
}


def pages() -> dict[str, Schema]:
    """Describe each page, under its address without a slash at the end."""
    return {path: _page(path, page) for path, page in PAGES.items() if not path.endswith("/")}


def _page(path: str, page: Page) -> Schema:
    name = path.strip("/").replace("/", "_").replace("-", "_")
    described: Schema = {}
    if page.show:
        described["get"] = _operation(f"show_{name}", f"The page {path}, for people (ours in looks).")
    if page.take:
        described["post"] = {**_operation(f"take_{name}", f"The form of the page {path}."), "requestBody": _FORM}
    return described


def _operation(name: str, summary: str) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        "x-mark": "assumed",
        "tags": ["pages"],
        "security": [],
        "responses": _RESPONSES,
    }
