"""Training: it learns, resumes to the bit, stops when asked, chooses the best epoch and says what went wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sorigil.errors import RequestError
from sorigil.models.heads import CtcHead
from sorigil.models.network import Network, Objective, build
from sorigil.models.specs import GruSpec
from sorigil.training.data import Batch, Item, collate
from sorigil.training.faults import BatchError
from sorigil.training.learner import Learner
from sorigil.training.loop import Progress, TrainResult, train
from sorigil.training.objectives import LEARNING
from sorigil.training.schedule import ConstantSpec, OneCycleSpec, PlateauSpec
from sorigil.training.spec import SgdSpec, TrainSpec

SPEC = TrainSpec(epochs=4, learning_rate=5e-3)
BANDS = 4


class Tones:
    """Sequences of tokens, each token a stretch of frames with one band raised: easy to learn, by either objective."""

    def __init__(self, objective: Objective, items: int = 24, poison: str | None = None) -> None:
        self.objective, self.items, self.poison = objective, items, poison

    def item(self, row: int) -> Item:
        rng = np.random.default_rng(row)
        tokens = rng.integers(0, 3, 1 if self.objective == "classification" else rng.integers(1, 4))
        frames = [token for token in tokens for _ in range(rng.integers(4, 8))]
        features_TF = rng.normal(0, 0.3, (len(frames), BANDS)).astype(np.float32)
        features_TF[np.arange(len(frames)), frames] += 2
        if f"row{row}" == self.poison:
            features_TF[1, 2] = np.nan
        target = tokens.tolist() if self.objective == "classification" else (tokens + 1).tolist()
        return Item(key=f"row{row}", row=row, features_TF=features_TF, target=target)

    def batches(self, epoch: int, skip: int = 0) -> tuple[int, Iterable[Batch]]:
        order = np.random.default_rng(epoch).permutation(self.items)
        parts = np.array_split(order, -(-self.items // 6)) if self.items else []
        return len(parts), [collate([self.item(int(row)) for row in part]) for part in parts[skip:]]


class Shelf:
    """Keeps what was saved, as storage would: tensors by name and JSON."""

    def __init__(self) -> None:
        self.saved: list[tuple[str, dict[str, Tensor], dict[str, Any]]] = []

    def __call__(self, name: str, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        import json

        copies = {key: value.clone() for key, value in tensors.items()}
        self.saved.append((name, copies, json.loads(json.dumps(meta))))

    def at(self, name: str, epoch: int, step: int = 0) -> tuple[dict[str, Tensor], dict[str, Any]]:
        place = (name, epoch, step)
        return next((t, meta) for saved, t, meta in self.saved if (saved, meta["epoch"], meta["step"]) == place)


def loss_of(network: Network, batch: Batch, objective: Objective) -> float:
    log_probs, lengths_B = network(batch.features_BTF, batch.lengths_B)
    return float(LEARNING[objective].loss(log_probs, lengths_B, batch.targets_BL, batch.target_lengths_B))


def dev_loss(objective: Objective) -> Callable[[Network], dict[str, float]]:
    _, batches = Tones(objective, items=12).batches(0)
    return lambda network: {"loss": float(np.mean([loss_of(network, batch, objective) for batch in batches]))}


def run(objective: Objective = "ctc", **changes: Any) -> tuple[TrainResult, Shelf, Network]:
    torch.manual_seed(7)
    network = build(GruSpec(hidden=12, layers=1, stack=1, dropout=0.2), objective, BANDS, 4)
    shelf = Shelf()
    arguments: dict[str, Any] = {
        "network": network,
        "train_spec": SPEC,
        "objective": objective,
        "data": Tones(objective),
        "evaluate": dev_loss(objective),
        "save": shelf,
    }
    return train(**(arguments | changes)), shelf, network


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def without_clock(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@pytest.mark.parametrize("objective", ["ctc", "classification"])
def test_the_loss_falls_far(objective: Objective) -> None:
    result, _, _ = run(objective, train_spec=replace(SPEC, epochs=25, learning_rate=2e-2))
    assert result.history[-1]["loss"] < 0.2 * result.history[0]["loss"]
    assert len(result.history) == 25 and not result.stopped_early


@pytest.mark.parametrize(("name", "epoch"), [("last", 1), ("last", 3), ("best", 2)])
def test_a_resumed_training_ends_as_the_uninterrupted_one_to_the_bit(name: str, epoch: int) -> None:
    result, shelf, _ = run()
    torch.rand(17)  # whatever happened to the generator in between must not matter
    resumed, again, network = run(resume=shelf.at(name, epoch))
    assert without_clock(resumed.history) == without_clock(result.history)
    assert resumed.best_epoch == result.best_epoch
    assert same(resumed.weights, result.weights) and same(dict(network.state_dict()), result.weights)
    assert same(again.at("last", 4)[0], shelf.at("last", 4)[0])


EVERY_STEP = 1e-9  # minutes between checkpoints
OPTIONS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "sgd": {"optimizer": SgdSpec()},
    "plateau": {"schedule": PlateauSpec(patience=0)},
    "one cycle": {"schedule": OneCycleSpec()},
    "constant": {"schedule": ConstantSpec()},
    "accumulated": {"accumulate": 3},
    "running mean": {"ema": 0.9},
    "mean of the best": {"average_best": 3},
    "both means": {"ema": 0.9, "average_best": 2},
    "mixed": {"mixup": 0.4},
    "half precision": {"precision": "bf16"},
    "frozen": {"freeze": ("encoder",)},
}


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_resumes_to_the_bit_at_epochs_and_within_them(option: str, step: int) -> None:
    spec = replace(SPEC, checkpoint_minutes=EVERY_STEP, **OPTIONS[option])
    result, shelf, _ = run("classification", train_spec=spec)
    torch.rand(5)
    resumed, again, network = run("classification", train_spec=spec, resume=shelf.at("last", 2, step))
    assert without_clock(resumed.history) == without_clock(result.history)
    assert (resumed.best_epoch, resumed.averaged) == (result.best_epoch, result.averaged)
    assert same(resumed.weights, result.weights) and same(dict(network.state_dict()), result.weights)
    assert same(again.at("last", 4)[0], shelf.at("last", 4)[0])


def test_checkpoints_within_an_epoch_change_nothing_and_are_resumed_without_being_asked_for() -> None:
    plain, _, _ = run()
    often, shelf, _ = run(train_spec=replace(SPEC, checkpoint_minutes=EVERY_STEP))
    assert same(plain.weights, often.weights)
    places = [(meta["epoch"], meta["step"]) for name, _, meta in shelf.saved if name == "last"]
    assert places == [(epoch + (step == 4), step % 4) for epoch in range(4) for step in (1, 2, 3, 4)]
    rare, _, _ = run(resume=shelf.at("last", 1, 2))
    assert same(plain.weights, rare.weights) and without_clock(plain.history) == without_clock(rare.history)


def test_the_mean_of_the_best_epochs_is_kept_where_it_is_not_worse() -> None:
    spec = replace(SPEC, average_best=2)
    result, shelf, network = run(evaluate=scripted([3.0, 1.0, 4.0, 2.0, 0.5]), train_spec=spec)
    assert result.averaged == (2, 4) and result.best_epoch == 2
    second, fourth = (
        {name.removeprefix("weights."): v for name, v in shelf.at("last", epoch)[0].items() if "weights." in name}
        for epoch in (2, 4)
    )
    for name, value in result.weights.items():
        torch.testing.assert_close(value, (second[name] + fourth[name]) / 2)
    assert same(dict(network.state_dict()), result.weights)
    worse, _, network = run(evaluate=scripted([3.0, 1.0, 4.0, 2.0, 1.5]), train_spec=spec)
    assert worse.averaged == () and same(worse.weights, second) and same(dict(network.state_dict()), second)


def test_the_running_mean_is_what_is_judged_and_kept() -> None:
    judged: list[dict[str, Tensor]] = []

    def evaluate(network: Network) -> dict[str, float]:
        judged.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"loss": 1.0 / len(judged)}

    result, shelf, _ = run(train_spec=replace(SPEC, ema=0.9), evaluate=evaluate)
    trained = {name.removeprefix("weights."): v for name, v in shelf.at("last", 4)[0].items() if "weights." in name}
    assert same(result.weights, judged[-1]) and not same(result.weights, trained)


def scripted(values: list[float], metric: str = "loss") -> Callable[[Network], dict[str, float]]:
    left = iter(values)
    return lambda network: {metric: next(left)}


def test_the_best_epoch_is_kept_and_can_be_resumed_from_a_later_checkpoint() -> None:
    result, shelf, network = run(evaluate=scripted([3.0, 1.0, 2.0, 2.0]))
    assert result.best_epoch == 2
    assert [meta["epoch"] for name, _, meta in shelf.saved if name == "best"] == [1, 2]
    best = {key.removeprefix("weights."): v for key, v in shelf.at("best", 2)[0].items() if key.startswith("weights.")}
    assert same(best, result.weights) and same(dict(network.state_dict()), best)
    resumed, _, _ = run(evaluate=scripted([2.0]), resume=shelf.at("last", 3))
    assert resumed.best_epoch == 2 and same(resumed.weights, best)


def test_higher_accuracy_is_better_and_the_loss_decides_between_equals() -> None:
    rows = iter([(0.5, 1.0), (0.9, 2.0), (0.9, 1.5), (0.9, 1.8)])
    monitor = replace(SPEC, monitor="accuracy")
    result, _, _ = run(
        evaluate=lambda network: dict(zip(("accuracy", "loss"), next(rows), strict=True)), train_spec=monitor
    )
    assert result.best_epoch == 3


def test_patience_ends_a_training_that_no_longer_improves() -> None:
    result, _, _ = run(evaluate=scripted([1.0, 2.0, 2.0, 0.5]), train_spec=replace(SPEC, patience=2))
    assert len(result.history) == 3 and result.best_epoch == 1 and result.stopped_early


def test_a_metric_that_is_not_a_number_is_never_the_best() -> None:
    result, _, _ = run(evaluate=scripted([float("nan"), 2.0, float("nan"), 3.0]))
    assert result.best_epoch == 2


def test_without_a_dev_set_the_newest_epoch_is_the_best() -> None:
    result, shelf, _ = run(evaluate=None)
    assert result.best_epoch == 4
    assert [name for name, _, _ in shelf.saved] == ["best", "last"] * 4


def test_progress_tells_every_step_and_the_time_left() -> None:
    told: list[Progress] = []
    run(progress=told.append)
    assert [(p.epoch, p.step) for p in told] == [(epoch, step) for epoch in (1, 2, 3, 4) for step in (1, 2, 3, 4)]
    assert all(p.steps == 4 and p.epochs == 4 and np.isfinite(p.loss) for p in told)
    assert told[0].metric is None and told[4].metric is not None
    assert np.isfinite(told[1].seconds_left) and told[-1].seconds_left < 0.2 * told[1].seconds_left


def test_a_loss_that_is_not_finite_names_the_utterance() -> None:
    with pytest.raises(
        BatchError, match=r"loss or its gradient became nan in epoch 1, step \d, with .*not finite in row5$"
    ) as caught:
        run(data=Tones("ctc", poison="row5"))
    assert caught.value.rows == (5,) and 5 in caught.value.batch_rows and len(caught.value.batch_rows) == 6


@pytest.mark.parametrize("step", [1, 16])
def test_a_gradient_that_is_not_finite_stops_the_training_though_the_loss_is(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the very last step too, behind which no loss would tell that the weights are spoiled."""
    steps = itertools.count(1)

    def loss(self: Learner, *arguments: Any) -> Tensor:
        found = real(self, *arguments)
        return found + (found - found.detach()).abs().sqrt() if next(steps) == step else found  # 0, but steep

    real = Learner.loss
    monkeypatch.setattr(Learner, "loss", loss)
    said = rf"gradient became nan in epoch {1 + (step - 1) // 4}, step {1 + (step - 1) % 4}, with a batch of finite features"
    with pytest.raises(BatchError, match=said) as caught:
        run(evaluate=None)
    assert len(caught.value.rows) == 6


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_names_the_batch_and_what_to_change(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(Network, "with_auxiliary", fail)
    said = (
        r"out of memory in epoch 1, step 1, at a batch of 6 items × \d+ frames × 4 values; make batch_seconds smaller"
    )
    with pytest.raises(BatchError, match=said + r" \(it is 60;.* row\d+, row\d+") as caught:
        run()
    assert len(caught.value.rows) == 6 and caught.value.__cause__ is error


def test_another_error_of_torch_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Network, "with_auxiliary", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run()


def test_what_does_not_suit_the_training_is_refused() -> None:
    for values in ({"mixup": 0.3}, {"class_weights": "balanced"}):
        with pytest.raises(RequestError, match=f"{next(iter(values))} is set, but objective ctc learns texts"):
            run(train_spec=replace(SPEC, **values))
    with pytest.raises(RequestError, match="no dev rows"):
        run(train_spec=replace(SPEC, schedule=PlateauSpec()), evaluate=None)
    with pytest.raises(RequestError, match="fp16, which needs a GPU"):
        run(train_spec=replace(SPEC, precision="fp16"))


def test_wrong_requests_are_said() -> None:
    with pytest.raises(RequestError, match="monitor is 'wer', but the evaluation gives"):
        run(train_spec=replace(SPEC, monitor="wer"))
    with pytest.raises(RequestError, match="nothing to train on"):
        run(data=Tones("ctc", items=0))
    _, shelf, _ = run()
    with pytest.raises(RequestError, match="other parameters: train"):
        run(resume=shelf.at("last", 2), train_spec=replace(SPEC, learning_rate=1.0))
    with pytest.raises(RequestError, match="format 99"):
        run(resume=(shelf.at("last", 2)[0], {"format": 99}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"batch_seconds": 0.0}, "batch_seconds is"),
        ({"warmup": 1.0}, "warmup is 1.0"),
        ({"weight_decay": -1.0}, "weight_decay is"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"layer_decay": 0.0}, r"layer_decay is 0\.0"),
        ({"ema": 1.0}, r"ema is 1\.0"),
        ({"class_weights": {"a": -1.0}}, "class_weights gives 'a' the weight -1"),
    ],
)
def test_impossible_values_are_refused_with_a_sentence(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TrainSpec(**values)


def test_the_taps_of_an_encoder_learn_with_the_weight_it_gives_them() -> None:
    batch = next(iter(Tones("ctc").batches(0)[1]))

    class Tapped(torch.nn.Module):
        stride, auxiliary_sizes, auxiliary_weight = 1, (BANDS, BANDS), 0.3

        def encode(self, features_BTF: Tensor, lengths_B: Tensor) -> Any:
            return features_BTF, lengths_B, [(features_BTF, lengths_B), (-features_BTF, lengths_B)]

        def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> Any:
            return features_BTF, lengths_B

    heads = [CtcHead(BANDS, 4, 0.0) for _ in range(3)]
    signs = (1, 1, -1)
    alone = []
    for head, sign in zip(heads, signs, strict=True):
        log_probs_BTV = head(sign * batch.features_BTF, batch.lengths_B)
        alone.append(LEARNING["ctc"].loss(log_probs_BTV, batch.lengths_B, batch.targets_BL, batch.target_lengths_B))
    network = Network(Tapped(), heads[0], "ctc", heads[1:])
    together = Learner(network, SPEC, "ctc", "cpu").loss(batch)
    torch.testing.assert_close(together, alone[0] + 0.3 * (alone[1] + alone[2]) / 2)
