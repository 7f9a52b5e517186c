"""A floor for clients to be measured against: answers every request on its port with one account, as fast as it can."""

import asyncio
import sys
from pathlib import Path
from typing import cast

BODY = Path(sys.argv[2]).read_bytes().strip()
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nCache-Control: no-cache\r\nVary: Origin\r\n"
)
ANSWER = HEAD + b"X-Request-Id: 1\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


class Canned(asyncio.Protocol):
    def __init__(self) -> None:
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not asyncio's by class

    def data_received(self, data: bytes) -> None:
        *requests, self.waiting = (self.waiting + data).split(b"\r\n\r\n")
        if requests:
            self.transport.write(ANSWER * len(requests))


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
