"""Whether a recogniser's confidences can be taken at their word: of the words heard with 80 %, are four in five right?

A word that was heard is right where the alignment behind the word errors (`align`) has it as said; what was not heard has no
confidence and does not count. Expected calibration error as of classifiers (`calibration`), and the normalised cross entropy
of NIST's evaluations (Siu, Gish and Richardson 1997, "Improved estimation, evaluation and applications of confidence
measures for speech recognition").
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from sorigil.metrics.align import split_words
from sorigil.metrics.calibration import Right, bins_of, calibration_error, reverse_interval
from sorigil.metrics.intervals import Floats, percentiles, resampled
from sorigil.metrics.score import Column, Interval, Score, both_intervals, check_columns

LEAST = 1e-7  # no word is more or less sure: a single wrong word of confidence 1 would have an infinite cross entropy

Confidences = Sequence[Sequence[float]]  # of each word of each hypothesis


def word_ece(references: Column, hypotheses: Column, confidences: Confidences, groups: Column | None = None) -> Score:
    """Return the expected calibration error of the words heard; 0 of none. Interval as that of `calibration.ece`."""
    sure_W, right_W, row_W = heard(references, hypotheses, confidences)
    value = calibration_error(sure_W, right_W)
    detail = {"words": len(sure_W), "confidence": _mean(sure_W), "right": _mean(right_W)}

    def drawn(groups: Column | None) -> Interval | None:
        units = _units(row_W, groups)
        return reverse_interval(value, bins_of(sure_W), right_W - sure_W, units) if units else None

    found = both_intervals(references, groups, drawn)
    return Score(metric="word_ece", value=value, n=len(references), detail=detail, **found)


def nce(references: Column, hypotheses: Column, confidences: Confidences, groups: Column | None = None) -> Score:
    """Return the normalised cross entropy: which share of what one did not know of the words' rightness, but for how many
    are right, the confidences tell. 1 is all; 0 nothing; below 0 they mislead.

    (H + sum of log2 c over right words + sum of log2 (1 - c) over wrong ones) / H, where H = -n log2 p - (N - n) log2 (1 - p),
    n of N words are right and p = n / N. 0 where all words are right, or none: there is nothing to tell.
    """
    sure_W, right_W, row_W = heard(references, hypotheses, confidences)
    kept_W = np.clip(sure_W, LEAST, 1 - LEAST)
    columns = (np.ones(len(right_W)), right_W, np.log2(np.where(right_W, kept_W, 1 - kept_W)))
    value = float(_normalised(*(np.array([column.sum()], np.float64) for column in columns))[0])

    def drawn(groups: Column | None) -> Interval | None:
        units = _units(row_W, groups)
        return percentiles(resampled(columns, _normalised, groups_N=units), 0.95) if units else None

    detail = {"words": len(sure_W), "confidence": _mean(sure_W), "right": _mean(right_W)}
    return Score(
        metric="nce", value=value, n=len(references), detail=detail, **both_intervals(references, groups, drawn)
    )


def heard(
    references: Column, hypotheses: Column, confidences: Confidences
) -> tuple[Floats, Right, npt.NDArray[np.int64]]:
    """Return of all words heard the confidence, whether they are right, and the row of their utterance. Raises ValueError
    where there are not as many confidences as words."""
    check_columns(references, hypotheses)
    words = [_right(reference, hypothesis) for reference, hypothesis in zip(references, hypotheses, strict=True)]
    for row, (right, sure) in enumerate(zip(words, confidences, strict=True)):
        if len(right) != len(sure):
            raise ValueError(f"row {row} has {len(right)} words and {len(sure)} confidences; expected as many")
    row_W = np.repeat(np.arange(len(words)), [len(right) for right in words])
    sure_W = np.fromiter((each for sure in confidences for each in sure), np.float64, len(row_W))
    return sure_W, np.fromiter((each for right in words for each in right), np.bool_, len(row_W)), row_W


def carried(text: str, confidences: Sequence[float], compared: str, clean: Callable[[str], str]) -> list[float]:
    """Return the confidences of the words of `compared`, which is `clean(text)`, from those of the words of `text`.

    Where a normaliser makes another number of words, what several words became has their mean.
    """
    if text == compared:
        return list(confidences)
    parts = [
        (part, sure) for word, sure in zip(split_words(text), confidences, strict=True) for part in clean(word).split()
    ]
    alone, words = [part for part, _ in parts], split_words(compared)
    if alone == words:
        return [sure for _, sure in parts]
    found: list[float] = []
    for same, run in itertools.groupby(Levenshtein.opcodes(alone, words), key=lambda step: step.tag == "equal"):
        steps = list(run)
        own = [sure for _, sure in parts[steps[0].src_start : steps[-1].src_end]]
        there = steps[-1].dest_end - steps[0].dest_start
        found += own if same else [float(np.mean(own or confidences))] * there
    return found


def _right(reference: str, hypothesis: str) -> list[bool]:
    """Whether each word of the hypothesis is a hit."""
    words = split_words(hypothesis)
    right = [True] * len(words)
    if reference != hypothesis:
        for kind, _, place in Levenshtein.editops(split_words(reference), words).as_list():
            if kind != "delete":
                right[int(place)] = False
    return right


def _normalised(words_S: Floats, right_S: Floats, bits_S: Floats) -> Floats:
    share_S = right_S / np.maximum(words_S, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy_S = -words_S * np.nan_to_num(share_S * np.log2(share_S) + (1 - share_S) * np.log2(1 - share_S))
        return np.where((share_S > 0) & (share_S < 1), (entropy_S + bits_S) / entropy_S, 0.0)


def _units(row_W: npt.NDArray[np.int64], groups: Column | None) -> Sequence[str] | None:
    """What is drawn again: the utterances, or the groups that they belong to; None where no two of them have words."""
    found: list[str] = (row_W.astype(str) if groups is None else np.asarray(groups, dtype=str)[row_W]).tolist()
    return found if len(set(found)) > 1 else None


def _mean(values_W: npt.NDArray[Any]) -> float | None:
    return float(np.mean(values_W)) if len(values_W) else None
