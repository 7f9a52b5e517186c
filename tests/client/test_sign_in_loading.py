"""A client loads no keys and no stores before a sign-in needs them."""

from __future__ import annotations

import pytest

from tests.tables import first_of
from tests.test_architecture import in_a_fresh_interpreter

HEAVY = ("ticketstub.credentials", "ticketstub.crypto", "cryptography", "joserfc", "keyring", "segno", "webbrowser")
PROGRAM = """
from tests.client.doubles import Recording
from ticketstub import Device, Plex
plex = Plex(device=Device(client_identifier="x"), token="Xk3mPz_9Q-vT7rLb2NfW", transport=Recording())
{use}
print(*sorted(name for name in sys.modules if name.startswith({heavy!r})))
"""
USES = ["plex.ping()", "plex.resources()", "plex.token", "plex.sign_in_state", "plex.account().can_reach('Attic')"]


@pytest.mark.parametrize("use", first_of(USES))
def test_a_client_with_a_token_loads_no_keys_and_no_stores(use: str) -> None:
    """A client that was given its token loads no credentials, keys or their libraries."""
    assert "" == in_a_fresh_interpreter(PROGRAM.format(use=use, heavy=HEAVY))


@pytest.mark.long
def test_a_pin_loads_no_libraries() -> None:
    """A sign-in that begins in the browser loads neither cryptography nor the drawing of QR codes."""
    use = "plex.begin_sign_in()"
    libraries = HEAVY[2:]
    program = PROGRAM.replace("Recording()", "Recording(answer)").format(use=use, heavy=libraries)
    answer = (
        "from ticketstub.messages import Response\n"
        'answer = lambda request: Response(201, {}, b\'{"id":7,"code":"H7QK","expiresIn":900}\')\n'
    )
    assert "" == in_a_fresh_interpreter(answer + program)
