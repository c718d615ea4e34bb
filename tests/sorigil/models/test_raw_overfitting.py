"""Models of raw audio, and pretrained ones, learn a handful of utterances by heart; and each hears a minute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_pretrained import ALL

from sorigil.decoding.ctc import greedy
from sorigil.models.masking import frame_mask
from sorigil.models.network import Network, build
from sorigil.models.specs import CrnnSpec, GruSpec, SincNetSpec

SINCNETS: dict[str, tuple[Any, int]] = {
    name: (
        SincNetSpec(
            sample_rate=8000,
            channels=(16, 16),
            kernels=(65, 5),
            strides=(4, 1),
            pools=(4, 2),
            encoder=encoder,
            dropout=0.0,
        ),
        1,
    )
    for name, encoder in (
        ("sincnet-gru", GruSpec(hidden=24, layers=1)),
        ("sincnet-crnn", CrnnSpec(channels=24, kernels=(3,), strides=(1,), hidden=24, dropout=0.0)),
    )
}


def without_dropout(spec: Any) -> dict[str, Any]:
    """Its configuration with nothing that is random in training."""
    if spec.kind == "ast":
        return dict(spec.config)
    names = ("hidden_dropout", "feat_proj_dropout") if spec.model_type != "parakeet_encoder" else ("dropout",)
    off = dict.fromkeys((*names, "activation_dropout", "attention_dropout"), 0.0)
    return spec.config | off | ({} if "dropout" in off else {"mask_time_prob": 0.0})


SPECS: dict[str, tuple[Any, int]] = {
    **SINCNETS,
    **{
        name: (replace(spec, dropout=0.0, config=without_dropout(spec)), columns)
        for name, (spec, columns) in ALL.items()
    },
}
ITEMS = 6


def batch_of(columns: int, samples: int = 2400) -> tuple[torch.Tensor, torch.Tensor]:
    """Two tones one after the other, under noise; or noise, for features."""
    torch.manual_seed(5)
    if columns > 1:
        lengths_B = torch.arange(70, 70 + ITEMS)
        return torch.randn(ITEMS, int(lengths_B.max()), columns), lengths_B
    lengths_B = samples + 160 * torch.arange(ITEMS)
    time_T = torch.arange(int(lengths_B.max())) / 8000
    tones_BT = torch.stack([torch.sin(2 * torch.pi * hz * time_T) for hz in (200, 450, 800, 1300, 2000, 3000)])
    samples_BT = torch.where(time_T < samples / 16_000, tones_BT, tones_BT.roll(-1, 0))
    samples_BT = samples_BT + 0.1 * torch.randn_like(tones_BT)
    return (samples_BT * frame_mask(lengths_B, samples_BT.shape[1]))[..., None], lengths_B


def learn(net: Network, loss_of: Any, inputs: tuple[torch.Tensor, torch.Tensor], good: Any, steps: int) -> None:
    optimizer = torch.optim.AdamW(net.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (step + 1) / 30)
        net.train()
        optimizer.zero_grad()
        loss_of(*net(*inputs)).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        if step % 10 == 9:
            net.eval()
            with torch.no_grad():
                if good(*net(*inputs)):
                    return
    pytest.fail(f"not learned in {steps} steps")


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_a_handful_is_classified_without_an_error(name: str) -> None:
    spec, columns = SPECS[name]
    inputs = batch_of(columns, 6400 if name == "parakeet" else 2400)
    torch.manual_seed(0)
    net = build(spec, "classification", columns, ITEMS)
    classes_B = torch.arange(ITEMS)
    learn(
        net,
        lambda log_probs, _: torch.nn.functional.nll_loss(log_probs, classes_B),
        inputs,
        lambda log_probs, _: log_probs.argmax(1).tolist() == classes_B.tolist(),
        300,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sincnet-gru", "sincnet-crnn", "wavlm"])
def test_a_handful_is_written_without_an_error(name: str) -> None:
    spec, columns = SPECS[name]
    samples_BT1, lengths_B = batch_of(columns)
    inputs = samples_BT1[:3], lengths_B[:3]
    torch.manual_seed(0)
    net = build(spec, "ctc", columns, 5)
    targets = [[1, 2], [2, 3], [3, 4]]  # a token for each tone
    targets_BL = torch.tensor(targets)

    def loss_of(log_probs: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), targets_BL, lengths_B, torch.tensor([2, 2, 2]))

    def good(log_probs: torch.Tensor, lengths_B: torch.Tensor) -> bool:
        heard = [greedy(row[:length].numpy()).ids for row, length in zip(log_probs, lengths_B.tolist(), strict=True)]
        return [list(ids) for ids in heard] == targets

    learn(net, loss_of, inputs, good, 800)


@pytest.mark.parametrize("name", SPECS)
def test_a_minute_is_heard(name: str) -> None:
    spec, columns = SPECS[name]
    if "conv_stride" in getattr(spec, "config", {}):  # a frame for each 320 samples, as the published ones have
        spec = replace(spec, config={**spec.config, "conv_kernel": [10, 8, 8], "conv_stride": [5, 8, 8]})
    net = build(spec, "classification", columns, 3).eval()
    frames = 60 * (16_000 if columns == 1 else 100)
    with torch.no_grad():
        outputs, lengths_B = net(torch.randn(1, frames, columns), torch.tensor([frames]))
    assert bool(outputs.isfinite().all()) and lengths_B.tolist() == net.output_lengths(torch.tensor([frames])).tolist()
