"""Transports without a network: one answers from a function and records, one fails when it is used."""

from __future__ import annotations

from collections.abc import Callable

from ticketstub.messages import Request, Response

Answer = Callable[[Request], Response]

_PIN = b'{"id":1402233445,"code":"H7QK","authToken":null}'
BODIES = {
    "/api/v2/user": b'{"id":10500123,"authToken":"Xk3mPz_9Q-vT7rLb2NfW"}',
    "/api/v2/users/signin": b'{"id":10500123,"authToken":"Xk3mPz_9Q-vT7rLb2NfW"}',
    "/api/v2/ping": b'{"pong":true}',
    "/api/v2/resources": b'[{"name":"Attic","accessToken":"Qw7-Zr2_LmN8tYb4HsKd"}]',
    "/identity": b'{"MediaContainer":{"machineIdentifier":"9b1f"}}',
    "/": b'{"MediaContainer":{"machineIdentifier":"9b1f","friendlyName":"Attic"}}',
    "/security/token": b'{"MediaContainer":{"token":"transient-5b7e1c90-2d4f-4a63-9e18-c0d7a4f2b631"}}',
    "/api/v2/pins": _PIN,
    "/api/v2/pins/1402233445": _PIN,
    "/api/v2/pins/link": b"",
    "/api/v2/auth/jwk": b"",
    "/api/v2/auth/nonce": b'{"nonce":"0d9f6c1e-3b2a-4e57-9c88-71a5d2f4b603"}',
    "/api/v2/auth/token": b'{"auth_token":"eyJraWQ.eyJub25j.c2ln"}',
    "/api/v2/auth/keys": b'{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"plex-1"}]}',
    "/api/v2/home": b'{"id":778899,"name":"Quill home"}',
    "/api/v2/home/users": b'{"id":778899,"users":[{"id":10500456,"uuid":"b71d04e96c2fa835","title":"Pip"}]}',
    "/switch": b'{"id":10500456,"authToken":"aB4_tuRq81-ZxPmK0nEv"}',
    "/api/home/users/10500123": b"",
    "/users/restricted/10500456": b"",
    "/devices.xml": b'<MediaContainer size="1"><Device id="777001" name="Workshop PC"/></MediaContainer>',
    "/devices/777001.xml": b"",
    "/api/claim/token.json": b'{"token":"claim-A1b2C3d4E5f6G7h8I9j0"}',
    "/api/claim/exchange": b'<user authToken="Zp2Vw9LkTq7Xs4RbNd8H"/>',
    "/myplex/account": b'{"MyPlex":{"signInState":"ok","authToken":"Zp2Vw9LkTq7Xs4RbNd8H"}}',
    "/myplex/claim": b'{"MyPlex":{"signInState":"ok"}}',
    "/security/resources": b'{"MediaContainer":{"Device":{"accessToken":"transient-8c2a","Connection":[]}}}',
}


def usual(request: Request) -> Response:
    """Answer every call as Plex would, below any base URL."""
    path = next((path for path in sorted(BODIES, key=len, reverse=True) if request.path.endswith(path)), "/")
    return Response(201 if path.endswith("signin") else 200, {}, BODIES[path])


class Recording:
    """A transport for `Plex` that answers from a function and keeps what was sent."""

    def __init__(self, answer: Answer = usual) -> None:
        self.sent: list[Request] = []
        self.slept: list[float] = []
        self.closed = 0
        self.answer = answer

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        self.sent.append(request)
        return self.answer(request)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def close(self) -> None:
        self.closed += 1


class AsyncRecording:
    """The same for `AsyncPlex`."""

    def __init__(self, answer: Answer = usual) -> None:
        self.inner = Recording(answer)

    @property
    def sent(self) -> list[Request]:
        return self.inner.sent

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        return self.inner.send(request, deadline=deadline, connect_timeout=connect_timeout)

    async def sleep(self, seconds: float) -> None:
        self.inner.sleep(seconds)

    async def close(self) -> None:
        self.inner.close()


def unused(request: Request) -> Response:
    """Fail: nothing may be sent."""
    raise AssertionError(f"{request!r} was sent")
