"""What clients say of themselves when they create a PIN: any text is accepted, and shown safely."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.local_plex.asking import ask
from tests.local_plex.pin_asking import CLIENT, XML
from tests.tables import every
from ticketstub.testing import LocalPlexController


@given(product=st.text(max_size=40))
@examples(60)
def test_any_text_as_a_product(plex: LocalPlexController, product: str) -> None:
    """Control and direction characters in a product become spaces; if nothing is left it is "0"; XML stays valid."""
    try:
        sent = quote(product.encode())
    except UnicodeEncodeError:
        return
    made = ask(plex.url, "POST", f"/api/v2/pins.json?X-Plex-Product={sent}&X-Plex-Client-Identifier={CLIENT}")
    shown = made.json["product"]
    assert 201 == made.status
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    if product.isascii() and product.isprintable():
        assert (product.strip() or "0") == shown
    found = ask(plex.url, "GET", f"/api/v2/pins/{made.json['id']}", XML)
    assert "pin" == found.xml.tag


@every(
    ("sent", "shown"),
    [
        ("x" * 500, "x" * 255),
        ("\u00fc" * 500, "\u00fc" * 255),
        ("\x1b]52;c;evil\x07", "]52;c;evil"),
        ("\u202eevil", "evil"),
        ("<b>&\"'", "<b>&\"'"),
        ("\x00\x01", "0"),
        (" ", "0"),
        ("Werkst\u00e4tte \U0001f3ac", "Werkst\u00e4tte \U0001f3ac"),
    ],
)
def test_products(plex: LocalPlexController, sent: str, shown: str) -> None:
    """A product is shown as it was sent, without characters that harm a terminal or page, up to 255 characters."""
    made = ask(plex.url, "POST", f"/api/v2/pins.json?X-Plex-Product={quote(sent)}&X-Plex-Client-Identifier={CLIENT}")
    assert (201, shown) == (made.status, made.json["product"])
    found = ask(plex.url, "GET", f"/api/v2/pins/{made.json['id']}", XML)
    assert shown == found.xml.get("product")


@pytest.mark.parametrize("identifier", ["Postman", "0x2fc00000001", "x" * 1000, "\u00e9\u00e8", "a b&c=d", '<&">'])
def test_any_identifier(plex: LocalPlexController, identifier: str) -> None:
    """Any identifier is valid, is returned unchanged, and is the one that may poll."""
    named = quote(identifier)
    made = ask(plex.url, "POST", f"/api/v2/pins.json?X-Plex-Client-Identifier={named}")
    assert (201, identifier) == (made.status, made.json["clientIdentifier"])
    assert 200 == ask(plex.url, "GET", f"/api/v2/pins/{made.json['id']}?X-Plex-Client-Identifier={named}").status
