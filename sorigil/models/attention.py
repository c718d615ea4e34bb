"""What the Transformer and the Conformer are built of: fewer frames, positions, self-attention, feed-forward.

Every part takes frames_BTH and keeps padding out by mask_BT (true where a frame belongs to the item). Attention is
torch's `scaled_dot_product_attention`. Keys have no bias: it would move all scores of a query alike, which softmax undoes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.masking import frame_mask, strided_lengths, zero_padding


class Subsampling(nn.Module):
    """3×3 convolutions of stride 2 over (time, frequency) with ReLU, then a projection to `hidden` values per frame.

    One convolution for a stride of 2, two for 4 (Dong et al. 2018, Speech-Transformer); ceil(T / stride) frames are left.
    """

    def __init__(self, input_dim: int, hidden: int, stride: int) -> None:
        super().__init__()
        count = {2: 1, 4: 2}[stride]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, hidden, 3, 2, 1) for channels in [1] + [hidden] * (count - 1)
        )
        self.project = nn.Linear(hidden * -(-input_dim // stride), hidden)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        for _ in self.convolutions:
            lengths_B = strided_lengths(lengths_B, 2)
        return lengths_B

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        images_BCTF = zero_padding(features_BTF.unsqueeze(1), frame_mask(lengths_B, features_BTF.shape[1]))
        for convolution in self.convolutions:
            images_BCTF = functional.relu(convolution(images_BCTF))
            lengths_B = strided_lengths(lengths_B, 2)
            images_BCTF = zero_padding(images_BCTF, frame_mask(lengths_B, images_BCTF.shape[2]))
        return self.project(images_BCTF.transpose(1, 2).flatten(2)), lengths_B


def sinusoids(positions_N: Tensor, size: int) -> Tensor:
    """Return (N, size): sin and cos of each position at wavelengths from 2π to 10,000·2π (Vaswani et al. 2017, 3.5)."""
    steps = torch.arange(0, size, 2, device=positions_N.device, dtype=torch.float32)
    angles = positions_N.float().unsqueeze(1) * torch.exp(steps * (-math.log(10_000.0) / size))
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


class SelfAttention(nn.Module):
    """Multi-head self-attention over an item's own frames."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.value = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, hidden)

    def forward(self, frames_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        return self.attend(frames_BTH, self.split(self.query(frames_BTH)), mask_BT[:, None, None, :])

    def attend(self, frames_BTH: Tensor, query_BNTD: Tensor, mask: Tensor) -> Tensor:
        """Attend with these queries; `mask` is boolean, or what is added to the scores."""
        attended_BNTD = functional.scaled_dot_product_attention(
            query_BNTD,
            self.split(self.key(frames_BTH)),
            self.split(self.value(frames_BTH)),
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined_BTH: Tensor = self.output(attended_BNTD.transpose(1, 2).flatten(2))
        return joined_BTH

    def split(self, frames_BTH: Tensor) -> Tensor:
        """Return (B, N, T, D): D of the H values for each of N heads."""
        batch, frames, size = frames_BTH.shape
        return frames_BTH.reshape(batch, frames, self.heads, size // self.heads).transpose(1, 2)


class RelativeSelfAttention(SelfAttention):
    """Self-attention that knows how far apart two frames are (Dai et al. 2019, Transformer-XL, 3.3).

    The score of query i and key j is (q_i + u)·k_j + (q_i + v)·r_{i-j}, over √D, with r projected from sinusoids.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__(hidden, heads, dropout)
        self.query = nn.Linear(hidden, hidden, bias=False)  # u and v are its biases
        self.position = nn.Linear(hidden, hidden, bias=False)
        self.content_bias_ND = nn.Parameter(torch.zeros(heads, hidden // heads))  # u
        self.position_bias_ND = nn.Parameter(torch.zeros(heads, hidden // heads))  # v

    def forward(self, frames_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        query_BNTD = self.split(self.query(frames_BTH))
        position_NPD = self.split(self.position(relative_positions(frames_BTH)).unsqueeze(0))[0]
        moved_BNTD = query_BNTD + self.position_bias_ND.unsqueeze(1)
        scores_BNTT = by_distance(moved_BNTD @ position_NPD.transpose(1, 2)) / math.sqrt(query_BNTD.shape[3])
        scores_BNTT = scores_BNTT.masked_fill(~mask_BT[:, None, None, :], -torch.inf)
        return self.attend(frames_BTH, query_BNTD + self.content_bias_ND.unsqueeze(1), scores_BNTT)


def relative_positions(frames_BTH: Tensor) -> Tensor:
    """Return (2T - 1, H): sinusoids of the distances T-1, …, 0, …, -(T-1) from a key to its query."""
    frames, size = frames_BTH.shape[1:]
    distances_P = torch.arange(frames - 1, -frames, -1, device=frames_BTH.device)
    return sinusoids(distances_P, size).to(frames_BTH.dtype)


def by_distance(scores_BNTP: Tensor) -> Tensor:
    """Turn scores of each query by distance (T-1, …, -(T-1)) into scores by key, (B, N, T, T): from p = T-1-i+j.

    One row is one longer than it is read, so each row begins one further left than the one above it.
    """
    batch, heads, frames, distances = scores_BNTP.shape
    padded = functional.pad(scores_BNTP, (1, 0)).reshape(batch, heads, distances + 1, frames)
    return padded[:, :, 1:].reshape(batch, heads, frames, distances)[..., :frames]


class FeedForward(nn.Module):
    """Layer norm, one wide layer, and back, with dropout after each."""

    def __init__(self, hidden: int, wide: int, activation: nn.Module, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, wide),
            activation,
            nn.Dropout(dropout),
            nn.Linear(wide, hidden),
            nn.Dropout(dropout),
        )

    def forward(self, frames_BTH: Tensor) -> Tensor:
        changed_BTH: Tensor = self.layers(frames_BTH)
        return changed_BTH
