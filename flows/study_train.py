"""The trainings of a study, on the workers: what is there is found, and one that fails does not stop the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from flows.config import TrainEntry
from flows.independent import Outcome, run_all
from flows.processes import train_together
from flows.run import Run
from flows.study import Study, Trial
from flows.study_choice import choose, tell_choices
from flows.study_plan import Planner
from flows.train import copies_of
from sorigil.errors import RequestError, RunError
from storage import bundles
from tasks.label_sets import differences
from tasks.train import train_model
from tasks.trainings import Spool, train_unit


def train_study(run: Run, entry: TrainEntry) -> None:
    """One stage: every training of the entry that is not there already, and the choice among them."""
    with run.stage(f"train {entry.name}") as stage:
        planner = Planner(run, entry)
        study = planner.study()
        stage["audio_seconds"] = _train(run, entry, study.trials)
        choose(study)
        if entry.inner_folds:
            winners = planner.winners(study)
            study.trials += winners
            stage["audio_seconds"] += _train(run, entry, winners)
        run.studies[entry.name] = study
    for trial in study.trials:
        if trial.error is not None:
            run.note_error(f"train {entry.name}", RunError(f"{trial.label}: {trial.error}"))
    tell_choices(run, study)
    accept(run, study)


def known_study(run: Run, entry: TrainEntry) -> None:
    """Without the step train: use the models of these very jobs. RequestError where one is not trained."""
    study, missing = standing(run, entry)
    if missing:
        said = f"{len(missing)} of its {len(study.trials)} models are not trained (the first: {missing[0].label})"
        raise RequestError(f"{entry.name}: {said}; run the step train first")
    run.studies[entry.name] = study
    tell_choices(run, study)


def standing(run: Run, entry: TrainEntry) -> tuple[Study, list[Trial]]:
    """The study as far as it is there, and what is missing; winners of inner folds are known where nothing else is."""
    planner = Planner(run, entry)
    study = planner.study()
    missing = _find(run, study.trials)
    if not missing:
        choose(study)
        if entry.inner_folds:
            winners = planner.winners(study)
            study.trials += winners
            missing = _find(run, winners)
        accept(run, study)
    return study, missing


def _find(run: Run, trials: Sequence[Trial]) -> list[Trial]:
    """Take up the models that are there; returns the trials of the others."""
    missing = []
    for trial in trials:
        if bundles.exists(run.store, trial.key):
            trial.trained, trial.cached = train_model(trial.job), True
        else:
            missing.append(trial)
    return missing


def _train(run: Run, entry: TrainEntry, trials: Sequence[Trial]) -> float:
    """Train what is missing, and note of each trial what has become of it; returns the seconds of audio gone through."""
    missing = _find(run, trials)
    there = len(trials) - len(missing)
    of = " on inner folds" if any(trial.inner for trial in trials) else ""
    run.reporter.say(f"train {entry.name}: {len(trials)} trainings{of}, {there} of them there already")
    _tell_differences(run, missing)
    outcome = _train_all(run, f"train {entry.name}{of}", list({trial.key: trial for trial in missing}.values()))
    for trial in missing:
        trial.error = outcome.failed.get(trial.key)
        if trial.error is None:
            trial.trained = train_model(trial.job)
    return outcome.audio_seconds


def _tell_differences(run: Run, trials: Sequence[Trial]) -> None:
    """Say of each fold what its test rows alone say, or its training rows."""
    first: dict[str | None, Trial] = {}
    for trial in trials:
        if not trial.inner:  # else it has no test rows
            first.setdefault(trial.fold, trial)
    for fold, trial in first.items():
        for sentence in differences(trial.job):
            run.reporter.say(f"train {trial.entry.name}{f' ({fold})' if fold else ''}: {sentence}")


def _train_all(run: Run, stage: str, trials: Sequence[Trial]) -> Outcome:
    """Train on the workers. The units are called by their models' keys."""
    copies: dict[Any, pa.Table] = {}
    for trial in trials:
        if trial.entry.copies:
            trial.job = dataclasses.replace(trial.job, copies=_copies(run, trial, copies))
    if trials and trials[0].entry.processes > 1:
        return _train_in_turn(run, trials)
    spool = Spool(run.store, run.id)
    try:
        units = [spool.train_unit(trial.job, trial.key, f"{trial.entry.name} ({trial.label})") for trial in trials]
        return run_all(run, stage, train_unit, units)
    finally:
        spool.remove()


def _train_in_turn(run: Run, trials: Sequence[Trial]) -> Outcome:
    """One after the other, each by several processes."""
    outcome = Outcome()
    for trial in trials:
        try:
            outcome.audio_seconds += train_together(run, trial.job, trial.entry.processes).audio_seconds
        except RunError as wrong:
            outcome.failed[trial.key] = str(wrong)
    return outcome


def _copies(run: Run, trial: Trial, made: dict[Any, pa.Table]) -> pa.Table:
    """Augmented copies of all rows: every fold takes those of its training rows."""
    entry = trial.entry
    kind = (entry.features, entry.target, entry.train.seed, trial.job.augment)
    if kind not in made:
        made[kind] = copies_of(run, entry, trial.job.rows)
    return made[kind]


def accept(run: Run, study: Study) -> None:
    """Mark what was chosen; without folds, the first of it is the entry's model, to transcribe with."""
    winners = [trial for trial in study.trials if not trial.inner] if study.entry.inner_folds else study.best()
    for trial in winners:
        trial.chosen = trial.trained is not None
    first = next((trial for trial in winners if trial.chosen), None)
    if first is not None and first.trained is not None and study.entry.folds is None:
        run.trained[study.entry.name] = first.trained
