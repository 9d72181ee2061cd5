"""Downloads from a server of this test's own: good, stalling, cut short, lying, with other bytes, and redirecting."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import minigan.data.mnist as mnist
from minigan.cli import main
from minigan.data import DataError, download, load
from minigan.data.download import Remote, fetch

BODY = b"the right bytes" * 1000
GOOD = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """One behaviour a path; what was asked for is counted."""

    asked: list[str]
    files: dict[str, bytes]
    release: threading.Event

    def log_message(self, *_: object) -> None:
        pass

    def head(self, length: int | None, code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        what = self.path.split("/")[-1] if self.path.split("/")[-1] not in self.files else "file"
        if what == "file":
            body = self.files[self.path.split("/")[-1]] if "/bad/" not in self.path else b"tampered"
            self.head(len(body))
            self.wfile.write(body)
        elif what == "good":
            self.head(len(BODY))
            self.wfile.write(BODY)
        elif what == "unsaid":  # no length: the end of the connection is the end
            self.head(None)
            self.wfile.write(BODY)
        elif what == "stalls":
            self.head(len(BODY))
            self.wfile.write(BODY[:100])
            self.wfile.flush()
            self.release.wait(20)
        elif what == "silent":
            self.release.wait(20)
        elif what == "drips":
            self.head(len(BODY))
            while not self.release.wait(0.03):
                self.wfile.write(b"x")
                self.wfile.flush()
        elif what == "cut":
            self.head(len(BODY))
            self.wfile.write(BODY[:-1])
        elif what == "more":
            self.head(len(BODY) - 1)
            self.wfile.write(BODY)
        elif what == "wrong":
            self.head(len(BODY))
            self.wfile.write(b"x" * len(BODY))
        elif what == "huge":
            self.head(10**12)
            while not self.release.is_set():
                self.wfile.write(b"x" * 65536)
        elif what == "packed":  # as if compressed on the way: the bytes that come are not those of the checksum
            self.head(None, **{"Content-Encoding": "gzip"})
            self.wfile.write(gzip.compress(BODY))
        elif what in ("moved", "downgraded", "round"):
            to = {"moved": "good", "downgraded": "ftp://127.0.0.1/good", "round": "round"}[what]
            self.head(0, 302, Location=to)
        elif what == "garbage":
            self.wfile.write(b"\x00\xff garbage\r\n\r\n")
        else:
            self.head(0, 404)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address. Plain HTTP is allowed for it, and only here."""
    handler = type("Mine", (Handler,), {"asked": [], "files": {}, "release": threading.Event()})
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    served.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that leave
    served.daemon_threads = True
    threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(download, "SCHEMES", ("https", "http"))
    monkeypatch.setattr(download, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(download, "MOST_SECONDS", 0.6)
    monkeypatch.setattr(download, "MOST_BYTES", 1 << 20)
    monkeypatch.delenv("MINIGAN_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}"
    finally:
        handler.release.set()  # type: ignore[attr-defined]
        served.shutdown()
        served.server_close()


def get(target: Path, *urls: str) -> Path:
    return fetch("mine", Remote(urls, GOOD), target, way_out="Put it there.")


@pytest.mark.parametrize("what", ["good", "unsaid", "moved"])
def test_what_is_right_arrives(server: str, tmp_path: Path, what: str) -> None:
    target = get(tmp_path / "deep" / "file", f"{server}/{what}")
    assert target.read_bytes() == BODY and [path.name for path in target.parent.iterdir()] == ["file"]


BAD = {
    "stalls": "ConnectionError|ReadTimeout",
    "silent": "ReadTimeout",
    "drips": "too slow",
    "cut": "cut short|IncompleteRead|ProtocolError",
    "more": "checksum",
    "wrong": "checksum",
    "huge": "more than",
    "packed": "checksum",
    "downgraded": "is not https",
    "round": "redirects",
    "garbage": "Error|BadStatusLine",
    "absent": "answered 404",
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_refused_in_time_and_the_next_mirror_asked(server: str, tmp_path: Path, what: str) -> None:
    began = time.monotonic()
    with pytest.raises(DataError, match=f"{what}: .*({BAD[what]}).*Put it there"):
        get(tmp_path / "file", f"{server}/{what}")
    assert time.monotonic() - began < 5 and list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"damaged")
    get(tmp_path / "file", f"{server}/{what}", f"{server}/good")
    assert (tmp_path / "file").read_bytes() == BODY and len(list(tmp_path.iterdir())) == 1


def test_a_failed_download_leaves_what_was_there(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(DataError):
        get(tmp_path / "file", f"{server}/wrong")
    assert (tmp_path / "file").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a", "file:///etc/passwd", "ftp://127.0.0.1/a", "//a/b", ""])
def test_https_only(url: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not https"):
        get(tmp_path / "file", url)


def test_every_source_is_https() -> None:
    assert all(url.startswith("https://") for source in mnist.SOURCES.values() for url in source.mirrors)
    assert download.SCHEMES == ("https",)


def test_offline_asks_nobody(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGAN_OFFLINE", "1")
    with pytest.raises(DataError, match="MINIGAN_OFFLINE forbids"):
        get(tmp_path / "file", f"{server}/good")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(BODY)
    assert get(tmp_path / "file", f"{server}/good").read_bytes() == BODY


def test_offline_as_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINIGAN_OFFLINE", "")  # restored afterwards
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    assert main(["train", "mlp", "--data", "kmnist", "--offline", "--out", str(tmp_path / "run")]) == 4
    said = capsys.readouterr().err
    assert "forbids downloads" in said and "MINIGAN_DATA=DIR" in said and not (tmp_path / "run").exists()


def test_proxies_of_the_environment_are_used(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server)
    get(tmp_path / "file", "http://nowhere.invalid/good")  # a proxy is asked for the whole address
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_cache_that_cannot_be_written(server: str, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(DataError, match=r"cannot be (written|read)"):
        get(tmp_path / "folder" / "file", f"{server}/good")


def test_mnist_of_a_mirror(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first mirror's bytes are wrong; afterwards the cache is enough, unless it is damaged."""
    images = np.arange(5 * 6 * 7, dtype=np.uint8).reshape(5, 6, 7)
    arrays = {"images-idx3": images, "labels-idx1": np.arange(5, dtype=np.uint8)}
    right = {
        f"train-{name}-ubyte.gz": gzip.compress(
            bytes([0, 0, 8, x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape) + x.tobytes(), mtime=0
        )
        for name, x in arrays.items()
    }
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in right.items()}
    monkeypatch.setitem(mnist.SOURCES, "kmnist", mnist.Source("", (f"{server}/bad/", f"{server}/fine/"), sums))
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    handler = next(each for each in Handler.__subclasses__() if not each.release.is_set())
    handler.files.update(right)
    np.testing.assert_allclose(load("kmnist").x[..., 0], images / 127.5 - 1, atol=1e-6)
    assert ["/bad/" in path for path in handler.asked] == [True, False, True, False]
    handler.asked.clear()
    load("kmnist")
    assert handler.asked == []
    cached = tmp_path / "kmnist" / "train-images-idx3-ubyte.gz"
    cached.write_bytes(b"damaged")
    load("kmnist")
    assert len(handler.asked) == 2 and cached.read_bytes() == right[cached.name]
