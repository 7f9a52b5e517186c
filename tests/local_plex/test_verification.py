"""Verification codes of RFC 6238, and secrets as people write them."""

import time

import pytest

from tests.local_plex.asking import START, code_at, sign_in
from tests.local_plex.conftest import Start
from ticketstub.local_plex.world import verification_codes
from ticketstub.local_plex.world.schema import World
from ticketstub.tokens import Secret

RFC_SECRET = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
SHORTEST = "JBSWY3DPEHPK3PXP"


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(now, code):
    """Codes are the last six digits of the RFC's table, and each belongs to its step."""
    assert code == verification_codes.generate_code(RFC_SECRET, now)
    assert now // 30 == verification_codes.find_matching_step(RFC_SECRET, Secret(code), now)


@pytest.mark.parametrize(
    "written",
    [SHORTEST, SHORTEST.lower(), "JBSW Y3DP EHPK 3PXP", "jbsw y3dp ehpk 3pxp ", SHORTEST + "AA", SHORTEST + "AA======"],
)
def test_a_secret_of_16_characters_signs_in(start: Start, clock, written):
    """A secret of 16 or more characters works in every form: spaces, lower case, with or without padding."""
    account = {"username": "vera", "email": "vera@example.test", "password": "copper-kettle-8"}
    plex = start(world={"account": [account | {"verification_secret": written}]}, clock=clock)
    secret = "".join(written.split()).upper().rstrip("=")
    secret += "=" * (-len(secret) % 8)
    answered = sign_in(plex.url, "vera", "copper-kettle-8", verificationCode=code_at(clock.now, secret))
    assert 201 == answered.status, answered.body


def test_an_account_of_the_world_gives_its_current_code():
    """`World.account(name).code()` is what the authenticator app shows, now or at a given time."""
    mira = World.demo().account("MIRA@example.test")
    assert ("mira_quill", code_at(START)) == (mira.username, mira.code(START))
    before, shown, after = mira.code(time.time()), mira.code(), mira.code(time.time())
    assert shown in {before, after}
    with pytest.raises(LookupError, match="has no verification secret"):
        World.demo().account("tom").code()
    with pytest.raises(LookupError, match=r"there is no such account; the world has mira_quill, tom, juno_vale"):
        World.demo().account("nobody")
