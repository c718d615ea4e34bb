"""What a network says of unchanged rows, and how good that is: the dev set's figures during a training.

Scores to publish are made by `sorigil.metrics` from stored hypotheses; these here only choose the best epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sorigil.models.network import Network
from sorigil.objectives import Objective
from sorigil.text.tokenizer import Tokenizer
from sorigil.training.data import Batch, Batches
from sorigil.training.objectives import LEARNING
from sorigil.training.precision import autocast, autocast_dtype
from sorigil.training.spec import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A network's word on one row: log_probs_TV over its own frames ("ctc") or log_probs_C ("classification")."""

    key: str
    row: int
    log_probs: NDArray[np.float32]


def predict(network: Network, batches: Iterable[Batch], device: str = "cpu") -> Iterator[Output]:
    """Yield the output of every row of these batches, in evaluation mode and without padding."""
    for batch, log_probs, lengths_B in _forward(network, batches, device):
        yield from _outputs(batch, log_probs, lengths_B)


@dataclass(kw_only=True)
class DevSet:
    """The `evaluate` of `loop.train`: mean loss, and what the objective's judge says, on rows held out.

    `texts` are the reference transcripts by row number, with `tokenizer` for objectives that learn text. The loss is the
    mean over batches, each as in training but for label smoothing.
    """

    batches: Batches
    objective: Objective
    device: str = "cpu"
    tokenizer: Tokenizer | None = None
    texts: Sequence[str] | None = None
    precision: Precision = "auto"

    def __call__(self, network: Network) -> dict[str, float]:
        learning = LEARNING[self.objective]
        judge = learning.judge(self.tokenizer, self.texts)
        losses: list[float] = []
        for batch, log_probs, lengths_B in _forward(network, self.batches.in_order(), self.device, self.precision):
            losses.append(float(learning.loss(log_probs, lengths_B, batch.targets_BL, batch.target_lengths_B)))
            judge.add(batch, log_probs, lengths_B)
        return {"loss": float(np.mean(losses)), **judge.figures()}


def _forward(
    network: Network, batches: Iterable[Batch], device: str, precision: Precision = "auto"
) -> Iterator[tuple[Batch, torch.Tensor, torch.Tensor]]:
    """Run the network over batches without gradients; everything comes back on the CPU, as float32."""
    was_training = network.training
    network.eval()
    dtype = autocast_dtype(precision, device)
    for batch in batches:
        moved = batch.to(device)
        with torch.no_grad(), autocast(dtype, device):
            log_probs, lengths_B = network(moved.features_BTF, moved.lengths_B)
        yield batch, log_probs.float().cpu(), lengths_B.cpu()
    network.train(was_training)


def _outputs(batch: Batch, log_probs: torch.Tensor, lengths_B: torch.Tensor) -> Iterator[Output]:
    values = log_probs.numpy()
    for place, (key, row) in enumerate(zip(batch.keys, batch.rows, strict=True)):
        own = values[place, : int(lengths_B[place])] if values.ndim == 3 else values[place]
        yield Output(key=key, row=row, log_probs=own)
