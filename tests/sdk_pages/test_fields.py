"""The fields of a sign-in, each as it is sent."""

from __future__ import annotations

from urllib.parse import parse_qs

from tests.client.conftest import DEVICE
from tests.sdk_pages.ledger import Row, shows
from tests.sdk_pages.stage import PASSWORD, Stage, ask, is_whole
from ticketstub import Device


@shows
def test_field_of_the_device(stage: Stage, row: Row) -> None:
    """The page's value is sent in this header, without any other header of the device."""
    device = Device(**{"client_identifier": "c0ffee00", row.ours.argument: row.value})
    assert is_whole("sign-in", ask(stage.client(token=None), "sign-in", device=device))
    identity = {name: value for name, value in stage.headers[0].items() if name.startswith("x-plex-")}
    assert {"x-plex-client-identifier": "c0ffee00", row.ours.sent_as.lower(): row.value} == identity


@shows
def test_identifier_of_one_call(stage: Stage, row: Row) -> None:
    """The identifier of a call replaces the client's for this call only, and nothing else of the device."""
    client = stage.client(token=None)
    assert is_whole("sign-in", ask(client, "sign-in", client_identifier=row.value))
    assert is_whole("sign-in", ask(client, "sign-in"))
    expected = [(row.value, DEVICE.product), (DEVICE.client_identifier, DEVICE.product)]
    assert expected == [(sent["x-plex-client-identifier"], sent["x-plex-product"]) for sent in stage.headers]


@shows
def test_field_of_the_form(stage: Stage, row: Row) -> None:
    """The argument is sent in the form under Plex's name, and nowhere else."""
    value = row.value or PASSWORD
    assert is_whole("sign-in", ask(stage.client(token=None), "sign-in", **{row.ours.argument: value}))
    head, _, form = stage.came[0].partition(b"\r\n\r\n")
    assert [value] == parse_qs(form.decode())[row.ours.sent_as]
    assert value.encode() not in head
    assert "application/x-www-form-urlencoded" == stage.headers[0]["content-type"]
