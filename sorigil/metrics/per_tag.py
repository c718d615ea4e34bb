"""How each tag fares by itself: what stands behind the means of `tagging`, one row a tag.

Average precision and area judge the order of the items; precision, recall and F1 what was said, from the tag's threshold on.
Beside it stands the best F1 that any threshold would give on these very items: on dev rows `thresholds` chooses by it, on test
it says only what was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorigil.metrics.classification import f1
from sorigil.metrics.intervals import Floats
from sorigil.metrics.probabilities import Truth
from sorigil.metrics.tagging import Ranking
from sorigil.text.tags import SAID_FROM

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True)
class TagScore:
    """One tag's figures, each a share of 1; None where no item could tell.

    `items` have the tag, `said` were given it: those of at least the probability `said_from` (scores of before thresholds
    were chosen lack it: 0.5). `best_f1` is reached where the tag is said from `threshold` on.
    """

    tag: str
    items: int
    said: int
    average_precision: float | None
    area: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    best_f1: float | None
    threshold: float | None
    said_from: float = SAID_FROM


def per_tag(
    truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str], said_from_C: Floats | None = None
) -> list[TagScore]:
    """Return a row for each tag, in the order of `tags`, from which items have it and how probable the model finds it.

    `said_from_C`: the probability from which on each is said; None: 0.5.
    """
    ranking = Ranking(truth_NC, probabilities_NC)
    from_C = np.full(len(tags), SAID_FROM) if said_from_C is None else said_from_C
    said_NC = probabilities_NC >= from_C
    hits_C, items_C, said_C = ((truth_NC & said_NC).sum(axis=0), truth_NC.sum(axis=0), said_NC.sum(axis=0))
    everyone_N = np.ones(len(truth_NC))
    best_C, thresholds_C = best_f1(ranking)
    figures = {
        "average_precision": ranking.average_precisions(everyone_N),
        "area": ranking.areas(everyone_N),
        "precision": np.where(said_C > 0, hits_C / np.maximum(said_C, 1), np.nan),
        "recall": np.where(items_C > 0, hits_C / np.maximum(items_C, 1), np.nan),
        "f1": np.where(items_C + said_C > 0, f1(hits_C, items_C, said_C), np.nan),
        "best_f1": best_C,
        "threshold": thresholds_C,
    }
    return [
        TagScore(
            tag=tag,
            items=int(items_C[c]),
            said=int(said_C[c]),
            said_from=float(from_C[c]),
            **{name: None if np.isnan(values_C[c]) else float(values_C[c]) for name, values_C in figures.items()},
        )
        for c, tag in enumerate(tags)
    ]


def best_f1(ranking: Ranking) -> tuple[Floats, Floats]:
    """Return each tag's best F1 over all thresholds, and the highest threshold that gives it; NaN where no item has it."""
    best_C, place_C = _best(ranking)
    missing_C = ~ranking.truth_CN.any(axis=1)
    chosen_C = np.take_along_axis(ranking.sorted_CN, place_C[:, None], axis=1)[:, 0]
    return np.where(missing_C, np.nan, best_C), np.where(missing_C, np.nan, chosen_C)


def thresholds(truth_NC: Truth, probabilities_NC: Floats) -> Floats:
    """Choose the probability from which on each tag is said: half way between the last item that is said where F1 is best
    and the next one below it (of several best the highest). 0.5 for a tag that no item has."""
    ranking = Ranking(truth_NC, probabilities_NC)
    _, place_C = _best(ranking)
    last_C1 = np.take_along_axis(ranking.last_CN, place_C[:, None], axis=1)
    padded_CN = np.pad(ranking.sorted_CN, ((0, 0), (0, 1)))  # below the least probable is 0
    here_C, next_C = (np.take_along_axis(padded_CN, last_C1 + step, axis=1)[:, 0] for step in (0, 1))
    return np.where(ranking.truth_CN.any(axis=1), (here_C + next_C) / 2, SAID_FROM)


def _best(ranking: Ranking) -> tuple[Floats, Places]:
    """Each tag's best F1, and the first place that gives it."""
    found_CN = np.cumsum(ranking.truth_CN, axis=1)
    said_CN = ranking.last_CN + 1  # equal probabilities are said together
    f1_CN = f1(np.take_along_axis(found_CN, ranking.last_CN, axis=1), found_CN[:, -1:], said_CN)
    place_C = f1_CN.argmax(axis=1)
    return f1_CN.max(axis=1), place_C
