"""The normaliser that a user writes in YAML: expressions, then a known normaliser, then whole words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence


def custom(
    rules: Sequence[tuple[str, str]], base: Callable[[str], str], words: Mapping[str, str]
) -> Callable[[str], str]:
    """Return what applies `rules` (expression, replacement) in their order, then `base`, then `words`.

    Of the words (each may be several, as in "new york") the longest that fits is taken, once: what a word was replaced
    by is not looked up again. An empty replacement drops the word. Replacing folds white space.
    """
    compiled = [(re.compile(match), put) for match, put in rules]
    longest_first = sorted(words, key=len, reverse=True)
    found = re.compile(rf"(?<!\S)(?:{'|'.join(map(re.escape, longest_first))})(?!\S)") if words else None

    def normalize(text: str) -> str:
        for expression, put in compiled:
            text = expression.sub(put, text)
        text = base(text)
        if found is None:
            return text
        return " ".join(found.sub(lambda word: words[word[0]], text).split())

    return normalize
