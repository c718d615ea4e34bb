"""What training minimises, for each objective, and which transcripts CTC cannot learn.

`LEARNING` is the table; the losses are means over a batch. CTC (Graves et al. 2006) aligns tokens to frames by itself,
but needs a frame for each token and one blank between two equal ones: `too_long` finds the rows that have fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sorigil.text.tokenizer import Tokenizer, TokenSpec, needed_frames
from sorigil.training.judges import Accuracy, Judge, TagPrecision, WordErrors
from sorigil.training.targets import ClassTargets, TagTargets, Targets, TextTargets, several_hot
from sorigil.types import Rejection

BLANK = 0


class Loss(Protocol):
    """The mean loss of a batch. `label_smoothing` moves that share of the weight to a uniform distribution;
    `class_weights_C` is for objectives that learn labels."""

    def __call__(
        self,
        log_probs: Tensor,
        lengths_B: Tensor,
        targets_BL: Tensor,
        target_lengths_B: Tensor,
        /,
        label_smoothing: float = 0.0,
        class_weights_C: Tensor | None = None,
    ) -> Tensor: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """A row of `LEARNING`: what a training needs of an objective beside its head and its facts."""

    loss: Loss
    count: Callable[[Tensor, Tensor, Tensor | None], Tensor]  # targets_BL, lengths, weights -> what the mean is over
    learn: Callable[[Sequence[str], TokenSpec], Targets]  # from the training rows' values
    judge: Callable[[Tokenizer | None, Sequence[str] | None], Judge]


def classification_loss(
    log_probs_BC: Tensor,
    lengths_B: Tensor,
    targets_BL: Tensor,
    target_lengths_B: Tensor,
    label_smoothing: float = 0.0,
    class_weights_C: Tensor | None = None,
) -> Tensor:
    """Return the mean cross-entropy per item, each in the weight of its class; smoothed over classes."""
    return functional.cross_entropy(log_probs_BC, targets_BL[:, 0], class_weights_C, label_smoothing=label_smoothing)


def classification_count(targets_BL: Tensor, target_lengths_B: Tensor, class_weights_C: Tensor | None) -> Tensor:
    """Return the items of a batch, each in the weight of its class."""
    weights_C = torch.ones(int(targets_BL.max()) + 1) if class_weights_C is None else class_weights_C
    return weights_C[targets_BL[:, 0]].sum()


def tagging_loss(
    log_probs_BC: Tensor,
    lengths_B: Tensor,
    targets_BL: Tensor,
    target_lengths_B: Tensor,
    label_smoothing: float = 0.0,
    class_weights_C: Tensor | None = None,
) -> Tensor:
    """Return the mean binary cross-entropy per item and tag, each tag in its weight; smoothed towards one half."""
    truth_BC = several_hot(targets_BL, target_lengths_B, log_probs_BC.shape[1])
    truth_BC = truth_BC * (1 - label_smoothing) + label_smoothing / 2
    # log(1 - p) of log p, which keeps its digits near p = 1; the limit keeps the gradient finite there
    no_BC = torch.log(-torch.expm1(log_probs_BC.clamp(max=-1e-37)))
    losses_BC = -(truth_BC * log_probs_BC + (1 - truth_BC) * no_BC)
    if class_weights_C is None:
        return losses_BC.mean()
    return (losses_BC * class_weights_C).sum() / (class_weights_C.sum() * len(losses_BC))


def tagging_count(targets_BL: Tensor, target_lengths_B: Tensor, class_weights_C: Tensor | None) -> Tensor:
    """Return the items of a batch."""
    return torch.tensor(len(targets_BL))


def ctc_loss(
    log_probs_BTV: Tensor,
    lengths_B: Tensor,
    targets_BL: Tensor,
    target_lengths_B: Tensor,
    label_smoothing: float = 0.0,
    class_weights_C: Tensor | None = None,
) -> Tensor:
    """Return the mean loss per token, so that each token weighs the same; smoothed over tokens in every valid frame."""
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


def ctc_count(targets_BL: Tensor, target_lengths_B: Tensor, class_weights_C: Tensor | None) -> Tensor:
    """Return the tokens of a batch."""
    return target_lengths_B.sum().clamp(min=1)


LEARNING: dict[str, Learning] = {
    "ctc": Learning(loss=ctc_loss, count=ctc_count, learn=TextTargets.learn, judge=WordErrors),
    "classification": Learning(
        loss=classification_loss, count=classification_count, learn=ClassTargets.learn, judge=Accuracy
    ),
    "tagging": Learning(loss=tagging_loss, count=tagging_count, learn=TagTargets.learn, judge=TagPrecision),
}


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
