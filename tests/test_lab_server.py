"""`minigan lab` without a browser: who is answered, what is told, how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import minigan
from minigan.cli import main
from minigan.lab.guard import HEADERS, Guard
from minigan.lab.process import MOST_WAITING, Mailbox, Trainer
from minigan.lab.server import Server
from minigan.run.errors import UsageError

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "NOSUCH")


class Lab:
    """The command, running; its address in parts."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "minigan", "lab", "--no-browser", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/([\w-]+)/", line)
        assert found, line + self.process.stderr.read()
        self.port, self.token = int(found[1]), found[2]
        self.origin = f"http://127.0.0.1:{self.port}"

    def ask(self, method="GET", name="", *, body=None, token=None, **headers):
        """(status, headers, body) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            path = f"/{self.token if token is None else token}/{name}"
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def command(self, **what):
        """The status of a command sent as the page sends it."""
        body = json.dumps(what)
        return self.ask("POST", "command", body=body, Origin=self.origin, Content_Type="application/json")[0]


class Events:
    """A page's stream of events."""

    def __init__(self, lab):
        self.connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=60)
        self.connection.request("GET", f"/{lab.token}/events")
        self.answer = self.connection.getresponse()

    def until(self, kind, good=lambda value: True):
        """The first event of that kind that is good."""
        name = ""
        while line := self.answer.readline().decode():
            if line.startswith("event: "):
                name = line[7:].strip()
            elif line.startswith("data: ") and name == kind and good(value := json.loads(line[6:])):
                return value
        raise AssertionError(f"no {kind} came")

    def close(self):
        self.connection.close()


@pytest.fixture(scope="module")
def lab():
    running = Lab()
    yield running
    running.process.send_signal(signal.SIGINT)
    out, err = running.process.communicate(timeout=30)
    assert running.process.returncode == 130 and err == "minigan: stopped\n", (out, err)


def test_the_page_and_its_headers(lab):
    status, headers, body = lab.ask()
    assert (
        status == 200 and body.startswith(b"<!doctype html>") and headers["Content-Type"] == "text/html; charset=utf-8"
    )
    assert all(headers[name] == value for name, value in HEADERS.items())
    assert "unsafe" not in headers["Content-Security-Policy"] and headers["Cache-Control"] == "no-store"
    assert lab.ask("HEAD")[2] == b"" and lab.ask(Host=f"localhost:{lab.port}")[0] == 200


@pytest.mark.parametrize(
    "name", ["nosuch.js", "../guard.py", "%2e%2e/guard.py", "../../cli.py", "run/latest.png", "__init__.py"]
)
def test_nothing_else_is_served(lab, name):
    assert lab.ask(name=name)[0] == 404


@pytest.mark.parametrize("method", METHODS)
def test_strangers_are_refused_whatever_the_method(lab, method):
    for host in (
        "evil.example",
        f"evil.example:{lab.port}",
        "127.0.0.1",
        f"127.0.0.1:{lab.port + 1}",
        f"0.0.0.0:{lab.port}",
    ):
        assert lab.ask(method, Host=host)[0] == 421, host
    for origin in ("https://evil.example", "null", f"https://127.0.0.1:{lab.port}", f"http://127.0.0.1:{lab.port + 1}"):
        assert lab.ask(method, Origin=origin)[0] == 403, origin
    assert lab.ask(method, Origin=lab.origin, Sec_Fetch_Site="cross-site")[0] == 403
    assert (
        lab.ask(method, token="wrong", Origin=lab.origin)[0] == lab.ask(method, token="", Origin=lab.origin)[0] == 404
    )
    if method not in ("GET", "HEAD"):
        assert lab.ask(method)[0] == 403  # without an origin


def test_a_refusal_has_the_headers_too(lab):
    assert lab.ask(Host="evil.example")[1]["Cache-Control"] == "no-store"


def test_a_command_is_a_small_json_object(lab):
    post = lambda body, kind="application/json": lab.ask(  # noqa: E731
        "POST", "command", body=body, Origin=lab.origin, Content_Type=kind
    )[0]
    assert [post("{"), post("[]"), post('{"do": 1}'), post("{}")] == [400] * 4
    assert post('{"do": "play"}', "text/plain") == 415
    long = lab.ask("POST", "command", Origin=lab.origin, Content_Type="application/json", Content_Length=str(2 << 20))
    assert long[0] == 413
    assert lab.ask("POST", "", body="{}", Origin=lab.origin, Content_Type="application/json")[0] == 404


def test_two_pages_see_one_training(lab):
    first, second = Events(lab), Events(lab)
    assert first.until("state")["mode"] == "points" and second.until("schema")
    assert lab.command(do="step") == 202
    one, two = (page.until("frame", lambda f: f["step"] == 1) for page in (first, second))
    assert one["losses"] == two["losses"] and set(one["losses"]) == {"discriminator", "generator"}
    lab.command(do="nosuch")
    assert "is no command" in second.until("problem", lambda p: p["text"])["text"]
    first.close()
    lab.command(do="step", player="generator")
    assert second.until("frame", lambda f: f["step"] == 2)["updates"] == {"discriminator": 1, "generator": 2}
    second.close()


def test_a_killed_trainer_is_told_and_can_be_started_again(lab):
    page = Events(lab)
    pid = page.until("process", lambda p: p["alive"])["pid"]
    os.kill(pid, signal.SIGKILL)
    assert page.until("process", lambda p: not p["alive"])["code"] == -9
    assert lab.command(do="play") == 503
    assert lab.command(do="start") == 202
    assert page.until("process", lambda p: p["alive"])["pid"] != pid
    lab.command(do="hello")
    assert page.until("state")["playing"] is False
    page.close()


def test_a_port_in_use_is_refused_or_passed_over(lab, capsys):
    assert main(["lab", "--no-browser", "--port", str(lab.port)]) == 2
    assert (
        f"--port {lab.port}: Address already in use; choose another one, or leave --port out" in capsys.readouterr().err
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="in use"):
            Server(taken.getsockname()[1], Trainer())
    other = Server(None, Trainer())  # the first port is the running lab's, or somebody else's
    assert other.server_port != lab.port and other.server_address[0] == "127.0.0.1"
    other.server_close()


def test_sigterm_ends_it_and_the_trainer():
    running = Lab()
    page = Events(running)
    pid = page.until("process", lambda p: p["alive"])["pid"]
    running.process.terminate()
    assert running.process.wait(timeout=30) == 143
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the trainer is left behind")
    page.close()


# -- parts -----------------------------------------------------------------------------------------------------------
def test_a_guard_has_a_token_of_its_own():
    assert Guard(1).token != Guard(1).token and len(Guard(1).token) >= 20
    assert Guard(1, "t").refusal("GET", "/t/", {"Host": "localhost:1"}) is None
    assert Guard(1, "t").refusal("GET", "/t", {"Host": "127.0.0.1:1"}) is None
    assert Guard(1, "t").refusal("GET", "/tt/", {"Host": "127.0.0.1:1"}).status == 404


def test_a_slow_page_misses_frames_and_no_row():
    box = Mailbox()
    for k in range(5):
        box.put("frame/A", f"f{k}")
        box.put("rows", f"r{k}")
    assert box.take(0) == ["f4", "r0", "r1", "r2", "r3", "r4"] and box.take(0) == []
    for kind in ("about", "state", "schema", "about", "state"):
        box.put(kind, kind)
    assert box.take(0) == ["state", "schema", "about"]  # the scene, then in the order of the newest
    for _ in range(MOST_WAITING + 1):
        box.put("rows", "r")
    assert box.closed


def test_every_file_of_the_page_comes_along_in_the_wheel():
    root = Path(minigan.__file__).parent
    project = tomllib.loads((root.parent / "pyproject.toml").read_text())
    globs = project["tool"]["setuptools"]["package-data"]["minigan"]
    packed = {path for glob in globs for path in root.glob(glob)}
    for folder in ("lab/page", "lessons/templates"):
        assert set((root / folder).iterdir()) <= packed and any((root / folder).iterdir()), folder


def test_the_page_loads_nothing_that_is_not_beside_it():
    page = Path(minigan.__file__).parent / "lab" / "page"
    for file in page.glob("*.js"):
        text = file.read_text()
        assert all((page / name).is_file() for name in re.findall(r'from "\./([^"]+)"', text)), file.name
        assert not re.search(r"https?://|innerHTML|eval\(|new Function|document\.write", text), file.name
