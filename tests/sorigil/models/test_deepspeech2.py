"""Deep Speech 2 as the paper has it: its recurrent layer step by step, and its sizes."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from sorigil.models.cost import parameters
from sorigil.models.network import build
from sorigil.models.rnn import SharedRecurrentLayer
from sorigil.models.specs import DeepSpeech2Spec


def steps(layer: SharedRecurrentLayer, gates_TG: Tensor, weight_GH: Tensor) -> Tensor:
    """One direction: h_t = f(B(Wx)_t + U h_{t-1}) for the plain cell, the gates of Cho et al. 2014 for a GRU."""
    hidden_H = torch.zeros(layer.output_size)
    found = []
    for gates_G in gates_TG:
        before_G = weight_GH @ hidden_H
        if len(weight_GH) == layer.output_size:
            hidden_H = torch.tanh(gates_G + before_G)
        else:
            reset_H, update_H, new_H = gates_G.chunk(3)
            before_reset_H, before_update_H, before_new_H = before_G.chunk(3)
            keep_H = torch.sigmoid(update_H + before_update_H)
            candidate_H = torch.tanh(new_H + torch.sigmoid(reset_H + before_reset_H) * before_new_H)
            hidden_H = (1 - keep_H) * candidate_H + keep_H * hidden_H
        found.append(hidden_H)
    return torch.stack(found)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_the_shared_layer_is_the_papers_step_by_step(cell: Literal["rnn", "gru"]) -> None:
    torch.manual_seed(0)
    layer = SharedRecurrentLayer(cell, 5, 4, bidirectional=True)
    sequences_BTF, lengths_B = torch.randn(2, 7, 5), torch.tensor([7, 4])
    layer(sequences_BTF, lengths_B)  # statistics
    with torch.no_grad():
        found_BTH = layer.eval()(sequences_BTF, lengths_B)
        mean, scale = layer.norm.running_mean, (layer.norm.running_var + layer.norm.eps).rsqrt()
        for item, length in enumerate(lengths_B.tolist()):
            gates_TG = (sequences_BTF[item, :length] @ layer.project.weight.T - mean) * scale
            forwards = steps(layer, gates_TG, layer.recurrent[0])
            backwards = steps(layer, gates_TG.flip(0), layer.recurrent[1]).flip(0)
            torch.testing.assert_close(found_BTH[item, :length], forwards + backwards)
        assert found_BTH[1, 4:].abs().sum() == 0


def test_batch_norm_of_the_shared_layer_is_of_all_valid_frames_of_the_product() -> None:
    torch.manual_seed(0)
    layer = SharedRecurrentLayer("rnn", 5, 4, bidirectional=True)
    sequences_BTF, lengths_B = torch.randn(2, 7, 5) + 3, torch.tensor([7, 4])
    layer(sequences_BTF, lengths_B)
    product_NG = torch.cat([sequences_BTF[0], sequences_BTF[1, :4]]) @ layer.project.weight.T
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * product_NG.mean(0))


@pytest.mark.parametrize(("layers", "hidden"), [(7, 1280), (5, 1510)])
def test_the_papers_networks_have_38_million_parameters(layers: int, hidden: int) -> None:
    """Its table 1: one convolution, 7 or 5 plain recurrent layers, one fully connected layer; 161 bands, 29 symbols.

    The sum: 32 kernels; W of the first layer, then of the others, each with the scale and shift of its norm; U of both
    directions; the fully connected layer and the output.
    """
    spec = DeepSpeech2Spec(
        channels=(32,),
        kernels=((11, 41),),
        strides=((2, 2),),
        rnn="rnn",
        hidden=hidden,
        layers=layers,
        shared=True,
        linear=hidden,
    )
    with torch.device("meta"):
        found = parameters(build(spec, "ctc", 161, 29))
    convolution = 32 * 11 * 41 + 2 * 32
    projections = 32 * 81 * hidden + (layers - 1) * hidden**2 + layers * 2 * hidden
    recurrences = layers * 2 * hidden**2
    assert found == convolution + projections + recurrences + (hidden + 1) * hidden + (hidden + 1) * 29
    assert found / 1e6 == pytest.approx(38, rel=0.02)
