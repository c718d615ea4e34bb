"""The Conformer encoder (Gulati et al. 2020): half a feed-forward, self-attention, convolution, half a feed-forward.

Attention is relative (Transformer-XL), so layers need no positions from outside; the batch norm of the convolution
leaves padding out. The paper's even kernel of 32 frames is 31 here, so that it has a middle.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.attention import FeedForward, RelativeSelfAttention
from sorigil.models.masking import MaskedBatchNorm
from sorigil.models.specs import ConformerSpec
from sorigil.models.transformer import TappedLayers


class ConvolutionModule(nn.Module):
    """Gated pointwise convolution, depthwise convolution over time, batch norm, Swish, pointwise convolution."""

    def __init__(self, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.widen = nn.Linear(hidden, 2 * hidden)
        self.depthwise = nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden, bias=False)
        self.batch_norm = MaskedBatchNorm(hidden)
        self.output = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        gated_BTH = functional.glu(self.widen(self.norm(frames_BTH)), dim=2)
        gated_BTH = gated_BTH * mask_BT.unsqueeze(2).to(gated_BTH.dtype)  # the convolution looks at neighbours
        convolved_BTH = self.depthwise(gated_BTH.transpose(1, 2)).transpose(1, 2)
        normal_BTH = self.batch_norm.sequence(convolved_BTH, mask_BT)
        changed_BTH: Tensor = self.dropout(self.output(functional.silu(normal_BTH)))
        return changed_BTH


class ConformerLayer(nn.Module):
    """A Conformer block: each part is added to what it got, and a layer norm closes it."""

    def __init__(self, spec: ConformerSpec) -> None:
        super().__init__()
        wide = spec.feed_forward * spec.hidden
        self.first = FeedForward(spec.hidden, wide, nn.SiLU(), spec.dropout)
        self.norm = nn.LayerNorm(spec.hidden)
        self.attention = RelativeSelfAttention(spec.hidden, spec.heads, spec.dropout)
        self.dropout = nn.Dropout(spec.dropout)
        self.convolution = ConvolutionModule(spec.hidden, spec.kernel, spec.dropout)
        self.second = FeedForward(spec.hidden, wide, nn.SiLU(), spec.dropout)
        self.final = nn.LayerNorm(spec.hidden)

    def forward(self, frames_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        frames_BTH = frames_BTH + 0.5 * self.first(frames_BTH)
        frames_BTH = frames_BTH + self.dropout(self.attention(self.norm(frames_BTH), mask_BT))
        frames_BTH = frames_BTH + self.convolution(frames_BTH, mask_BT)
        frames_BTH = frames_BTH + 0.5 * self.second(frames_BTH)
        normal_BTH: Tensor = self.final(frames_BTH)
        return normal_BTH


class Conformer(TappedLayers):
    """See the module's docstring."""

    def __init__(self, spec: ConformerSpec, input_dim: int) -> None:
        super().__init__(spec, input_dim, lambda: ConformerLayer(spec), nn.Identity())  # each layer ends in a norm
