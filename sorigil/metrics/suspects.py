"""References to doubt: where models are sure, and agree with each other rather than with what they were scored against.

A list to listen to, not a verdict: models that learned from the same data err alike. "Sure" is relative to each model, as
in confident learning (Northcutt et al. 2021, JAIR 70): surer than of the least sure quarter of what it has right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorigil.metrics.align import columns

SURE = 0.25  # of the confidences of right answers the quantile that a wrong one must reach
AGREEMENT = 0.5  # at least so much of what the models hear otherwise, they hear alike


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answers:
    """What one model answered to N utterances, as compared with the references, and how sure it was (0 to 1; NaN: not known,
    and so never sure)."""

    model: str
    hypotheses: Sequence[str]
    confidences_N: npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """An utterance by its row. `heard` has each model's answer, `words` (said, heard) where all that doubt it agree against
    the reference, None for nothing. `agreement` is the share of those among all that they hear otherwise; `confidence`
    that of the least sure of them; `doubted_by` their places among the models."""

    row: int
    heard: tuple[str, ...]
    words: tuple[tuple[str | None, str | None], ...]
    agreement: float
    confidence: float
    doubted_by: tuple[int, ...]


def suspects(references: Sequence[str], models: Sequence[Answers], whole: bool = False) -> list[Suspect]:
    """Return the utterances that more than half of the models surely hear otherwise, at least half of it alike: the
    highest agreement first, then the surest. A model that is poor or unsure has no veto.

    With `whole` an answer is one label, else its words are aligned. Raises ValueError for no models or columns of
    different lengths.
    """
    _check(references, models)
    doubts_MN = np.stack([_doubts(references, model) for model in models])
    rows = np.flatnonzero(2 * doubts_MN.sum(axis=0) > len(models)).tolist()
    found = [_suspect(row, references[row], models, doubts_MN[:, row], whole) for row in rows]
    kept = [each for each in found if each.agreement >= AGREEMENT]
    return sorted(kept, key=lambda each: (-each.agreement, -each.confidence, each.row))


def _doubts(references: Sequence[str], model: Answers) -> npt.NDArray[np.bool_]:
    """Where the model hears otherwise, as sure as where it is right."""
    right_N = np.fromiter(map(str.__eq__, references, model.hypotheses), bool, len(references))
    known = model.confidences_N[right_N & ~np.isnan(model.confidences_N)]
    least = np.quantile(known, SURE) if len(known) else np.inf
    doubts_N: npt.NDArray[np.bool_] = (model.confidences_N >= least) & ~right_N
    return doubts_N


def _suspect(
    row: int, reference: str, models: Sequence[Answers], doubts_M: npt.NDArray[np.bool_], whole: bool
) -> Suspect:
    doubting = np.flatnonzero(doubts_M).tolist()
    answers = [models[each].hypotheses[row] for each in doubting]
    places = [(reference, *answers)] if whole else columns(reference, *answers)
    otherwise = [place for place in places if any(word != place[0] for word in place[1:])]
    alike = [(place[0], place[1]) for place in otherwise if len(set(place[1:])) == 1]
    return Suspect(
        row=row,
        heard=tuple(model.hypotheses[row] for model in models),
        words=tuple(alike),
        agreement=len(alike) / max(len(otherwise), 1),
        confidence=float(min(models[each].confidences_N[row] for each in doubting)),
        doubted_by=tuple(doubting),
    )


def _check(references: Sequence[str], models: Sequence[Answers]) -> None:
    if not models:
        raise ValueError("no model's answers were given; expected at least one")
    for model in models:
        if not len(model.hypotheses) == len(model.confidences_N) == len(references):
            raise ValueError(
                f"{model.model}: {len(model.hypotheses)} answers and {len(model.confidences_N)} confidences for "
                f"{len(references)} references; expected as many"
            )
