"""`minigan lab`: serve the page until Ctrl-C."""

from __future__ import annotations

import signal
import threading
import webbrowser
from types import FrameType
from typing import NoReturn

from minigan.lab.process import Trainer
from minigan.lab.server import Server
from minigan.run.errors import UsageError
from minigan.run.rundir import RunDir

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def lab(path: str | None = None, *, port: int | None = None, browser: bool = True) -> NoReturn:
    """Serve the lab, or what a run's folder holds, until a signal comes.

    Args:
        path: a run's directory, or None for the lab itself.
        port: to listen on; None for one that is free.
        browser: whether to open the page in the user's browser.

    Raises:
        UsageError: a port that is none, or is taken. CheckpointError: there is no run in that directory.
        KeyboardInterrupt: Ctrl-C. SystemExit: SIGTERM, SIGHUP. When they are raised, everything has ended.
    """
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"--port: got {port}, expected 1 to 65535")
    folder = None if path is None else RunDir.open(path)
    trainer = Trainer([] if path is None else [path])
    server = Server(port, trainer, None if folder is None else folder.path)
    before = {number: signal.signal(number, _end) for number in ENDING}
    try:
        trainer.start()
        print(f"the lab is at {server.address}\nCtrl-C ends it", flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        server.serve_forever(poll_interval=0.2)
    finally:
        trainer.close()
        server.server_close()
        for number, handler in before.items():
            signal.signal(number, handler)
    raise AssertionError("the server has ended by itself")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
