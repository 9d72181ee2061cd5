"""Downloads: over HTTPS alone, into a temporary file, checked by SHA-256, renamed into place; each mirror in turn.

The proxies of the environment are used (HTTPS_PROXY, NO_PROXY). MINIGAN_OFFLINE=1, or `minigan train --offline`, forbids it all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from minigan.data.base import DataError

SCHEMES = ("https",)  # tests, which serve without a certificate, add "http"
STALL_SECONDS = 15.0  # without a byte
MOST_SECONDS = 600.0  # for a file
MOST_BYTES = 1 << 28
_MOST_REDIRECTS = 5
_CHUNK = 1 << 16


class Remote(NamedTuple):
    """A file to be had: where, and the SHA-256 of its bytes."""

    urls: Sequence[str]
    sha256: str


class FetchError(OSError):
    """A mirror did not give the file; the message says why."""


def offline() -> bool:
    """Whether downloads are forbidden."""
    return os.environ.get("MINIGAN_OFFLINE", "").lower() not in ("", "0", "no", "false")


def fetch(owner: str, remote: Remote, target: Path, *, way_out: str) -> Path:
    """The file at `target`: as it is if its checksum is right, else from the first mirror that gives it.

    Args:
        owner: whose file it is, for the message. way_out: what to do without a network.

    Raises:
        DataError: no mirror gave it; the message has the reason for each.
    """
    import pooch

    try:
        if target.is_file() and pooch.file_hash(str(target)) == remote.sha256:
            return target
    except OSError as error:
        raise DataError(f"{owner}: {target} cannot be read ({error}); remove it") from error
    if offline():
        raise DataError(
            f"{owner}: {target.name} is not on this machine, and MINIGAN_OFFLINE forbids downloads. {way_out}"
        )
    failures, known = [], f"sha256:{remote.sha256}"
    for url in remote.urls:
        try:  # pooch writes to a temporary file beside the target, checks that, and renames it
            return Path(pooch.retrieve(url, known, fname=target.name, path=target.parent, downloader=_get))
        except FetchError as error:
            failures.append(f"{url}: {error}")
        except ValueError:  # how it says that the checksum is another
            failures.append(f"{url}: gave other bytes than the checksum's")
        except OSError as error:
            raise DataError(f"{owner}: {target} cannot be written ({error}); see MINIGAN_CACHE") from error
    raise DataError(
        f"{owner}: {target.name} is not on this machine and could not be downloaded ({'; '.join(failures)}). {way_out}"
    )


def _get(url: str, output: str, _: object) -> None:
    """Write what is at a URL to a file, as pooch calls it. Raises FetchError."""
    import requests  # which brings certificates to machines without
    import urllib3

    try:
        with requests.Session() as session, _opened(session, url) as answer, open(output, "wb") as file:
            _copy(answer, file)
    except FetchError:
        raise
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        ValueError,
    ) as error:  # a ValueError: a URL that is none
        raise FetchError(type(error).__name__) from error


def _opened(session: Any, url: str) -> Any:
    """The answer to a request, redirects followed as far as they stay with HTTPS."""
    for _ in range(_MOST_REDIRECTS):
        if urlsplit(url).scheme not in SCHEMES:
            raise FetchError(f"{url} is not {' or '.join(SCHEMES)}")
        # As the bytes are: what is unpacked on the way would have another checksum, and no end that is known.
        headers = {"Accept-Encoding": "identity"}
        answer = session.get(url, stream=True, timeout=STALL_SECONDS, allow_redirects=False, headers=headers)
        if not answer.is_redirect:
            if answer.status_code != 200:
                answer.close()
                raise FetchError(f"answered {answer.status_code}")
            return answer
        answer.close()
        url = urljoin(url, answer.headers["Location"])
    raise FetchError(f"more than {_MOST_REDIRECTS} redirects")


def _copy(answer: Any, file: IO[bytes]) -> None:
    began, size = time.monotonic(), 0
    promised = answer.headers.get("Content-Length", "")
    # Whatever has come by now: a full chunk of a server that drips would be waited for without an end.
    while chunk := answer.raw.read1(_CHUNK, decode_content=False):
        size += len(chunk)
        if size > MOST_BYTES:
            raise FetchError(f"sends more than {MOST_BYTES:,} bytes")
        if time.monotonic() - began > MOST_SECONDS:
            raise FetchError(f"is too slow: {size:,} bytes in {MOST_SECONDS:.0f} s")
        file.write(chunk)
    if promised.isdigit() and int(promised) != size:
        raise FetchError(f"cut short: {size:,} of {promised} bytes")
