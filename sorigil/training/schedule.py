"""The learning rate over a training: linear warm-up, then half a cosine to zero (Loshchilov & Hutter 2017).

It is a function of the share of the training that is done, not of a counter, so a resumed training needs no state.
"""

from __future__ import annotations

import math


def learning_rate_at(share: float, peak: float, warmup: float) -> float:
    """Return the learning rate when `share` (0 to 1) of all steps are done, `warmup` of which rise to `peak`."""
    if share < warmup:
        return peak * share / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (share - warmup) / max(1 - warmup, 1e-9)))


def share_done(epoch: int, step: int, steps: int, epochs: int) -> float:
    """Return the share of the training that is done in the middle of this step (all counted from 0)."""
    return min((epoch + (step + 0.5) / max(steps, 1)) / epochs, 1.0)
