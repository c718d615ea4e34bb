"""Attention and its encoders: against brute force and torch's own layers, parameter counts by formula, taps."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sorigil.models.attention import RelativeSelfAttention, SelfAttention, Subsampling, by_distance, sinusoids
from sorigil.models.conformer import ConvolutionModule
from sorigil.models.cost import parameters
from sorigil.models.masking import frame_mask
from sorigil.models.network import Network, build
from sorigil.models.specs import ConformerSpec, SincNetSpec, TransformerSpec
from sorigil.models.transformer import TransformerLayer
from sorigil.training.data import Batch
from sorigil.training.learner import Learner
from sorigil.training.objectives import ctc_loss
from sorigil.training.spec import TrainSpec

BANDS = 13
SMALL = {"hidden": 8, "layers": 3, "heads": 2}
KINDS = [TransformerSpec, ConformerSpec]


def test_sinusoids_are_those_of_the_paper() -> None:
    positions_N = torch.tensor([0, 1, 7, -3])
    found = sinusoids(positions_N, 6)
    for row, position in enumerate(positions_N.tolist()):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert found[row, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert found[row, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


@given(st.integers(1, 9))
def test_scores_by_distance_are_found_by_key(frames: int) -> None:
    scores_BNTP = torch.randn(2, 3, frames, 2 * frames - 1)
    found = by_distance(scores_BNTP)
    for query in range(frames):
        for key in range(frames):
            assert torch.equal(found[:, :, query, key], scores_BNTP[:, :, query, frames - 1 - (query - key)])


@settings(deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(0, 1000))
def test_relative_attention_equals_brute_force(lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    heads, depth = 2, 4
    layer = RelativeSelfAttention(heads * depth, heads, dropout=0.5).eval()
    nn.init.normal_(layer.content_bias_ND)
    nn.init.normal_(layer.position_bias_ND)
    frames_BTH = torch.randn(len(lengths), max(lengths), heads * depth)
    with torch.no_grad():
        found = layer(frames_BTH, frame_mask(torch.tensor(lengths), max(lengths)))
        for item, length in enumerate(lengths):
            torch.testing.assert_close(found[item, :length], attended(layer, frames_BTH[item, :length]))


def attended(layer: RelativeSelfAttention, frames_TH: Tensor) -> Tensor:
    """Dai et al. 2019, 3.3, term by term."""
    depth = frames_TH.shape[1] // layer.heads
    joined = torch.zeros_like(frames_TH)
    for head in range(layer.heads):
        part = slice(head * depth, (head + 1) * depth)
        query, key, value = (each(frames_TH)[:, part] for each in (layer.query, layer.key, layer.value))
        for i in range(len(frames_TH)):
            scores = []
            for j in range(len(frames_TH)):
                distance_D = layer.position(sinusoids(torch.tensor([i - j]), frames_TH.shape[1]))[0, part]
                content = (query[i] + layer.content_bias_ND[head]) @ key[j]
                position = (query[i] + layer.position_bias_ND[head]) @ distance_D
                scores.append((content + position) / math.sqrt(depth))
            joined[i, part] = torch.softmax(torch.stack(scores), 0) @ value
    return layer.output(joined)


def test_a_transformer_layer_equals_torchs() -> None:
    torch.manual_seed(0)
    ours = TransformerLayer(TransformerSpec(hidden=8, heads=2)).eval()
    theirs = nn.TransformerEncoderLayer(8, 2, 32, batch_first=True, norm_first=True).eval()
    attention, wide = ours.attention, ours.feed_forward.layers
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(
            torch.cat([attention.query.weight, attention.key.weight, attention.value.weight])
        )
        theirs.self_attn.in_proj_bias.copy_(torch.cat([attention.query.bias, torch.zeros(8), attention.value.bias]))
    theirs.self_attn.out_proj.load_state_dict(attention.output.state_dict())
    theirs.norm1.load_state_dict(ours.norm.state_dict())
    for name, number in (("norm2", 0), ("linear1", 1), ("linear2", 4)):
        getattr(theirs, name).load_state_dict(wide[number].state_dict())
    frames_BTH, mask_BT = torch.randn(3, 7, 8), frame_mask(torch.tensor([7, 4, 1]), 7)
    with torch.no_grad():
        expected = theirs(frames_BTH, src_key_padding_mask=~mask_BT)
        torch.testing.assert_close(ours(frames_BTH, mask_BT)[mask_BT], expected[mask_BT], rtol=1e-5, atol=1e-5)


def test_the_convolution_module_equals_torchs_where_nothing_is_padded() -> None:
    torch.manual_seed(0)
    ours = ConvolutionModule(6, 5, dropout=0.0)
    norm, depthwise = nn.BatchNorm1d(6), ours.depthwise
    frames_BTH = torch.randn(4, 11, 6)
    widened_BHT = ours.widen(ours.norm(frames_BTH)).transpose(1, 2)
    gated_BHT = widened_BHT[:, :6] * torch.sigmoid(widened_BHT[:, 6:])
    expected = ours.output(nn.functional.silu(norm(depthwise(gated_BHT))).transpose(1, 2))
    found = ours(frames_BTH, torch.ones(4, 11, dtype=torch.bool))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("stride", "frames", "left"), [(2, 1, 1), (2, 9, 5), (4, 1, 1), (4, 9, 3), (4, 12, 3)])
def test_subsampling_leaves_every_second_or_fourth_frame(stride: int, frames: int, left: int) -> None:
    part = Subsampling(BANDS, 4, stride)
    found_BTH, lengths_B = part(torch.randn(2, frames, BANDS), torch.tensor([frames, 1]))
    assert found_BTH.shape == (2, left, 4)
    assert lengths_B.tolist() == [left, 1] == part.output_lengths(torch.tensor([frames, 1])).tolist()


# -- sizes ---------------------------------------------------------------------------------------------------------------


def linear(inputs: int, outputs: int, bias: bool = True) -> int:
    return inputs * outputs + (outputs if bias else 0)


def expected_parameters(spec: Any, bands: int, tokens: int) -> int:
    """The sum of the papers' parts (ours: keys without a bias, relative queries with u and v for theirs)."""
    h, wide = spec.hidden, spec.feed_forward * spec.hidden
    norm = 2 * h
    convolutions = linear(9, h) + (linear(9 * h, h) if spec.subsampling == 4 else 0)
    subsampling = convolutions + linear(h * -(-bands // spec.subsampling), h)
    feed_forward = norm + linear(h, wide) + linear(wide, h)
    if spec.kind == "transformer":
        attention = norm + 3 * linear(h, h) + linear(h, h, bias=False)
        return subsampling + spec.layers * (attention + feed_forward) + norm + linear(h, tokens)
    attention = norm + 2 * linear(h, h) + 3 * linear(h, h, bias=False) + 2 * h
    convolution = norm + linear(h, 2 * h) + spec.kernel * h + norm + linear(h, h)
    return subsampling + spec.layers * (2 * feed_forward + attention + convolution + norm) + linear(h, tokens)


@pytest.mark.parametrize(
    ("spec", "millions"),
    [
        (TransformerSpec(), 2.1),
        (TransformerSpec(hidden=256, layers=12, feed_forward=8), 17.7),
        (ConformerSpec(), 2.6),
        (ConformerSpec(layers=16, kernel=31), 8.7),  # the paper's small one: 10.3 with its decoder
        (ConformerSpec(hidden=256, layers=18, kernel=31), 30.5),
        (ConformerSpec(subsampling=2, kernel=7, hidden=16), 0.038),
    ],
    ids=lambda value: f"{value.kind}-{value.hidden}x{value.layers}" if not isinstance(value, float) else "",
)
def test_parameters_are_the_sum_of_the_parts(spec: Any, millions: float) -> None:
    with torch.device("meta"):
        found = parameters(build(spec, "ctc", 80, 30))
    assert found == expected_parameters(spec, 80, 30)
    assert found / 1e6 == pytest.approx(millions, rel=0.03)


# -- intermediate CTC ----------------------------------------------------------------------------------------------------


def warm(spec: Any) -> Network:
    torch.manual_seed(3)
    net = build(spec, "ctc", BANDS, 5)
    net(torch.randn(4, 40, BANDS), torch.tensor([40, 31, 20, 9]))
    return net.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_a_tap_is_the_network_that_ends_there(kind: Any) -> None:
    net = warm(kind(**SMALL, interctc=(1, 2)))
    features_BTF, lengths_B = torch.randn(2, 33, BANDS), torch.tensor([33, 18])
    (outputs, out_lengths_B), taps = net.with_auxiliary(features_BTF, lengths_B)
    assert torch.equal(outputs, net(features_BTF, lengths_B)[0])
    for depth, (tap_BTV, tap_lengths_B) in enumerate(taps, start=1):
        shallow = build(kind(**{**SMALL, "layers": depth}), "ctc", BANDS, 5).eval()
        wanted = shallow.state_dict().keys()
        shallow.load_state_dict({name: value for name, value in net.state_dict().items() if name in wanted})
        assert torch.equal(tap_BTV, shallow(features_BTF, lengths_B)[0])
        assert torch.equal(tap_lengths_B, out_lengths_B)


@pytest.mark.parametrize("kind", KINDS)
def test_intermediate_losses_have_their_share_and_no_weights(kind: Any) -> None:
    net = warm(kind(**SMALL, interctc=(1, 2), interctc_weight=0.3))
    assert net.state_dict().keys() == build(kind(**SMALL), "ctc", BANDS, 5).state_dict().keys()
    features_BTF, lengths_B = torch.randn(2, 33, BANDS), torch.tensor([33, 18])
    targets_BL, target_lengths_B = torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1])
    batch = Batch(
        keys=("a", "b"),
        rows=(0, 1),
        features_BTF=features_BTF,
        lengths_B=lengths_B,
        targets_BL=targets_BL,
        target_lengths_B=target_lengths_B,
    )
    (outputs, out_lengths_B), taps = net.with_auxiliary(features_BTF, lengths_B)
    main, first, second = (
        ctc_loss(each_BTV, out_lengths_B, targets_BL, target_lengths_B)
        for each_BTV in (outputs, taps[0][0], taps[1][0])
    )
    expected = (0.7 * main + 0.3 * (first + second) / 2) / 0.7  # the paper's loss, the main one counted whole
    torch.testing.assert_close(Learner(net, TrainSpec(), "ctc", "cpu").loss(batch), expected)


def test_taps_reach_through_a_front_end() -> None:
    spec = SincNetSpec(
        channels=(4,),
        kernels=(33,),
        strides=(8,),
        pools=(4,),
        sample_rate=4000,
        encoder=ConformerSpec(**SMALL, kernel=3, interctc=(1,)),
    )
    net = build(spec, "ctc", 1, 5)
    _, taps = net.with_auxiliary(torch.randn(2, 900, 1), torch.tensor([900, 400]))
    assert len(taps) == 1 and not len(net.auxiliary)


# -- lengths, precision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_minute_is_heard_as_well_as_one_frame(kind: Any) -> None:
    net = warm(kind(**SMALL))
    with torch.no_grad():
        outputs, lengths_B = net(torch.randn(2, 6000, BANDS), torch.tensor([6000, 1]))
    assert lengths_B.tolist() == [1500, 1] and torch.isfinite(outputs).all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_close(kind: Any) -> None:
    """bfloat16 keeps 8 bits: log-probabilities within 0.1, and gradients that are finite."""
    net = warm(kind(**SMALL)).train()
    for each in net.modules():
        if isinstance(each, nn.Dropout):
            each.p = 0.0
        elif isinstance(each, SelfAttention):
            each.dropout = 0.0
    features_BTF, lengths_B = torch.randn(2, 50, BANDS), torch.tensor([50, 23])
    expected, out_lengths_B = net(features_BTF, lengths_B)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = net(features_BTF, lengths_B)
    mask_BT = frame_mask(out_lengths_B, found.shape[1])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[mask_BT], expected[mask_BT], rtol=0, atol=0.1)
    found[mask_BT].sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in net.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hidden": 10}, "multiple of 8, twice the 4 heads"),
        ({"heads": 0}, "heads is 0"),
        ({"layers": 0}, "layers is 0"),
        ({"feed_forward": 0}, "feed_forward is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"interctc": (2, 1)}, "must name layers from 1 to"),
        ({"interctc": (0,)}, "must name layers from 1 to"),
        ({"interctc": (4,), "layers": 4}, "must name layers from 1 to 3"),
        ({"interctc_weight": 1.0}, "interctc_weight is 1.0"),
    ],
)
def test_impossible_sizes_are_refused_with_a_sentence(kind: Any, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind(**values)


def test_a_kernel_needs_a_middle() -> None:
    with pytest.raises(ValueError, match="odd"):
        ConformerSpec(kernel=32)
