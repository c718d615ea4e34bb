"""Means of weights: a running one over the steps (EMA), and that of the best epochs at the end.

Both usually do better than the last step's weights (Polyak & Juditsky 1992; Izmailov et al. 2018) and cost no step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def decay_at(step: int, decay: float) -> float:
    """Return the decay after `step` updates: small at first, or the untrained weights would stay in for long."""
    return min(decay, (1 + step) / (10 + step))


def running_mean(network: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of the network whose weights and buffers follow the network's at each `update_parameters`.

    `mean = d·mean + (1 - d)·weights`, d being `decay_at` of the updates so far; the first one copies.
    """

    @torch.no_grad()
    def update(means: Sequence[Tensor], values: Sequence[Tensor], count: Tensor | int) -> None:
        share = 1 - decay_at(int(count), decay)
        for mean, value in zip(means, values, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)


def mean_of(weights: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of several networks' weights and buffers; of whole numbers the first network's."""
    first = weights[0]
    return {
        name: torch.stack([each[name].double() for each in weights]).mean(dim=0).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in first.items()
    }
