"""Several labels of one item in one text: how they are told apart, and how they are written inside the program.

An annotation holds `dog;rain`. In here the tags of an item are a text of their own, sorted, each once, between characters
that no tag can hold: so that one column of texts serves every objective.
"""

from __future__ import annotations

from collections.abc import Iterable

BETWEEN = "\x1f"  # the unit separator of ASCII
SAID_FROM = 0.5  # the probability from which on a tag is said


def join(tags: Iterable[str]) -> str:
    """Return the program's own text for these tags."""
    return BETWEEN.join(sorted({tag.strip() for tag in tags} - {""}))


def read(text: str, separator: str) -> str:
    """Return the program's own text for an annotation. No tag at all is a possible answer: an empty text."""
    return join(text.split(separator))


def split(own: str) -> list[str]:
    """Return the tags of the program's own text."""
    return own.split(BETWEEN) if own else []


def show(own: str, separator: str) -> str:
    """Return the tags as an annotation holds them."""
    return own.replace(BETWEEN, separator)
