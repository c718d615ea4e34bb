"""Two taggers on the same utterances, by figures of the corpus: mAP and d' of the probabilities, F1 of what was said.

Such a figure is no sum over utterances, so each draw of the paired bootstrap computes it anew of both, from one ranking of
each. "Better" is said where the interval of the difference leaves 0 out. There is no exact test of pairs beside it, but no p is
less than such a test could have of so few utterances: of five or fewer nothing is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sorigil.metrics.comparison import LEVEL, Comparison, better_of
from sorigil.metrics.intervals import Floats, weights_of_draws
from sorigil.metrics.paired import delta_of
from sorigil.metrics.pooled import Compared, pooled
from sorigil.metrics.probabilities import Truth, check
from sorigil.metrics.tagging import Ranking, mean_of, separation

FIGURES = ("map", "d_prime", "micro_f1")
SAMPLES = 1000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tagged:
    """What one training of a tagger answered to N utterances: of each of C tags the probability, and whether it was said."""

    probabilities_NC: Floats
    said_NC: Truth


def compare_tags(
    truth_NC: Truth, a: Sequence[Tagged], b: Sequence[Tagged], speakers: Sequence[str] | None = None
) -> dict[str, Compared]:
    """Compare the trainings of two taggers by `FIGURES`. Raises what `tagging` raises for no items and other shapes."""
    systems = [_System(truth_NC, each) for each in (*a, *b)]
    everyone_N = np.ones(len(truth_NC))
    values_KF = np.nan_to_num([each.figures(everyone_N) for each in systems])
    drawn = [_drawn(systems, len(truth_NC), groups) for groups in ((None, speakers) if speakers else (None,))]
    return {
        metric: _compared(
            metric,
            values_KF[: len(a), f].tolist(),
            values_KF[len(a) :, f].tolist(),
            [each[..., f] for each in drawn],
            speakers,
            least_p=2.0 ** (1 - len(truth_NC)),  # of all ways to swap A and B in each utterance two are as far from 0
        )
        for f, metric in enumerate(FIGURES)
    }


class _System:
    """A training's answers, ranked once and weighed often."""

    def __init__(self, truth_NC: Truth, tagged: Tagged) -> None:
        check(truth_NC, tagged.probabilities_NC)
        check(truth_NC, tagged.said_NC)
        self._ranking = Ranking(truth_NC, tagged.probabilities_NC)
        self._pairs = int(np.sum(truth_NC.sum(axis=0) * (~truth_NC).sum(axis=0)))
        self._hits_N = 2 * (truth_NC & tagged.said_NC).sum(axis=1)
        self._totals_N = truth_NC.sum(axis=1) + tagged.said_NC.sum(axis=1)

    def figures(self, weights_N: Floats) -> tuple[float, float, float]:
        """Those of `FIGURES`; NaN of mAP where no item with a tag was drawn."""
        precisions_C, areas_C = self._ranking.figures(weights_N)
        f1 = (weights_N @ self._hits_N) / max(weights_N @ self._totals_N, 1)
        return mean_of(precisions_C), separation(mean_of(areas_C), self._pairs), float(f1)


def _drawn(systems: Sequence[_System], n: int, groups: Sequence[str] | None) -> Floats:
    """The figures of each system for each draw of utterances, or of groups of them."""
    draws = weights_of_draws(n, SAMPLES, groups)
    return np.array([[each.figures(weights_N) for each in systems] for weights_N in draws])


def _compared(
    metric: str,
    a: list[float],
    b: list[float],
    drawn: Sequence[Floats],
    speakers: Sequence[str] | None,
    least_p: float,
) -> Compared:
    """`drawn`: by utterance and, where they are known, by speaker (S draws, systems of A and then of B)."""
    firsts = [_finite(each_SK[:, len(a)] - each_SK[:, 0]) for each_SK in drawn]
    means = [_finite(each_SK[:, len(a) :].mean(axis=1) - each_SK[:, : len(a)].mean(axis=1)) for each_SK in drawn]
    delta, *by_speaker = (delta_of(b[0] - a[0], each_S) for each_S in firsts)
    delta = replace(delta, p=max(delta.p, least_p))
    return Compared(
        first=Comparison(
            a=a[0],
            b=b[0],
            delta=delta,
            by_speaker=by_speaker[0] if by_speaker else None,
            test=None,
            better=better_of(metric, delta.value) if delta.shown and least_p < LEVEL else None,
        ),
        values_a=tuple(a),
        values_b=tuple(b),
        pooled=pooled(metric, a, b, means, speakers, least_p),
    )


def _finite(drawn_S: Floats) -> Floats:
    """A draw may hold no item with any tag; where none does there is no difference."""
    return drawn_S[np.isfinite(drawn_S)] if np.isfinite(drawn_S).any() else np.zeros(1)
