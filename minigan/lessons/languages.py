"""The languages of the site: what each calls the words of a page's frame, where its pages are, and what a text in it looks like.

The text of a lesson in another language is in a catalogue beside the lesson (`translation`); the words here are those of the
templates and of what is made beside the text: "Contents", "error", "line 12".
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Language:
    """A language of the site.

    Attributes:
        code: of HTML's `lang` and `hreflang`: "en", "zh-Hans".
        name: what it calls itself.
        folder: of its pages in the site, and of its catalogues beside the lessons: "zh/"; "" for the language of the lessons.
    """

    code: str
    name: str
    folder: str

    @cached_property
    def words(self) -> Mapping[str, str]:
        """What it says for each English text of the frame, from `templates/zh.toml`; empty for English."""
        if not self.folder:
            return {}
        file = resources.files("minigan.lessons").joinpath("templates", f"{self.folder.rstrip('/')}.toml")
        words: dict[str, str] = tomllib.loads(file.read_text(encoding="utf-8"))
        return words

    def __call__(self, english: str, **values: Any) -> str:
        """A text of the frame in this language, each `{name}` in it replaced by a value.

        Raises:
            LookupError: it has no words for the text.
        """
        said = self.words.get(english) if self.folder else english
        if said is None:
            raise LookupError(f"{self.folder.rstrip('/')}.toml has no words for {english!r}")
        return said.format(**values)


ENGLISH = Language("en", "English", "")
CHINESE = Language("zh-Hans", "中文", "zh/")
OTHERS = (CHINESE,)  # that lessons are translated into
