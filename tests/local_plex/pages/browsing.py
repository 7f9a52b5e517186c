"""A browser without a screen: cookies, forms and links over raw HTTP, and the pages' HTML taken apart.

Rule: nothing here comes from the pages under test. A form is sent as a browser sends it: with what it holds, the
cookies, and where it comes from.
"""

from html.parser import HTMLParser
from urllib.parse import urlencode

from tests.local_plex.asking import PASSWORDS, Answered, ask
from ticketstub.testing import LocalPlexController

VOID = {"meta", "link", "input", "br", "path"}


class Html(HTMLParser):
    """A page: its forms, links, whatever it loads, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[dict[str, str]] = []
        self.actions: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.tags.append((tag, facts))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "form":
            self.forms.append({})
            self.actions.append(f"{facts['method']} {facts['action']}")
        elif tag == "input" and self.forms:
            self.forms[-1][facts.get("name") or ""] = facts.get("value") or ""
        elif tag == "a":
            self.links.append(facts["href"] or "")
        if tag in {"script", "img", "iframe", "source"}:
            self.loads.append(facts.get("src") or "inline")
        if tag == "link":
            self.loads.append(facts.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def form(self, action: str) -> dict[str, str]:
        """What the first form with this action holds."""
        return self.forms[self.actions.index(f"post {action}")]


class Browser:
    """A browser with one profile.

    Args:
        plex: the local Plex.
    """

    def __init__(self, plex: LocalPlexController) -> None:
        self.url = plex.url
        self.cookie = ""

    def get(self, place: str, **headers: str) -> Answered:
        return self._store_cookie(ask(self.url, "GET", place, {"Cookie": self.cookie} | headers))

    def post(self, place: str, form: dict[str, str], **headers: str) -> Answered:
        """Send a form as a page of this site would; a header with the value "" is left out."""
        said = {
            "Cookie": self.cookie,
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": self.url,
            "Sec-Fetch-Site": "same-origin",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in said.items() if value}
        return self._store_cookie(ask(self.url, "POST", place, sent, urlencode(form)))

    def page(self, place: str) -> Html:
        """Open a page, following redirects."""
        answer = self.get(place)
        while answer.status == 303:
            answer = self.get(answer.headers["location"])
        return html(answer)

    def send(self, place: str, action: str, **fields: str) -> Answered:
        """Open a page and send its form with these fields filled in."""
        return self.post(action, self.page(place).form(action) | fields)

    def sign_in(self, login: str = "mira_quill", password: str = "", **more: str) -> Answered:
        return self.send("/sign-in", "/sign-in", login=login, password=password or PASSWORDS[login], **more)

    def signed_in(self, login: str = "mira_quill") -> "Browser":
        assert 303 == self.sign_in(login).status
        return self

    def _store_cookie(self, answer: Answered) -> Answered:
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer


def html(answer: Answered) -> Html:
    """Take a page apart."""
    assert "text/html; charset=utf-8" == answer.headers["content-type"]
    page = Html(answer.body.decode())
    assert [] == page.open
    return page
