"""One step: the same for one large batch as for its pieces, mixed by the formula, and only where it may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sorigil.errors import RequestError
from sorigil.models.network import Network, build
from sorigil.models.specs import Cnn2dSpec, GruSpec, ModelSpec
from sorigil.objectives import Objective
from sorigil.training.data import Batch, Item, collate
from sorigil.training.learner import Learner
from sorigil.training.mixup import mixup
from sorigil.training.spec import SgdSpec, TrainSpec

BANDS = 4
RECURRENT = GruSpec(hidden=6, layers=1, stack=1, dropout=0.0)
CONVOLUTIONAL = Cnn2dSpec(channels=(4,), time_strides=(2,), hidden=6, dropout=0.0)
PLAIN = TrainSpec(optimizer=SgdSpec(), weight_decay=0.0, gradient_clip=1e9)


def items(objective: Objective, count: int, frames: int = 12) -> list[Item]:
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 4, count) if objective == "ctc" else np.ones(count, int)
    return [
        Item(
            key=f"row{row}",
            row=row,
            features_TF=rng.normal(size=(frames, BANDS)).astype(np.float32),
            target=rng.integers(1, 3, size).tolist(),
        )
        for row, size in enumerate(sizes)
    ]


def network_of(objective: Objective, spec: ModelSpec = RECURRENT) -> Network:
    torch.manual_seed(1)
    return build(spec, objective, BANDS, 3)


@pytest.mark.parametrize(
    ("objective", "weights"), [("ctc", None), ("classification", None), ("classification", [1.0, 0.2, 3.0])]
)
def test_accumulated_batches_step_as_one_large_batch(objective: Objective, weights: list[float] | None) -> None:
    """Pieces of unequal size: each token, or item in its weight, counts the same whichever piece it is in."""
    rows = items(objective, 7)
    weights_C = None if weights is None else torch.tensor(weights)
    large = Learner(network_of(objective), PLAIN, objective, "cpu", weights_C)
    pieces = Learner(network_of(objective), PLAIN, objective, "cpu", weights_C)
    loss = large.learn([collate(rows)], 0.1, 0, 0)
    summed = pieces.learn([collate(rows[:1]), collate(rows[1:5]), collate(rows[5:])], 0.1, 0, 0)
    assert float(loss) == pytest.approx(float(summed), rel=1e-6)
    for left, right in zip(large.network.parameters(), pieces.network.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-6)


def test_mixup_follows_its_formula() -> None:
    short, long = items("classification", 2, 8)[0], items("classification", 2, 12)[1]
    batch = collate([short, long])
    mixed = mixup(batch, 0.5, (0, 3, 1, 0))
    order = [0, 1] if torch.equal(mixed.partners_BL, batch.targets_BL) else [1, 0]
    expected = mixed.share * batch.features_BTF + (1 - mixed.share) * batch.features_BTF[order]
    torch.testing.assert_close(mixed.batch.features_BTF, expected)
    assert mixed.batch.lengths_B.tolist() == torch.maximum(batch.lengths_B, batch.lengths_B[order]).tolist()
    learner = Learner(network_of("classification"), replace(PLAIN, mixup=0.5), "classification", "cpu")
    log_probs_BC, _ = learner.network(mixed.batch.features_BTF, mixed.batch.lengths_B)
    soft_BC = torch.zeros(2, 3)
    for row in range(2):
        soft_BC[row, batch.targets_BL[row, 0]] += mixed.share
        soft_BC[row, mixed.partners_BL[row, 0]] += 1 - mixed.share
    torch.testing.assert_close(learner.loss(mixed.batch, mixed), -(soft_BC * log_probs_BC).sum(dim=1).mean())


def test_mixup_draws_anew_in_each_step_and_the_same_again() -> None:
    batch = collate(items("classification", 5))
    shares = [
        mixup(batch, 0.5, (seed, epoch, step, 0)).share
        for seed, epoch, step in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    ]
    assert len(set(shares)) == 4 and all(0 <= share <= 1 for share in shares)
    assert mixup(batch, 0.5, (0, 0, 1, 0)).share == shares[1]


def test_what_is_frozen_stays_as_it_is_batch_statistics_too() -> None:
    torch.manual_seed(0)
    network = build(Cnn2dSpec(channels=(4,), time_strides=(1,), hidden=6), "classification", BANDS, 3)
    learner = Learner(network, replace(PLAIN, freeze=("encoder",)), "classification", "cpu")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learner.train()
    assert not network.encoder.training and network.head.training
    learner.learn([collate(items("classification", 4))], 0.1, 0, 0)
    changed = {
        name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"head"}


@pytest.mark.parametrize(
    ("precision", "dtype"), [("auto", torch.float32), ("float32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_the_network_computes_in_the_precision_that_is_asked_for(precision: Any, dtype: torch.dtype) -> None:
    learner = Learner(network_of("classification"), replace(PLAIN, precision=precision), "classification", "cpu")
    seen: list[torch.dtype] = []
    learner.network.head.project.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    loss = learner.learn([collate(items("classification", 4))], 0.1, 0, 0)
    assert seen == [dtype] and loss.dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in learner.network.parameters())


def test_gradients_are_clipped_together() -> None:
    batch: Batch = collate(items("classification", 4))
    spec = replace(PLAIN, optimizer=SgdSpec(momentum=0.0, nesterov=False), gradient_clip=0.01)
    learner = Learner(network_of("classification"), spec, "classification", "cpu")
    before = [parameter.detach().clone() for parameter in learner.network.parameters()]
    learner.learn([batch], 1.0, 0, 0)
    moved = [now.detach() - then for now, then in zip(learner.network.parameters(), before, strict=True)]
    assert float(torch.stack([each.norm() for each in moved]).norm()) == pytest.approx(0.01, rel=1e-3)


def test_a_network_that_torch_cannot_compile_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    error_type = type("BackendCompilerFailed", (RuntimeError,), {"__module__": "torch._dynamo.exc"})

    def compiled(function: Any, dynamic: bool) -> Any:
        def fail(*_: Any) -> Any:
            raise error_type("no C++ compiler found\nand a long trace")

        return fail

    monkeypatch.setattr(torch, "compile", compiled)
    learner = Learner(network_of("ctc"), replace(PLAIN, compile=True), "ctc", "cpu")
    with pytest.raises(RequestError, match=r"cannot compile this model here: no C\+\+ compiler found; install"):
        learner.learn([collate(items("ctc", 2))], 0.1, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("spec", [RECURRENT, CONVOLUTIONAL], ids=lambda spec: spec.kind)
def test_a_compiled_network_computes_the_same(spec: ModelSpec) -> None:
    learners = [Learner(network_of("ctc", spec), replace(PLAIN, compile=each), "ctc", "cpu") for each in (False, True)]
    for step, frames in enumerate((40, 52)):
        batch = collate(items("ctc", 5, frames))
        losses = [float(learner.learn([batch], 0.1, 0, step)) for learner in learners]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
