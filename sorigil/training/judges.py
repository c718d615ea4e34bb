"""How good a network's answers on a dev set are: one small counter for each objective.

They only choose the best epoch; scores to publish are made by `sorigil.metrics` from stored hypotheses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sorigil.decoding.ctc import greedy
from sorigil.metrics.errors import ErrorCounts, word_errors
from sorigil.metrics.tagging import Ranking
from sorigil.text.tokenizer import Tokenizer
from sorigil.training.data import Batch
from sorigil.training.targets import several_hot


class Judge(Protocol):
    """Made anew for each evaluation, from the tokenizer and the reference texts by row number, where there are any."""

    def add(self, batch: Batch, log_probs: Tensor, lengths_B: Tensor) -> None:
        """Count a batch; everything is on the CPU."""

    def figures(self) -> dict[str, float]:
        """Return the metrics by name."""


class Accuracy:
    """The share of rows whose likeliest class is theirs."""

    def __init__(self, tokenizer: Tokenizer | None, texts: Sequence[str] | None) -> None:
        self.hits: list[bool] = []

    def add(self, batch: Batch, log_probs: Tensor, lengths_B: Tensor) -> None:
        self.hits += (log_probs.argmax(dim=1) == batch.targets_BL[:, 0]).tolist()

    def figures(self) -> dict[str, float]:
        return {"accuracy": float(np.mean(self.hits))}


class TagPrecision:
    """The mean average precision over tags."""

    def __init__(self, tokenizer: Tokenizer | None, texts: Sequence[str] | None) -> None:
        self.truths: list[NDArray[np.bool_]] = []
        self.probabilities: list[NDArray[np.float64]] = []

    def add(self, batch: Batch, log_probs: Tensor, lengths_B: Tensor) -> None:
        truth_BC = several_hot(batch.targets_BL, batch.target_lengths_B, log_probs.shape[1])
        self.truths.append(truth_BC.numpy() > 0)
        self.probabilities.append(log_probs.double().exp().numpy())

    def figures(self) -> dict[str, float]:
        truth_NC = np.concatenate(self.truths)
        found_C = Ranking(truth_NC, np.concatenate(self.probabilities)).average_precisions(np.ones(len(truth_NC)))
        return {"map": float(found_C[truth_NC.any(axis=0)].mean()) if truth_NC.any() else float("nan")}


class WordErrors:
    """The word error rate of greedily decoded texts."""

    def __init__(self, tokenizer: Tokenizer | None, texts: Sequence[str] | None) -> None:
        if tokenizer is None or texts is None:
            raise ValueError("the word error rate of a dev set needs its tokenizer and texts")
        self.tokenizer, self.texts = tokenizer, texts
        self.counts = ErrorCounts()

    def add(self, batch: Batch, log_probs: Tensor, lengths_B: Tensor) -> None:
        for row, length, log_probs_TV in zip(batch.rows, lengths_B.tolist(), log_probs.numpy(), strict=True):
            said = self.tokenizer.decode(greedy(log_probs_TV[:length]).ids)
            self.counts += word_errors(self.texts[row], said)

    def figures(self) -> dict[str, float]:
        return {"wer": self.counts.rate}
