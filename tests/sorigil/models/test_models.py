"""Every network with every objective: shapes, the same output alone as beside a longer item, gradients everywhere."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx_check import check_onnx
from torch import nn

from sorigil.errors import RequestError
from sorigil.models.heads import ClassificationHead
from sorigil.models.masking import MaskedBatchNorm, frame_mask
from sorigil.models.network import HEADS, MODELS, Network, Objective, build
from sorigil.models.rnn import reorder, reversed_order, stack_frames
from sorigil.models.specs import (
    AlexNetSpec,
    Cnn1dSpec,
    Cnn2dSpec,
    ConformerSpec,
    CrnnSpec,
    DeepSpeech2Spec,
    DenseNet121Spec,
    GoogLeNetSpec,
    GruSpec,
    Input,
    LstmSpec,
    MlpSpec,
    ModelSpec,
    ResNet18Spec,
    ResNet34Spec,
    ResNet50Spec,
    RnnSpec,
    SqueezeNetSpec,
    TransformerSpec,
    Vgg11Spec,
    Vgg16Spec,
)
from sorigil.models.specs.facts import Pooling

BANDS, OUTPUTS = 13, 7
SPECS: list[Any] = [
    Cnn2dSpec(channels=(4, 6), time_strides=(1, 2), hidden=10),
    Cnn2dSpec(channels=(4, 4, 6), time_strides=(1, 3, 2), hidden=10, kernel=5),
    RnnSpec(hidden=6, stack=1),
    LstmSpec(hidden=6, stack=3),
    GruSpec(hidden=6, bidirectional=False),
    LstmSpec(hidden=6, pooling="attention"),
    CrnnSpec(channels=5, kernels=(5, 3), strides=(2, 3), hidden=6),
    DeepSpeech2Spec(channels=(4, 5), kernels=((5, 3), (3, 5)), hidden=6),
    DeepSpeech2Spec(channels=(4,), kernels=((3, 3),), strides=((4, 2),), rnn="lstm", hidden=6, bidirectional=False),
    DeepSpeech2Spec(channels=(4, 5), kernels=((5, 3), (3, 5)), hidden=6, shared=True, linear=5),
    MlpSpec(context=2, hidden=8, layers=2),
    Cnn1dSpec(channels=6, kernels=(5, 3, 3), strides=(1, 2, 3), dilations=(1, 1, 2)),
    AlexNetSpec(width=1 / 16),
    Vgg11Spec(width=1 / 32),
    Vgg16Spec(width=1 / 32, time_stride=4),
    GoogLeNetSpec(width=1 / 32),
    ResNet18Spec(width=1 / 32),
    ResNet34Spec(width=1 / 32, time_stride=2),
    ResNet50Spec(width=1 / 32),
    DenseNet121Spec(width=1 / 16),
    SqueezeNetSpec(width=1 / 4),
    TransformerSpec(hidden=8, layers=2, heads=2),
    ConformerSpec(hidden=8, layers=2, heads=2, kernel=5),
    ConformerSpec(hidden=8, layers=2, heads=1, kernel=3, subsampling=2, interctc=(1,)),
]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


def network(spec: Any, objective: Objective) -> Network:
    """A small network whose batch norms have seen something, in evaluation mode."""
    torch.manual_seed(3)
    built = build(spec, objective, BANDS, OUTPUTS)
    for _ in range(3):
        built(torch.randn(4, 30, BANDS) * 2 + 1, torch.tensor([30, 22, 17, 9]))
    return built.eval()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_an_items_output_does_not_depend_on_the_padding_beside_it(spec: Any, objective: Objective) -> None:
    net = network(spec, objective)
    lengths_B = torch.tensor([41, 1, 18, 7, 40])
    features_BTF = torch.randn(5, 41, BANDS)
    features_BTF[~frame_mask(lengths_B, 41)] = 1e3  # garbage where padding is: it must never be looked at
    together, lengths_out_B = net(features_BTF, lengths_B)
    for place, length in enumerate(lengths_B.tolist()):
        alone, length_alone_B = net(features_BTF[place : place + 1, :length], torch.tensor([length]))
        assert length_alone_B.tolist() == [lengths_out_B[place]] == net.output_lengths(torch.tensor([length])).tolist()
        beside = together[place : place + 1, : alone.shape[1]] if objective == "ctc" else together[place : place + 1]
        torch.testing.assert_close(beside, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_outputs_are_log_probabilities_of_the_stated_length(spec: Any, objective: Objective) -> None:
    net = network(spec, objective)
    outputs, lengths_B = net(torch.randn(3, 25, BANDS), torch.tensor([25, 24, 3]))
    expected = (3, int(lengths_B.max()), OUTPUTS) if objective == "ctc" else (3, OUTPUTS)
    assert tuple(outputs.shape) == expected
    assert (outputs <= 0).all()
    if objective != "tagging":  # each tag is a yes or no of its own
        torch.testing.assert_close(outputs.exp().sum(-1), torch.ones(expected[:-1]))
    assert -(-25 // net.stride) == lengths_B[0]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_every_weight_learns_and_padding_has_no_gradient(spec: Any) -> None:
    torch.manual_seed(1)
    net = build(spec, "ctc", BANDS, OUTPUTS).train()
    features_BTF = torch.randn(2, 20, BANDS, requires_grad=True)
    outputs, taps = net.with_auxiliary(features_BTF, torch.tensor([20, 11]))
    losses = [
        (each_BTV[..., 1] * frame_mask(lengths_B, each_BTV.shape[1])).sum() for each_BTV, lengths_B in (outputs, *taps)
    ]
    torch.stack(losses).sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name
    assert features_BTF.grad is not None
    assert features_BTF.grad[1, 11:].abs().sum() == 0
    assert features_BTF.grad[1, :11].abs().sum() > 0


def test_masked_batch_norm_equals_torchs_where_nothing_is_padded() -> None:
    torch.manual_seed(0)
    images_BCTF = torch.randn(4, 3, 9, 5) * 3 + 2
    ours, theirs = MaskedBatchNorm(3), nn.BatchNorm2d(3)
    full_BT = torch.ones(4, 9, dtype=torch.bool)
    torch.testing.assert_close(ours(images_BCTF, full_BT), theirs(images_BCTF), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(images_BCTF, full_BT), theirs.eval()(images_BCTF), rtol=1e-5, atol=1e-5)


def test_masked_batch_norm_statistics_are_those_of_the_valid_frames() -> None:
    torch.manual_seed(0)
    images_BCTF = torch.randn(2, 3, 9, 5)
    lengths_B = torch.tensor([9, 4])
    images_BCTF[1, :, 4:] = 99.0
    normal_BCTF = MaskedBatchNorm(3)(images_BCTF, frame_mask(lengths_B, 9))
    valid_CN = torch.cat([normal_BCTF[0].flatten(1), normal_BCTF[1, :, :4].flatten(1)], dim=1)
    torch.testing.assert_close(valid_CN.mean(1), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(valid_CN.var(1, unbiased=False), torch.ones(3), rtol=0, atol=1e-3)
    assert normal_BCTF[1, :, 4:].abs().sum() == 0


def test_a_bidirectional_layer_equals_torchs_packed_one() -> None:
    torch.manual_seed(0)
    lengths_B = torch.tensor([6, 4, 1])
    sequences_BTF = torch.randn(3, 6, 5) * frame_mask(lengths_B, 6).unsqueeze(2)
    net = build(GruSpec(hidden=4, layers=1, stack=1, dropout=0.0), "ctc", 5, 2)
    layer = net.encoder.layers[0]
    theirs = nn.GRU(5, 4, batch_first=True, bidirectional=True)
    names = [name for name, _ in layer.forwards.named_parameters()]
    theirs.load_state_dict(
        {name: getattr(layer.forwards, name) for name in names}
        | {name + "_reverse": getattr(layer.backwards, name) for name in names}
    )
    packed = nn.utils.rnn.pack_padded_sequence(sequences_BTF, lengths_B, batch_first=True)
    expected_BTH, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(layer(sequences_BTF, lengths_B), expected_BTH)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_reversing_twice_gives_everything_back(lengths: list[int]) -> None:
    lengths_B = torch.tensor(lengths)
    sequences_BTF = torch.arange(len(lengths) * 12 * 2, dtype=torch.float32).reshape(len(lengths), 12, 2)
    order_BT = reversed_order(lengths_B, 12)
    turned_BTF = reorder(sequences_BTF, order_BT)
    torch.testing.assert_close(reorder(turned_BTF, order_BT), sequences_BTF)
    for place, length in enumerate(lengths):
        torch.testing.assert_close(turned_BTF[place, :length], sequences_BTF[place, :length].flip(0))


@given(st.integers(1, 40), st.integers(1, 6))
def test_stacking_frames_loses_none(frames: int, stack: int) -> None:
    features_BTF = torch.arange(frames * 3, dtype=torch.float32).reshape(1, frames, 3) + 1
    stacked_BTF = stack_frames(features_BTF, stack)
    assert stacked_BTF.shape == (1, -(-frames // stack), 3 * stack)
    torch.testing.assert_close(stacked_BTF.reshape(1, -1, 3)[:, :frames], features_BTF)
    assert stacked_BTF.reshape(1, -1, 3)[:, frames:].abs().sum() == 0


def test_pooling_is_the_mean_and_maximum_of_valid_frames() -> None:
    head = ClassificationHead(2, 2, 0.0)
    nn.init.zeros_(head.project.bias)
    head.project.weight.data = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])  # mean of 0, maximum of 1
    encoded_BTH = torch.tensor([[[1.0, -5.0], [3.0, -2.0], [100.0, 100.0]]])
    log_probs_BC = head(encoded_BTH, torch.tensor([2]))
    expected_BC = torch.log_softmax(torch.tensor([[2.0, -2.0]]), dim=-1)
    torch.testing.assert_close(log_probs_BC, expected_BC)


def test_the_table_and_the_specs_agree() -> None:
    for kind, (spec_class, network_class) in MODELS.items():
        assert spec_class().kind == kind
        columns = 1 if spec_class.FACTS.input == "raw" else 20
        assert isinstance(build(spec_class(), "ctc", columns, 5).encoder, network_class)


@pytest.mark.parametrize(
    ("spec_class", "values", "said"),
    [
        (Cnn2dSpec, {"channels": ()}, "channels is"),
        (Cnn2dSpec, {"time_strides": (1, 2)}, "time_strides is"),
        (Cnn2dSpec, {"kernel": 4}, "odd"),
        (GruSpec, {"hidden": 0}, "hidden is 0"),
        (LstmSpec, {"layers": 0}, "layers is 0"),
        (RnnSpec, {"stack": 0}, "stack is 0"),
        (CrnnSpec, {"strides": (1,)}, "strides is"),
        (DeepSpeech2Spec, {"kernels": ((3, 3),)}, "kernels has 1 pairs"),
        (DeepSpeech2Spec, {"strides": ((1, 1), (0, 1))}, "strides is"),
        (DeepSpeech2Spec, {"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_impossible_values_are_refused_with_a_sentence(spec_class: Any, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        spec_class(**values)


def test_an_unknown_objective_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="must be one of ctc, classification"):
        build(GruSpec(), "regression", 20, 5)  # type: ignore[arg-type]


class Tapped(nn.Module):
    """An encoder with two taps, one of them at another resolution."""

    stride, output_size, auxiliary_sizes, auxiliary_weight = 1, BANDS, (BANDS, 2 * BANDS), 0.25

    def output_lengths(self, lengths_B: torch.Tensor) -> torch.Tensor:
        return lengths_B

    def encode(self, features_BTF: torch.Tensor, lengths_B: torch.Tensor) -> Any:
        halved_BTH = stack_frames(features_BTF, 2)
        return features_BTF, lengths_B, [(features_BTF * 2, lengths_B), (halved_BTH, (lengths_B + 1) // 2)]

    def forward(self, features_BTF: torch.Tensor, lengths_B: torch.Tensor) -> Any:
        return self.encode(features_BTF, lengths_B)[:2]


def tapped(objective: Objective) -> Network:
    heads = [HEADS[objective](size, OUTPUTS, 0.0) for size in (BANDS, BANDS, 2 * BANDS)]
    return Network(Tapped(), heads[0], objective, heads[1:])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_taps_have_heads_of_their_own_and_change_nothing_of_the_networks_output(objective: Objective) -> None:
    net = tapped(objective)
    features_BTF, lengths_B = torch.randn(2, 9, BANDS), torch.tensor([9, 4])
    (outputs, out_lengths_B), taps = net.with_auxiliary(features_BTF, lengths_B)
    torch.testing.assert_close(net(features_BTF, lengths_B)[0], outputs)
    assert out_lengths_B.tolist() == [9, 4]
    assert [each.tolist() for _, each in taps] == [[9, 4], [5, 2]]
    torch.testing.assert_close(taps[0][0], net.auxiliary[0](features_BTF * 2, lengths_B))
    halved_BTH = stack_frames(features_BTF, 2)
    torch.testing.assert_close(taps[1][0], net.auxiliary[1](halved_BTH, torch.tensor([5, 2])))


def test_a_network_without_taps_has_no_auxiliary_output() -> None:
    net = network(GruSpec(hidden=4), "ctc")
    features_BTF, lengths_B = torch.randn(2, 9, BANDS), torch.tensor([9, 4])
    (outputs, _), taps = net.with_auxiliary(features_BTF, lengths_B)
    torch.testing.assert_close(outputs, net(features_BTF, lengths_B)[0])
    assert taps == [] and net.auxiliary_weight == 0


def test_every_spec_states_its_facts() -> None:
    for spec_class, _ in MODELS.values():
        facts = spec_class.FACTS
        assert facts.paper and facts.input in get_args(Input) and set(facts.objectives) <= set(OBJECTIVES)
    assert {spec_class for spec_class, _ in MODELS.values()} == set(get_args(ModelSpec))


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 33, 6000])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_any_length_from_a_frame_to_a_minute_goes_through(spec: Any, frames: int) -> None:
    net = network(spec, "classification")
    with torch.no_grad():
        log_probs_BC, lengths_B = net(torch.randn(1, frames, BANDS), torch.tensor([frames]))
    assert torch.isfinite(log_probs_BC).all()
    assert lengths_B.tolist() == [-(-frames // net.stride)]


@pytest.mark.parametrize("bands", [1, 2, 40, 128])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_any_number_of_bands_goes_through(spec: Any, bands: int) -> None:
    net = build(spec, "classification", bands, OUTPUTS).eval()
    assert torch.isfinite(net(torch.randn(2, 9, bands), torch.tensor([9, 4]))[0]).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_weights_that_were_saved_and_loaded_say_the_same(spec: Any, objective: Objective) -> None:
    net = network(spec, objective)
    weights = safetensors.torch.save({name: value.contiguous() for name, value in net.state_dict().items()})
    other = build(spec, objective, BANDS, OUTPUTS)
    other.load_state_dict(safetensors.torch.load(weights))
    features_BTF, lengths_B = torch.randn(2, 31, BANDS), torch.tensor([31, 12])
    assert torch.equal(net(features_BTF, lengths_B)[0], other.eval()(features_BTF, lengths_B)[0])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_as_onnx_it_says_the_same_at_other_lengths(spec: Any) -> None:
    check_onnx(network(spec, "ctc"), BANDS)


@pytest.mark.parametrize("objective", ["classification", "tagging"])
@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_every_pooling_as_onnx_says_the_same_at_other_lengths(pooling: Pooling, objective: Objective) -> None:
    check_onnx(network(LstmSpec(hidden=6, layers=1, pooling=pooling), objective), BANDS)
