"""Take the pictures of the documentation: `make pictures`. With `--check`, only report what is out of date.

Rule: a picture of a command or a page shows what the local Plex of the demonstration really printed or showed, and a
drawing of requests has the calls of the code. Each picture is there for light pages and for dark ones. What is
different each time (ports, identifiers, milliseconds) is made the same. Pictures are compared by their texts alone.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image, PngImagePlugin
from playwright.sync_api import FloatRect, Page, sync_playwright

from scripts.drawings import THEMES, Layer, Step, Theme, draw_layers, draw_sequence, draw_terminal
from ticketstub import Device, Plex
from ticketstub.calls import (
    CreatePin,
    ExchangeDeviceJwt,
    GetIdentity,
    GetNonce,
    GetPin,
    GetPublishedKeys,
    GetResources,
    GetServerInformation,
    GetTokenDetails,
    LinkPin,
    PostUsersSignInData,
)
from ticketstub.local_plex.domain.overview import Overview
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.protocol.call import Call
from ticketstub.testing import LocalPlexController, World, local_plex

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "_static" / "pictures"
COLUMNS = 92
WIDTH = 820
START = 1_795_000_000
COMMAND = Path(sys.executable).with_name("ticketstub")


class TerminalPicture(NamedTuple):
    """A command to be pictured.

    Attributes:
        command: the command line after `ticketstub`.
        typed: makes the lines of standard input, if it reads any.
        approve: whether somebody types its link code elsewhere while it waits.
        lines: how many lines of a long output are shown.
    """

    command: str
    typed: Callable[[LocalPlexController], str] | None = None
    approve: bool = False
    lines: int = 40


def _create_token(plex: LocalPlexController) -> str:
    return plex.account("tom").create_token().reveal()


# In this order, with one home folder: the first signs in. A new picture is a row.
TERMINAL: dict[str, TerminalPicture] = {
    "login": TerminalPicture("login --code --storage file", approve=True),
    "whoami": TerminalPicture("whoami --profile default"),
    "servers": TerminalPicture("servers --profile default"),
    "status": TerminalPicture("status"),
    "check": TerminalPicture("check", typed=_create_token),
    "doctor": TerminalPicture("doctor --profile default"),
    "demo": TerminalPicture("demo", lines=30),
    "run": TerminalPicture(
        "run -- curl -s -H X-Plex-Token:Tm8-harbour_rainy_17 -H X-Plex-Client-Identifier:demo"
        " https://plex.tv/api/v2/ping"
    ),
}

# What is different each time besides ports, and what is shown in its place.
VARIABLE = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "3381b62b-9ab7-4e37-827b-203e9809eb58"),
    (r"#[0-9a-f]{6}\b", "#2bf9ce"),
    (r"\b\d+(?:\.\d)? ms", "1.2 ms"),
    (r"\b20\d\d-\d\d-\d\d \d\d:\d\d\b", "2026-11-28 21:00"),
    (r"\b\d\d:\d\d:\d\d\b", "21:00:00"),
    (r"(?<![\d.])\d+ ms\b", "1.2 ms"),
    (r"(?<=versions: ).*", "Ticketstub 0.1.0, Python 3.13.5 on Linux, OpenSSL 3.5.1"),
    (r"(?<=SQLite: ).*(\n {9}.*)*", "3.51.4"),
    (r"(?<=trusted authorities: )\d+", "144"),
    (r"/pins/\d{6,}", "/pins/1586212989"),
    (r"(?<=ticketstub/credentials/)\S+", "…"),
    (r"(code *\x1b\[0m +)[A-Z0-9]{4}\b", r"\g<1>7K2M"),
)


@contextmanager
def _home() -> Generator[dict[str, str]]:
    """Yield the environment of somebody with an empty home."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        yield kept | {
            "HOME": folder,
            "COLUMNS": str(COLUMNS),
            "FORCE_COLOR": "1",
            "TERM": "xterm-256color",
            "TZ": "UTC",
        }


def take_terminals() -> Iterator[tuple[str, str, str]]:
    """Run each command; yield its name, its command line, and what it printed."""
    with _home() as environment, local_plex() as plex:
        environment["TICKETSTUB_PLEX_TV"] = plex.url
        for name, picture in TERMINAL.items():
            printed = _run(picture, environment, plex)
            lines = make_constant(printed.replace(environment["HOME"], "~")).rstrip().splitlines()
            shown = lines[: picture.lines] + ["…"] * (len(lines) > picture.lines)
            yield name, f"ticketstub {picture.command}", "\n".join(shown)


def _run(picture: TerminalPicture, environment: dict[str, str], plex: LocalPlexController) -> str:
    """Run a command, as in a terminal, but for one that waits: its countdown would be drawn again and again."""
    variables = {name: value for name, value in environment.items() if not picture.approve or name != "FORCE_COLOR"}
    process = subprocess.Popen(
        [COMMAND, *picture.command.split()],
        env=variables,
        stdin=subprocess.PIPE if picture.typed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    if picture.approve:
        for line in process.stdout or ():
            said += line
            if "Waiting for approval" in line:
                break
        code = next(iter(re.findall(r"\b[A-Z0-9]{4}\b", said)), "none")
        plex.approve(code)
        said = re.sub(rf"\b{code}\b", "7K2M", said)
    said += process.communicate(picture.typed(plex) if picture.typed else None, timeout=60)[0]
    if process.returncode:
        raise SystemExit(f"{picture.command} failed: {said}")
    return said


def make_constant(text: str) -> str:
    """Replace what is different each time. The first port that a text has is taken for plex.tv's."""
    ports = dict.fromkeys(re.findall(r"(?<=127\.0\.0\.1:)\d+", text))
    for number, port in enumerate(ports):
        text = re.sub(rf"(?<=127\.0\.0\.1:){port}\b", str(8190 if number == 0 else 32400 + number), text)
    for pattern, replacement in VARIABLE:
        text = re.sub(pattern, replacement, text)
    return text


def _say(kind: type[Call[Any]], more: str = "") -> str:
    return f"{kind.http.method} {kind.http.path}{more}"


SEQUENCES: dict[str, tuple[tuple[str, ...], tuple[Step, ...]]] = {
    "sign-in-browser": (
        ("your program", "plex.tv", "the user's browser"),
        (
            Step(0, 1, _say(CreatePin)),
            Step(1, 0, "201: id and code, for 30 minutes", is_reply=True),
            Step(0, 2, "opens the page with the code in its address"),
            Step(2, 1, "signs in, approves"),
            Step(0, 1, _say(GetPin, ", once a second")),
            Step(1, 0, "200: authToken is null, then a token", is_reply=True),
            Step(0, 1, _say(GetTokenDetails)),
            Step(1, 0, "200: the account", is_reply=True),
        ),
    ),
    "sign-in-code": (
        ("your program", "plex.tv", "the user's telephone"),
        (
            Step(0, 1, _say(CreatePin)),
            Step(1, 0, "201: id and 4 characters, for 15 minutes", is_reply=True),
            Step(0, 0, "shows the code"),
            Step(2, 1, "opens plex.tv/link"),
            Step(2, 1, _say(LinkPin)),
            Step(0, 1, _say(GetPin, ", once a second")),
            Step(1, 0, "200: authToken is null, then a token", is_reply=True),
            Step(0, 1, _say(GetTokenDetails)),
            Step(1, 0, "200: the account", is_reply=True),
        ),
    ),
    "sign-in-password": (
        ("the user", "your program", "plex.tv"),
        (
            Step(0, 1, "login and password"),
            Step(1, 2, _say(PostUsersSignInData)),
            Step(2, 1, "401, code 1029: a code is required", is_reply=True),
            Step(1, 0, "asks for the verification code", is_reply=True),
            Step(0, 1, "six digits"),
            Step(1, 2, _say(PostUsersSignInData)),
            Step(2, 1, "201: the account with its token", is_reply=True),
        ),
    ),
    "sign-in-device-key": (
        ("your program", "plex.tv", "the user"),
        (
            Step(0, 0, "makes a key pair (Ed25519)"),
            Step(0, 1, _say(GetPublishedKeys)),
            Step(0, 1, _say(CreatePin, ", with the public key")),
            Step(2, 1, "approves the code"),
            Step(0, 1, _say(GetPin, ", signed")),
            Step(1, 0, "200: a JWT, for seven days", is_reply=True),
            Step(0, 1, _say(GetTokenDetails)),
            Step(0, 0, "days later"),
            Step(0, 1, _say(GetNonce)),
            Step(0, 1, _say(ExchangeDeviceJwt, ", signed")),
            Step(1, 0, "200: a new JWT, for seven days", is_reply=True),
        ),
    ),
    "connect": (
        ("your program", "plex.tv", "another address", "an address of Attic"),
        (
            Step(0, 1, _say(GetResources)),
            Step(1, 0, "200: addresses, its token", is_reply=True),
            Step(0, 2, _say(GetIdentity, ", without a token")),
            Step(0, 3, _say(GetIdentity, ", without a token")),
            Step(2, 0, "nothing, or another server's identifier", is_reply=True),
            Step(3, 0, "200: Attic's identifier", is_reply=True),
            Step(0, 3, _say(GetServerInformation, ", with Attic's token")),
            Step(3, 0, "200", is_reply=True),
        ),
    ),
}

# Names in lower case are parts of src/ticketstub; tests/docs/test_pictures.py compares them with the folders.
LAYERS = (
    Layer(0, 0, 2, "your program", ""),
    Layer(2, 0, 2, "any Plex client, in any language", ""),
    Layer(0, 1, 2, "client", "names for everything: Plex, AsyncPlex"),
    Layer(2, 1, 2, "local_plex/http", "sockets, requests, responses"),
    Layer(0, 2, 1, "client/flows", "tries, tokens, redirects"),
    Layer(1, 2, 1, "client/transports", "one request, one reply"),
    Layer(2, 2, 1, "local_plex/api", "handlers"),
    Layer(3, 2, 1, "local_plex/pages", "what people click"),
    Layer(0, 3, 2, "credentials", "stored sign-ins"),
    Layer(2, 3, 1, "local_plex/domain", "decisions"),
    Layer(3, 3, 1, "local_plex/storage", "SQLite"),
    Layer(0, 4, 4, "protocol", "calls: each writes and reads its request and its reply"),
    Layer(0, 5, 2, "crypto", "device keys, JWKs and JWTs"),
    Layer(2, 5, 2, "models", "and errors, refusals, messages, tokens, device"),
)


def draw_all(theme: Theme) -> dict[str, str]:
    """Return the drawings: their SVG by name."""
    drawn = {name: draw_sequence(columns, steps, theme) for name, (columns, steps) in SEQUENCES.items()}
    return drawn | {"architecture": draw_layers(LAYERS, theme)}


# The pages of the local Plex, by name: each opens one, from where the one before left off.
def _open_approval(page: Page, plex: LocalPlex) -> None:
    """Open the page on which somebody approves an app."""
    device = Device(client_identifier="demo-client-7c1f", product="Photo Frame", device_name="Living room")
    with Plex(plex_tv=plex.url, device=device) as client:
        page.goto(client.begin_sign_in(forward_url="https://photos.example.test/done").url)


def _open(path: str) -> Callable[[Page, LocalPlex], None]:
    def open_path(page: Page, plex: LocalPlex) -> None:
        page.goto(plex.url + path)

    return open_path


def _open_account(page: Page, plex: LocalPlex) -> None:
    page.goto(plex.url)
    page.get_by_role("button", name="Sign in as Mira").click()
    page.wait_for_url("**/account")


PAGES: dict[str, Callable[[Page, LocalPlex], None]] = {
    "page-start": _open("/"),
    "page-sign-in": _open("/sign-in?continue=/link"),
    "page-account": _open_account,
    "page-approve": _open_approval,
    "page-link": _open("/link"),
    "page-devices": _open("/account/devices"),
    "page-home": _open("/account/home"),
}


def take_pages(chromium: str) -> Iterator[tuple[str, Literal["light", "dark"], str, bytes]]:
    """Open each page; yield its name, its theme, its text and its picture."""
    world = World.demo()
    overview = Overview(world, show_secrets=True, is_demo=True)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with (
        LocalPlex(world, clock=lambda: START, overview=overview).run_in_thread() as plex,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": WIDTH, "height": 480}, reduced_motion="reduce")
        for name, open_page in PAGES.items():
            open_page(page, plex)
            text = make_constant(page.locator("body").inner_text())
            themes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
            for theme in themes:
                page.emulate_media(color_scheme=theme)
                height = min(page.evaluate("document.documentElement.scrollHeight"), 900)
                clip: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": height}
                yield name, theme, text, page.screenshot(full_page=True, clip=clip)
        browser.close()


def shrink(picture: bytes, text: str) -> bytes:
    """Return a PNG with fewer colours, which holds the text that it shows."""
    facts = PngImagePlugin.PngInfo()
    facts.add_itxt("Description", text, zip=True)
    out = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True, pnginfo=facts
    )
    return out.getvalue()


def read_texts(path: Path) -> list[str]:
    """Return the texts of a picture, line by line."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return str(picture.info.get("Description", "")).split("\n")
    return list_texts(path.read_text("utf-8"))


def list_texts(svg: str) -> list[str]:
    """Return the texts of an SVG."""
    return [unescape(text).replace("\xa0", " ") for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def take_all(chromium: str | None) -> Iterator[tuple[str, list[str], bytes]]:
    """Yield each picture's file name, texts and content; without a browser, not those of pages."""
    for theme in THEMES:
        for name, svg in draw_all(theme).items():
            yield f"{name}-{theme.name}.svg", list_texts(svg), svg.encode()
    for name, command, printed in take_terminals():
        for theme in THEMES:
            svg = draw_terminal(command, printed, theme, width=COLUMNS)
            yield f"terminal-{name}-{theme.name}.svg", list_texts(svg), svg.encode()
    if chromium:
        for name, scheme, text, picture in take_pages(chromium):
            yield f"{name}-{scheme}.png", text.split("\n"), shrink(picture, text)


def main() -> int:
    """Write the pictures whose texts have changed, or all of them, or only say which have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a picture is out of date")
    parser.add_argument("--all", action="store_true", help="write also those whose texts are as before")
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if not chromium:
        print("Chromium is not on the PATH: the pages are left out")
    PICTURES.mkdir(parents=True, exist_ok=True)
    stale: list[str] = []
    for name, texts, content in take_all(chromium):
        path = PICTURES / name
        if path.exists() and read_texts(path) == texts and not options.all:
            continue
        stale.append(name)
        if not options.check:
            path.write_bytes(content)
    print("\n".join([f"{'out of date, run `make pictures`' if options.check else 'wrote'}: {name}" for name in stale]))
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
