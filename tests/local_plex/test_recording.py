"""Recordings of a media server contain no secret, in any place and encoding, and can still be served."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import stat
import string
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.tables import every
from ticketstub.local_plex.content.recording import Recorder, find_secrets
from ticketstub.local_plex.content.replies import ReplyFolder
from ticketstub.local_plex.http.request import IncomingRequest, Scope
from ticketstub.local_plex.redaction.known_secrets import KnownSecrets
from ticketstub.local_plex.redaction.scrubbing import Scrubber
from ticketstub.local_plex.world.schema import World
from ticketstub.protocol.codec import Format

TOKEN = "Zq8-kn0wnT0ken_9xYwV"
"""A token that is known."""
LETTERS = string.ascii_letters + string.digits
DIGITS = "0123456789abcdef0123456789abcdef"
FORMS: dict[str, Callable[[str], str]] = {
    "JWT": lambda text: f"eyJ{text}.{text}.{text}",
    "transient": lambda text: f"transient-{text}-{text}",
    "claim": lambda text: f"claim-{text}",
    "local": lambda text: f"local-1{text}",
    "e-mail": lambda text: f"{text}@mail.example",
    "known": lambda _: TOKEN,
}
ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent": lambda text: quote(text, safe=""),
    "percent, every letter": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: quote("".join(f"%{byte:02X}" for byte in text.encode()), safe=""),
    "XML": html.escape,
    "XML, every letter": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    "JSON, every letter": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 within": lambda text: base64.urlsafe_b64encode(f"X-Token: {text};".encode()).decode(),
    "in an address": lambda text: f"/photo?url={quote(f'/a?b={text}', safe='')}&x=1",
    "in JSON": lambda text: json.dumps({"a": [text]}),
    "in JSON in JSON": lambda text: json.dumps({"a": json.dumps([{"b": text}])}),
    "in XML": lambda text: f'<a b="{html.escape(text)}"><!-- {text} --><c>{html.escape(text)}</c></a>',
    "in CDATA": lambda text: f"<a><![CDATA[{json.dumps({'x': text})}]]></a>",
}
ONLY_KNOWN: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "small letters": str.lower,
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, capitals": lambda text: text.encode().hex().upper(),
}
"""Encodings in which only what is known can be found."""


def readings(data: bytes) -> str:
    """Return a file's content in every decoding in which one could search it for a secret."""
    seen = {data.decode("utf-8", "replace")}
    for _ in range(4):
        for text in list(seen):
            seen.add(unquote(text))
            seen.add(html.unescape(text))
            seen.add(re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text))
            seen |= {_from_base64(packed) for packed in re.findall(r"[A-Za-z0-9+/_-]{12,}", text)}
            seen |= {bytes.fromhex(found).decode("latin-1") for found in re.findall(r"(?:[0-9a-fA-F]{2}){6,}", text)}
    return "\n".join(seen).lower()


def _from_base64(packed: str) -> str:
    text = packed.replace("+", "-").replace("/", "_")
    return base64.urlsafe_b64decode(text[: len(text) - (len(text) % 4 == 1)] + "==").decode("latin-1")


def on_disk(folder: Path) -> str:
    """Return all names and contents of a folder."""
    parts = [str(path.relative_to(folder)).encode() for path in folder.rglob("*")]
    parts += [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return readings(b"\n".join(parts))


def asking(path: str, query: str = "", **headers: str) -> IncomingRequest:
    """Build a request as the server reads it."""
    scope: Scope = {
        "method": "GET",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "client": None,
        "http_version": "1.1",
    }
    asked = IncomingRequest(scope, Format.JSON)
    asked.parse_head(
        [(name.lower().replace("_", "-").encode(), text.encode()) for name, text in headers.items()], 65536
    )
    return asked


CANARIES = st.text(LETTERS, min_size=12, max_size=20).map(lambda text: f"k9{text}Zq7")
PLACES = st.sampled_from(
    ["member", "name", "nested", "list", "text", "attribute", "element", "CDATA", "comment", "fact"]
)


@examples(60)
@given(CANARIES, st.sampled_from(sorted(FORMS)), st.sampled_from(sorted(ENCODINGS)), PLACES)
def test_no_secret_reaches_the_disk(text: str, form: str, encoding: str, place: str) -> None:
    """A secret of recognisable form, anywhere in JSON, XML, query or path, in any encoding, is in no file or name."""
    secret = FORMS[form](text)
    _assert_kept_without(secret, ENCODINGS[encoding](secret), place)


@examples(60)
@given(st.sampled_from(sorted(ONLY_KNOWN)), PLACES)
def test_no_known_secret_reaches_the_disk(encoding: str, place: str) -> None:
    """A known secret is found also in hexadecimal digits and in another case."""
    _assert_kept_without(TOKEN, ONLY_KNOWN[encoding](TOKEN), place)


@examples(60)
@given(
    CANARIES,
    st.sampled_from(["authToken", "X-Plex-Token", "access_token", "plex:password", "apiKey", "Cookie", "pin", "jwt"]),
    st.sampled_from(["as it is", "in JSON", "in XML", "in CDATA", "percent"]),
)
def test_what_has_a_secrets_name_reaches_the_disk_nowhere(text: str, name: str, encoding: str) -> None:
    """Once a name marks a value as secret, the value is removed everywhere, including earlier files."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "kept"
        recorder = Recorder(folder)
        earlier = json.dumps({"title": f"about {text} and so on"}).encode()
        assert recorder.record_path("/earlier", {}, "application/json", earlier)
        assert recorder.record_path(f"/path/{text}", {"a": text}, "application/json", b'{"kept":1}')
        body = {"MediaContainer": {name: {"deep": [text]}, "title": f"({text})", "x": ENCODINGS[encoding](text)}}
        assert recorder.record_path("/later", {}, "application/json", json.dumps(body).encode())
        assert text.lower() not in on_disk(folder)
        assert [True] == [path.name == "later.json" for path in folder.glob("later*")]
        assert "about" in (folder / "earlier.json").read_text()


def _assert_kept_without(secret: str, written: str, place: str) -> None:
    bodies: dict[str, tuple[str, str]] = {
        "member": ("application/json", json.dumps({"MediaContainer": {"title": written, "size": 1}})),
        "name": ("application/json", json.dumps({written: 1})),
        "nested": ("application/json", json.dumps({"a": [json.dumps({"b": [1, written]})]})),
        "list": ("application/json", json.dumps([None, [written, True]], ensure_ascii=False)),
        "text": ("text/plain", f"line one\nhe said {written}, and left\n"),
        "attribute": ("text/xml", f'<?xml version="1.0"?><a b="{html.escape(written)}" c="1"/>'),
        "element": ("text/xml", f"<a xmlns:p='urn:p'><p:b>{html.escape(written)}</p:b></a>"),
        "CDATA": ("text/xml", f"<a><b><![CDATA[{written.replace(']]>', ']]]]><![CDATA[>')}]]></b></a>"),
        "comment": ("text/xml", f"<a><!-- {written.replace('--', '- -')} --></a>"),
        "fact": ("text/xml", f'<a><Setting id="PlexOnlineToken" value="{html.escape(written)}"/></a>'),
    }
    media_type, body = bodies[place]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "kept"
        recorder = Recorder(folder, (TOKEN,))
        asked = asking(f"/x/{quote(written, safe='')}", f"q={quote(written, safe='')}&type=1", X_Plex_Token=TOKEN)
        for request in (asked, asking("/plain")):
            recorder.record(request, media_type, body.encode())
        assert secret.lower() not in on_disk(folder)
        if recorder.record(asking("/plain"), media_type, body.encode()) is None:
            return  # it says so, and writes nothing
        found = ReplyFolder(folder)._answer(asking("/plain"), TOKEN)
        assert 200 == found.status
        if media_type == "application/json":
            assert type(json.loads(body)) is type(json.loads(found.body))
        elif media_type == "text/xml":
            assert ET.fromstring(body).tag == ET.fromstring(found.body).tag  # noqa: S314  # written above


@every("place", ["member", "attribute", "element", "text", "CDATA"])
@every("encoding", ["as it is", "percent", "XML", "in JSON", "in an address"])
def test_what_can_be_scrubbed_is_written(place: str, encoding: str) -> None:
    """Secrets in the usual places and encodings do not prevent recording."""
    bodies = {
        "member": ("application/json", '{"a":%s}'),
        "attribute": ("text/xml", "<a b='%s'/>"),
        "element": ("text/xml", "<a>%s</a>"),
        "text": ("text/plain", "%s"),
        "CDATA": ("text/xml", "<a><![CDATA[%s]]></a>"),
    }
    written = ENCODINGS[encoding](TOKEN)
    media_type, body = bodies[place]
    text = json.dumps(written) if place == "member" else written
    text = html.escape(text) if place in {"attribute", "element"} else text
    with tempfile.TemporaryDirectory() as made:
        file = Recorder(Path(made), (TOKEN,)).record_path("/a", {}, media_type, (body % text).encode())
        assert file
        assert "scrubbed" in file.read_text()


def test_public_addresses_and_names_are_replaced_by_the_same_ones(tmp_path: Path) -> None:
    """An address and its plex.direct name are replaced consistently across files; local ones stay."""
    recorder = Recorder(tmp_path)
    body = {
        "publicAddress": "8.8.4.4",
        "connections": [
            f"https://8-8-4-4.{DIGITS}.plex.direct:32400",
            f"https://192-168-1-5.{DIGITS}.plex.direct:32400",
            "http://8.8.4.4:32400",
            "http://[2606:4700::1111]:32400",
            "http://192.168.1.5:32400",
            "http%3A%2F%2F1.1.1.1%3A80",
        ],
        "version": "1.2.3.4",
        "at": "12:30:45",
    }
    recorder.record_path("/a", {}, "application/json", json.dumps(body).encode())
    recorder.record_path("/b", {}, "text/xml", f"<a host='{DIGITS}.plex.direct' at='1.1.1.1'/>".encode())
    found = json.loads((tmp_path / "a.json").read_text())
    other = f"{1:032x}"
    assert [
        f"https://192-0-2-1.{other}.plex.direct:32400",
        f"https://192-168-1-5.{other}.plex.direct:32400",
        "http://192.0.2.1:32400",
        "http://[2001:db8::1]:32400",
        "http://192.168.1.5:32400",
        "http%3A%2F%2F192.0.2.2%3A80",
    ] == found["connections"]
    assert ("192.0.2.1", "1.2.3.4", "12:30:45") == (found["publicAddress"], found["version"], found["at"])
    assert f"<a host='{other}.plex.direct' at='192.0.2.2'/>" == (tmp_path / "b.xml").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_only_its_owner_can_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are 0700 and files 0600 from their first byte, whatever the umask."""
    monkeypatch.setattr(os, "replace", lambda *_: None)
    before = os.umask(0)
    try:
        with monkeypatch.context() as kept:
            kept.setattr(Path, "unlink", lambda *_, **__: None)  # the unfinished file stays, to be looked at
            Recorder(tmp_path / "one/two").record_path("/a/b", {}, "text/plain", b"x")
    finally:
        os.umask(before)
    modes = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert {0o700} == {modes.pop(name) for name in ("one", "one/two", "one/two/a")}
    assert [0o600] == list(modes.values())


def test_what_cannot_be_looked_into_is_not_written(tmp_path: Path) -> None:
    """Archives are not written, nor binary data with a known or recognisable secret; other pictures are."""
    recorder = Recorder(tmp_path, (TOKEN,))
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    assert recorder.record_path("/good", {}, "image/png", picture)
    for media_type, body in (
        ("image/png", picture + TOKEN.encode()),
        ("image/png", picture + base64.b64encode(b"x" + TOKEN.encode())),
        ("application/octet-stream", b"\0\1\2" + b"transient-01234567-89ab-cdef-0123-456789abcdef"),
        ("application/zip", b"PK\x03\x04\0\0\0"),
        ("application/gzip", b"\x1f\x8b\0\0"),
    ):
        assert recorder.record_path("/bad", {}, media_type, body) is None
    assert ["good.png"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/xml", b'<User authToken="%s" title="caf\xe9"/>'),
        ("text/xml", b"<User><authToken>%s</authToken></User>"),
        ("text/xml", b"<User><authToken><text>%s</text></authToken></User>"),
        ("application/json", b'{"authToken":"%s","title":"caf\xe9"}'),
        ("application/json", b'{"authToken":"%s'),
        ("audio/x-mpegurl", b"#EXTM3U\nhttp://attic.example/1.ts?X-Plex-Token=%s\n"),
        ("image/jpeg", b'{"authToken":"%s"}'),
        ("application/octet-stream", b"\0\1authToken=%s\xff"),
        ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0X-Plex-Token: %s\0"),
    ],
)
def test_secrets_in_broken_or_misnamed_answers_are_not_written(tmp_path: Path, media_type: str, body: bytes) -> None:
    """A named secret is not written from an element, or from a broken, truncated or mislabelled text."""
    secret = "Zk3xQw9LmNpRsTuVbYc1"
    Recorder(tmp_path).record_path("/a", {}, media_type, body % secret.encode())
    assert secret.lower() not in on_disk(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "iso-8859-1", "utf-8-sig"])
def test_texts_of_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    """They are written as UTF-8, and declare it."""
    text = f"<?xml version='1.0' encoding='{encoding}'?><a t='{TOKEN}' e='me@mail.example'>café</a>"
    file = Recorder(tmp_path, (TOKEN,)).record_path("/a", {}, "text/xml", text.encode(encoding))
    assert file
    root = ET.fromstring(file.read_bytes())  # noqa: S314  # written above
    assert ("scrubbed", "somebody@example.test", "café") == (root.get("t"), root.get("e"), root.text)


def test_addresses_of_people_are_replaced_by_the_same_ones(tmp_path: Path) -> None:
    """Each e-mail address is replaced, also one that looks like a substitute but is not."""
    recorder = Recorder(tmp_path)
    for name in ("a", "b"):
        recorder.record_path(f"/{name}", {}, "application/json", b'["me@mail.example", "tom@example.test"]')
        found = json.loads((tmp_path / f"{name}.json").read_text())
        assert ["somebody@example.test", "somebody-2@example.test"] == found


def test_unknown_types_are_scrubbed_as_text(tmp_path: Path) -> None:
    """An unknown media type is a text if it can be decoded as one."""
    body = f"Authorization: Bearer {TOKEN[::-1]}\nCookie: a=1; session={TOKEN[1:]}\nx={TOKEN}\n".encode()
    file = Recorder(tmp_path, (TOKEN,)).record_path("/log", {}, "application/x-log", body)
    assert file
    assert "Authorization: scrubbed\nCookie: scrubbed\nx=scrubbed\n" == file.read_text()


def test_what_a_request_sent_is_known(tmp_path: Path) -> None:
    """Tokens, cookies and authorization of a request, in header fields or parameters, are in no recorded file."""
    sent = {
        "X_Plex_Token": "Aa1-firstT0kenOfAll_",
        "Cookie": "session=Bb2longEnough",
        "Authorization": "Bearer Cc3xyzabc",
    }
    asked = asking("/echo", "accessToken=Dd4-another0ne&type=1", **sent)
    said = [*sent.values(), "Dd4-another0ne"]
    Recorder(tmp_path).record(asked, "text/html", f"<p>{' '.join(said)}</p>".encode())
    written = on_disk(tmp_path)
    assert [] == [text for text in said if text.lower() in written]


def test_the_secrets_of_a_world_are_known() -> None:
    """These are the passwords and tokens of accounts, servers and shares."""
    world = World.demo()
    found = set(find_secrets(world))
    for account in world.accounts:
        for secret in (account.password, account.token, account.verification_secret):
            assert secret is None or secret.reveal() in found
    shares = [share.token for server in world.media_servers for share in server.shares if share.token]
    assert shares
    assert {token.reveal() for token in shares} <= found


def test_ordinary_words_stay() -> None:
    """Titles, keys, file names and numbers stay."""
    for text in (
        '{"title":"token of love","key":"/library/metadata/7","guid":"plex://movie/5d776825880197001ec9038e","pinned":true}',
        '<a title="The Password" codec="h264" languageCode="eng" file="/media/films/Secret (1999).mkv" time="12:30"/>',
        '<Video ratingKey="7" addedAt="1700000000" version="1.40.1.8227"><Media id="9"/></Video>',
    ):
        assert text == Scrubber().scrub(text)


def test_numbers_within_a_secret_are_zero() -> None:
    """What a secret's name has under it keeps its shape: numbers are 0, truths and nulls stay."""
    text = '{"authToken":{"value":12345678,"pinned":true,"until":null},"count":5}'
    assert '{"authToken":{"value":0,"pinned":true,"until":null},"count":5}' == Scrubber().scrub(text)


def test_many_answers_with_secrets_of_their_own_are_recorded_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is searched once for each secret: twice the responses are at most six times the work, not eight."""
    looked = 0
    found_in = KnownSecrets.is_found_in

    def counting(self: KnownSecrets, data: str | bytes) -> bool:
        nonlocal looked
        looked += len(self._texts)
        return found_in(self, data)

    monkeypatch.setattr(KnownSecrets, "is_found_in", counting)
    work: list[int] = []
    for many in (30, 60):
        recorder, looked = Recorder(tmp_path / str(many)), 0
        for number in range(many):
            body = b'{"email":"u%d@mail.example","accessToken":"Zk3xQw9LmNpRs%07d"}' % (number, number)
            assert recorder.record_path(f"/{number}", {}, "application/json", body)
        work.append(looked)
    assert work[1] <= 6 * work[0]


def test_it_is_the_same_the_second_time() -> None:
    """Scrubbing a scrubbed text changes nothing."""
    scrubber = Scrubber((TOKEN,))
    text = json.dumps({"a": f"{TOKEN} 8.8.8.8 me@mail.example {DIGITS}.plex.direct", "authToken": "abcdef123456"})
    once: Any = scrubber.scrub(text)
    assert once == scrubber.scrub(once)
