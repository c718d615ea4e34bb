"""What turns an encoder into a model for an objective: per-frame token scores (CTC) one score per class, or per tag.

Heads know nothing of the encoder but the size of its frames, so that any encoder works with any objective.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.masking import frame_mask
from sorigil.models.specs import Pooling


class CtcHead(nn.Module):
    """Per-frame log-probabilities over tokens, 0 being the blank: (B, T, H) -> log_probs_BTV."""

    def __init__(self, input_size: int, tokens: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(input_size, tokens)

    def forward(self, encoded_BTH: Tensor, lengths_B: Tensor) -> Tensor:
        logits_BTV: Tensor = self.project(self.dropout(encoded_BTH))
        return functional.log_softmax(logits_BTV.float(), dim=-1)


class ClassificationHead(nn.Module):
    """One vector of an item's own frames, then one linear layer: (B, T, H) -> log_probs_BC.

    `pooling` makes the vector: the mean over frames, the mean beside the maximum, or the mean by attention.
    """

    def __init__(self, input_size: int, classes: int, dropout: float, pooling: Pooling = "mean_max") -> None:
        super().__init__()
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.attention = Attention(input_size) if pooling == "attention" else None
        self.project = nn.Linear(2 * input_size if pooling == "mean_max" else input_size, classes)

    def forward(self, encoded_BTH: Tensor, lengths_B: Tensor) -> Tensor:
        return functional.log_softmax(self._logits(encoded_BTH, lengths_B), dim=-1)

    def _logits(self, encoded_BTH: Tensor, lengths_B: Tensor) -> Tensor:
        logits_BC: Tensor = self.project(self.dropout(self._pool(encoded_BTH, lengths_B)))
        return logits_BC.float()

    def _pool(self, encoded_BTH: Tensor, lengths_B: Tensor) -> Tensor:
        mask_BT1 = frame_mask(lengths_B, encoded_BTH.shape[1]).unsqueeze(2)
        if self.attention is not None:
            weights_BT1: Tensor = self.attention(encoded_BTH, mask_BT1)
            return (encoded_BTH * weights_BT1).sum(dim=1)
        mean_BH = (encoded_BTH * mask_BT1).sum(dim=1) / lengths_B.unsqueeze(1)
        if self.pooling == "mean":
            return mean_BH
        peak_BH = encoded_BTH.masked_fill(~mask_BT1, -torch.inf).amax(dim=1)
        return torch.cat([mean_BH, peak_BH], dim=1)


class TaggingHead(ClassificationHead):
    """The same with a yes or no for each tag: (B, T, H) -> log_probs_BC of yes, which do not sum to one."""

    def forward(self, encoded_BTH: Tensor, lengths_B: Tensor) -> Tensor:
        return functional.logsigmoid(self._logits(encoded_BTH, lengths_B))


class Attention(nn.Module):
    """How much each frame counts, v·tanh(W h + b) under a softmax over the item's frames: weights_BT1 that sum to 1.

    Yang et al. 2016, "Hierarchical attention networks for document classification", equations 5 and 6.
    """

    def __init__(self, input_size: int, hidden: int = 128) -> None:
        super().__init__()
        self.hidden = nn.Linear(input_size, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, encoded_BTH: Tensor, mask_BT1: Tensor) -> Tensor:
        scores_BT1: Tensor = self.score(torch.tanh(self.hidden(encoded_BTH)))
        return scores_BT1.float().masked_fill(~mask_BT1, -torch.inf).softmax(dim=1)
