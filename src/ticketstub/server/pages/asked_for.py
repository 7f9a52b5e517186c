"""What an Auth App URL asks for: which PIN, of which client, and where to go afterwards.

Rule: only names that are known are looked at (documented, and those that published clients send); everything in a URL
is a claim of whoever made it. What a page says of a device is what the PIN's client said of itself when it made the
PIN; the URL only fills gaps.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ticketstub.server.pages.words import shown

CODE, CLIENT, FORWARD = "code", "clientID", "forwardUrl"
CHECKED = "checked"
_CONTEXT = ("product", "version", "platform", "platformVersion", "device", "deviceName", "model")
_LONGEST = 2048


class AskedFor(msgspec.Struct, frozen=True):
    """What is to be approved.

    Attributes:
        code: the PIN's code, as it was given.
        client_identifier: who made it, as the URL says; empty where it says nothing.
        forward_url: where to go afterwards, not judged yet.
        checked: what we gave out when somebody typed this very code.
        device: what the URL says of the device.
    """

    code: str
    client_identifier: str
    forward_url: str
    checked: str
    device: dict[str, str]

    @classmethod
    def read(cls, given: Mapping[str, str]) -> AskedFor:
        """Read a query or a form."""
        code, client, forward, checked = (given.get(name, "") for name in (CODE, CLIENT, FORWARD, CHECKED))
        said = {name: shown(given.get(f"context[device][{name}]")) for name in _CONTEXT}
        device = {name: text for name, text in said.items() if text}
        return cls(code, client, forward[: _LONGEST + 1], checked, device)

    def parameters(self) -> dict[str, str]:
        """Write it as parameters again, those that are there."""
        known = {CLIENT: self.client_identifier, CODE: self.code, CHECKED: self.checked, FORWARD: self.forward_url}
        context = {f"context[device][{name}]": text for name, text in self.device.items()}
        return {name: text for name, text in (known | context).items() if text}
