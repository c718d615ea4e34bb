"""What a network costs: its parameters, and the multiplications that an input of some length takes.

Counted while the network runs, so that strides, masks and branches are as they are. Convolutions, matrix products and
attention are counted, by torch's own counter; so are recurrent layers, by formula, because it sees into some kinds of them
only. What is done value by value (norms, activations, pooling) is not.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sorigil.models.network import Network

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


def parameters(network: nn.Module) -> int:
    """The numbers that are learned."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def multiply_adds(network: Network, frames: int, input_dim: int) -> int:
    """The multiplications (each with its addition) for one item of `frames` frames of `input_dim` values, in evaluation."""
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.RNNBase)}
    recurrent = _Recurrent()
    hooks = [layer.register_forward_hook(recurrent) for layer in layers.values()]
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, frames, input_dim), torch.tensor([frames]))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    seen = counter.get_flop_counts()
    within = sum(sum(seen.get(f"{type(network).__name__}.{name}", {}).values()) for name in layers)
    return (int(counter.get_total_flops()) - within) // 2 + recurrent.multiply_adds


class _Recurrent:
    """Adds up recurrent layers as they run: each step, direction and gate multiplies its input and its state."""

    def __init__(self) -> None:
        self.multiply_adds = 0

    def __call__(self, layer: nn.RNNBase, inputs: tuple[torch.Tensor, ...], _: object) -> None:
        given = inputs[0]
        values = given.data if isinstance(given, nn.utils.rnn.PackedSequence) else given
        steps = values.numel() // layer.input_size
        directions = 2 if layer.bidirectional else 1
        for number in range(layer.num_layers):
            size = layer.input_size if number == 0 else layer.hidden_size * directions
            self.multiply_adds += (
                steps * directions * GATES[layer.mode] * layer.hidden_size * (size + layer.hidden_size)
            )
