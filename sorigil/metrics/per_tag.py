"""How each tag fares by itself: what stands behind the means of `tagging`, one row a tag.

Average precision and area judge the order of the items; precision, recall and F1 the decision at 0.5. Beside it stands the
best F1 that any threshold would give on these very items: on dev a threshold to choose, on test only what was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sorigil.metrics.classification import f1
from sorigil.metrics.intervals import Floats
from sorigil.metrics.probabilities import Truth
from sorigil.metrics.tagging import Ranking
from sorigil.text.tags import SAID_FROM


@dataclass(frozen=True, kw_only=True, slots=True)
class TagScore:
    """One tag's figures, each a share of 1; None where no item could tell.

    `items` have the tag, `said` were given it. `best_f1` is reached where the tag is said from `threshold` on.
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


def per_tag(truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str]) -> list[TagScore]:
    """Return a row for each tag, in the order of `tags`, from which items have it and how probable the model finds it."""
    ranking = Ranking(truth_NC, probabilities_NC)
    said_NC = probabilities_NC >= SAID_FROM
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
            **{name: None if np.isnan(values_C[c]) else float(values_C[c]) for name, values_C in figures.items()},
        )
        for c, tag in enumerate(tags)
    ]


def best_f1(ranking: Ranking) -> tuple[Floats, Floats]:
    """Return each tag's best F1 over all thresholds, and the highest threshold that gives it; NaN where no item has it."""
    found_NC = np.cumsum(ranking.truth_NC, axis=0)
    said_NC = ranking.last_NC + 1  # equal probabilities are said together
    f1_NC = f1(np.take_along_axis(found_NC, ranking.last_NC, axis=0), found_NC[-1], said_NC)
    place_1C = f1_NC.argmax(axis=0)[None]
    missing_C = found_NC[-1] == 0
    best_C, thresholds_C = (np.take_along_axis(each, place_1C, axis=0)[0] for each in (f1_NC, ranking.sorted_NC))
    return np.where(missing_C, np.nan, best_C), np.where(missing_C, np.nan, thresholds_C)
