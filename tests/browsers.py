"""The browser that the tests marked `browser` drive."""

from __future__ import annotations

import importlib.util
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Its path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def problem() -> str:
    """Why none can be driven, or ""."""
    if chromium() is None:
        return f"none of {', '.join(NAMES)} is on the PATH"
    return "" if importlib.util.find_spec("playwright") else "playwright is not installed"
