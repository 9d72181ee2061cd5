"""Where a file system can be mounted that nobody else sees."""

from __future__ import annotations

import shutil
import subprocess


def namespace() -> list[str] | None:
    """The words before a command that may mount: as root, or as root of a namespace of users; None where nobody may."""
    for words in (["unshare", "-m"], ["unshare", "-rm"]):
        probe = [*words, "sh", "-c", "mount -t tmpfs -o size=1m none /tmp"]
        if shutil.which("unshare") and not subprocess.run(probe, capture_output=True, check=False).returncode:
            return words
    return None
