"""Mixup (Zhang et al. 2018): a network hears two items at once and is to answer with both, in the same shares.

The share and the pairs depend on (seed, epoch, step) only. Shorter items fade into silence: padding is zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sorigil.training.data import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixed:
    """A batch of pairs. `share` of each item is its own, the rest is its partner's."""

    batch: Batch  # the mixed features; the targets are the items' own
    partners_BL: Tensor  # the targets of the partners
    partner_lengths_B: Tensor
    share: float


def mixup(batch: Batch, alpha: float, place: tuple[int, int, int, int]) -> Mixed:
    """Mix each item with another of its batch, all in one share drawn from Beta(alpha, alpha).

    `place` is (seed, epoch, step, number of the batch within the step).
    """
    rng = np.random.default_rng([*place, 2])
    share = float(rng.beta(alpha, alpha))
    order_B = torch.from_numpy(rng.permutation(len(batch.keys)))
    mixed = replace(
        batch,
        features_BTF=share * batch.features_BTF + (1 - share) * batch.features_BTF[order_B],
        lengths_B=torch.maximum(batch.lengths_B, batch.lengths_B[order_B]),
    )
    return Mixed(
        batch=mixed,
        partners_BL=batch.targets_BL[order_B],
        partner_lengths_B=batch.target_lengths_B[order_B],
        share=share,
    )
