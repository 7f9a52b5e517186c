"""Strict reading of base64url and JSON."""

from __future__ import annotations

import base64
import json
import time

from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every
from ticketstub.crypto.jwk import decode_base64url, encode_base64url
from ticketstub.crypto.jwt import parse_json_object


@given(st.binary(max_size=100))
def test_base64url_round_trips(data: bytes):
    """Any bytes have one spelling: Python's own, without padding."""
    text = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert text == encode_base64url(data)
    assert data == decode_base64url(text)


@given(st.text("AQgwZz09-_+/=\n é", max_size=9))
def test_base64url_has_one_spelling(text: str):
    """A text that is read is also written the same; any other text is refused."""
    found = decode_base64url(text)
    assert found is None or text == encode_base64url(found)


@every("text", ["A", "AB", "AA==", "AA=", "A+", "A/", "AA\n", " AA", "AAAAA", "ÀA", "\ud800A", "=", "===="])
def test_not_base64url(text: str):
    """Padding, stray bits, another alphabet, white space and incomplete bytes are refused."""
    assert None is decode_base64url(text)


def test_json():
    """A plain object is read, including members in other scripts and complete escapes."""
    assert {"a": [1, 2.5, None, True, {"é": "✦😀"}]} == parse_json_object(
        '{"a":[1,2.5,null,true,{"é":"✦\\ud83d\\ude00"}]}'.encode()
    )
    assert {} == parse_json_object(b" { } ")


@every("text", ["", "[]", "1", "null", '"a"', "{", '{"a":1,"a":1}', '{"a":NaN}', "{}{}", "{'a':1}", '{"a":"\\ud800"}'])
def test_not_a_plain_object(text: str):
    """Anything that is not an object, or that readers interpret differently, is refused."""
    assert None is parse_json_object(text.encode())


def test_depth():
    """32 nested lists and objects are read, 33 are not. Brackets in texts do not count."""
    for depth, expected in ((32, True), (33, False)):
        text = '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
        assert expected == (parse_json_object(text.encode()) is not None)
        objects = '{"a":' * depth + "1" + "}" * depth
        assert expected == (parse_json_object(objects.encode()) is not None)
    for text in ("[" * 500, '\\"' + "{" * 500, "\\\\"):
        assert parse_json_object(f'{{"a":"{text}","b":[{"[]," * 50}[]]}}'.encode()) is not None


def test_nothing_takes_long():
    """The worst data that fits into a JWT is read within milliseconds."""
    worst = [
        "[" * 6000,
        '"\\' * 3000 + "[" * 40,
        '\\"' * 3000 + "{" * 40,
        '{"a":"' * 1000,
        "{" * 6000,
        '"' * 5900 + "[" * 99,
    ]
    worst += [json.dumps({"a": "\\ud800" * 900 + "[" * 40}), '{"a":' + "9" * 4300 + "}", '{"a":1e' + "9" * 5000 + "}"]
    for text in worst:
        start = time.thread_time()
        parse_json_object(text.encode())
        assert time.thread_time() - start < 1  # by its square it would be minutes
