"""The index of the site's search: every section of every page, as text, in a script that a page loads without a server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from html import unescape

MAIN = re.compile(r"<main[^>]*>(.*)</main>", re.DOTALL)
MATH = re.compile(r"<math.*?</math>(?:<wbr><math.*?</math>)*", re.DOTALL)
LEFT_OUT = re.compile(  # code, signatures and what only leads elsewhere
    r'<pre class="signature.*?</pre>|<p class="facts">.*?</p>|<div class="code">.*?</div>|<nav.*?</nav>'
    r'|<details class="contents-narrow">.*?</details>|<pre class="output.*?</pre>|<ul class="names">.*?</ul>',
    re.DOTALL,
)
HEADING = re.compile(
    r'(?:<(?:section|article)\b[^>]*\bid="(?P<around>[^"]+)"[^>]*>\s*)?'
    r"<(?P<tag>h[1-4]|dt)\b(?P<of>[^>]*)>(?P<title>.*?)</(?P=tag)>",
    re.DOTALL,
)
ID = re.compile(r'\bid="([^"]+)"')
ENDS = re.compile(
    r"</?(?:p|li|ul|ol|dl|dd|dt|div|td|th|tr|h\d|pre|section|article|figure|details|summary|blockquote)\b[^>]*>"
)
KIND = re.compile(r"<span>.*?</span>")  # of a name in the reference: "function", "class"
TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Entry:
    """A section: the page's title and its own, where it is, and its text without code, "…" for formulas."""

    page: str
    title: str
    url: str
    text: str


def entries(files: Mapping[str, str | bytes], leave_out: str = "source/") -> list[Entry]:
    """The sections of the pages of a site, but for those in the folder of sources."""
    return [
        entry
        for name, html in files.items()
        if isinstance(html, str) and name.endswith(".html") and not name.startswith(leave_out)
        for entry in sections(name, html)
    ]


def sections(name: str, html: str) -> Iterator[Entry]:
    """The sections of a page: from each heading, or term of a glossary, that has an anchor to the next; the first is the page."""
    main = MAIN.search(html)
    if main is None:
        return
    body = LEFT_OUT.sub(" ", MATH.sub("…", main[1]))
    page, title, url, begin = "", "", name, 0
    for match in HEADING.finditer(body):
        anchor = match["around"] or (ID.search(match["of"]) or ["", ""])[1]
        if not anchor and match["tag"] != "h1":
            continue
        if title:
            yield Entry(page, title, url, plain(body[begin : match.start()]))
        title, begin = plain(KIND.sub("", match["title"])), match.end()
        page, url = (title, name) if match["tag"] == "h1" else (page, f"{name}#{anchor}")
    if title:
        yield Entry(page, title, url, plain(body[begin:]))


def plain(html: str) -> str:
    """Text without tags, on one line."""
    return " ".join(unescape(TAG.sub("", ENDS.sub(" ", html))).split())


def script(files: Mapping[str, str | bytes]) -> str:
    """The index as a script: `const sections = [...]`. `<` is escaped, so that no text can end the script."""
    rows = [asdict(entry) for entry in entries(files)]
    return "const sections = " + json.dumps(rows, ensure_ascii=False, indent=0).replace("<", "\\u003c") + ";\n"
