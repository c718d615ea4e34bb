"""SincNet: its filters are those of the formula, their edges learn, and padding is never heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_check import check_onnx
from safetensors.torch import load, save

from sorigil.errors import RequestError
from sorigil.models.masking import frame_mask
from sorigil.models.network import Network, build
from sorigil.models.sincnet import SincConv, SincNet
from sorigil.models.specs import CrnnSpec, GruSpec, Objective, SincNetSpec

RATE = 8000
SMALL = SincNetSpec(
    sample_rate=RATE,
    channels=(8, 6),
    kernels=(31, 5),
    strides=(4, 1),
    pools=(3, 2),
    encoder=GruSpec(hidden=6, layers=1),
)
LIKE_THE_PAPER = SincNetSpec(
    sample_rate=RATE,
    channels=(8, 6, 6),
    kernels=(31, 5, 3),
    strides=(1, 1, 1),
    pools=(3, 3, 3),
    encoder=CrnnSpec(channels=5, kernels=(3,), strides=(2,), hidden=4),
)


def network(spec: SincNetSpec, objective: Objective = "ctc") -> Network:
    """In evaluation mode, with batch norms that have seen something."""
    torch.manual_seed(3)
    built = build(spec, objective, 1, 5)
    for _ in range(3):
        built(torch.randn(3, 900, 1), torch.tensor([900, 700, 300]))
    return built.eval()


def sinc(x: np.ndarray) -> np.ndarray:
    return np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1.0, x))


def by_the_formula(low_hz: float, high_hz: float, rate: int, kernel: int) -> np.ndarray:
    """2 f2 sinc(2 pi f2 n) - 2 f1 sinc(2 pi f1 n) under a Hamming window."""
    n = np.arange(kernel) - kernel // 2
    f1, f2 = low_hz / rate, high_hz / rate
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(kernel) / (kernel - 1))
    return (2 * f2 * sinc(2 * np.pi * f2 * n) - 2 * f1 * sinc(2 * np.pi * f1 * n)) * window


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 125), st.floats(0, 6000), st.floats(0, 9000), st.sampled_from([8000, 16000]))
def test_filters_are_those_of_the_formula(half: int, low_hz: float, band_hz: float, rate: int) -> None:
    layer = SincConv(2, 2 * half + 3, 1, rate)
    with torch.no_grad():
        layer.low[0], layer.band[0] = low_hz / 1000, band_hz / 1000
    for index, (low, high) in enumerate(zip(*(edge.tolist() for edge in layer.cutoffs_hz()), strict=True)):
        expected = by_the_formula(low, high, rate, 2 * half + 3)
        np.testing.assert_allclose(layer.filters()[index].detach().numpy(), expected, atol=1e-5)
        assert 50 <= low < high <= rate / 2 and high - low >= 49.9


def test_edges_begin_evenly_on_the_mel_scale_and_touch() -> None:
    layer = SincConv(80, 251, 1, 16000)
    low_hz, high_hz = (edge.detach().numpy() for edge in layer.cutoffs_hz())
    np.testing.assert_allclose(high_hz[:-1] - low_hz[1:], 50, atol=0.01)  # the least width, added to each
    mels = 2595 * np.log10(1 + (low_hz - 50) / 700)
    np.testing.assert_allclose(np.diff(mels), np.diff(mels)[0], rtol=1e-3)
    assert low_hz[0] == pytest.approx(80) and high_hz[-1] == pytest.approx(8000)


def test_a_filter_passes_its_band_and_stops_what_is_outside() -> None:
    layer = SincConv(1, 251, 1, 16000)
    with torch.no_grad():
        layer.low[0], layer.band[0] = 0.95, 0.95  # 1000 to 2000 Hz
    time = torch.arange(16000) / 16000
    gains = {}
    for hz in (200, 500, 1500, 2500, 5000):
        tone = torch.sin(2 * torch.pi * hz * time)[None, None]
        gains[hz] = float(layer(tone).detach()[0, 0, 1000:-1000].square().mean().sqrt() / tone.square().mean().sqrt())
    assert gains[1500] == pytest.approx(1, abs=0.01)
    assert max(gains[hz] for hz in (200, 500, 2500, 5000)) < 0.01


def test_the_edges_learn_and_move_the_band_to_the_tone() -> None:
    layer = SincConv(1, 101, 1, RATE)
    with torch.no_grad():
        layer.low[0], layer.band[0] = 0.5, 0.3
    tone = torch.sin(2 * torch.pi * 1400 * torch.arange(2000) / RATE)[None, None]
    before = float(layer(tone).square().mean().detach())
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        (-layer(tone).square().mean()).backward()
        assert layer.low.grad is not None and layer.band.grad is not None
        optimizer.step()
    low_hz, high_hz = (edge.item() for edge in layer.cutoffs_hz())
    assert low_hz < 1400 < high_hz
    assert layer(tone).square().mean().item() > 20 * before


@pytest.mark.parametrize("objective", ["ctc", "classification"])
@pytest.mark.parametrize("spec", [SMALL, LIKE_THE_PAPER], ids=["small", "paper"])
def test_padding_is_never_heard(spec: SincNetSpec, objective: Objective) -> None:
    net = network(spec, objective)
    lengths_B = torch.tensor([1200, 1, 500, 30, 1199])
    samples_BT1 = torch.randn(5, 1200, 1)
    samples_BT1[~frame_mask(lengths_B, 1200)] = 1e3
    together, lengths_out_B = net(samples_BT1, lengths_B)
    for place, length in enumerate(lengths_B.tolist()):
        alone, alone_lengths_B = net(samples_BT1[place : place + 1, :length], torch.tensor([length]))
        assert alone_lengths_B.tolist() == [lengths_out_B[place]] == net.output_lengths(torch.tensor([length])).tolist()
        beside = together[place : place + 1, : alone.shape[1]] if objective == "ctc" else together[place : place + 1]
        torch.testing.assert_close(beside, alone, rtol=0, atol=1e-5)


def test_every_weight_learns_and_padding_has_no_gradient() -> None:
    torch.manual_seed(1)
    net = build(SMALL, "ctc", 1, 5).train()
    samples_BT1 = torch.randn(2, 800, 1, requires_grad=True)
    outputs_BTV, lengths_B = net(samples_BT1, torch.tensor([800, 333]))
    (outputs_BTV[..., 1] * frame_mask(lengths_B, outputs_BTV.shape[1])).sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name
    assert samples_BT1.grad is not None and samples_BT1.grad[1, 333:].abs().sum() == 0


def test_a_frame_for_each_ten_milliseconds_by_default() -> None:
    encoder = SincNet(SincNetSpec(encoder=GruSpec(stack=1)), 1)
    assert encoder.stride == 160
    assert encoder.output_lengths(torch.tensor([16000, 1, 160, 161])).tolist() == [100, 1, 1, 2]
    with pytest.raises(RequestError, match="raw audio"):
        SincNet(SincNetSpec(), 80)


@pytest.mark.parametrize("spec", [SMALL, LIKE_THE_PAPER], ids=["small", "paper"])
def test_as_onnx_it_says_the_same_at_other_lengths(spec: SincNetSpec) -> None:
    check_onnx(network(spec, "classification"), 1, (3000, 4111, 1501))


def test_a_minute_of_audio_goes_through() -> None:
    net = network(SMALL)
    with torch.no_grad():
        outputs, lengths_B = net(torch.randn(1, 60 * RATE, 1), torch.tensor([60 * RATE]))
    assert lengths_B.tolist() == [60 * RATE // net.stride] and bool(outputs.isfinite().all())


def test_weights_come_back_without_what_can_be_computed() -> None:
    net = network(SMALL)
    weights = load(save(net.state_dict()))
    assert not [name for name in weights if "window" in name or "positions" in name]
    other = build(SMALL, "ctc", 1, 5).eval()
    other.load_state_dict(weights)
    samples, lengths = torch.randn(1, 700, 1), torch.tensor([700])
    assert torch.equal(net(samples, lengths)[0], other(samples, lengths)[0])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"channels": ()}, "channels is"),
        ({"pools": (3, 3)}, "pools is"),
        ({"kernels": (250, 5, 5)}, "odd"),
        ({"min_low_hz": -1.0}, "min_low_hz is -1.0"),
        ({"sample_rate": 150}, "audio ends at 75.0 Hz"),
        ({"dropout": 1.0}, "dropout is"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SincNetSpec(**values)
