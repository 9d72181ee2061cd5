"""The browser that the tests marked `browser` drive."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium() -> str | None:
    """Its path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def problem() -> str:
    """Why none can be driven, or ""."""
    if chromium() is None:
        return f"none of {', '.join(NAMES)} is on the PATH"
    return "" if importlib.util.find_spec("playwright") else "playwright is not installed"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """It runs, without a window, and calls nobody by itself."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium(), args=list(OPTIONS))
        yield running
        running.close()
