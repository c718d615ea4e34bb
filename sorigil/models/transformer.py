"""A Transformer encoder (Vaswani et al. 2017) over subsampled features, with layer norm before each part (pre-norm).

Pre-norm learns without the long warm-up that the paper's order needs (Xiong et al. 2020). Positions are sinusoids, so an
utterance may be longer than any of the training. `TappedLayers` is what it shares with the Conformer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sorigil.models.attention import FeedForward, SelfAttention, Subsampling, sinusoids
from sorigil.models.masking import frame_mask
from sorigil.models.specs import ConformerSpec, TransformerSpec

Taps = list[tuple[Tensor, Tensor]]


class TappedLayers(nn.Module):
    """Subsampling, then a stack of layers (frames_BTH, mask_BT) -> frames_BTH, some of which are tapped.

    Taps are intermediate CTC (Lee & Watanabe 2021, https://arxiv.org/abs/2102.03216): what a layer in the middle gives
    learns the objective too, through the network's own head, with the share `interctc_weight` of the loss.
    """

    auxiliary_shared = True

    def __init__(
        self, spec: TransformerSpec | ConformerSpec, input_dim: int, layer: Callable[[], nn.Module], final: nn.Module
    ) -> None:
        super().__init__()
        self.stride = int(spec.subsampling)
        self.output_size = spec.hidden
        self.tapped = spec.interctc
        self.auxiliary_sizes = (spec.hidden,) * len(spec.interctc)
        self.auxiliary_weight = spec.interctc_weight / (1 - spec.interctc_weight)  # beside 1 for the main loss
        self.subsampling = Subsampling(input_dim, spec.hidden, self.stride)
        self.dropout = nn.Dropout(spec.dropout)
        self.layers = nn.ModuleList(layer() for _ in range(spec.layers))
        self.final = final

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        return self.subsampling.output_lengths(lengths_B)

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        encoded_BTH, lengths_B, _ = self.encode(features_BTF, lengths_B)
        return encoded_BTH, lengths_B

    def encode(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor, Taps]:
        frames_BTH, lengths_B = self.subsampling(features_BTF, lengths_B)
        mask_BT = frame_mask(lengths_B, frames_BTH.shape[1])
        # as large as what the layers will add (Vaswani et al. 2017, 3.4): else learning starts late or not at all
        frames_BTH = self.dropout(self.placed(frames_BTH * math.sqrt(self.output_size)))
        taps: Taps = []
        for number, layer in enumerate(self.layers, start=1):
            frames_BTH = layer(frames_BTH, mask_BT)
            if number in self.tapped:
                taps.append((self.final(frames_BTH), lengths_B))
        return self.final(frames_BTH), lengths_B, taps

    def placed(self, frames_BTH: Tensor) -> Tensor:
        """Return the frames with what says where they stand; nothing where the layers know it."""
        return frames_BTH


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, each on normalised frames and added to them."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(spec.hidden)
        self.attention = SelfAttention(spec.hidden, spec.heads, spec.dropout)
        self.dropout = nn.Dropout(spec.dropout)
        self.feed_forward = FeedForward(spec.hidden, spec.feed_forward * spec.hidden, nn.ReLU(), spec.dropout)

    def forward(self, frames_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        frames_BTH = frames_BTH + self.dropout(self.attention(self.norm(frames_BTH), mask_BT))
        changed_BTH: Tensor = frames_BTH + self.feed_forward(frames_BTH)
        return changed_BTH


class Transformer(TappedLayers):
    """See the module's docstring."""

    def __init__(self, spec: TransformerSpec, input_dim: int) -> None:
        super().__init__(spec, input_dim, lambda: TransformerLayer(spec), nn.LayerNorm(spec.hidden))

    def placed(self, frames_BTH: Tensor) -> Tensor:
        frames, size = frames_BTH.shape[1:]
        return frames_BTH + sinusoids(torch.arange(frames, device=frames_BTH.device), size).to(frames_BTH.dtype)
