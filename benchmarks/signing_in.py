"""What signing in costs: a JWT verified, a JWT as a token over HTTP, and the time from an approval to the token.

Rule: the floors are raw Ed25519 for the verification, the opaque token in the same rounds for the JWT, and the poll's
own second for the approval.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, Plan, Row
from benchmarks.processes import find_wrk, free_port, requests_per_second, serve, server
from ticketstub import Device, DeviceKey, Plex
from ticketstub.crypto import SigningKey, verify_issued_jwt

_TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
_ROUNDS = 5
_VERIFICATIONS = 500
_WARM = 4


def rows(plan: Plan) -> Iterator[Row]:
    """Measure signing in."""
    yield _verification(plan)
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with server(serve(port, "--db", f"sqlite:///{Path(folder) / 'plex.db'}"), port) as url:
            if find_wrk():
                yield _jwt_as_token(plan, url)
            yield _approval(plan, url)


def _verification(plan: Plan) -> Row:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, now = SigningKey.generate(), 1_795_000_000
    times = {"iat": now, "exp": now + 604_800}
    token = key.sign({"iss": "plex.tv", "aud": ["plex.tv", "bench"], "thumbprint": "t" * 43, **times})
    private = Ed25519PrivateKey.generate()
    signed = token.rpartition(".")[0].encode()
    signature, public = private.sign(signed), private.public_key()
    keys = {key.kid: key.jwk}
    figures = plan.rounds(
        {
            "ours": lambda: _each(lambda: verify_issued_jwt(token, keys, now=now)),
            "raw Ed25519": lambda: _each(lambda: public.verify(signature, signed)),
        }
    )
    ratio = figures["ours"].ratio(figures["raw Ed25519"])
    return Row("a JWT verified", "µs", figures, "(reported)", f"{ratio:.2f} × raw Ed25519")


def _each(work: object) -> float:
    assert callable(work)
    start = time.perf_counter()
    for _ in range(_VERIFICATIONS):
        work()
    return (time.perf_counter() - start) / _VERIFICATIONS * 1e6


def _jwt_as_token(plan: Plan, url: str) -> Row:
    jwt = _jwt(url)
    common = ["X-Plex-Client-Identifier: bench", "Accept: application/json"]
    figures: dict[str, Figure] = plan.rounds(
        {
            "JWT": lambda: requests_per_second(f"{url}/api/v2/user", [f"X-Plex-Token: {jwt}", *common]),
            "opaque token": lambda: requests_per_second(f"{url}/api/v2/user", [f"X-Plex-Token: {_TOKEN}", *common]),
        },
        _ROUNDS,
    )
    share = figures["JWT"].ratio(figures["opaque token"])
    return Row("GET /api/v2/user with a JWT", "requests/s", figures, "(reported)", f"{share:.0%} of an opaque token's")


def _jwt(url: str) -> str:
    """Get a JWT through a PIN, as a program does."""
    with Plex(plex_tv=url, device=Device(client_identifier="bench-key")) as plex:
        begun = plex.begin_sign_in(device_key=DeviceKey.generate())
        plex.with_options(token=_TOKEN).pins.link(begun.code)
        token = begun.finish().token
        assert token is not None
        return token.reveal()


def _approval(plan: Plan, url: str) -> Row:
    """Measure from the approval's acknowledgement to the token in the waiting program's hands."""
    figures = plan.rounds({"ours": lambda: _approved(url)}, _WARM)
    return Row("approval to token, polled each second", "s", figures, "≤ 1 s and a round trip", _slowest(figures))


def _slowest(figures: dict[str, Figure]) -> str:
    return f"slowest {max(figures['ours'].rounds):.2f} s"


def _approved(url: str) -> float:
    acknowledged: list[float] = []
    with Plex(plex_tv=url, device=Device(client_identifier="bench-approval")) as plex:
        begun = plex.begin_sign_in()

        def approve() -> None:
            time.sleep(0.3)
            plex.with_options(token=_TOKEN).pins.link(begun.code)
            acknowledged.append(time.perf_counter())

        thread = threading.Thread(target=approve)
        thread.start()
        begun.finish()
        done = time.perf_counter()
        thread.join()
        return done - acknowledged[0]
