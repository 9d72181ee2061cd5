"""Text as tokens: numbers (N, L) and the vocabulary that says what they stand for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigan.data.base import DataError, Dataset, checked_count, read_file

LENGTH = 32  # characters of a sequence, where nobody says how many


def load_text(path: str, *, n: int | None = None, length: int | None = None) -> Dataset:
    """A text file (UTF-8) as sequences of characters, one behind the other: the i-th holds characters i L, ..., i L + L - 1.

    The vocabulary are the characters that occur, in the order of their code points; what does not fill a sequence at the end is
    left out. Raises DataError.
    """
    length = LENGTH if length is None else length
    try:
        text = read_file(path).decode("utf-8-sig").replace("\r\n", "\n")  # type: ignore[arg-type]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as text in UTF-8 ({error})") from error
    count = len(text) // length
    if count < 2:
        raise DataError(
            f"{path}: holds {len(text)} characters; expected at least two sequences of {length}: give --length"
        )
    vocabulary = tuple(sorted(set(text)))
    number = {character: i for i, character in enumerate(vocabulary)}
    x = np.array([number[character] for character in text[: count * length]], np.int64).reshape(count, length)
    if n is not None:
        if checked_count(n, path) > count:
            raise DataError(f"{path}: n={n}, but there are {count} sequences of {length}: ask for that many or fewer")
        x = x[:n]
    left = len(text) - count * length
    notes = (f"{left} characters at the end left out",) if left else ()
    return Dataset(path, x, None, "tokens", source=path, notes=notes, own=True, vocabulary=vocabulary)


def as_text(x: np.ndarray, vocabulary: Sequence[str]) -> list[str]:
    """Sequences (N, L) of numbers as lines of text, words with spaces between them where some are longer than a character. A
    line break is shown as the sign for one, so that a sequence is a line."""
    between = " " if any(len(word) > 1 for word in vocabulary) else ""
    shown = [word.replace("\n", "\u21b5").replace("\t", "\u2192") for word in vocabulary]
    return [between.join(shown[i] if 0 <= i < len(shown) else "?" for i in row) for row in np.asarray(x, np.int64)]
