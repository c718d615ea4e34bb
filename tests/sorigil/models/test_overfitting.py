"""Every network learns a handful of utterances by heart: none of its layers is broken, whatever the objective."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sorigil.decoding.ctc import greedy
from sorigil.models.masking import frame_mask
from sorigil.models.network import build
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
    LstmSpec,
    MlpSpec,
    ResNet18Spec,
    ResNet34Spec,
    ResNet50Spec,
    RnnSpec,
    SqueezeNetSpec,
    TransformerSpec,
    Vgg11Spec,
    Vgg16Spec,
)
from sorigil.training.data import Batch
from sorigil.training.learner import Learner
from sorigil.training.spec import TrainSpec

BANDS, ITEMS, FRAMES = 20, 6, 48
SMALL: list[Any] = [
    MlpSpec(hidden=128, context=7),
    Cnn1dSpec(channels=32),
    Cnn2dSpec(channels=(8, 16, 16), hidden=32),
    RnnSpec(hidden=32),
    LstmSpec(hidden=32),
    GruSpec(hidden=32),
    GruSpec(hidden=32, pooling="attention"),
    CrnnSpec(channels=32, hidden=32),
    DeepSpeech2Spec(channels=(8, 8), hidden=32),
    DeepSpeech2Spec(channels=(8, 8), hidden=32, shared=True, linear=32),
    TransformerSpec(hidden=32, layers=2),
    ConformerSpec(hidden=32, layers=2, kernel=7),
    ConformerSpec(hidden=32, layers=2, kernel=7, interctc=(1,)),
    AlexNetSpec(width=1 / 8),
    Vgg11Spec(width=1 / 8),
    Vgg16Spec(width=1 / 8),
    GoogLeNetSpec(width=1 / 8),
    ResNet18Spec(width=1 / 8),
    ResNet34Spec(width=1 / 8),
    ResNet50Spec(width=1 / 8),
    DenseNet121Spec(width=1 / 4),
    SqueezeNetSpec(width=1 / 2),
]
FINE = [GoogLeNetSpec(width=1 / 8, time_stride=4), ResNet18Spec(width=1 / 8, time_stride=4), *SMALL[:13]]  # in time


def batch_of(targets: list[list[int]]) -> Batch:
    torch.manual_seed(5)
    lengths_B = torch.arange(FRAMES - ITEMS + 1, FRAMES + 1)
    mask_BT1 = frame_mask(lengths_B, FRAMES).unsqueeze(2)
    return Batch(
        keys=tuple(f"item{row}" for row in range(ITEMS)),
        rows=tuple(range(ITEMS)),
        features_BTF=torch.randn(ITEMS, FRAMES, BANDS) * mask_BT1,
        lengths_B=lengths_B,
        targets_BL=torch.tensor(targets),
        target_lengths_B=torch.full((ITEMS,), len(targets[0])),
    )


def learn(spec: Any, objective: Any, batch: Batch, outputs: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Train on this one batch; what the network says of it afterwards, in evaluation mode."""
    torch.manual_seed(0)
    network = build(spec, objective, BANDS, outputs).train()
    learner = Learner(network, TrainSpec(weight_decay=0.0), objective, "cpu")
    for step in range(steps):
        learner.learn([batch], 2e-3, 0, step)
    with torch.no_grad():
        said: tuple[torch.Tensor, torch.Tensor] = network.eval()(batch.features_BTF, batch.lengths_B)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.kind)
def test_classes_of_a_handful_of_utterances_are_learned_by_heart(spec: Any) -> None:
    labels = [[row % 3] for row in range(ITEMS)]
    log_probs_BC, _ = learn(spec, "classification", batch_of(labels), 3, steps=100)
    assert log_probs_BC.argmax(dim=1).tolist() == [label for (label,) in labels]


@pytest.mark.slow
@pytest.mark.parametrize("spec", FINE, ids=lambda spec: spec.kind)
def test_transcripts_of_a_handful_of_utterances_are_learned_by_heart(spec: Any) -> None:
    texts = [[1 + row % 3, 1 + row // 3, 3] for row in range(ITEMS)]
    log_probs_BTV, lengths_B = learn(spec, "ctc", batch_of(texts), 4, steps=300)
    heard = [greedy(log_probs_BTV[row, : lengths_B[row]].numpy()).ids for row in range(ITEMS)]
    assert [list(ids) for ids in heard] == texts
