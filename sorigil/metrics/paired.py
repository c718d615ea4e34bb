"""Whether one system is really better than another on the same utterances: paired bootstrap and matched-pairs tests.

Both are given what each system did to each utterance; nothing is decoded or normalised here. "Better" is said only where
the interval of the difference leaves 0 out and the exact test agrees: over few utterances either alone promises too much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from sorigil.metrics.align import split_words
from sorigil.metrics.intervals import Floats, Numbers, percentiles, resampled

Counts = npt.NDArray[np.int64]

EXACT_UP_TO = 1000  # segments that differ; beyond, the normal probability is the exact one to three digits
RANDOM_SWAPS = 10_000  # where not all can be gone through
GOOD_WORDS = 2  # so many words right in both between two errors part them (sclite's default)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delta:
    """The rate of B minus that of A, its bootstrap interval, and p: how often a draw lies on the other side of 0, twice."""

    value: float
    interval: tuple[float, float]
    p: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchedPairs:
    """The matched-pairs sentence-segment word error test, MAPSSWE (Gillick and Cox 1989).

    `mean` is the errors of B minus those of A in a segment, `z` what sclite computes of it (null without spread), `p` its
    two-sided normal probability, `p_exact` that of all ways to swap A and B in each segment: trust it where `segments`
    are few.
    """

    segments: int
    mean: float
    z: float | None
    p: float
    p_exact: float


def paired_bootstrap(
    errors_a_N: Numbers,
    errors_b_N: Numbers,
    totals_N: Numbers,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    groups_N: Sequence[str] | None = None,
) -> Delta:
    """Resample the same utterances (or groups) for both systems (Bisani and Ney 2004). Raises `ValueError` for no rows."""
    values_S = resampled([errors_a_N, errors_b_N, totals_N], difference, samples, seed, groups_N)
    value = (np.sum(errors_b_N) - np.sum(errors_a_N)) / max(np.sum(totals_N), 1)
    return delta_of(float(value), values_S, level)


def delta_of(value: float, drawn_S: Floats, level: float = 0.95) -> Delta:
    """Return a difference with what S draws of it show; what was seen counts as one of the draws."""
    beyond = min(int(np.sum(drawn_S <= 0)), int(np.sum(drawn_S >= 0)))
    p = 2 * (beyond + 1) / (len(drawn_S) + 1)
    return Delta(value=value, interval=percentiles(drawn_S, level), p=min(p, 1.0))


def matched_pairs(references: Sequence[str], a: Sequence[str], b: Sequence[str]) -> MatchedPairs:
    """Test the word errors of two columns of hypotheses, segment by segment of their utterances."""
    if not len(references) == len(a) == len(b):
        raise ValueError(f"{len(references)} references come with {len(a)} and {len(b)} hypotheses; expected as many")
    return pairs_test(segment_differences(references, a, b))


def segment_differences(references: Sequence[str], a: Sequence[str], b: Sequence[str]) -> Counts:
    """Return, for each segment with an error of either system, the errors of B minus those of A.

    A segment ends where `GOOD_WORDS` reference words in a row are right in both, and with its utterance. Each error has a
    slot in it: word w of the reference at 2w + 1, what was added before it at 2w, so w words lie between slots 2w + 1 apart.
    """
    found = [
        (utterance, slot, side)
        for side, hypotheses in ((-1, a), (1, b))
        for utterance, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True))
        if reference != hypothesis
        for slot in _error_slots(reference, hypothesis)
    ]
    if not found:
        return np.zeros(0, np.int64)
    utterance_E, slot_E, side_E = np.array(sorted(found), dtype=np.int64).T
    words_between = slot_E[1:] // 2 - (slot_E[:-1] + 1) // 2
    begins = (np.diff(utterance_E) != 0) | (words_between >= GOOD_WORDS)
    sums: Counts = np.add.reduceat(side_E, np.flatnonzero(np.concatenate([[True], begins])))
    return sums


def pairs_test(differences: Numbers) -> MatchedPairs:
    """Test whether differences of paired counts are 0 on average. Without any, nothing is shown: both p are 1.

    Of counts that are 0 or 1 (right or wrong) it is McNemar's exact test. Where counts are weighed, so that they are no
    whole numbers, `p_exact` is of 10,000 random swaps.
    """
    n, total = len(differences), float(differences.sum())
    spread = float(differences.std(ddof=1)) if n > 1 else 0.0
    z = total / n / (spread / math.sqrt(n)) if spread else None
    normal = None if z is None else math.erfc(abs(z) / math.sqrt(2))
    there = differences[differences != 0]
    exact = _p_of_swaps(there) if normal is None or len(there) <= EXACT_UP_TO else normal
    return MatchedPairs(
        segments=n, mean=total / n if n else 0.0, z=z, p=exact if normal is None else normal, p_exact=exact
    )


def _p_of_swaps(differences: Numbers) -> float:
    """The share of swaps whose sum is as far from 0 as what was seen."""
    sizes = np.unique(np.abs(differences))
    if len(sizes) == 1:  # as good as 1, whatever the weight
        return _sign_flips(np.sign(differences).astype(np.int64))
    if np.issubdtype(differences.dtype, np.integer):
        return _sign_flips(differences)
    signs = np.random.default_rng(0).integers(0, 2, (RANDOM_SWAPS, len(differences)), np.int8) * 2 - 1
    as_far = np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-9)
    return float((as_far.sum() + 1) / (RANDOM_SWAPS + 1))  # what was seen is one of them


def _sign_flips(differences: Counts) -> float:
    """Of all 2^n swaps: the distribution of their sum, one segment after another."""
    sizes = np.abs(differences)
    reach = int(sizes.sum())
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for size in sizes:
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2  # what rolls over the edge is 0
    distance = np.abs(np.arange(-reach, reach + 1))
    return float(min(chances[distance >= abs(int(differences.sum()))].sum(), 1.0))


def _error_slots(reference: str, hypothesis: str) -> list[int]:
    edits = Levenshtein.editops(split_words(reference), split_words(hypothesis)).as_list()
    return [2 * int(place) + (kind != "insert") for kind, place, _ in edits]


def difference(errors_a: Floats, errors_b: Floats, totals: Floats) -> Floats:
    """Return the rate of B minus that of A, elementwise."""
    share: Floats = (errors_b - errors_a) / np.maximum(totals, 1)
    return share
