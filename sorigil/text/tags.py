"""Several labels of one item in one text: how they are told apart, and how they are written inside the program.

An annotation holds `dog;rain`, or the JSON array `["dog","rain"]` where the source had a list. In here the tags of an item
are a text of their own, sorted, each once, between characters that no tag can hold: so that one column of texts serves
every objective.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

BETWEEN = "\x1f"  # the unit separator of ASCII
SEPARATOR = ";"  # in an annotation, where nothing else is said
SAID_FROM = 0.5  # the probability from which on a tag is said


def join(tags: Iterable[str]) -> str:
    """Return the program's own text for these tags."""
    return BETWEEN.join(sorted({tag.strip() for tag in tags} - {""}))


def read(text: str, separator: str) -> str:
    """Return the program's own text for an annotation. No tag at all is a possible answer: an empty text, or `[]`."""
    listed = _array(text)
    return join(text.split(separator) if listed is None else listed)


def write(tags: Iterable[str]) -> str:
    """Return the annotation for a list of tags, whatever they hold."""
    return json.dumps(split(join(tags)), ensure_ascii=False, separators=(",", ":"))


def split(own: str) -> list[str]:
    """Return the tags of the program's own text."""
    return own.split(BETWEEN) if own else []


def show(own: str, separator: str) -> str:
    """Return the tags as an annotation holds them: between separators, as an array where these would not be read back."""
    joined = own.replace(BETWEEN, separator)
    return joined if read(joined, separator) == own else write(split(own))


def is_list(text: str) -> bool:
    """Tell whether an annotation was a list in its source."""
    return _array(text) is not None


def _array(text: str) -> list[str] | None:
    """The texts of a JSON array of texts; None where the text is something else."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(each, str) for each in found) else None
