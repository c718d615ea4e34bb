"""What training minimises, for each objective, and which transcripts CTC cannot learn.

CTC (Graves et al. 2006) aligns tokens to frames by itself, but needs a frame for each token and one blank between two
equal ones: `too_long` finds the rows that have fewer.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sorigil.models.network import Objective
from sorigil.types import Rejection

BLANK = 0


def objective_loss(
    objective: Objective,
    log_probs: Tensor,
    lengths_B: Tensor,
    targets_BL: Tensor,
    target_lengths_B: Tensor,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the batch's mean loss: per token for "ctc" (so that each token weighs the same), per item otherwise.

    `log_probs` is (B, T, V) for "ctc", (B, C) for "classification", as `Network` returns them. `label_smoothing` moves
    that share of the weight to a uniform distribution over classes, or over tokens in every valid frame.
    """
    if objective == "classification":
        return functional.cross_entropy(log_probs, targets_BL[:, 0], label_smoothing=label_smoothing)
    return _ctc_loss(log_probs, lengths_B, targets_BL, target_lengths_B, label_smoothing)


def _ctc_loss(
    log_probs_BTV: Tensor, lengths_B: Tensor, targets_BL: Tensor, target_lengths_B: Tensor, label_smoothing: float
) -> Tensor:
    # an item whose augmented audio became too short has an infinite loss: zero_infinity lets it pass without effect
    losses_B = functional.ctc_loss(
        log_probs_BTV.transpose(0, 1),
        targets_BL,
        lengths_B,
        target_lengths_B,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
    loss = losses_B.sum() / target_lengths_B.sum().clamp(min=1)
    if label_smoothing == 0:
        return loss
    positions_T = torch.arange(log_probs_BTV.shape[1], device=lengths_B.device)
    mask_BT = positions_T.unsqueeze(0) < lengths_B.unsqueeze(1)
    uniform = -(log_probs_BTV.mean(dim=2) * mask_BT).sum() / mask_BT.sum()
    return (1 - label_smoothing) * loss + label_smoothing * uniform


def needed_frames(target: Sequence[int]) -> int:
    """Return how many frames CTC needs for these tokens: one each, and a blank between equal neighbours."""
    return len(target) + sum(1 for left, right in itertools.pairwise(target) if left == right)


def too_long(output_lengths: NDArray[np.int64], targets: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Return the row numbers whose tokens do not fit into their CTC input.

    `output_lengths` are the frames that reach the CTC loss: `network.output_lengths` of the feature lengths.
    """
    needed = np.asarray([needed_frames(target) for target in targets], dtype=np.int64)
    return np.flatnonzero(needed > np.asarray(output_lengths))


def text_rejections(
    rows: NDArray[np.int64],
    output_lengths: NDArray[np.int64],
    targets: Sequence[Sequence[int]],
    ids: Sequence[str],
    uris: Sequence[str],
) -> list[Rejection]:
    """Turn the rows found by `too_long` into rows of the quarantine table."""
    return [
        Rejection(
            id=ids[row],
            uri=uris[row],
            stage="train",
            reason="text_longer_than_input",
            detail=(
                f"the transcript has {len(targets[row])} tokens and needs {needed_frames(targets[row])} frames, but the "
                f"model's stride leaves {output_lengths[row]} frames of this audio"
            ),
        )
        for row in rows
    ]
