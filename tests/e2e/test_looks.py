"""What the pages look like: what can be measured of each, light and dark, wide and narrow, and pictures of it.

Pictures are taken where TICKETSTUB_SCREENSHOTS names a folder for them. Look at them.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, expect

from tests.e2e.acting import App, Clock, Tab
from tests.e2e.conftest import OpenTab
from ticketstub.local_plex.local_plex import LocalPlex

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIZES = {"wide": (1280, 860), "narrow": (320, 700)}
# Text of all kinds against what is behind it (WCAG 2.2, 1.4.3), worst first.
CONTRAST = """() => {
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const known = new Map();
  const rgba = (color) => {
    if (!known.has(color)) {
      context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1);
      known.set(color, [...context.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(color);
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!(says || element.matches("input:not([type=hidden])")) || element.closest("noscript")) continue;
    const [one, other] = [rgba(getComputedStyle(element).color), behind(element)].map(light).sort((a, b) => b - a);
    found.push([(one + 0.05) / (other + 0.05), element.textContent.trim().slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""


def measure(page: Page, folder: str, name: str) -> None:
    """Measure the page, and take a picture if there is a folder for it."""
    expect(page.locator("h1")).to_have_count(1)
    page.wait_for_load_state("load")  # its style sheet too
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    ratio, text = page.evaluate(CONTRAST)[0]
    assert ratio >= 4.5, (name, text, ratio)
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= seen, (name, "scrolls sideways")
    assert "Never type your real Plex password here" in page.locator("header").inner_text()


def test_looks(plex: LocalPlex, clock: Clock, open_tab: OpenTab) -> None:
    """Each page is readable in light and dark and at 320 pixels, and says that it is not Plex."""
    folder = os.environ.get("TICKETSTUB_SCREENSHOTS", "")
    tab = open_tab(reduced_motion="reduce")  # no colour is measured on its way to another
    for name, go in _walk(tab, plex, clock):
        go()
        for size, (width, height) in SIZES.items():
            tab.page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                tab.page.emulate_media(color_scheme=scheme)
                measure(tab.page, folder, f"{name}-{scheme}-{size}")


def _walk(tab: Tab, plex: LocalPlex, clock: Clock) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each page's name and the function that opens it."""
    app = App(plex, **{"Platform-Version": "6.1"})
    strange = App(plex, "x" * 60, Product="A" * 90, **{"Device-Name": "A very long name of a device " * 6})
    yield "start", lambda: tab.open("/")
    yield "auth", lambda: tab.open("/auth")
    yield "sign-in", lambda: tab.open("/sign-in?continue=/link")
    yield "sign-in-wrong", lambda: tab.sign_in(password="wrong")
    yield "sign-in-code", lambda: tab.sign_in("vera")
    tab.signed_in()
    yield "account", lambda: tab.open("/account")
    yield "link", lambda: tab.open(f"/link?pin={app.pin(strong=False).code}")

    def wrong() -> None:
        tab.page.get_by_label("Link code").fill("AAAA")
        tab.press("Continue")
        expect(tab.page.get_by_role("alert")).to_contain_text("No device")

    def approve() -> None:
        tab.press("Approve")
        expect(tab.page.locator("h1")).to_have_text("Approved")

    yield "link-wrong", wrong
    pin = app.pin()
    clock.now += 23
    yield "approve", lambda: tab.open(app.auth_url(pin, forwardUrl="https://app.example.test/done"))
    yield "approved-leaving", approve
    yield "approve-long", lambda: tab.open(strange.auth_url(strange.pin(), forwardUrl="myapp://x"))
    yield "approved", approve
    yield "not-found", lambda: tab.open(app.auth_url(pin))
    clock.now += 7300
    yield "devices", lambda: tab.open("/account/devices")
    yield "home", lambda: tab.open("/account/home")

    def wrong_passcode() -> None:
        tab.page.get_by_label("Passcode of Pip").fill("0000")
        tab.press("Switch to Pip")
        expect(tab.page.get_by_role("alert")).to_contain_text("wrong")

    yield "home-wrong", wrong_passcode
    yield "claim", lambda: tab.open("/claim")
    yield "claim-made", lambda: tab.press("Create a claim token")
    yield "reset", lambda: tab.open("/auth?resetPassword=")
