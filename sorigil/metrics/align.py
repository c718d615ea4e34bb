"""Align a reference with a hypothesis: the one place where it is decided what was hit, replaced, dropped or added.

The error counts (`errors`) and the picture of the difference (a report's page) both come from here, so they always
agree. Among alignments of equal cost the one of rapidfuzz's `Levenshtein.editops` is taken: the distance is everyone's,
the share of substitutions, deletions and insertions is ours and pinned by a test.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

Operation = Literal["equal", "substitute", "delete", "insert"]

NAMES: dict[str, Operation] = {
    "equal": "equal",
    "replace": "substitute",
    "delete": "delete",
    "insert": "insert",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One stretch of an alignment: what the reference says and what the hypothesis has in its place.

    `equal` and `substitute` hold as many units on both sides; `delete` has no hypothesis, `insert` no reference.
    """

    op: Operation
    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]


def split_words(text: str) -> list[str]:
    """Return what stands between white space, in NFC: the unit of the word error rate."""
    return unicodedata.normalize("NFC", text).split()


def split_characters(text: str, spaces: bool) -> list[str]:
    """Return the NFC code points: the unit of the character error rate; one Hangul syllable is one.

    With `spaces`, each stretch of white space between words is one space and counts; without, none counts.
    """
    return list((" " if spaces else "").join(split_words(text)))


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Difference]:
    """Align two sequences of units at the least number of changes, in reading order."""
    return [
        Difference(
            op=NAMES[part.tag],
            reference=tuple(reference[part.src_start : part.src_end]),
            hypothesis=tuple(hypothesis[part.dest_start : part.dest_end]),
        )
        for part in Levenshtein.opcodes(reference, hypothesis)
    ]


def align_words(reference: str, hypothesis: str) -> list[Difference]:
    """Align two texts word by word, as `errors.word_errors` counts them."""
    return align(split_words(reference), split_words(hypothesis))


def columns(reference: str, *hypotheses: str) -> list[tuple[str | None, ...]]:
    """Put the words of a reference and of one or several hypotheses under each other, in reading order.

    Each column is (reference word, word of the first hypothesis, …); None where one has nothing in that place. Each
    hypothesis is aligned with the reference as it is counted; what several of them added shares columns.
    """
    said = split_words(reference)
    heard = [_placed(said, split_words(hypothesis)) for hypothesis in hypotheses]
    under_words = list(zip(said, *(stands for stands, _ in heard), strict=True))
    found: list[tuple[str | None, ...]] = []
    for place in range(len(said) + 1):
        if any(place in added for _, added in heard):
            side_by_side = itertools.zip_longest(*(added.get(place, ()) for _, added in heard))
            found += [(None, *words) for words in side_by_side]
        found += under_words[place : place + 1]
    return found


def _placed(said: Sequence[str], heard: Sequence[str]) -> tuple[list[str | None], dict[int, Sequence[str]]]:
    """What stands for each word said, and what was added before it (or, after the last place, at the end)."""
    stands: list[str | None] = [None] * len(said)
    added: dict[int, Sequence[str]] = {}
    for part in Levenshtein.opcodes(said, heard):
        words = heard[part.dest_start : part.dest_end]
        if part.tag == "insert":
            added[part.src_start] = words
        else:
            stands[part.src_start : part.src_start + len(words)] = words
    return stands, added
