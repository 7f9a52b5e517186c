"""An application and a browser of plain HTTP: they share no code with the bridge, nor its libraries for OpenID."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from bridge_tests.processes import ServedBridge

FORM = "application/x-www-form-urlencoded"
_OWN = {"date", "content-length", "x-request-id"}
"""Headers whose values differ from answer to answer."""


class Answer:
    """An answer: its status, headers as sent, and body."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.all_headers = headers
        self.body = body

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say something, each of which occurs once."""
        names = [name for name, _ in self.all_headers if name != "set-cookie"]
        assert len(set(names)) == len(names), names
        return {name: value for name, value in self.all_headers if name not in _OWN}

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return dict(self.all_headers).get("location", "")

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the address that a redirect leads to."""
        pairs = parse_qsl(urlsplit(self.location).query, keep_blank_values=True)
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)


def send(
    served: ServedBridge, method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: str | None = None
) -> Answer:
    """Send one request, with exactly these headers, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = [("Host", urlsplit(served.url).netloc), *headers]
        if body is not None:
            given.append(("Content-Length", str(len(body))))
        for name, value in given:
            connection.putheader(name, value)
        connection.endheaders(body.encode("ascii") if body is not None else None)
        answer = connection.getresponse()
        return Answer(answer.status, [(name.lower(), value) for name, value in answer.getheaders()], answer.read())
    finally:
        connection.close()


def post(served: ServedBridge, path: str, form: Mapping[str, str], headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Send a form."""
    return send(served, "POST", path, [("Content-Type", FORM), *headers], urlencode(form))


class PlainBrowser:
    """A person's browser: cookies, redirects and forms."""

    def __init__(self, served: ServedBridge) -> None:
        self.served = served
        self.cookies: dict[str, str] = {}

    def _send(self, method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: str | None = None) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        path = path.removeprefix(self.served.url)
        answer = send(self.served, method, path, [*headers, ("Cookie", cookies)], body)
        for name, value in answer.all_headers:
            if name == "set-cookie":
                cookie, _, content = value.partition(";")[0].partition("=")
                self.cookies[cookie] = content.strip('"')
        return answer

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        return self._send("GET", f"{path}?{urlencode(parameters)}" if parameters else path)

    def submit(self, page: Answer, action: str, **buttons: str) -> Answer:
        """Submit the form of a page that goes to an address."""
        (form, *_) = re.findall(rf'<form[^>]* action="{action}">.*?</form>', page.text, re.DOTALL)
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
        values = {unescape(name): unescape(value) for name, value in fields} | buttons
        headers = [("Content-Type", FORM), ("Origin", self.served.url), ("Sec-Fetch-Site", "same-origin")]
        return self._send("POST", action, headers, urlencode(values))

    def sign_in(self, answer: Answer, person: str = "tom") -> Answer:
        """Approve at Plex and consent, where that is asked, until a redirect leads away from the bridge."""
        while not answer.location or answer.location.startswith(("/", self.served.url)):
            if answer.location:
                answer = self.get(answer.location)
            elif "<h1>Continue to" in answer.text:
                answer = self.submit(answer, "/consent", decision="allow")
            else:
                assert "Continue to Plex" in answer.text, answer.text
                plex = parse_qs(urlsplit(self.submit(answer, "/sign-in").location).fragment.removeprefix("?"))
                self.served.local_plex.approve(plex["code"][0], person)
                answer = self.get(plex["forwardUrl"][0])
        return answer


class PlainApplication:
    """An application with a secret, or without one and with S256."""

    def __init__(self, served: ServedBridge, client_id: str, secret: str | None, redirect_uri: str) -> None:
        self.served = served
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self._verifier = None if secret else secrets.token_urlsafe(48)
        credentials = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        self.headers = [("Authorization", f"Basic {credentials}")] if secret else []
        self.nonce = secrets.token_urlsafe(8)
        self.state = secrets.token_urlsafe(8)

    def make_request(self, **changes: str) -> dict[str, str]:
        """Return the parameters of an authorization request."""
        request = {"client_id": self.client_id, "redirect_uri": self.redirect_uri, "response_type": "code"}
        request |= {"scope": "openid", "nonce": self.nonce, "state": self.state}
        if self._verifier:
            challenge = encode(hashlib.sha256(self._verifier.encode()).digest())
            request |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return request | changes

    def ask_for_tokens(self, **form: str) -> Answer:
        own = {} if self.headers else {"client_id": self.client_id}
        return post(self.served, "/token", form | own, self.headers)

    def redeem(self, answer: Answer) -> Answer:
        """Exchange the code of an answer that leads to this application."""
        assert answer.location.startswith(f"{self.redirect_uri}?")
        assert {"code", "state", "iss"} == set(answer.query)
        assert (self.state, self.served.url) == (answer.query["state"], answer.query["iss"])
        verifier = {"code_verifier": self._verifier} if self._verifier else {}
        form = {"grant_type": "authorization_code", "code": answer.query["code"], "redirect_uri": self.redirect_uri}
        return self.ask_for_tokens(**form, **verifier)

    def verify(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return header and claims of a JWT whose signature is right."""
        signed, _, signature = token.rpartition(".")
        header, claims = (json.loads(decode(part)) for part in signed.split("."))
        (key,) = [each for each in send(self.served, "GET", "/jwks").json["keys"] if each["kid"] == header["kid"]]
        assert (key["alg"], "sig") == (header["alg"], key["use"])
        if header["alg"] == "RS256":
            numbers = RSAPublicNumbers(*(int.from_bytes(decode(key[name])) for name in ("e", "n")))
            numbers.public_key().verify(decode(signature), signed.encode(), PKCS1v15(), SHA256())
        else:
            Ed25519PublicKey.from_public_bytes(decode(key["x"])).verify(decode(signature), signed.encode())
        return header, claims


def encode(content: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode(text: str) -> bytes:
    """Read base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
