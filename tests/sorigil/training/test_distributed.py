"""Two processes are one: the same losses and weights as one process, batch norm and token counts over both together."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import distributed as dist

from sorigil.errors import RunError
from sorigil.models import synchronise
from sorigil.models.masking import MaskedBatchNorm
from sorigil.models.network import build
from sorigil.models.specs import Cnn2dSpec, ModelSpec, RnnSpec
from sorigil.training.data import Batches, Road, UtteranceDataset
from sorigil.training.distributed import ALONE, Team, meeting
from sorigil.training.loop import train
from sorigil.training.spec import TrainSpec

SECONDS = 0.01  # of a frame
CONV = Cnn2dSpec(channels=(4, 6), time_strides=(1, 2), hidden=8, dropout=0.0)
SPEC = TrainSpec(epochs=3, batch_seconds=1.2, learning_rate=1e-2, cmvn="none")


class Made:
    """Rows of random frames of different lengths; the count does not divide by two."""

    groups: NDArray[np.int64] | None = None

    def __init__(self, rows: int = 13) -> None:
        rng = np.random.default_rng(1)
        self._features = [rng.standard_normal((int(rng.integers(12, 40)), 6)).astype(np.float32) for _ in range(rows)]
        self.keys = [f"k{number}" for number in range(rows)]
        self.seconds = np.asarray([SECONDS * len(each) for each in self._features])

    def features(self, index: int) -> NDArray[np.float32]:
        return self._features[index]

    def samples(self, index: int) -> NDArray[np.float32]:
        raise NotImplementedError


def trained(
    model: ModelSpec, objective: Any, spec: TrainSpec, team: Team = ALONE
) -> tuple[list[float], dict[str, Tensor]]:
    torch.manual_seed(0)
    network = build(model, objective, 6, 4)
    rows = Made()
    targets = [[1 + number % 3] * (1 + number % 4) if objective == "ctc" else [number % 4] for number in range(13)]
    dataset = UtteranceDataset(rows=rows, targets=targets, road=Road.of(spec, None, 16_000))
    data = Batches(dataset=dataset, batch_seconds=spec.batch_seconds, seed=spec.seed, team=team)
    saved: list[str] = []
    result = train(
        network=network, train_spec=spec, objective=objective, data=data, evaluate=_judge,
        save=lambda name, *_: saved.append(name), team=team,
    )  # fmt: skip
    assert bool(saved) == team.first
    return [row["train_loss"] for row in result.history] + [row["loss"] for row in result.history], result.weights


def _judge(network: Any) -> dict[str, float]:
    """Known to the first process alone: the others must be told."""
    return {"loss": float(sum(value.abs().sum() for value in network.parameters()))}


CASES: dict[str, tuple[ModelSpec, Any, TrainSpec]] = {
    "batch norm": (CONV, "classification", SPEC),
    "tokens": (CONV, "ctc", SPEC),
    "recurrent": (RnnSpec(hidden=5, layers=1, dropout=0.0), "ctc", replace(SPEC, accumulate=2)),
    # batches of one row: the second process has none, and takes part all the same
    "single rows": (CONV, "classification", replace(SPEC, batch_seconds=0.3, epochs=2)),
    "weighted": (CONV, "classification", replace(SPEC, accumulate=3, ema=0.5, label_smoothing=0.1)),
}


def _member(rank: int, port: int, folder: str) -> None:
    """One of two processes, which do all cases one after the other: a process takes seconds to start."""
    torch.set_num_threads(1)
    with meeting(rank, 2, "127.0.0.1", port) as (team, device):
        assert device == "cpu"
        found = {case: trained(*CASES[case], team) for case in CASES}
        normal = _normalised(rank)
    torch.save({"cases": found, "normal": normal}, Path(folder) / f"{rank}.pt")


def _normalised(rank: int) -> list[Tensor]:
    """The first process has one short item, the second two; then the second takes an item along uncounted."""
    torch.manual_seed(3)
    images = torch.randn(3, 2, 7, 4, requires_grad=True)
    norm, chosen = MaskedBatchNorm(2), ([0], [1, 2])[rank]
    mask = torch.arange(7) < torch.tensor([[3], [7], [5]])
    norm(images[chosen], mask[chosen]).pow(3).sum().backward()
    alone = MaskedBatchNorm(2)
    with synchronise.left_out(rank == 1):
        alone(images[[rank]], mask[[rank]])
    assert images.grad is not None
    return [images.grad, norm.running_mean, norm.running_var, alone.running_var]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes came to."""
    folder = tmp_path_factory.mktemp("two")
    store = dist.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
    context = multiprocessing.get_context("spawn")
    members = [context.Process(target=_member, args=(rank, store.port, str(folder))) for rank in range(2)]
    for member in members:
        member.start()
    for member in members:
        member.join(240)
    assert [member.exitcode for member in members] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does(case: str, two: list[dict[str, Any]]) -> None:
    losses, weights = trained(*CASES[case])
    for found in two:
        theirs, their_weights = found["cases"][case]
        assert theirs == pytest.approx(losses, abs=1e-5, rel=1e-5)
        for name, value in weights.items():
            torch.testing.assert_close(their_weights[name], value, atol=1e-4, rtol=1e-4, msg=name)


def test_batch_norm_counts_the_frames_of_all_processes(two: list[dict[str, Any]]) -> None:
    torch.manual_seed(3)
    images = torch.randn(3, 2, 7, 4, requires_grad=True)
    mask = torch.arange(7) < torch.tensor([[3], [7], [5]])
    whole, alone = MaskedBatchNorm(2), MaskedBatchNorm(2)
    whole(images, mask).pow(3).sum().backward()
    alone(images[:1], mask[:1])
    gradients = [found["normal"][0] for found in two]
    torch.testing.assert_close(gradients[0] + gradients[1], images.grad, atol=1e-5, rtol=1e-5)
    for found in two:
        torch.testing.assert_close(found["normal"][1:], [whole.running_mean, whole.running_var, alone.running_var])


def test_every_row_has_one_process() -> None:
    rows = np.arange(7)
    shares = [Team(rank=rank, size=3).share(rows) for rank in range(3)]
    assert sorted(np.concatenate([own for own, _ in shares]).tolist()) == rows.tolist()
    assert all(counts for _, counts in shares)
    own, counts = Team(rank=2, size=3).share(rows[:2])
    assert own.tolist() == [0] and not counts


def test_who_is_alone_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    monkeypatch.setattr("sorigil.training.distributed.MEETING", timedelta(seconds=1))
    store = dist.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
    with (
        pytest.raises(RunError, match="process 0 of 2 did not meet the others"),
        meeting(0, 2, "127.0.0.1", store.port),
    ):
        pass
