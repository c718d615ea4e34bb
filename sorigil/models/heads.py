"""What turns an encoder into a model for an objective: per-frame token scores (CTC) or one score per class.

Heads know nothing of the encoder but the size of its frames, so that any encoder works with any objective.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.masking import frame_mask


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
    """Mean and maximum over an item's own frames, then one linear layer: (B, T, H) -> log_probs_BC."""

    def __init__(self, input_size: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(2 * input_size, classes)

    def forward(self, encoded_BTH: Tensor, lengths_B: Tensor) -> Tensor:
        mask_BT1 = frame_mask(lengths_B, encoded_BTH.shape[1]).unsqueeze(2)
        mean_BH = (encoded_BTH * mask_BT1).sum(dim=1) / lengths_B.unsqueeze(1)
        peak_BH = encoded_BTH.masked_fill(~mask_BT1, -torch.inf).amax(dim=1)
        logits_BC: Tensor = self.project(self.dropout(torch.cat([mean_BH, peak_BH], dim=1)))
        return functional.log_softmax(logits_BC.float(), dim=-1)
