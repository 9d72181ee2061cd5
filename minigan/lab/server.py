"""The lab's server: one page, its modules, a stream of events, and commands. On 127.0.0.1 only.

GET  /TOKEN/            the page; /TOKEN/NAME its modules and style
GET  /TOKEN/events      server-sent events (HTML standard, section 9.2)
POST /TOKEN/command     a JSON object with "do", for the process that trains
GET  /TOKEN/run/NAME    a picture of the run that is shown
"""

from __future__ import annotations

import http.server
import json
import mimetypes
import socket
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from minigan.lab.guard import HEADERS, MOST_BYTES, Guard, Refusal
from minigan.lab.process import Trainer
from minigan.run.errors import UsageError

ADDRESS, FIRST_PORT, PORTS = "127.0.0.1", 8765, 100
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".png": "image/png", ".gif": "image/gif"}
QUIET = 15.0  # seconds after which a line is sent that says nothing, so that a page that is gone is noticed
SLOWEST = 30.0  # seconds in which a request has to be read
MOST_PAGES = 32


class Server(http.server.ThreadingHTTPServer):
    """Serves until it is shut down.

    Args:
        port: to listen on; None for the first that is free from FIRST_PORT on.
        trainer: who trains. pictures: the folder of the pictures of a run, or None.

    Raises:
        UsageError: the port is taken, or may not be used.
    """

    daemon_threads, block_on_close, allow_reuse_address = True, False, True

    def __init__(self, port: int | None, trainer: Trainer, pictures: Path | None = None) -> None:
        self.trainer, self.pictures, self.pages = trainer, pictures, 0
        bind = partial(super().__init__, RequestHandlerClass=Handler)
        if port is not None:
            try:
                bind((ADDRESS, port))
            except OSError as error:
                raise UsageError(
                    f"--port {port}: {error.strerror or error}; choose another one, or leave --port out for one that is free"
                ) from error
        else:
            self._bind_free(bind)
        self.guard = Guard(self.server_port)

    @staticmethod
    def _bind_free(bind: Any) -> None:
        for port in [*range(FIRST_PORT, FIRST_PORT + PORTS), 0]:  # 0: whatever the system gives
            try:
                return bind((ADDRESS, port))
            except OSError:
                if port == 0:
                    raise
        return None

    @property
    def address(self) -> str:
        """What to open."""
        return f"http://{ADDRESS}:{self.server_port}/{self.guard.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that goes away in the middle of an answer is nothing to be told of; the rest is."""
        import sys

        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = SLOWEST
    server_version, sys_version = "minigan-lab", ""

    def parse_request(self) -> bool:
        """Refuse what the guard refuses, whatever the method, before anything looks at it."""
        if not super().parse_request():
            return False
        refused = self.server.guard.refusal(self.command, self.path, self.headers)  # type: ignore[arg-type]
        if refused is not None:
            self._refuse(refused)
            return False
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal says where the lab is, and no more."""

    def end_headers(self) -> None:
        """With the headers that every answer has."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header(
            "Content-Type", f"{kind}; charset=utf-8" if kind.startswith(("text/", "application/")) else kind
        )
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, refused: Refusal) -> None:
        self.close_connection = True  # what follows of a request that was not read would be taken for the next one
        self._answer(refused.status, "text/plain", f"{refused.why}\n".encode())

    @property
    def _name(self) -> str:
        """What is asked for, behind the token."""
        return self.path.partition("?")[0].removeprefix(f"/{self.server.guard.token}").removeprefix("/")

    def do_GET(self) -> None:
        """The page and what belongs to it."""
        name = self._name
        if name == "events":
            return self._events()
        body = self._picture(name.removeprefix("run/")) if name.startswith("run/") else _asset(name or "index.html")
        if body is None:
            return self._refuse(Refusal(404, f"there is no {name!r} here"))
        suffix = Path(name or "index.html").suffix
        return self._answer(200, TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream", body)

    do_HEAD = do_GET  # noqa: N815

    def _picture(self, name: str) -> bytes | None:
        folder = self.server.pictures
        if folder is None or Path(name).suffix not in (".png", ".gif"):
            return None
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.resolve()) or not file.is_file():
            return None
        return file.read_bytes()

    def do_POST(self) -> None:
        """A command."""
        if self._name != "command":
            return self._refuse(Refusal(404, f"there is no {self._name!r} to send anything to"))
        if self.headers.get_content_type() != "application/json":
            return self._refuse(Refusal(415, "a command is application/json"))
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return self._refuse(Refusal(411, "a command says its length"))
        if int(length) > MOST_BYTES:
            return self._refuse(Refusal(413, f"a command has at most {MOST_BYTES} bytes"))
        try:
            command = json.loads(self.rfile.read(int(length)))
        except ValueError:
            return self._refuse(Refusal(400, "the command is no JSON"))
        if not isinstance(command, dict) or not isinstance(command.get("do"), str):
            return self._refuse(Refusal(400, 'a command is an object with "do"'))
        if not self.server.trainer.send(command):
            return self._answer(503, "text/plain", b"the process that trains has ended; start it again\n")
        return self._answer(202, "application/json", b"{}")

    def _events(self) -> None:
        if self.server.pages >= MOST_PAGES:
            return self._refuse(Refusal(503, f"{MOST_PAGES} pages are open already"))
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        if self.command == "HEAD":
            return None
        self.server.pages += 1
        mailbox = self.server.trainer.listen()
        try:
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not mailbox.closed:
                waiting = mailbox.take(QUIET)
                self.wfile.write("".join(waiting).encode() if waiting else b": still here\n\n")
                self.wfile.flush()
        except (ConnectionError, TimeoutError):  # the page is gone
            return None
        finally:
            self.server.trainer.forget(mailbox)
            self.server.pages -= 1
        return None


def _asset(name: str) -> bytes | None:
    file = resources.files("minigan.lab").joinpath("page", name)
    known = "/" not in name and Path(name).suffix in TYPES
    return file.read_bytes() if known and file.is_file() else None
