"""A train entry with `folds` or `sweep`: many trainings on the workers, then one table of what came of them.

Each training is a `Trial`: the entry at one point of the sweep, on the rows as one fold splits them. They are found again
by their models' keys, so a study goes on where it was killed. A sweep chooses by the dev rows of its fold alone, and only
what was chosen is scored: the test rows have no say. Seeds are repetitions and not for choosing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows import interrupt
from flows.config import TrainEntry
from flows.config.sweeps import word
from flows.isolate import Brake, isolate
from flows.progress import Progress
from flows.run import Run, score_rows
from flows.runner import Failure
from flows.train import copies_of, job_of, sided, table_of
from sorigil.errors import RequestError, RunError
from sorigil.fingerprint import to_dict
from sorigil.folds import KFold, folds_of, spread
from sorigil.objectives import OBJECTIVES
from sorigil.split_specs import SplitSpec
from sorigil.splits import DEV
from sorigil.types import Rejection
from storage import bundles
from storage.dataset import field_of
from tasks.evaluate import Scored
from tasks.train import train_model
from tasks.train_job import Trained, TrainJob
from tasks.trainings import Spool, train_unit

SEED = "seed"


@dataclass(kw_only=True)
class Trial:
    """One training of a study. `run` is the study's, but stands on the fold's split."""

    run: Run
    entry: TrainEntry
    fold: str | None
    point: dict[str, Any]  # of the sweep, without the seed
    job: TrainJob
    key: str
    trained: Trained | None = None
    cached: bool = False
    error: str | None = None
    chosen: bool = False
    scored: list[Scored] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Which one it is: `george, learning_rate=0.002, seed=1`."""
        parts = [self.fold] if self.fold else []
        parts += [f"{key}={word(value)}" for key, value in self.point.items()]
        return ", ".join([*parts, f"{SEED}={self.entry.train.seed}"])

    def result(self) -> dict[str, Any]:
        """The training as JSON values."""
        names = ("split", "metric", "value", "interval", "n")
        rows = [row for scored in self.scored for row in score_rows(self.run, self.entry, scored)]
        return {
            "fold": self.fold,
            "point": self.point,
            "seed": self.entry.train.seed,
            "model": None if self.trained is None else self.key,
            "dev": self.dev(),
            "chosen": self.chosen,
            "scores": [{name: row[name] for name in names} for row in rows],
            "error": self.error,
        }

    def dev(self) -> float | None:
        """What the training was watched by, at its best epoch."""
        if self.trained is None or not self.trained.best_epoch:
            return None
        return self.trained.history[self.trained.best_epoch - 1].get(self.entry.train.monitor)


@dataclass(kw_only=True)
class Study:
    """All trainings of an entry."""

    entry: TrainEntry
    trials: list[Trial]

    @property
    def chooses(self) -> bool:
        """Whether there is more than one point to choose from."""
        return any(trial.point != self.trials[0].point for trial in self.trials)

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
            "sweep": {key: list(several) for key, several in self.entry.sweep.items()},
            "monitor": self.entry.train.monitor,
            "trainings": len(self.trials),
            "cached": sum(trial.cached for trial in self.trials),
            "failed": sum(trial.error is not None for trial in self.trials),
            "trials": [trial.result() for trial in self.trials],
            "summary": [
                {"split": split, "metric": metric, **spread(several)} for (split, metric), several in values.items()
            ],
        }

    def by_fold(self) -> dict[str | None, list[Trial]]:
        folds: dict[str | None, list[Trial]] = {}
        for trial in self.trials:
            folds.setdefault(trial.fold, []).append(trial)
        return folds


def is_study(entry: TrainEntry) -> bool:
    return entry.folds is not None or bool(entry.points)


# -- which trainings there are -----------------------------------------------------------------------------------------


def study_of(run: Run, entry: TrainEntry) -> Study:
    """Every training of the entry, none of them begun. RequestError where a sweep has no dev rows to choose by."""
    tables: dict[Any, pa.Table] = {}
    trials: list[Trial] = []
    for values, variant in entry.points or (({}, entry),):
        plain = dataclasses.replace(variant, folds=None, sweep={}, points=())
        kind = (plain.features, plain.target, plain.train.input)
        if kind not in tables:
            tables[kind] = table_of(run, plain)
        for fold, split in _folds(run, entry, tables[kind]).items():
            if (kind, fold) not in tables:
                tables[kind, fold] = sided(tables[kind], split)
            trials.append(_trial(run, plain, fold, split, values, tables[kind, fold]))
    study = Study(entry=entry, trials=sorted(trials, key=_fold_order(trials)))
    if study.chooses:
        _must_have_dev(study)
    return study


def _folds(run: Run, entry: TrainEntry, table: pa.Table) -> dict[str | None, SplitSpec]:
    if entry.folds is None:
        return {None: run.pipeline.split}
    values = [] if isinstance(entry.folds, KFold) else field_of(table, entry.folds.field)
    return dict(folds_of(entry.folds, values).items())


def _trial(
    run: Run, entry: TrainEntry, fold: str | None, split: SplitSpec, values: dict[str, Any], rows: pa.Table
) -> Trial:
    pipeline = dataclasses.replace(run.pipeline, split=split)
    there = dataclasses.replace(run, pipeline=pipeline)
    job = dataclasses.replace(job_of(there, entry, rows), loader_workers=0)
    point = {key: value for key, value in values.items() if key != SEED}
    return Trial(run=there, entry=entry, fold=fold, point=point, job=job, key=job.key)


def _fold_order(trials: Sequence[Trial]) -> Callable[[Trial], int]:
    """Fold by fold, each in the order of the grid."""
    places = {fold: place for place, fold in enumerate(dict.fromkeys(trial.fold for trial in trials))}
    return lambda trial: places[trial.fold]


def _must_have_dev(study: Study) -> None:
    for fold, trials in study.by_fold().items():
        if not pc.any(pc.equal(trials[0].job.rows.column("side"), DEV)).as_py():
            where = f"folds.dev above 0 (fold {fold})" if fold else "split.dev above 0"
            raise RequestError(f"{study.entry.name}: a sweep chooses by the dev rows, and there are none; set {where}")


# -- training ----------------------------------------------------------------------------------------------------------


def train_study(run: Run, entry: TrainEntry) -> None:
    """One stage: every training of the entry that is not there already. One that fails does not stop the others."""
    with run.stage(f"train {entry.name}") as stage:
        study = study_of(run, entry)
        todo = {trial.key: trial for trial in study.trials if not bundles.exists(run.store, trial.key)}
        there = len(study.trials) - len(todo)
        run.reporter.say(f"train {entry.name}: {len(study.trials)} trainings, {there} of them there already")
        failed = _train_all(run, f"train {entry.name}", list(todo.values()))
        _settle(study, {key: str(failure.error) for key, failure in failed.items()}, set(todo))
        found = [trial.trained for trial in study.trials if trial.trained and not trial.cached]
        stage["audio_seconds"] = sum(trained.audio_seconds for trained in found)
    run.studies[entry.name] = study
    for trial in study.trials:
        if trial.error is not None:
            run.note_error(f"train {entry.name}", RunError(f"{trial.label}: {trial.error}"))
    choose(run, study)


def known_study(run: Run, entry: TrainEntry) -> None:
    """Without the step train: use the models of these very jobs. RequestError where one is not trained."""
    study = study_of(run, entry)
    missing = [trial.label for trial in study.trials if not bundles.exists(run.store, trial.key)]
    if missing:
        said = f"{len(missing)} of its {len(study.trials)} models are not trained (the first: {missing[0]})"
        raise RequestError(f"{entry.name}: {said}; run the step train first")
    _settle(study, {}, set())
    run.studies[entry.name] = study
    choose(run, study)


def _settle(study: Study, failed: dict[str, str], made: set[str]) -> None:
    """Note of each trial what has become of it."""
    for trial in study.trials:
        trial.error, trial.cached = failed.get(trial.key), trial.key not in made
        if trial.error is None:
            trial.trained = train_model(trial.job)


def _train_all(run: Run, stage: str, trials: Sequence[Trial]) -> dict[str, Failure]:
    """Train on the workers; returns the failures by model key."""
    spool = Spool(run.store, run.id)
    try:
        copies: dict[Any, pa.Table] = {}
        units = []
        for trial in trials:
            if trial.entry.copies:
                trial.job = dataclasses.replace(trial.job, copies=_copies(run, trial, copies))
            label = f"{trial.entry.name} ({trial.label})"
            units.append(spool.train_unit(trial.job, trial.key, label))
        return run_all(run, stage, train_unit, units)
    finally:
        spool.remove()


def _copies(run: Run, trial: Trial, made: dict[Any, pa.Table]) -> pa.Table:
    """Augmented copies of all rows: every fold takes those of its training rows."""
    entry = trial.entry
    kind = (entry.features, entry.target, entry.train.seed, trial.job.augment)
    if kind not in made:
        made[kind] = copies_of(run, entry, trial.job.rows)
    return made[kind]


def run_all(run: Run, stage: str, function: Callable[[Any], Any], units: Sequence[Any]) -> dict[str, Failure]:
    """Run units of which any may fail by itself; one whose worker died is tried once more. Returns the failures by unit."""
    brake = Brake(stage, run.pipeline.max_deaths)
    failed: dict[str, Failure] = {}
    for done, outcome in enumerate(_outcomes(run, function, units, brake), start=1):
        interrupt.check()
        if isinstance(outcome, Failure):
            failed[outcome.unit.unit] = outcome
        note = f"{len(failed)} failed" if failed else ""
        run.reporter.progress(Progress(stage=stage, done=done, total=len(units), note=note))
    return failed


def _outcomes(run: Run, function: Callable[[Any], Any], units: Sequence[Any], brake: Brake) -> Iterator[Any]:
    died: list[Failure] = []
    for outcome in run.runner.run(function, units):
        if isinstance(outcome, Failure) and outcome.death is not None:
            brake.note(outcome)
            died.append(outcome)
        else:
            yield outcome
    for failure in died:
        yield isolate(run.runner, function, failure, None, brake)


# -- choosing ----------------------------------------------------------------------------------------------------------


def choose(run: Run, study: Study) -> None:
    """Mark, in every fold, the trainings of the point that is best on the fold's dev rows (mean over the seeds)."""
    name, monitor = study.entry.name, study.entry.train.monitor
    for fold, trials in study.by_fold().items():
        points: dict[str, list[Trial]] = {}
        for trial in trials:
            points.setdefault(str(trial.point), []).append(trial)
        ranked = sorted(points.values(), key=lambda several: _rank(study, several)) if study.chooses else [trials]
        if study.chooses and math.isinf(_rank(study, ranked[0])):
            where = f"in fold {fold}, " if fold else ""
            wrong = RunError(f"{where}no point of the sweep has all its trainings: there is nothing to choose from")
            run.note_error(f"train {name}", wrong)
            continue
        for trial in ranked[0]:
            trial.chosen = trial.trained is not None
        if study.chooses:
            said = ", ".join(f"{key}={word(value)}" for key, value in ranked[0][0].point.items())
            where = f" ({fold})" if fold else ""
            values = ", ".join(f"{_mean_dev(several):.4g}" for several in ranked[:3])
            run.reporter.say(f"train {name}{where}: {said} is chosen by dev {monitor}: {values} (best first)")
    winner = next((trial for trial in study.trials if trial.chosen), None)
    if winner is not None and winner.trained is not None and study.entry.folds is None:
        run.trained[name] = winner.trained  # the one to transcribe with


def _rank(study: Study, trials: Sequence[Trial]) -> float:
    """Smaller is better; a point that lacks a training comes last."""
    facts, monitor = OBJECTIVES[study.entry.objective], study.entry.train.monitor
    value = _mean_dev(trials)
    return math.inf if math.isnan(value) else -value if monitor == facts.metric and facts.higher_is_better else value


def _mean_dev(trials: Sequence[Trial]) -> float:
    values = [trial.dev() for trial in trials]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else math.nan
