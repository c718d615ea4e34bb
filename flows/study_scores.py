"""The scores of a study: each chosen model on its own test rows, on the workers; the table, and a parent run in MLflow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flows.config import TrainEntry
from flows.evaluate import jobs_of, log_model, register
from flows.independent import run_all
from flows.language import learn_for
from flows.run import Run
from flows.study import Study, Trial
from flows.study_train import standing
from sorigil.errors import RequestError, RunError
from sorigil.fingerprint import digest, to_dict
from sorigil.report import numbers, studies
from sorigil.report.charts import spaced
from storage import files
from storage.experiments import Experiments
from tasks.card import study_card
from tasks.evaluate import evaluate_model
from tasks.evaluate_job import EvaluateJob
from tasks.trainings import Spool, score_unit


def evaluate_study(run: Run, entry: TrainEntry) -> None:
    """One stage: score what was chosen, and tell MLflow."""
    study = run.studies.get(entry.name)
    if study is None:
        raise RequestError(f"{entry.name} is not trained; run the step train first")
    with run.stage(f"evaluate {entry.name}") as stage:
        for trial in (trial for trial in study.trials if trial.chosen):
            rows, mixed = trial.job.rows, trial.job.mixed
            learn_for(trial.run, trial.entry, run.pipeline.evaluate.decode, trial.key, rows, mixed)
        jobs = [(trial, job, job.key) for trial in study.trials if trial.chosen for job in _jobs(trial)]
        failed = _score_all(run, f"evaluate {entry.name}", jobs)
        for trial, job, key in jobs:
            if key in failed:
                run.note_error(f"evaluate {entry.name}", RunError(f"{trial.label}: {failed[key]}"))
            else:
                trial.scored.append(evaluate_model(job))
        stage["audio_seconds"] = sum(scored.audio_seconds for trial in study.trials for scored in trial.scored)
        run.mlflow_run_ids[entry.name] = _log(run, study)
    if entry.folds is None and (winner := next((trial for trial in study.trials if trial.scored), None)):
        run.scored[entry.name] = winner.scored
    for row in study.result()["summary"]:
        values = {name: numbers.score(row["metric"], row[name]) for name in ("mean", "std", "min", "max")}
        said = f"mean {values['mean']}, std {values['std']}, {values['min']} to {values['max']} of {row['n']}"
        run.reporter.say(f"evaluate {entry.name} on {row['split']}: {spaced(row['metric'])} {said}")


def pending_study(preview: Run, entry: TrainEntry) -> list[str]:
    """What a run would compute of a study, in words; as `flows.pending.pending`."""
    steps = preview.options.steps
    study, missing = standing(preview, entry)
    if missing:
        inner = missing[0].inner is not None
        then = f" on inner folds, and then {study.winners} of what they choose" if inner else ""
        said = f"train {entry.name}: {len(missing)} of {len(study.trials)} trainings{then}"
        return [said, *([f"evaluate {entry.name}"] if "evaluate" in steps else [])] if "train" in steps else []
    jobs = [job for trial in study.trials if trial.chosen for job in _jobs(trial)]
    left = [job for job in jobs if not _is_scored(job, job.key)]
    return [f"evaluate {entry.name}: {len(left)} scores"] if left and "evaluate" in steps else []


def _jobs(trial: Trial) -> list[EvaluateJob]:
    return jobs_of(trial.run, trial.entry, trial.job.rows, trial.key)


def _is_scored(job: EvaluateJob, key: str) -> bool:
    return files.exists(job.store.path(f"{job.store.score(key)}/score.json"))


def _score_all(run: Run, stage: str, jobs: Sequence[tuple[Trial, EvaluateJob, str]]) -> dict[str, str]:
    """Score on the workers what is not scored; returns the failures by score key."""
    spool = Spool(run.store, run.id)
    try:
        units = {
            key: spool.score_unit(job, key, trial.job.rows) for trial, job, key in jobs if not _is_scored(job, key)
        }
        return run_all(run, stage, score_unit, list(units.values())).failed
    finally:
        spool.remove()


def _card(run: Run, result: dict[str, Any]) -> dict[str, bytes]:
    chosen = any(trial["chosen"] for trial in result["trials"])
    return {"model_card.md": study_card(run.store, result, run.config.licences()).encode()} if chosen else {}


def _log(run: Run, study: Study) -> str:
    """A run for the study, with those of its models below it; found again, not logged twice."""
    experiments = Experiments(run.store)
    result = study.result()
    children = [
        log_model(trial.run, trial.entry, trial.trained, trial.scored, trial.label, experiments)
        for trial in study.trials
        if trial.trained is not None
    ]
    key = digest("study", json.dumps(result["trials"], sort_keys=True), *children)
    parent = experiments.find(run.pipeline.name, key)
    if parent is None:
        parent = _log_parent(run, study.entry, result, key, experiments)
    experiments.adopt(parent, children)
    if study.entry.name in run.trained:
        register(run, study.entry, run.trained[study.entry.name], parent)
    return parent


def _log_parent(run: Run, entry: TrainEntry, result: dict[str, Any], key: str, experiments: Experiments) -> str:
    assert run.prepared is not None
    return experiments.log(
        experiment=run.pipeline.name,
        name=entry.name,
        key=key,
        params={
            "dataset": run.dataset,
            "folds": json.dumps(None if entry.folds is None else to_dict(entry.folds)),
            "inner_folds": entry.inner_folds,
            "sweep": json.dumps(result["sweep"]),
            "trainings": result["trainings"],
            "failed": result["failed"],
        },
        tags={"dataset": run.dataset, "version": run.prepared.version.name, "objective": entry.objective},
        history=(),
        metrics={
            f"{row['split']}_{row['metric']}_{name}": row[name]
            for row in result["summary"]
            for name in ("mean", "std", "min", "max")
            if row[name] is not None
        },
        artifacts={
            "study.json": json.dumps(result, ensure_ascii=False, indent=1).encode(),
            "study.md": studies.page(result).encode(),
            **_card(run, result),
        },
    )
