"""The training loop: batches in, a network that has learned out, with checkpoints and progress on the way.

It knows the objective only through its loss, the data only as batches, and no file at all: `save`, `evaluate` and
`progress` are given by the caller. Resuming from any checkpoint gives what the uninterrupted training gives.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sorigil.errors import RequestError
from sorigil.fingerprint import digest, to_dict
from sorigil.models.network import Network
from sorigil.objectives import OBJECTIVES, Objective
from sorigil.training.averaging import mean_of
from sorigil.training.checkpoint import Kept, State, pack, unpack
from sorigil.training.data import Batch
from sorigil.training.distributed import ALONE, Team
from sorigil.training.faults import not_finite
from sorigil.training.learner import Learner, weights_of
from sorigil.training.schedule import PlateauSpec, learning_rate_at, share_done
from sorigil.training.spec import TrainSpec

Save = Callable[[str, dict[str, Tensor], dict[str, Any]], None]
Evaluate = Callable[[Network], dict[str, float]]
HIGHER_IS_BETTER = {facts.metric for facts in OBJECTIVES.values() if facts.higher_is_better}


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One step done, or an epoch evaluated (`metric` is then new). Epochs and steps count from 1."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float  # of this step's batches
    metric: float | None  # what `monitor` names, after the last evaluated epoch
    seconds_left: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """`history` has one row per epoch; `weights` are those of `best_epoch` (from 1), or the mean of those of `averaged`
    where that is not worse, on the CPU."""

    history: list[dict[str, float]]
    best_epoch: int
    weights: dict[str, Tensor]
    stopped_early: bool
    averaged: tuple[int, ...] = ()  # epochs, the best first


class Epochs(Protocol):
    """The training data: an epoch's batches (epochs from 0) behind the first `skip`, their whole number known before."""

    def batches(self, epoch: int, skip: int = 0) -> tuple[int, Iterable[Batch]]: ...


def train(
    *,
    network: Network,
    train_spec: TrainSpec,
    objective: Objective,
    data: Epochs,
    evaluate: Evaluate | None,
    save: Save,
    resume: tuple[dict[str, Tensor], dict[str, Any]] | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    device: str = "cpu",
    class_weights_C: Tensor | None = None,
    team: Team = ALONE,
) -> TrainResult:
    """Train `network` in place for `train_spec.epochs` epochs, or until `patience` epochs brought nothing better.

    `save(name, tensors, meta)` is called at the end of each epoch with "last", and with "best" when it is the best so
    far by `monitor` (the dev loss decides between equals; without `evaluate` the newest is the best); within an epoch
    with "last" every `checkpoint_minutes`. `evaluate` gets the network in evaluation mode, without gradients, and
    returns metrics among which `monitor` must be. At the end the network holds the weights of the result. `resume` is a
    checkpoint as it was saved. In a `team` every process calls this; the first one evaluates and saves.

    Raises:
        BatchError: the loss is not finite, or memory is out; names the epoch, the step and the utterances.
        RequestError: `monitor` is not among the metrics, there are no batches, `resume` is of another training, or the
            parameters do not suit the network, the objective or the device.
    """
    _suits(train_spec, objective, evaluate is not None)
    evaluate = team.once(evaluate) if evaluate is not None else None
    learner = Learner(network, train_spec, objective, device, class_weights_C, team)
    facts = {
        "train": to_dict(train_spec, defaults=False),
        "objective": objective,
        "network": _shapes(network),
        "class weights": None if class_weights_C is None else class_weights_C.tolist(),
    }
    state = State() if resume is None else unpack(*resume, learner, facts)
    run = _Run(learner, state, data, progress, lambda name: _save(team, save, name, *pack(state, learner, facts)))
    while state.epoch < train_spec.epochs and not _out_of_patience(state, train_spec.patience):
        row = run.epoch()
        row |= _evaluate(learner.judged, evaluate)
        improved = _note(state, row, learner, evaluate is not None)
        tensors, meta = pack(state, learner, facts)
        for name in ("best", "last") if improved else ("last",):
            _save(team, save, name, tensors, meta)
    weights, averaged = _chosen(state, learner, evaluate)
    network.load_state_dict(weights)
    return TrainResult(
        history=state.history,
        best_epoch=state.best_epoch,
        weights=weights,
        stopped_early=state.epoch < train_spec.epochs,
        averaged=averaged,
    )


class _Run:
    """Runs an epoch's steps, tells of them, and has a checkpoint saved within a long one."""

    def __init__(
        self,
        learner: Learner,
        state: State,
        data: Epochs,
        progress: Callable[[Progress], None],
        save: Callable[[str], None],
    ) -> None:
        self.learner, self.spec, self.state, self.data = learner, learner.spec, state, data
        self.progress, self.save = progress, save
        self.began = self.saved = time.monotonic()
        self.began_share: float | None = None
        self.steps = 0
        self.pending: tuple[int, Tensor, list[Batch]] | None = None

    def epoch(self) -> dict[str, float]:
        """Take all steps of the epoch that are left; return the row of the history so far."""
        state, spec = self.state, self.spec
        if state.step == 0:
            _seed(spec.seed, state.epoch, self.learner.team.rank)
        began = time.monotonic() - state.seconds
        self.learner.train()
        count, batches = self.data.batches(state.epoch, state.step * spec.accumulate)
        if count == 0:
            raise RequestError("there is nothing to train on: the training split has no usable utterance")
        self.steps = -(-count // spec.accumulate)
        ranks = [_rank(row, spec.monitor)[0] for row in state.history] if isinstance(spec.schedule, PlateauSpec) else []
        rate = 0.0
        for group in grouped(batches, spec.accumulate):
            share = share_done(state.epoch, state.step, self.steps, spec.epochs)
            rate = learning_rate_at(share, spec.learning_rate, spec.warmup, spec.schedule, ranks)
            loss = self.learner.learn(group, rate, state.epoch, state.step)
            self._settle()
            self.pending = (state.step, loss, group)
            state.step += 1
            if state.step < self.steps and time.monotonic() - self.saved >= 60 * spec.checkpoint_minutes:
                self._settle()
                state.seconds = time.monotonic() - began
                self.save("last")
                self.saved = time.monotonic()
        self._settle()
        row = {
            "epoch": state.epoch + 1,
            "train_loss": state.loss / self.steps,
            "learning_rate": rate,
            "seconds": round(time.monotonic() - began, 3),
        }
        state.step, state.loss, state.seconds, self.saved = 0, 0.0, 0.0, time.monotonic()
        return row

    def _settle(self) -> None:
        """Look at the loss of the step before, which a GPU has finished by now: asking for the newest would stop it."""
        if self.pending is None:
            return
        step, loss, group = self.pending
        self.pending = None
        value = float(loss)
        if not math.isfinite(value):
            raise not_finite(value, group, self.state.epoch, step)
        self.state.loss += value
        self._report(step, value)

    def _report(self, step: int, loss: float) -> None:
        state, epochs = self.state, self.spec.epochs
        share = share_done(state.epoch, step, self.steps, epochs)
        if self.began_share is None:
            self.began_share = share
            self.began = time.monotonic()
        done = share - self.began_share
        self.progress(
            Progress(
                epoch=state.epoch + 1,
                epochs=epochs,
                step=step + 1,
                steps=self.steps,
                loss=loss,
                metric=state.history[-1].get(self.spec.monitor) if state.history else None,
                seconds_left=(time.monotonic() - self.began) * (1 - share) / done if done > 0 else math.nan,
            )
        )


def grouped(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield lists of `size` batches; the last may be shorter."""
    group: list[Batch] = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _seed(seed: int, epoch: int, rank: int) -> None:
    """Give each epoch, and each process of a team, dropout of its own, whatever ran before."""
    torch.manual_seed(seed * 1_000_003 + epoch + rank * 1_000_000_007)


def _save(team: Team, save: Save, name: str, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    if team.first:
        save(name, tensors, meta)


def _evaluate(network: Network, evaluate: Evaluate | None) -> dict[str, float]:
    if evaluate is None:
        return {}
    network.eval()
    with torch.no_grad():
        return dict(evaluate(network))


def _suits(spec: TrainSpec, objective: Objective, evaluated: bool) -> None:
    """Refuse what the objective or the data cannot do."""
    if OBJECTIVES[objective].text:
        for name in ("mixup", "class_weights"):
            if getattr(spec, name):
                raise RequestError(f"{name} is set, but objective {objective} learns texts; it is for labels")
    if isinstance(spec.schedule, PlateauSpec) and not evaluated:
        raise RequestError("schedule is plateau, which follows the dev set, but there are no dev rows: see split.dev")


def _rank(row: dict[str, float], monitor: str) -> tuple[float, ...]:
    """How good an epoch is, smaller being better: by its metric, then by its loss."""
    if monitor not in row:
        metrics = ", ".join(sorted(row))
        raise RequestError(f"monitor is {monitor!r}, but the evaluation gives {metrics}")
    value = -row[monitor] if monitor in HIGHER_IS_BETTER else row[monitor]
    value = math.inf if math.isnan(value) else value  # a NaN compares with nothing: it would stay the best for ever
    return (value, row.get("loss", 0.0))


def _note(state: State, row: dict[str, float], learner: Learner, evaluated: bool) -> bool:
    """Add an epoch to the state, and its weights where they are among the best; say whether it is the best so far."""
    state.epoch += 1
    state.history.append(row)
    rank = _rank(row, learner.spec.monitor) if evaluated else (-float(state.epoch),)
    place = sum(1 for kept in state.kept if not rank < kept.rank)
    if place < learner.spec.average_best:
        state.kept.insert(place, Kept(epoch=state.epoch, rank=rank, weights=weights_of(learner.judged)))
        del state.kept[learner.spec.average_best :]
    return place == 0


def _chosen(state: State, learner: Learner, evaluate: Evaluate | None) -> tuple[dict[str, Tensor], tuple[int, ...]]:
    """The best epoch's weights, or the mean of the best epochs' unless the dev set finds it worse; and their epochs."""
    best = state.kept[0]
    if len(state.kept) == 1:
        return best.weights, ()
    mean = mean_of([kept.weights for kept in state.kept])
    if evaluate is not None:
        learner.judged.load_state_dict(mean)
        if best.rank < _rank(_evaluate(learner.judged, evaluate), learner.spec.monitor):
            return best.weights, ()
    return mean, tuple(kept.epoch for kept in state.kept)


def _out_of_patience(state: State, patience: int | None) -> bool:
    return patience is not None and state.epoch - state.best_epoch >= patience and state.epoch > 0


def _shapes(network: nn.Module) -> str:
    """Name the network's shapes in one word: another model, or another number of classes, is another training."""
    shapes = [f"{name}{tuple(value.shape)}" for name, value in network.state_dict().items()]
    return f"{len(shapes)} arrays, {digest(*shapes)[:8]}"
