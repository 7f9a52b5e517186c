"""The pictures of the documentation show what there is now, and each is on a page for light and for dark."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from tests.docs.pages import ROOT, pages
from tests.test_architecture import SOURCE
from ticketstub import Browser, Device, LinkCode, MemoryStore, Password, PendingState, Plex
from ticketstub.testing import LocalPlexController

if not find_spec("PIL") and os.environ.get("CI") != "true":
    pytest.skip("pictures need requirements/docs.txt: `make docs` installs it", allow_module_level=True)

from scripts.make_pictures import LAYERS, PICTURES, SEQUENCES

FILES = sorted(PICTURES.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="the pictures are taken on Linux")
def test_pictures_are_current(require: Callable[[str, str], str]) -> None:
    """The texts of each picture are those of the commands, pages and drawings now."""
    require("chromium", "install Debian's or Ubuntu's package `chromium`")
    program = [sys.executable, "-m", "scripts.make_pictures", "--check"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, timeout=240, check=False)
    assert (0, "") == (done.returncode, done.stdout.strip()), done.stderr


def test_each_picture_is_on_a_page_for_light_and_for_dark() -> None:
    """Pages name the files that there are, and no file is left over; each image says what it shows."""
    tags = [tag for page in pages() for tag in re.findall(r"<img [^>]*>", page.text)]
    named = {match[1] for tag in tags if (match := re.search(r"pictures/([\w-]+\.\w+)#", tag))}
    assert {path.name for path in FILES} == named
    assert [] == [tag for tag in tags if not re.search(r' alt="[^"]{20,}"', tag)]
    assert {name.replace("-dark.", "-light.") for name in named} == {name for name in named if "-light." in name}


def test_no_picture_asks_another_host() -> None:
    """A drawing names no font, picture or style sheet elsewhere."""
    drawn = [
        path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "") for path in FILES if path.suffix == ".svg"
    ]
    assert drawn
    assert [] == [svg for svg in drawn if re.search(r"url\((?!#)|@import|@font-face|href=", svg)]


@pytest.mark.parametrize("name", ["sign-in-browser", "sign-in-code", "sign-in-password", "sign-in-device-key"])
def test_a_drawn_sign_in_sends_what_is_drawn(name: str, local_plex: LocalPlexController) -> None:
    """The requests that a real sign-in sends are those of its drawing, in their order."""

    def approve(pending: PendingState) -> None:
        local_plex.approve(pending)

    methods: dict[str, Browser | LinkCode | Password] = {
        "sign-in-browser": Browser(show=approve, open=False),
        "sign-in-password": Password(
            "mira_quill", "paper-lantern-42", ask_code=local_plex.account("mira_quill").get_code
        ),
    }
    plex = Plex.sign_in(
        "Reader",
        method=methods.get(name, LinkCode(approve)),
        device_key=name == "sign-in-device-key",
        plex_tv=local_plex.url,
        device=Device(client_identifier="6d1f0c7de2a84536", product="Reader"),
        store=MemoryStore(),
    )
    if name == "sign-in-device-key":
        local_plex.advance(days=8)
        plex.ping()
    plex.close()
    assert drawn(name) == [each for each in sent(local_plex) if each != "GET /api/v2/ping"]


def test_the_drawn_connect_sends_what_is_drawn(local_plex: LocalPlexController) -> None:
    """The requests of a real `connect` are those of its drawing."""
    local_plex.client().connect("Attic").close()
    assert list(dict.fromkeys(drawn("connect"))) == sent(local_plex)


def drawn(name: str) -> list[str]:
    """Return the requests of a program as a drawing has them."""
    columns, steps = SEQUENCES[name]
    own = columns.index("your program")
    return [step.text.partition(",")[0] for step in steps if step.source == own and re.match(r"[A-Z]+ /", step.text)]


def sent(local_plex: LocalPlexController) -> list[str]:
    """Return the requests that a local Plex received."""
    return [f"{request.method} {re.sub(r'/[0-9]+$', '/{id}', request.path)}" for request in local_plex.requests]


def test_the_drawn_parts_exist() -> None:
    """Each part of the drawn architecture is a folder or module of the package."""
    drawn = {layer.name for layer in LAYERS if " " not in layer.name}
    assert drawn == {name for name in drawn if (SOURCE / name).is_dir() or (SOURCE / f"{name}.py").is_file()}
