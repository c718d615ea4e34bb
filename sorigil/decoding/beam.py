"""Prefix beam search over CTC posteriors (Hannun et al. 2014, arXiv:1408.2873), alone or with a language model (`fusion`).

It finds the likeliest token sequences, each summed over all its paths that the beam kept; it does not say where the
tokens stand (`ctc.forced` does). The loops are compiled, in `prefix_search`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigil.decoding.fusion import POSTERIORS, Fusion
from sorigil.decoding.spec import BeamSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Prefix:
    """One token sequence. `log_prob` is the natural logarithm of its probability over every path that the beam kept, `said`
    what the language model and the hot words add (`BeamSpec`); prefixes rank by their sum."""

    ids: tuple[int, ...]
    log_prob: float
    said: float = 0.0

    @property
    def score(self) -> float:
        """What ranks it."""
        return self.log_prob + self.said


def best_prefixes(
    log_probs_TV: npt.NDArray[np.floating[Any]], spec: BeamSpec, fusion: Fusion = POSTERIORS
) -> list[Prefix]:
    """Return up to `spec.n_best` prefixes, the best first; an impossible one only where no other is left in the beam.

    `fusion` is `fused(spec, ...)`, made once for a model.
    Without thresholds this is exact when the beam is as wide as there are prefixes, and 2·`beam_width` + 1 no less than
    the tokens.
    """
    from sorigil.decoding.prefix_search import search

    parents_N, tokens_N, nodes_K, log_prob_K, said_K = search(
        np.ascontiguousarray(log_probs_TV, dtype=np.float64),
        spec.beam_width,
        _or_infinity(spec.token_threshold),
        _or_infinity(spec.beam_threshold),
        fusion,
    )
    score_K = log_prob_K + said_K
    best = np.lexsort((-log_prob_K, -score_K))[: spec.n_best]
    best = best[(score_K[best] > -math.inf) | (best == best[0])]  # in a lexicon unfinished words are impossible
    return [
        Prefix(ids=_spelled(parents_N, tokens_N, int(nodes_K[k])), log_prob=float(log_prob_K[k]), said=float(said_K[k]))
        for k in best
    ]


def _or_infinity(threshold: float | None) -> float:
    return math.inf if threshold is None else float(threshold)


def _spelled(parents_N: npt.NDArray[np.int64], tokens_N: npt.NDArray[np.int64], node: int) -> tuple[int, ...]:
    ids = []
    while node:  # 0 is the empty prefix
        ids.append(int(tokens_N[node]))
        node = int(parents_N[node])
    return tuple(reversed(ids))
