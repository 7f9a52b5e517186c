"""The format of a reply."""

import pytest

from tests.tables import every
from ticketstub.local_plex.http.request import choose_format, split_suffix
from ticketstub.protocol.codec import Format

JSON, XML = Format.JSON, Format.XML

ACCEPTED = [
    ("", None),
    ("*/*", None),
    ("text/html,application/xhtml+xml,*/*;q=0.8", None),
    ("application/json", JSON),
    ("APPLICATION/JSON; charset=utf-8", JSON),
    ("application/xml", XML),
    ("text/xml", XML),
    ("application/json, text/plain, */*", JSON),
    ("application/json;q=0.5, application/xml", XML),
    ("application/xml;q=0.4, application/json;q=0.9", JSON),
    ("application/json, application/xml", JSON),
    ("application/xml, application/json", XML),
    ("application/json;q=1, text/html;q=0", JSON),
    ("application/json;q=0, */*", XML),
    ("application/xml;q=0, */*", JSON),
    ("application/json;q=banana", JSON),
    (";;,,;q=", None),
]


@every("default", [JSON, XML])
@every(("accept", "expected"), ACCEPTED)
def test_accept(accept: str, expected: Format | None, default: Format) -> None:
    """JSON and XML are chosen by weight, then by order; a wildcard or a missing field selects the default."""
    assert (expected or default) == choose_format(accept.encode(), default)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v2/user", ("/api/v2/user", None)),
        ("/api/v2/user/", ("/api/v2/user", None)),
        ("/api/v2/user.json", ("/api/v2/user", JSON)),
        ("/api/v2/user.xml", ("/api/v2/user", XML)),
        ("/api/v2/user.html", ("/api/v2/user.html", None)),
        ("/", ("", None)),
    ],
)
def test_suffix(path: str, expected: tuple[str, Format | None]) -> None:
    """A suffix selects the format and is not part of the path; neither is a trailing slash."""
    assert expected == split_suffix(path)
