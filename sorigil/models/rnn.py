"""Recurrent encoders: plain (Elman), LSTM and GRU, one or both directions, over masked sequences.

`RecurrentLayer` is also what DeepSpeech 2 stacks on its convolutions. The backward direction starts at each item's own
last frame, so padding is never seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sorigil.models.masking import MaskedBatchNorm, frame_mask, strided_lengths
from sorigil.models.specs import GruSpec, LstmSpec, RnnSpec

Cell = Literal["rnn", "lstm", "gru"]
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentLayer(nn.Module):
    """One recurrent layer over padded sequences_BTF; batch norm of its input per feature if asked for.

    Returns outputs_BTH with H = hidden × directions; padded frames are zero.
    """

    def __init__(self, cell: Cell, inputs: int, hidden: int, bidirectional: bool, batch_norm: bool = False) -> None:
        super().__init__()
        self.output_size = hidden * (2 if bidirectional else 1)
        self.norm = MaskedBatchNorm(inputs) if batch_norm else None
        self.forwards = CELLS[cell](inputs, hidden, batch_first=True)
        self.backwards = CELLS[cell](inputs, hidden, batch_first=True) if bidirectional else None

    def forward(self, sequences_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        mask_BT = frame_mask(lengths_B, sequences_BTF.shape[1])
        if self.norm is not None:
            sequences_BTF = self.norm.sequence(sequences_BTF, mask_BT)
        outputs_BTH: Tensor = self.forwards(sequences_BTF)[0]
        if self.backwards is not None:
            order_BT = reversed_order(lengths_B, sequences_BTF.shape[1])
            reversed_BTH = self.backwards(reorder(sequences_BTF, order_BT))[0]
            outputs_BTH = torch.cat([outputs_BTH, reorder(reversed_BTH, order_BT)], dim=2)
        return outputs_BTH * mask_BT.unsqueeze(2).to(outputs_BTH.dtype)


class SharedRecurrentLayer(nn.Module):
    """A recurrent layer of Deep Speech 2 (Amodei et al. 2016, 3.1-3.2) over padded sequences_BTF.

    Both directions share the projection of their input, W; batch norm is of the product Wx, over all valid frames of the
    batch, and their outputs are summed. Returns outputs_BTH with H = hidden; padded frames are zero.
    """

    def __init__(self, cell: Cell, inputs: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.output_size = hidden
        runs: dict[Cell, Callable[..., Any]] = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}
        self.run = runs[cell]
        self.states = 2 if cell == "lstm" else 1
        gates = {"rnn": 1, "lstm": 4, "gru": 3}[cell]
        self.project = nn.Linear(inputs, gates * hidden, bias=False)
        self.norm = MaskedBatchNorm(gates * hidden)
        directions = 2 if bidirectional else 1
        self.recurrent = nn.ParameterList(torch.empty(gates * hidden, hidden) for _ in range(directions))
        for weight in self.recurrent:
            nn.init.uniform_(weight, -(hidden**-0.5), hidden**-0.5)

    def forward(self, sequences_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        mask_BT = frame_mask(lengths_B, sequences_BTF.shape[1])
        gates_BTG = self.norm.sequence(self.project(sequences_BTF), mask_BT)
        outputs_BTH = self._run(gates_BTG, self.recurrent[0])
        if len(self.recurrent) == 2:
            order_BT = reversed_order(lengths_B, sequences_BTF.shape[1])
            reversed_BTH = self._run(reorder(gates_BTG, order_BT), self.recurrent[1])
            outputs_BTH = outputs_BTH + reorder(reversed_BTH, order_BT)
        return outputs_BTH * mask_BT.unsqueeze(2).to(outputs_BTH.dtype)

    def _run(self, gates_BTG: Tensor, weight_GH: Tensor) -> Tensor:
        """One direction. torch's layers project their input themselves: what is projected already goes through as it is."""
        as_it_is_GG = torch.eye(len(weight_GH), dtype=weight_GH.dtype, device=weight_GH.device)
        batch = gates_BTG.shape[0]  # not len(): an export would take it for a constant
        start_1BH = gates_BTG.new_zeros(1, batch, self.output_size)
        states: Any = start_1BH if self.states == 1 else (start_1BH, start_1BH)
        weights = [as_it_is_GG, weight_GH]
        outputs_BTH: Tensor = self.run(gates_BTG, states, weights, False, 1, 0.0, self.training, False, True)[0]
        return outputs_BTH


def reversed_order(lengths_B: Tensor, frames: int) -> Tensor:
    """Return for each item the frame numbers with its own frames reversed and the padding left behind them."""
    positions_1T = torch.arange(frames, device=lengths_B.device).unsqueeze(0)
    flipped_BT = lengths_B.unsqueeze(1) - 1 - positions_1T
    return torch.where(flipped_BT >= 0, flipped_BT, positions_1T)


def reorder(sequences_BTF: Tensor, order_BT: Tensor) -> Tensor:
    """Take each item's frames in the given order."""
    return sequences_BTF.gather(1, order_BT.unsqueeze(2).expand_as(sequences_BTF))


class RecurrentEncoder(nn.Module):
    """Frame stacking, then recurrent layers with dropout between them."""

    def __init__(self, spec: RnnSpec | LstmSpec | GruSpec, input_dim: int) -> None:
        super().__init__()
        self.stride = spec.stack
        self.dropout = nn.Dropout(spec.dropout)
        self.output_size = spec.hidden * (2 if spec.bidirectional else 1)
        inputs = [input_dim * spec.stack] + [self.output_size] * (spec.layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer(spec.kind, size, spec.hidden, spec.bidirectional) for size in inputs)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        return strided_lengths(lengths_B, self.stride)

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        mask_BT = frame_mask(lengths_B, features_BTF.shape[1])
        encoded_BTH = stack_frames(features_BTF * mask_BT.unsqueeze(2), self.stride)
        lengths_B = self.output_lengths(lengths_B)
        for number, layer in enumerate(self.layers):
            encoded_BTH = layer(self.dropout(encoded_BTH) if number else encoded_BTH, lengths_B)
        return encoded_BTH, lengths_B


def stack_frames(features_BTF: Tensor, stack: int) -> Tensor:
    """Join each `stack` neighbouring frames into one, the last one filled up with zeros."""
    batch, frames, size = features_BTF.shape
    missing = -frames % stack
    filled_BTF = nn.functional.pad(features_BTF, (0, 0, 0, missing))
    return filled_BTF.reshape(batch, (frames + missing) // stack, size * stack)
