"""A relay that shows what was on the wire, for strangers that throw the answer away, and that can refuse in between.

Rule: it passes on method, path, headers and body as they came, adds nothing but what HTTP needs, and remembers every
exchange. What it was told to refuse it answers itself. Loopback only.
"""

import http.client
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length"}


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as they were."""

    method: str
    path: str
    headers: dict[str, str]
    status: int
    content_type: str
    body: bytes


class Relay:
    """Stands before one server; `url` is its own address, `exchanges` what went through.

    Args:
        target: the server's address.
        refusing: the statuses with which the first requests are answered, which then do not reach the server.
    """

    def __init__(self, target: str, refusing: Sequence[int] = ()) -> None:
        self.exchanges: list[Exchange] = []
        self._refusing = list(refusing)
        address = urlsplit(target)
        assert address.hostname
        assert address.port
        self._target = (address.hostname, address.port)
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                relay.pass_on(self)

            do_GET = do_POST = handle_any  # noqa: N815  # http.server looks for these names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
                """Say nothing: what was asked for holds tokens."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def pass_on(self, asked: BaseHTTPRequestHandler) -> None:
        """Send one request on to the target, send its answer back, and remember both."""
        body = asked.rfile.read(int(asked.headers.get("content-length") or 0))
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in _HOP_BY_HOP}
        status, fields, content = self._answer(asked, body, headers)
        kind = fields.get("content-type", "")
        self.exchanges.append(Exchange(asked.command, asked.path, headers, status, kind, content))
        asked.send_response_only(status)
        for name, value in fields.items():
            if name.lower() not in _HOP_BY_HOP:
                asked.send_header(name, value)
        asked.send_header("Content-Length", str(len(content)))
        asked.end_headers()
        asked.wfile.write(content)

    def _answer(
        self, asked: BaseHTTPRequestHandler, body: bytes, headers: dict[str, str]
    ) -> tuple[int, Message, bytes]:
        if self._refusing:
            return self._refusing.pop(0), Message(), b""
        connection = http.client.HTTPConnection(*self._target, timeout=10)
        try:
            connection.request(asked.command, asked.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def relay_to(target: str, refusing: Sequence[int] = ()) -> Generator[Relay]:
    """A running relay before `target`."""
    relay = Relay(target, refusing)
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(60)
