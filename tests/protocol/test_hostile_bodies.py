"""Any bytes that a server sends lead quickly to a value or a `MalformedReply`, and nothing else."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.examples import examples
from tests.samples.reading import sample
from tests.tables import every
from ticketstub.errors import MalformedReply
from ticketstub.messages import MAX_BODY_SIZE, Response
from ticketstub.models import Account, Identity, Model, Resource, ServerInformation
from ticketstub.protocol import codec, error_bodies
from ticketstub.protocol.account import GetTokenDetails, Ping, PostUsersSignInData
from ticketstub.protocol.call import Call
from ticketstub.protocol.codec import DecodeError
from ticketstub.protocol.media_server import (
    GetIdentity,
    GetServerInformation,
    GetSourceConnectionInformation,
    GetTransientToken,
    TransientTokenScope,
    TransientTokenType,
)
from ticketstub.protocol.resource import GetResources
from ticketstub.tokens import Token

CALLS: dict[str, Call[Any]] = {
    call.http.name: call
    for call in (
        GetTokenDetails(),
        PostUsersSignInData.from_text("mira", "hunter2"),
        Ping(),
        GetResources(),
        GetIdentity(),
        GetServerInformation(),
        GetTransientToken(type=TransientTokenType.DELEGATION, scope=TransientTokenScope.ALL),
        GetSourceConnectionInformation(source="server://x"),
    )
}
LONGEST = 2.0
SOME = examples(25)

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<user id="1" authToken="&c;"/>"""

HOSTILE = {
    "empty": b"",
    "white space": b" \r\n\t",
    "BOM alone": b"\xef\xbb\xbf",
    "null": b"null",
    "number": b"5",
    "text": b'"Xk3mPz_9Q-vT7rLb2NfW"',
    "false": b"false",
    "NaN": b"NaN",
    "endless number": b"1" * 100_000,
    "number of 5000 digits in a field": b'{"id":' + b"1" * 5000 + b"}",
    "huge exponent": b'{"id":1e999999}',
    "empty object": b"{}",
    "two values": b'{"id":1}{"id":2}',
    "half": b'{"id":10500123,"authToken":"Xk3mPz',
    "half a pair": b'"\\ud800"',
    "deep lists": b"[" * 200_000,
    "deep lists, closed": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "deep and odd": b"[" * 50_000 + b"NaN" + b"]" * 50_000,
    "many lists": b"[" + b"[]," * 600_000 + b"[]]",
    "many objects": b"[" + b"{}," * 600_000 + b"{}]",
    "many lists in an account": b'{"id":1,"authToken":"x","roles":[' + b"[]," * 600_000 + b"[]]}",
    "many keys": b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
    "many errors": b'{"errors":[' + b'{"code":1},' * 150_000 + b'{"code":1}]}',
    "web page": b"<!DOCTYPE html><html><body>Sign in to the hotel</body></html>",
    "web page, lower case": b"<html><head><title>x</title></head></html>",
    "not closed": b"<user id='1'>",
    "two roots": b"<user/><user/>",
    "billion laughs": BOMB,
    "outside entity": b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r>&x;</r>',
    "entity nobody declared": b"<user id='&x;'/>",
    "deep XML, an account inside": b"<a>" * 64 + sample("account.xml").partition(b"?>")[2] + b"</a>" * 64,
    "deep XML": b"<a>" * 100_000,
    "deep XML, closed": b"<a>" * 100_000 + b"</a>" * 100_000,
    "many elements": b"<r>" + b"<a/>" * (MAX_BODY_SIZE // 4 - 4) + b"</r>",
    "many resources": b"<resources>" + b'<resource nam=""/>' * 100_000 + b"</resources>",
    "many attributes": b"<r " + b" ".join(b'a%d=""' % number for number in range(150_000)) + b"/>",
    "long attribute": b"<r a='" + b"x" * (MAX_BODY_SIZE - 100) + b"'/>",
    "NUL in XML": b"<user\x00 id='1'/>",
    "declared encoding that is none": b'<?xml version="1.0" encoding="klingon"?><r/>',
    "declared encoding that is no text": b'<?xml version="1.0" encoding="hex"?><r/>',
    "declared encoding of many bytes": b'<?xml version="1.0" encoding="utf-7"?><r a="+AGE-"/>',
    "undefined encoding": b'<?xml version="1.0" encoding="undefined"?><r/>',
    "UTF-16 that is cut off": "<r/>".encode("utf-16")[:-1],
    "UTF-16 XML": sample("account.xml").decode().replace("UTF-8", "UTF-16").encode("utf-16"),
    "UTF-16 JSON": '{"x":1}'.encode("utf-16"),
    "stray bytes": b"\xff\xfe\xfd\x00\x01",
    "stray bytes in XML": b"<r a='\xff'/>",
}


SLOW = {name for name in HOSTILE if name.startswith("many ")} - {"many errors"} | {"long attribute"}
PAIRS = [(name, call) for name in HOSTILE for call in CALLS if name not in SLOW or call == "resources"]


@every(("body", "call"), [(HOSTILE[name], CALLS[call]) for name, call in PAIRS])
def test_c7_hostile(call: Call[Any], body: bytes) -> None:
    """An invalid body is a MalformedReply within two seconds, whose message repeats nothing of it."""
    begun = time.thread_time()  # processor time, which does not depend on other load
    with pytest.raises(MalformedReply) as caught:
        call.read(Response(200, {}, body))
    assert time.thread_time() - begun < LONGEST
    assert caught.value.response is not None
    assert (200, body) == (caught.value.status, caught.value.response.body)
    assert len(str(caught.value)) < 200


def test_what_is_wrong_with_xml_is_said() -> None:
    """The message tells a DTD, too deep nesting and malformed XML apart."""
    for name, reason in (
        ("billion laughs", "has a DTD"),
        ("deep XML", "too deeply"),
        ("not closed", "not well-formed"),
    ):
        with pytest.raises(MalformedReply, match=reason):
            GetTokenDetails().read(Response(200, {}, HOSTILE[name]))


@every("name", [name for name in HOSTILE if name not in SLOW - {"many elements"}])
def test_c7_hostile_refusal(name: str) -> None:
    """The same bodies with an error status are a refusal with that status, within two seconds."""
    begun = time.thread_time()  # processor time, which does not depend on other load
    found = error_bodies.read_refusal(Response(403, {}, HOSTILE[name]), base="plex.tv")
    assert time.thread_time() - begun < LONGEST
    assert 403 == found.status
    assert len(str(found)) < 350


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@given(body=strategies.BODIES)
@SOME
def test_c7_arbitrary_bytes(call: Call[Any], body: bytes) -> None:
    """Arbitrary bytes raise MalformedReply and nothing else."""
    with pytest.raises(MalformedReply):
        call.read(Response(200, {}, body))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@given(data=st.data())
@SOME
def test_spoiled_samples(call: Call[Any], data: st.DataObject) -> None:
    """A real reply with bytes removed or replaced is read or is a MalformedReply."""
    name = data.draw(
        st.sampled_from(["account.json", "account.xml", "resources.json", "source.xml", "identity.json", "ping.xml"])
    )
    body = bytearray(sample(name))
    for at, width, new in data.draw(
        st.lists(st.tuples(st.integers(0, len(body)), st.integers(0, 9), st.binary(max_size=3)), min_size=1, max_size=4)
    ):
        body[at : at + width] = new
    _read(call, bytes(body))


RECORDS: dict[str, type[Model]] = {
    "get_token_details": Account,
    "post_users_sign_in_data": Account,
    "identity": Identity,
    "server_information": ServerInformation,
    "resources": Resource,
}


@pytest.mark.parametrize("name", RECORDS)
@given(data=st.data())
@SOME
def test_c7_any_value_in_any_field(name: str, data: st.DataObject) -> None:
    """Any JSON value in any field is read, or becomes None and a problem, or the reply is malformed."""
    value: object = data.draw(strategies.odd(RECORDS[name]))
    for body in (value, [value], {"user": value}):
        _read(CALLS[name], json.dumps(body).encode())


def _read(call: Call[Any], body: bytes) -> None:
    try:
        found = call.read(Response(200, {}, body))
    except MalformedReply:
        return
    repr(found)


@given(value=strategies.JSON, status=st.integers(400, 599))
@SOME
def test_any_error_body(value: object, status: int) -> None:
    """An error body of any shape is read as a refusal with that status, which can be printed."""
    for body in (value, {"errors": value}, {"errors": [value]}, {"errors": [{"code": value, "message": value}]}):
        found = error_bodies.read_refusal(Response(status, {}, json.dumps(body).encode()), base="server")
        assert status == found.status
        assert f"[{status}" in str(found)


@given(text=st.text(max_size=30) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ .{0,6}"))
@SOME
def test_any_retry_after(text: str) -> None:
    """Any Retry-After is a number of seconds or None."""
    found = error_bodies.parse_retry_after(text, "Tue, 03 Nov 2026 09:15:00 GMT")
    assert found is None or found >= 0


ODD = {
    "BOM": b"\xef\xbb\xbf" + sample("account.json"),
    "BOM in XML": b"\xef\xbb\xbf" + sample("account.xml"),
    "white space around": b"\r\n " + sample("account.json") + b"\n\n",
    "Latin-1 XML": sample("account.xml")
    .decode()
    .replace("UTF-8", "ISO-8859-1")
    .replace('title="Mira"', 'title="Mïra"')
    .encode("latin-1"),
    "NaN": sample("account.json").replace(b'"homeSize":1', b'"homeSize":NaN'),
    "endless number": sample("account.json").replace(b'"homeSize":1', b'"homeSize":1e9999'),
    "stray byte": sample("account.json").replace(b'"title":"mira', b'"title":"m\xffra'),
    "a name that is no text": sample("account.json").replace(b'"uuid"', b'"uu\x80id"', 1),
    "half a pair": sample("account.json").replace(b'"title":"mira', b'"title":"\\ud800ra'),
    "control character": sample("account.json").replace(b'"title":"mira', b'"title":"m\tra'),
    "comment in XML": sample("account.xml").replace(b"<roles>", b"<!-- authToken='x' --><roles>"),
    "CDATA in XML": b"<user><id>10500123</id><authToken><![CDATA[Xk3mPz_9Q-vT7rLb2NfW]]></authToken></user>",
}


@every("body", ODD)
def test_odd_but_readable(body: bytes) -> None:
    """One invalid value does not cost the token, and the result can be printed."""
    account = GetTokenDetails().read(Response(200, {}, body))
    assert (10500123, Token("Xk3mPz_9Q-vT7rLb2NfW")) == (account.id, account.auth_token)
    repr(account).encode()


PACKED: dict[str, Any] = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", PACKED)
def test_unpacks(coding: str) -> None:
    """A compressed body is decompressed, up to exactly the size limit."""
    for body in (b"", b"{}", b"a" * MAX_BODY_SIZE):
        assert body == codec.decompress(PACKED[coding](body), coding)


BROKEN = {
    "a bomb": ("gzip", gzip.compress(bytes(MAX_BODY_SIZE + 1))),
    "a large bomb": ("gzip", gzip.compress(bytes(8 * MAX_BODY_SIZE))),
    "a bomb in deflate": ("deflate", zlib.compress(bytes(8 * MAX_BODY_SIZE))),
    "cut off": ("gzip", gzip.compress(b"{}" * 100)[:-9]),
    "not packed at all": ("gzip", b"{}"),
    "spoiled": ("gzip", gzip.compress(b"{}" * 100).replace(b"\x00", b"\x01")),
    "another coding": ("br", b"{}"),
    "two codings": ("gzip, gzip", gzip.compress(gzip.compress(b"{}"))),
}


@every(("coding", "body"), BROKEN)
def test_c7_refuses_to_unpack(coding: str, body: bytes) -> None:
    """A compression bomb, broken data or another coding is refused quickly, without filling the memory."""
    import tracemalloc

    begun = time.thread_time()  # processor time, which does not depend on other load
    tracemalloc.start()
    with pytest.raises(DecodeError):
        codec.decompress(body, coding)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.thread_time() - begun < LONGEST
    assert most < 3 * MAX_BODY_SIZE
