"""The documentation site, as Sphinx builds it: `make docs`.

Rule: no page asks another host for anything, and every page works from a folder.
"""

from __future__ import annotations

import builtins
import re
import sys
from importlib.metadata import version as get_version
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.nodes import make_refnode

import ticketstub

if TYPE_CHECKING:
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "Ticketstub for Plex"
author = "Ticketstub contributors"
version = release = get_version("ticketstub")
html_title = "Ticketstub for Plex"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4  # a heading's anchor is what GitHub makes of it, too

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
python_display_short_literal_types = True
add_module_names = False
default_role = "code"  # docstrings write names as Markdown does

copyright = "Ticketstub contributors. Not affiliated with Plex."  # noqa: A001  # Sphinx's own name
pygments_dark_style = "github-dark"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {
        "font-stack": "system-ui, sans-serif",
        "color-brand-primary": "#7a4b00",
        "color-brand-content": "#7a4b00",
    },
    "dark_css_variables": {"color-brand-primary": "#f0b45b", "color-brand-content": "#f0b45b"},
}

# What annotations may name although no page describes it: other packages, and the package's inner types.
PACKAGE = Path(ticketstub.__file__).parent
DEFINED = re.compile(r"^ *(?:class (\w+)|(\w+)(?:: TypeAlias)? = )", re.MULTILINE)
INNER = {"".join(names) for path in PACKAGE.rglob("*.py") for names in DEFINED.findall(path.read_text("utf-8"))}
FOREIGN = {
    *sys.stdlib_module_names,
    "cryptography",
    "joserfc",
    "msgspec",
    "plexapi",
    "KeyringBackend",
    "MyPlexAccount",
    "Path",
    "PlexServer",
}
LONGEST_UNBROKEN = 24  # characters of code; they fit into a line on a telephone
DOCSTRINGS = Config(napoleon_numpy_docstring=False)


def convert_docstring(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Convert a docstring's sections. Unlike napoleon's own hook, take no text before a property's colon for a type."""
    what = "method" if what in {"attribute", "data", "property"} else what
    lines[:] = GoogleDocstring(lines, DOCSTRINGS, app, what, name, value, options).lines()


def mark_short_names(_app: Sphinx, doctree: nodes.document) -> None:
    """Give short code within a sentence a class of its own: the style sheet keeps it on one line."""
    for literal in doctree.findall(nodes.literal):
        if len(literal.astext()) <= LONGEST_UNBROKEN:
            literal["classes"].append("short")


def resolve_public_name(
    app: Sphinx, environment: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Link a name of an inner module (`ticketstub.client.plex.Plex`) to the page of its public name."""
    domain = environment.domains.python_domain
    name = node.get("reftarget", "").rpartition(".")[2]
    if node.get("refdomain") != "py" or not name:
        return None
    for module in (
        "ticketstub",
        "ticketstub.calls",
        "ticketstub.testing",
        "ticketstub.client.groups",
        "ticketstub.client.config",
    ):
        if found := domain.objects.get(f"{module}.{name}"):
            return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, content, name)
    return None


def allow_missing_reference(_app: Sphinx, _domain: object, node: pending_xref) -> bool | None:
    """Warn of a name that no page describes only where nothing is called so."""
    name = re.sub(r"\W+$|\[.*", "", node.get("reftarget", ""))
    return name.partition(".")[0] in FOREIGN or name.rpartition(".")[2] in INNER | set(dir(builtins)) or None


def setup(app: Sphinx) -> None:
    """Add what the extensions lack."""
    app.connect("autodoc-process-docstring", convert_docstring)
    app.connect("doctree-read", mark_short_names)
    app.connect("missing-reference", resolve_public_name)
    app.connect("warn-missing-reference", allow_missing_reference)
