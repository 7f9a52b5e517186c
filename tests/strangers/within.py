"""Runs within `ticketstub run`, between a test and the stranger's program: it starts the program and passes lines on.

Rule: a line with a `controller` in it is for the tester's hand, the control API, one with a `look` in it is for the
local Plex: what a person sees in Plex's own app. Both may be out of the test's reach. Everything else is the
program's, which sees nothing of the test, of the hand or of our packages. Standard library only.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

WITHIN = 10
"""Seconds that either of them has."""
OURS = ("PYTHONPATH", "TICKETSTUB_CONTROL", "TICKETSTUB_CONTROL_KEY")


def by_hand(verb: str, order: object) -> str:
    """Do what a person or a tester does."""
    fields = {"Authorization": f"Bearer {os.environ['TICKETSTUB_CONTROL_KEY']}", "Content-Type": "application/json"}
    url = f"{os.environ['TICKETSTUB_CONTROL']}/{verb}"
    return told(urllib.request.Request(url, json.dumps(order).encode(), fields))


def looked_at(path: str, token: str) -> str:
    """Look at something of an account's."""
    fields = {"X-Plex-Token": token, "X-Plex-Client-Identifier": "plex-web", "Accept": "application/json"}
    return told(urllib.request.Request(f"{os.environ['TICKETSTUB_PLEX_TV']}{path}", None, fields))


def told(request: urllib.request.Request) -> str:
    """Return what was told back, a line of JSON."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=WITHIN) as answer:
            return json.dumps({"told": json.loads(answer.read() or b"null")})
    except urllib.error.HTTPError as refused:
        return json.dumps({"refused": refused.read().decode()})


def main(program: list[str]) -> None:
    """Start the program and serve until there is nothing more to pass on."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    with subprocess.Popen(program, stdin=subprocess.PIPE, env=environment) as stranger:
        assert stranger.stdin
        print(os.environ["TICKETSTUB_PLEX_TV"], flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            if "hand" in asked:
                print(by_hand(asked["hand"], asked["order"]), flush=True)
            elif "look" in asked:
                print(looked_at(asked["look"], asked["token"]), flush=True)
            else:
                stranger.stdin.write(line.encode())
                stranger.stdin.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
