"""Who may ask the lab's server: this machine's own browser, on the page whose address holds the token.

A server on 127.0.0.1 can be reached by every page that the browser has open. Three things stand between: the name by which it
is called (a foreign name that resolves to 127.0.0.1 is refused: DNS rebinding), the origin of whoever sends a command, and a
token in the address that no other page knows.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NamedTuple

NAMES = ("127.0.0.1", "localhost")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
MOST_BYTES = 1 << 20  # of a command


class Refusal(NamedTuple):
    """Why a request is not answered: an HTTP status, and a line."""

    status: int
    why: str


class Guard:
    """Looks at requests before anything else does, whatever their method.

    Args:
        port: of the server. token: what addresses begin with, /TOKEN/; by default a new one.
    """

    def __init__(self, port: int, token: str | None = None) -> None:
        self.token = secrets.token_urlsafe(16) if token is None else token
        self.hosts = [f"{name}:{port}" for name in NAMES]
        self.origins = [f"http://{host}" for host in self.hosts]

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why this request is refused, or None. path: as it was asked for, with its query."""
        if (host := headers.get("Host", "")) not in self.hosts:
            return Refusal(421, f"Host: got {host!r}, expected {' or '.join(self.hosts)}")
        origin, writes = headers.get("Origin"), method not in ("GET", "HEAD")
        if origin is not None and origin not in self.origins:
            return Refusal(403, f"Origin: got {origin!r}, expected the lab's own page")
        if origin is None and writes:
            return Refusal(403, "Origin: is not given, expected the lab's own page")
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return Refusal(403, "Sec-Fetch-Site: the request comes from another site's page")
        if not self._knows(path):
            return Refusal(404, "the address lacks the token: take the one that `minigan lab` printed")
        return None

    def _knows(self, path: str) -> bool:
        head, _, rest = path.removeprefix("/").partition("/")
        return path.startswith("/") and secrets.compare_digest(head.encode(), self.token.encode()) and "\\" not in rest
