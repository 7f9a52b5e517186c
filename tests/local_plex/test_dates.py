"""The Date of answers."""

from tests.local_plex.asking import Clock, get
from tests.local_plex.conftest import Start


def test_the_date_is_that_of_the_clock(start: Start) -> None:
    """A reply has one Date, from the instance's clock, even right after that was moved."""
    clock = Clock()
    plex = start(clock=clock)
    assert "Wed, 18 Nov 2026 11:06:40 GMT" == get(plex.url, "/api/v2/ping").headers["date"]
    clock.now += 86400
    assert "Thu, 19 Nov 2026 11:06:40 GMT" == get(plex.url, "/api/v2/ping").headers["date"]
    assert "Thu, 19 Nov 2026 11:06:40 GMT" == get(plex.media_server("Attic").url, "/identity").headers["date"]
