"""Which trainings a study has: a trial for every fold, inner fold, point and seed, and later for each winner."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.config import TrainEntry
from flows.config.sweeps import SEED
from flows.run import Run
from flows.study import Study, Trial, by_fold
from flows.train import job_with, mixed_rows, sided, table_of
from sorigil.errors import RequestError
from sorigil.folds import KFold, folds_of
from sorigil.inner_folds import InnerSplit, inner_folds_of
from sorigil.split_specs import SplitSpec
from sorigil.splits import DEV
from storage.dataset import field_of


class Planner:
    """Makes the trials of one entry. Tables of rows are made once for all trials that share them."""

    def __init__(self, run: Run, entry: TrainEntry) -> None:
        self.run, self.entry = run, entry
        self._tables: dict[Any, pa.Table] = {}

    def study(self) -> Study:
        """Every training that can be known of, none of them begun.

        Raises RequestError where a sweep has no dev rows to choose by, or where a winner of inner folds would need some.
        """
        entry, trials = self.entry, list[Trial]()
        for values, variant in entry.points or (({}, entry),):
            for fold, split in self._folds(variant).items():
                if not entry.inner_folds:
                    trials.append(self._trial(variant, values, fold, split))
                    continue
                last = self._checked_winner(variant, fold, split)
                trials += [
                    self._trial(variant, values, fold, each, inner, last)
                    for inner, each in inner_folds_of(split, entry.inner_folds).items()
                ]
        folds = list(dict.fromkeys(trial.fold for trial in trials))  # fold by fold, each in the order of the grid
        trials.sort(key=lambda trial: folds.index(trial.fold))
        seeds = {trial.entry.train.seed for trial in trials}
        study = Study(entry=entry, trials=trials, winners=len(folds) * len(seeds) if entry.inner_folds else 0)
        if study.chooses and not entry.inner_folds:
            self._must_have_dev(study)
        return study

    def winners(self, study: Study) -> list[Trial]:
        """What inner folds have chosen, on all training rows of its fold: a trial for each seed."""
        found = []
        for choice in study.choices:
            for values, variant in self.entry.points:
                if choice.chosen and choice.point == without_seed(values):
                    split = self._folds(variant)[choice.fold]
                    found.append(self._trial(variant, values, choice.fold, split))
        return found

    def _folds(self, entry: TrainEntry) -> dict[str | None, SplitSpec]:
        folds = self.entry.folds
        if folds is None:
            return {None: self.run.pipeline.split}
        values = [] if isinstance(folds, KFold) else field_of(self._table(entry), folds.field)
        return dict(folds_of(folds, values).items())

    def _trial(
        self,
        entry: TrainEntry,
        values: dict[str, Any],
        fold: str | None,
        split: SplitSpec | InnerSplit,
        inner: str | None = None,
        last: bool = False,
    ) -> Trial:
        plain = dataclasses.replace(entry, folds=None, inner_folds=0, sweep={}, points=())
        pipeline: Any = self.run.pipeline  # its split may be one here that no file can ask for
        there = dataclasses.replace(self.run, pipeline=dataclasses.replace(pipeline, split=split))
        job = job_with(there, plain, self._rows(entry, split), self._mixed(entry))
        job = dataclasses.replace(job, loader_workers=0)
        return Trial(
            run=there,
            entry=plain,
            fold=fold,
            inner=inner,
            point=without_seed(values),
            job=job,
            key=job.key,
            last_counts=last,
        )

    def _table(self, entry: TrainEntry) -> pa.Table:
        kind = (entry.features, entry.target, entry.train.input)
        if kind not in self._tables:
            self._tables[kind] = table_of(self.run, entry)
        return self._tables[kind]

    def _rows(self, entry: TrainEntry, split: SplitSpec | InnerSplit) -> pa.Table:
        kind = (entry.features, entry.target, entry.train.input, split)
        if kind not in self._tables:
            try:
                self._tables[kind] = sided(self._table(entry), split)
            except RequestError as wrong:
                raise RequestError(f"{self.entry.name}: {wrong}") from None
        return self._tables[kind]

    def _mixed(self, entry: TrainEntry) -> pa.Table | None:
        """What the entry mixes in: the same for all folds."""
        kind = (entry.features, entry.target, entry.train.input, entry.data)
        if entry.data and kind not in self._tables:
            self._tables[kind] = mixed_rows(self.run, entry)
        return self._tables.get(kind)

    def _checked_winner(self, entry: TrainEntry, fold: str | None, split: SplitSpec) -> bool:
        """Whether the winner will have no dev rows, so that its last epoch counts."""
        if _has_dev(self._rows(entry, split)):
            return False
        wants = [f"patience: {entry.train.patience}"] if entry.train.patience is not None else []
        wants += ["schedule: plateau"] if entry.train.schedule.kind == "plateau" else []
        if wants:
            said = f"{' and '.join(wants)} follows dev rows, and what inner_folds choose is trained without any"
            raise RequestError(f"{entry.name}: {said}; set {_where(fold)}, or leave it out")
        return True

    def _must_have_dev(self, study: Study) -> None:
        for fold, trials in by_fold(study.trials).items():
            if not _has_dev(trials[0].job.rows):
                said = f"a sweep chooses by the dev rows, and there are none; set {_where(fold)}, or inner_folds"
                raise RequestError(f"{study.entry.name}: {said}")


def without_seed(values: dict[str, Any]) -> dict[str, Any]:
    """A point of a sweep as it is compared: seeds are repetitions."""
    return {key: value for key, value in values.items() if key != SEED}


def _has_dev(rows: pa.Table) -> bool:
    return bool(pc.any(pc.equal(rows.column("side"), DEV)).as_py())


def _where(fold: str | None) -> str:
    return f"folds.dev above 0 (fold {fold})" if fold else "split.dev above 0"
