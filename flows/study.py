"""A train entry with `folds` or `sweep`: many trainings, and one table of what came of them.

Each training is a `Trial`. Those that are *compared* stand at every point of the sweep, on the rows as one fold splits
them (or, with `inner_folds`, as the inner folds of its training rows do); `study_choice` marks which are *chosen*, and only
these are scored. Which trials there are is worked out by `study_plan`; `study_train` and `study_scores` carry them out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from flows.config import TrainEntry
from flows.config.sweeps import SEED, word
from flows.run import Run, score_rows
from sorigil.fingerprint import to_dict
from sorigil.folds import spread
from sorigil.types import Rejection
from tasks.evaluate_job import Scored
from tasks.train_job import Trained, TrainJob


@dataclass(kw_only=True)
class Trial:
    """One training of a study. `run` is the study's, but stands on the fold's split."""

    run: Run
    entry: TrainEntry
    fold: str | None
    inner: str | None = None  # which inner fold of it
    point: dict[str, Any]  # of the sweep, without the seed
    job: TrainJob
    key: str
    last_counts: bool = False  # it is judged by its last epoch instead of its best one
    trained: Trained | None = None
    cached: bool = False
    error: str | None = None
    chosen: bool = False
    scored: list[Scored] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Which one it is: `george, learning_rate=0.002, seed=1`."""
        parts = [self.fold] if self.fold else []
        parts += [f"inner {self.inner}"] if self.inner else []
        parts += [f"{key}={word(value)}" for key, value in self.point.items()]
        return ", ".join([*parts, f"{SEED}={self.entry.train.seed}"])

    def result(self) -> dict[str, Any]:
        """The training as JSON values."""
        names = ("split", "metric", "value", "interval", "n")
        rows = [row for scored in self.scored for row in score_rows(self.run, self.entry, scored)]
        return {
            "fold": self.fold,
            "inner": self.inner,
            "point": self.point,
            "seed": self.entry.train.seed,
            "model": None if self.trained is None else self.key,
            "dev": self.dev(),
            "chosen": self.chosen,
            "scores": [{name: row[name] for name in names} for row in rows],
            "score_keys": [scored.key for scored in self.scored],
            "error": self.error,
        }

    def dev(self) -> float | None:
        """What the training is judged by: its `monitor` at the epoch that counts."""
        if self.trained is None or not self.trained.best_epoch:
            return None
        epoch = len(self.trained.history) if self.last_counts else self.trained.best_epoch
        return self.trained.history[epoch - 1].get(self.entry.train.monitor)


@dataclass(kw_only=True)
class Choice:
    """How one point of a sweep did in one fold; `values` are of its trainings (seeds, inner folds), None where one failed."""

    fold: str | None
    point: dict[str, Any]
    values: tuple[float | None, ...]
    chosen: bool = False

    @property
    def mean(self) -> float:
        """Over all its trainings; NaN where one has no value."""
        known = [value for value in self.values if value is not None]
        return sum(known) / len(known) if len(known) == len(self.values) else math.nan

    def result(self) -> dict[str, Any]:
        """The choice as JSON values."""
        known = [value for value in self.values if value is not None]
        found = spread(known) if known else {**dict.fromkeys(("mean", "std", "min", "max")), "n": 0}
        failed = len(self.values) - len(known)
        return {"fold": self.fold, "point": self.point, **found, "failed": failed, "chosen": self.chosen}


@dataclass(kw_only=True)
class Study:
    """All trainings of an entry; those of the winners of inner folds come when they are known."""

    entry: TrainEntry
    trials: list[Trial]
    winners: int = 0  # that will be trained when the inner folds have chosen
    choices: list[Choice] = field(default_factory=list)

    @property
    def chooses(self) -> bool:
        """Whether there is more than one point to choose from."""
        return any(trial.point != self.trials[0].point for trial in self.trials)

    def compared(self) -> list[Trial]:
        """The trainings by which points are compared."""
        return [trial for trial in self.trials if trial.inner or not self.entry.inner_folds]

    def best(self) -> list[Trial]:
        """Of the compared trainings those of the points that were chosen."""
        chosen = [(choice.fold, choice.point) for choice in self.choices if choice.chosen]
        return [trial for trial in self.compared() if (trial.fold, trial.point) in chosen]

    def rejections(self) -> list[Rejection]:
        """Of all trainings and scores, each once: most are the same in every fold."""
        found = [rejection for trial in self.trials if trial.trained for rejection in trial.trained.rejections]
        found += [rejection for trial in self.trials for scored in trial.scored for rejection in scored.rejections]
        return list(dict.fromkeys(found))

    def score_rows(self) -> list[dict[str, Any]]:
        """The rows of a result's `scores`: those of every model that was chosen."""
        return [
            row
            for trial in self.trials
            for scored in trial.scored
            for row in score_rows(trial.run, trial.entry, scored)
        ]

    def result(self) -> dict[str, Any]:
        """The study as JSON values."""
        values: dict[tuple[str, str], list[float]] = {}
        for row in self.score_rows():
            values.setdefault((row["split"], row["metric"]), []).append(row["value"])
        return {
            "run": self.entry.name,
            "folds": None if self.entry.folds is None else to_dict(self.entry.folds),
            "inner_folds": self.entry.inner_folds,
            "sweep": {key: list(several) for key, several in self.entry.sweep.items()},
            "monitor": self.entry.train.monitor,
            "trainings": len(self.trials),
            "cached": sum(trial.cached for trial in self.trials),
            "failed": sum(trial.error is not None for trial in self.trials),
            "choices": [choice.result() for choice in self.choices] if self.chooses else [],
            "trials": [trial.result() for trial in self.trials],
            "summary": [
                {"split": split, "metric": metric, **spread(several)} for (split, metric), several in values.items()
            ],
        }


def is_study(entry: TrainEntry) -> bool:
    return entry.folds is not None or bool(entry.points)


def by_fold(trials: list[Trial]) -> dict[str | None, list[Trial]]:
    folds: dict[str | None, list[Trial]] = {}
    for trial in trials:
        folds.setdefault(trial.fold, []).append(trial)
    return folds
