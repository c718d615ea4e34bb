"""Whether a classifier's probabilities can be taken at their word: of the answers given with 80 %, are four in five right?

The expected calibration error and the bins behind it, which the reliability picture draws (Guo et al. 2017, "On calibration
of modern neural networks"), and the Brier score. A recogniser's words are judged in `word_confidence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorigil.metrics.intervals import Floats, Numbers, bootstrap_interval, percentiles, resampled_sums
from sorigil.metrics.probabilities import Truth, check, classes_of
from sorigil.metrics.score import Interval, Score, both_intervals

BINS = 15  # of equal width, as in Guo et al.

Right = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """The answers with a confidence above `low` and up to `high`: how many, how sure on average, which share was right.

    `confidence` and `right` are None where there are none.
    """

    low: float
    high: float
    items: int
    confidence: float | None
    right: float | None


def reliability(confidences_N: Floats, right_N: Right) -> list[ReliabilityBin]:
    """Return the `BINS` bins in order, empty ones too. Raises ValueError for columns of different lengths."""
    if len(confidences_N) != len(right_N):
        raise ValueError(f"{len(confidences_N)} confidences come with {len(right_N)} answers; expected as many")
    bins_N = bins_of(confidences_N)
    items_B = np.bincount(bins_N, minlength=BINS)
    sure_B, right_B = (np.bincount(bins_N, each_N, BINS) for each_N in (confidences_N, right_N))
    return [
        ReliabilityBin(
            low=b / BINS,
            high=(b + 1) / BINS,
            items=int(items),
            confidence=float(sure_B[b] / items) if items else None,
            right=float(right_B[b] / items) if items else None,
        )
        for b, items in enumerate(items_B)
    ]


def calibration_error(confidences_N: Floats, right_N: Right) -> float:
    """Return the expected calibration error: the mean over answers of |share right - mean confidence| of their bin; 0 of no
    answers."""
    return float(
        np.abs(np.bincount(bins_of(confidences_N), right_N - confidences_N, BINS)).sum() / max(len(right_N), 1)
    )


def reverse_interval(value: float, bins_N: Numbers, over_N: Floats, groups: Sequence[str] | None) -> Interval:
    """Return the interval of a calibration error, from each answer's bin and what its rightness is above its confidence.

    The estimate is too high, the more so the fewer items a bin has, and a resample's is too high once more. So the interval
    is the reverse percentile one (2 × value - percentiles, not below 0), which takes that off: it is one for the error that
    many items would show, and may lie below the value.
    """
    sums_SB, items_S = resampled_sums(bins_N, over_N, BINS, groups_N=groups)
    low, high = percentiles(np.abs(sums_SB).sum(axis=1) / items_S, 0.95)
    return max(0.0, 2 * value - high), max(0.0, 2 * value - low)


def ece(
    truth_NC: Truth, probabilities_NC: Floats, classes: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return the expected calibration error of the likeliest class, 0 where confidence is the share that is right."""
    check(truth_NC, probabilities_NC)
    confidences_N, right_N = top_answers(truth_NC, probabilities_NC)
    value = calibration_error(confidences_N, right_N)
    bins_N, over_N = bins_of(confidences_N), right_N - confidences_N
    found = both_intervals(right_N, groups, lambda drawn: reverse_interval(value, bins_N, over_N, drawn))
    detail = {"bins": BINS, "confidence": float(confidences_N.mean()), "right": float(right_N.mean())}
    return Score(metric="ece", value=value, n=len(right_N), detail=detail, **found)


def brier(
    truth_NC: Truth, probabilities_NC: Floats, classes: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return the mean over items of the summed squares (probability - truth) over all classes, 0 to 2 (Brier 1950)."""
    check(truth_NC, probabilities_NC)
    squares_N = np.square(probabilities_NC - truth_NC).sum(axis=1)
    ones_N = np.ones_like(squares_N)
    found = both_intervals(squares_N, groups, lambda drawn: bootstrap_interval(squares_N, ones_N, groups_N=drawn))
    detail = {"classes": len(classes)}
    return Score(metric="brier", value=float(squares_N.mean()), n=len(squares_N), detail=detail, **found)


def top_answers(truth_NC: Truth, probabilities_NC: Floats) -> tuple[Floats, Right]:
    """Return each item's highest probability, and whether its class is the truth."""
    truth_N = classes_of(truth_NC)
    return probabilities_NC.max(axis=1), probabilities_NC.argmax(axis=1) == truth_N


def bins_of(confidences_N: Floats) -> npt.NDArray[np.int64]:
    """Return the bin of each confidence: ]0, 1/15] is the first, ]14/15, 1] the last; 0 itself belongs to the first."""
    bins_N: npt.NDArray[np.int64] = np.clip(np.ceil(confidences_N * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return bins_N
