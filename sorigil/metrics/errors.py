"""Word and character errors: counted once per utterance, merged by adding, and read as rates.

Texts are compared as they come (in NFC): normalise both sides before (`sorigil.text.normalize`). Which units are hits
is decided in `align`; the intervals around a rate are in `intervals`.

What happens at the edges: the rate is errors / max(units of the reference, 1). So an empty reference with an empty
hypothesis has rate 0.0, and an empty reference with n insertions has rate n (as in jiwer): a number JSON can carry. In
a corpus the insertions over an empty reference count among the errors, and add nothing to the units. The match error
rate and the word information lost of two empty texts are 0.0, and 1.0 where only one of the two is empty.
"""

from __future__ import annotations

import bisect
import itertools
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Editops, Levenshtein

from sorigil.metrics.align import split_characters, split_words

Counts = npt.NDArray[np.int64]

COMPILED = "sorigil.metrics.edit_counts"
MANY = 10_000  # pairs, from which on its compiled loops are used where they are loaded
MANY_COLD = 50_000  # to load them takes 0.3 s, which the half dozen metrics of a score save with so many
AT_ONCE = 20_000  # pairs: some 15 MB of code points


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorCounts:
    """How a hypothesis differs from its reference, in words or in characters. Counts of two utterances add up."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            hits=self.hits + other.hits,
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        """The edit distance."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def total(self) -> int:
        """The units of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors by units of the reference; above 1 where more was added than was said (edges: see the module)."""
        return self.errors / max(self.total, 1)

    @property
    def match_error_rate(self) -> float:
        """Errors by all that was aligned, hits and errors: a share, never above 1 (Morris et al. 2004)."""
        return self.errors / max(self.hits + self.errors, 1)

    @property
    def information_lost(self) -> float:
        """1 - hits²/(units of the reference × units of the hypothesis) (Morris et al. 2004): the WIL of words."""
        heard = self.hits + self.substitutions + self.insertions
        return 1 - self.hits**2 / max(self.total * heard, 1) if self.total or heard else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorColumns:
    """The counts of N utterances, one row each: what the per-utterance table and the bootstrap are made of."""

    hits: Counts
    substitutions: Counts
    deletions: Counts
    insertions: Counts

    @property
    def errors(self) -> Counts:
        """The edit distance of each utterance."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def totals(self) -> Counts:
        """The units of each reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def heard(self) -> Counts:
        """The units of each hypothesis."""
        return self.hits + self.substitutions + self.insertions

    def sum(self) -> ErrorCounts:
        """Return the counts of the whole corpus; its rate is the corpus WER or CER, not the mean of the rows'."""
        return ErrorCounts(
            hits=int(self.hits.sum()),
            substitutions=int(self.substitutions.sum()),
            deletions=int(self.deletions.sum()),
            insertions=int(self.insertions.sum()),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the columns by name, ready for a table."""
        return {
            "hits": self.hits,
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
        }


def count(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Count over two sequences of units; the fewest changes, ties as in `align`."""
    hits, substitutions, deletions, insertions = _counted(Levenshtein.editops(reference, hypothesis))
    return ErrorCounts(hits=hits, substitutions=substitutions, deletions=deletions, insertions=insertions)


def _counted(edits: Editops) -> tuple[int, int, int, int]:
    """Hits, substitutions, deletions, insertions. That the two lengths and the number of edits leave no choice is the
    most frequent case by far; only else the edits are looked at, which costs as much as finding them."""
    longer_by = edits.dest_len - edits.src_len
    substitutions = len(edits) - abs(longer_by)
    if substitutions > 1:
        substitutions = [edit[0] for edit in edits.as_list()].count("replace")
    insertions = (len(edits) - substitutions + longer_by) // 2
    deletions = insertions - longer_by
    return edits.src_len - substitutions - deletions, substitutions, deletions, insertions


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the word errors of one utterance: words are what stands between white space."""
    return count(split_words(reference), split_words(hypothesis))


def character_errors(reference: str, hypothesis: str, spaces: bool) -> ErrorCounts:
    """Count the character errors of one utterance, over NFC code points.

    Without spaces it is the primary figure for Korean, whose spacing varies between writers.
    """
    return count(split_characters(reference, spaces), split_characters(hypothesis, spaces))


def spaced_word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the word errors after the hypothesis was given the reference's spaces (sWER, used for Korean).

    Never more than `word_errors`: where the hypothesis's own spaces do better, they stay.
    """
    own, given = word_errors(reference, hypothesis), word_errors(reference, respace(reference, hypothesis))
    return given if given.errors < own.errors else own


def word_error_columns(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorColumns:
    """Count the word errors of N utterances: 10,000 of 12 words take some 20 ms, by compiled loops 7."""

    def many(said: Sequence[str], heard: Sequence[str]) -> Counts:
        from sorigil.metrics.edit_counts import word_counts

        return word_counts(said, heard)

    return _columns(str.split, many, references, hypotheses)


def character_error_columns(references: Sequence[str], hypotheses: Sequence[str], spaces: bool) -> ErrorColumns:
    """Count the character errors of N utterances."""
    between = " " if spaces else ""

    def many(said: Sequence[str], heard: Sequence[str]) -> Counts:
        from sorigil.metrics.edit_counts import character_counts

        return character_counts(said, heard, spaces)

    return _columns(lambda text: between.join(text.split()), many, references, hypotheses)


def spaced_word_error_columns(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorColumns:
    """Count the space-normalised word errors of N utterances, as `spaced_word_errors` does."""
    own = word_error_columns(references, hypotheses)
    wrong = np.flatnonzero(own.errors)
    said = [references[row] for row in wrong.tolist()]
    given = word_error_columns(said, [respace(references[row], hypotheses[row]) for row in wrong.tolist()])
    better = given.errors < own.errors[wrong]
    columns = {name: column.copy() for name, column in own.as_dict().items()}
    for name, column in given.as_dict().items():
        columns[name][wrong[better]] = column[better]
    return ErrorColumns(**columns)


def _columns(
    units: Callable[[str], Sequence[str]],
    many: Callable[[Sequence[str], Sequence[str]], Counts],
    references: Sequence[str],
    hypotheses: Sequence[str],
) -> ErrorColumns:
    """Count few pairs one by one; many at once, and one by one only those that are too long for that."""
    _check(references, hypotheses)
    references, hypotheses = _composed(references), _composed(hypotheses)

    def counted(reference: str, hypothesis: str) -> tuple[int, int, int, int]:
        if reference == hypothesis:  # what was heard as it was said needs no alignment
            return len(units(reference)), 0, 0, 0
        return _counted(Levenshtein.editops(units(reference), units(hypothesis)))

    if len(references) < (MANY if COMPILED in sys.modules else MANY_COLD):
        return _table(np.array(list(map(counted, references, hypotheses)), np.int64))
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(references), AT_ONCE)]
    table = np.concatenate([many(references[part], hypotheses[part]) for part in parts])
    for row in np.flatnonzero(table[:, 0] < 0).tolist():
        table[row] = counted(references[row], hypotheses[row])
    return _table(table)


def _composed(texts: Sequence[str]) -> Sequence[str]:
    """The texts in NFC, as all counting sees them; ASCII is."""
    return texts if all(map(str.isascii, texts)) else [unicodedata.normalize("NFC", text) for text in texts]


def _table(rows: Counts) -> ErrorColumns:
    hits, substitutions, deletions, insertions = rows.reshape(-1, 4).T
    return ErrorColumns(hits=hits, substitutions=substitutions, deletions=deletions, insertions=insertions)


def _check(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references come with {len(hypotheses)} hypotheses; expected as many")


def respace(reference: str, hypothesis: str) -> str:
    """Write the hypothesis's characters with the reference's spaces.

    Both are aligned without spaces, and a space stands where the reference has one. Where characters were inserted at
    that place, a space of the hypothesis's own among them decides; without one they go to the word before.
    """
    said, heard = split_words(reference), split_words(hypothesis)
    source, target = "".join(said), "".join(heard)
    own_spaces = set(itertools.accumulate(map(len, heard)))
    parts = [part for part in Levenshtein.opcodes(source, target) if part.src_end > part.src_start]
    starts = [part.src_start for part in parts]
    cuts = [0]
    for boundary in list(itertools.accumulate(map(len, said)))[:-1]:
        number = bisect.bisect_right(starts, boundary) - 1
        part = parts[number]
        cut = min(part.dest_start + boundary - part.src_start, part.dest_end)
        if boundary == part.src_start:  # between two parts something may have been inserted
            added = range(parts[number - 1].dest_end, cut + 1)
            cut = max((place for place in added if place in own_spaces), default=cut)
        cuts.append(cut)
    pieces = [target[start:end] for start, end in itertools.pairwise([*cuts, len(target)])]
    return " ".join(piece for piece in pieces if piece)
