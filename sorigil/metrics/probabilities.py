"""How high the truth stands among the probabilities that a model gives: top-k accuracy and the area under the ROC curve.

Items are rows, classes (or tags) columns. No threshold and, but for top-k, no comparison between classes: what is judged
is the order. How far the probabilities can be trusted as such is in `calibration`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sorigil.errors import RequestError
from sorigil.metrics.intervals import Floats, bootstrap_interval
from sorigil.metrics.score import Score, both_intervals

Truth = npt.NDArray[np.bool_]


def top_k(k: int) -> Callable[..., Score]:
    """Return the metric `top_K`: the share of items whose class is among the k likeliest.

    Of equal probabilities the class that comes first in the model is the likelier, so top_1 is the accuracy. A class of
    probability 0, which training never saw, is never among them, however few classes there are.
    """

    def compute(
        truth_NC: Truth, probabilities_NC: Floats, classes: Sequence[str], groups: Sequence[str] | None = None
    ) -> Score:
        check(truth_NC, probabilities_NC)
        given_N = probabilities_NC[truth_NC]
        found_N = (places(truth_NC, probabilities_NC) < k) & (given_N > 0)
        ones_N = np.ones(len(found_N))
        intervals = both_intervals(found_N, groups, lambda drawn: bootstrap_interval(found_N, ones_N, groups_N=drawn))
        detail = {"right": int(found_N.sum()), "classes": len(classes)}
        return Score(metric=f"top_{k}", value=float(found_N.mean()), n=len(found_N), detail=detail, **intervals)

    return compute


def places(truth_NC: Truth, probabilities_NC: Floats) -> npt.NDArray[np.int64]:
    """Return how many classes stand above each item's own."""
    own_N1 = classes_of(truth_NC)[:, None]
    given_N1 = np.take_along_axis(probabilities_NC, own_N1, axis=1)
    earlier_NC = np.arange(probabilities_NC.shape[1]) < own_N1
    above_N: npt.NDArray[np.int64] = np.count_nonzero(
        (probabilities_NC > given_N1) | (earlier_NC & (probabilities_NC == given_N1)), axis=1
    )
    return above_N


def classes_of(truth_NC: Truth) -> npt.NDArray[np.int64]:
    """Return the class of each item. Raises ValueError where an item has none or several."""
    if not np.all(truth_NC.sum(axis=1) == 1):
        raise ValueError("an item has no class or several; expected one class an item")
    classes_N: npt.NDArray[np.int64] = truth_NC.argmax(axis=1)
    return classes_N


def check(truth_NC: Truth, probabilities_NC: Floats | Truth) -> None:
    """Raise ValueError for shapes that differ, RequestError for no items."""
    if truth_NC.shape != probabilities_NC.shape:
        raise ValueError(f"truth of shape {truth_NC.shape} comes with answers of shape {probabilities_NC.shape}")
    if not len(truth_NC):
        raise RequestError("there is nothing to score: the evaluated split holds no utterance with a reference")
